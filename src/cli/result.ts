/** Decides how a result is written: tokens on stdout, and on stderr who signed in. */
import type { AuthenticationResult } from '@azure/msal-node'
import type { JWTPayload } from 'jose'
import type { Person } from './as-person.ts'
import { type Io, plain, tell } from './io.ts'
import type { TokenOptions } from './options.ts'

type Shape = Pick<TokenOptions, 'json' | 'idToken'>

/** Writes the tokens: one a line, in the order of their scopes; as JSON an object, or a list of several. */
export function render({ tokens, idClaims }: Person, { json, idToken }: Shape): string {
  if (!json) return tokens.map(token => token.accessToken).join('\n')
  const results = tokens.map(token => describe(token, idToken ? idClaims : undefined))
  return JSON.stringify(results.length === 1 ? results[0] : results, null, 2)
}

function describe(
  { accessToken, tokenType, expiresOn, scopes, account }: AuthenticationResult,
  idClaims: JWTPayload | undefined,
): object {
  return {
    access_token: accessToken,
    token_type: tokenType,
    expires_on: expiresOn,
    scopes,
    account: account?.name || account?.username || null,
    ...(idClaims && { id_token_claims: idClaims }),
  }
}

/** Says who is signed in, by an ID token that was verified now, or in the run that kept the sign-in. */
export function introduce({ tokens, idClaims }: Person, { json, idToken }: Shape, io: Io): void {
  const { name, username, tenantId } = tokens[0]!.account!
  tell(io, plain(`Signed in: ${[name, username].filter(Boolean).join(', ')} (tenant ${tenantId})`))
  if (idToken && !json) tell(io, JSON.stringify(idClaims, null, 2))
}

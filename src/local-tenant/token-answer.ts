/** Decides what a client gets when a grant is good: which tokens, for which resource, in which form. */

import { randomBytes } from 'node:crypto'
import { Aadsts } from './aadsts.ts'
import { applicationClaims, GRAPH, homeOf, type TokenFacts, userClaims } from './claims.ts'
import { readClaimsRequest } from './claims-request.ts'
import type { AuthenticatedClient, Form } from './client-authentication.ts'
import type { Directory } from './directory.ts'
import { issueIdToken } from './id-token.ts'
import { apiAudience, signToken, tokenHeader } from './issue.ts'
import { compact, hashedNonceSigner, type Json } from './jws.ts'
import type { Person } from './people.ts'
import { sealRefreshToken } from './refresh-tokens.ts'
import { grantScopes, nameScopes, type RequestedScopes, readScopes } from './scopes.ts'

/** The answer of the token endpoint (RFC 6749 §5.1, with Entra's additions). */
export interface TokenAnswer {
  readonly token_type: 'Bearer'
  readonly scope?: string
  readonly expires_in: number
  readonly ext_expires_in: number
  readonly access_token: string
  readonly refresh_token?: string
  readonly id_token?: string
  readonly client_info?: string
}

/** What a person has granted. */
export interface PersonGrant {
  readonly person: Person
  readonly scope: string
  /** Authentication contexts that the sign-in satisfied. */
  readonly acrs: readonly string[]
  readonly nonce?: string | undefined
}

function signFor(directory: Directory, resource: RequestedScopes['resource'], claims: Json): string {
  if (resource === 'api') return signToken(directory, claims, claims.ver === '1.0' ? 1 : 2)
  const key = directory.keys.signing()
  const header = { ...tokenHeader(key, 1), nonce: randomBytes(32).toString('base64url') }
  return compact(header, claims, hashedNonceSigner(key.privateKey, header))
}

function factsFor(
  directory: Directory,
  resource: RequestedScopes['resource'],
  caller: AuthenticatedClient,
): TokenFacts {
  const version = resource === 'api' ? directory.settings.accessTokenVersion : 1
  return { ...caller, version, audience: resource === 'api' ? apiAudience(directory, version) : GRAPH }
}

const bearer = (accessToken: string, { iat, exp }: Json): TokenAnswer => {
  const seconds = Number(exp) - Number(iat)
  return { token_type: 'Bearer', expires_in: seconds, ext_expires_in: seconds, access_token: accessToken }
}

/** `xms_cc`, an optional claim at Entra that this API is taken to have asked for. */
const capabilityClaims = (capabilities: readonly string[]): Json =>
  capabilities.length > 0 ? { xms_cc: [...capabilities] } : {}

/** Answers a client that acts on a person's behalf. @throws Aadsts when the scopes cannot be granted */
export async function answerPerson(
  directory: Directory,
  caller: AuthenticatedClient,
  form: Form,
  { person, scope, acrs, nonce }: PersonGrant,
): Promise<TokenAnswer> {
  const asked = readClaimsRequest(form.claims)
  // Nobody is asked here, so what the sign-in did not satisfy takes another one; MSAL knows it by this answer.
  if (asked.acrs.some(context => !acrs.includes(context))) throw new Aadsts(50076)
  const requested = readScopes(directory, scope)
  const { resource, oidc } = requested
  const granted = grantScopes(requested, person)
  const facts = factsFor(directory, resource, caller)
  const claims = {
    ...userClaims(directory, facts, person, granted),
    ...(acrs.length > 0 && { acrs: [...acrs] }),
    ...capabilityClaims(asked.capabilities),
  }
  const { clientId } = caller.client
  const clientInfo = JSON.stringify(homeOf(directory, person))
  const refreshGrant = { handle: person.handle, clientId, scope, acrs }
  return {
    ...bearer(signFor(directory, resource, claims), claims),
    scope: nameScopes(directory, requested, granted),
    ...(oidc.includes('offline_access') && {
      refresh_token: await sealRefreshToken(directory, refreshGrant),
    }),
    ...(oidc.includes('openid') && {
      id_token: await issueIdToken(directory, clientId, person, nonce),
    }),
    ...(form.client_info === '1' && { client_info: Buffer.from(clientInfo).toString('base64url') }),
  }
}

/** Answers an application that acts in its own name. */
export function answerApplication(
  directory: Directory,
  caller: AuthenticatedClient,
  resource: RequestedScopes['resource'],
  capabilities: readonly string[],
): TokenAnswer {
  const roles = resource === 'api' ? caller.client.roles : []
  const claims = {
    ...applicationClaims(directory, factsFor(directory, resource, caller), roles),
    ...capabilityClaims(capabilities),
  }
  return bearer(signFor(directory, resource, claims), claims)
}

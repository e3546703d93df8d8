/** Decides whether an ID token says who signed in: signature, issuer, audience and lifetime, by the issuer's own keys. */
import type { AuthenticationResult } from '@azure/msal-node'
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import { isGuid } from './variables.ts'
import type { Wish } from './wish.ts'

/** What is read of the discovery document. */
interface Discovery {
  readonly issuer: string
  readonly jwks_uri: string
}

/** Entra's per-key issuer; a key without one is good for every issuer of the set. */
type EntraKey = JSONWebKeySet['keys'][number] & { readonly issuer?: string }

const CLOCK_TOLERANCE_SECONDS = 60

/**
 * Verifies the ID token of a sign-in (OpenID Connect Core §3.1.3.7). Its nonce is msal-node's to compare with the
 * one that it was told to send.
 *
 * @returns its claims
 * @throws {AuthError} when the issuer's keys can't be had
 * @throws {Error} with the reason, when the token is not good
 */
export async function verifyIdToken(
  { idToken }: Pick<AuthenticationResult, 'idToken'>,
  { settings, network }: Wish,
): Promise<JWTPayload> {
  const read = async <T>(url: string) => (await network.msal.sendGetRequestAsync<T>(url)).body
  const { issuer, jwks_uri } = await read<Discovery>(
    `${settings.authority}/v2.0/.well-known/openid-configuration`,
  )
  const { keys } = await read<{ keys: EntraKey[] }>(jwks_uri)
  try {
    // Unverified, and good enough to fill in a template: what comes of it is compared with what is signed.
    const { tid } = decodeJwt(idToken)
    const fill = (template: string) =>
      typeof tid === 'string' && isGuid(tid) ? template.replace('{tenantid}', tid) : template
    const own = keys.filter(key => key.issuer === undefined || fill(key.issuer) === fill(issuer))
    const { payload } = await jwtVerify(idToken, createLocalJWKSet({ keys: own }), {
      algorithms: ['RS256'],
      issuer: fill(issuer),
      audience: settings.clientId,
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
    })
    return payload
  } catch (error) {
    throw new Error(
      `the ID token is not good: ${(error as Error).message}; nothing of this sign-in is kept`,
      { cause: error },
    )
  }
}

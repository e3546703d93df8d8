/** Decides which issuers of an Azure AD B2C tenant are trusted: one a policy, whose keys it publishes apart. */
import type { Refusal } from '../errors.ts'
import { GUID } from './clouds.ts'
import type { JsonObject } from './jws.ts'
import {
  ENTRA_WINDOW_MS,
  type EntraTrust,
  type FindIssuer,
  type TrustedIssuer,
  untrusted,
} from './trusted-issuer.ts'

/** The names of user flows (`B2C_1_…`) and custom policies (`B2C_1A_…`). */
export const B2C_POLICY = /^B2C_1A?_[\w.-]{1,64}$/i

const PATH = /^\/(?:([^/]+)|tfp\/([^/]+)\/([^/]+))\/v2\.0\/$/

/** What an `iss` says: the tenant, and the policy where its form has one. */
interface Named {
  readonly tenant: string
  readonly policy: string | undefined
}

/** `https://{host}/{tid}/v2.0/`, or `https://{host}/tfp/{tid}/{policy}/v2.0/`; the slash at the end is theirs. */
function readIssuer(iss: unknown, authority: string): Named | undefined {
  if (typeof iss !== 'string' || !iss.startsWith(`${authority}/`)) return undefined
  const [, plain = '', within = '', policy = ''] = PATH.exec(iss.slice(authority.length)) ?? []
  if (GUID.test(plain)) return { tenant: plain, policy: undefined }
  return GUID.test(within) && B2C_POLICY.test(policy) ? { tenant: within, policy } : undefined
}

/** The policy by which a token says that it was issued: `tfp`, or `acr` where that was chosen for compatibility. */
function policyOf(claims: JsonObject, inIssuer: string | undefined): string | Refusal {
  const { tfp, acr } = claims
  const claimed = tfp ?? acr ?? inIssuer
  if (claimed === undefined) return { code: 'missing_claim', about: 'tfp' }
  if (typeof claimed !== 'string') {
    return { code: 'malformed_claim', about: 'tfp', received: typeof claimed, expected: 'a string' }
  }
  // Documents and tokens spell policies in either case.
  const policy = claimed.toLowerCase()
  if (inIssuer === undefined || inIssuer.toLowerCase() === policy) return policy
  return { code: 'untrusted_issuer', about: 'tfp', received: claimed, expected: inIssuer }
}

/** The issuers of one B2C tenant, one a policy; every token has `ver` 1.0 and the application id as audience. */
export function trustB2c(trust: EntraTrust): { issuers: TrustedIssuer[]; find: FindIssuer } {
  const { authority, tenant, b2cPolicies: policies = [] } = trust
  const byPolicy = new Map(
    policies.map((policy): [string, TrustedIssuer] => {
      const metadata = `${authority}/${tenant}/${policy}/v2.0`
      const mayClaim = (issuer: string): boolean => {
        const named = readIssuer(issuer, authority)
        if (named?.tenant !== tenant) return false
        return named.policy === undefined || named.policy.toLowerCase() === policy.toLowerCase()
      }
      const issuer: TrustedIssuer = {
        preset: 'b2c',
        version: '1.0',
        name: metadata,
        metadata,
        mayClaim,
        tenantOf: other => (mayClaim(other) ? tenant : undefined),
        algorithms: ['RS256'],
        types: ['jwt', 'at+jwt'],
        audiences: trust.audiences['2.0'],
        strict: false,
        optional: false,
        forcedRefreshWindowMs: ENTRA_WINDOW_MS,
      }
      return [policy.toLowerCase(), issuer]
    }),
  )
  const issuers = [...byPolicy.values()]

  const find: FindIssuer = (iss, claims = {}) => {
    const named = readIssuer(iss, authority)
    if (named === undefined) return untrusted(iss, issuers)
    if (named.tenant !== tenant) {
      return { code: 'tenant_not_allowed', about: 'iss', received: named.tenant, expected: tenant }
    }
    const policy = policyOf(claims, named.policy)
    if (typeof policy !== 'string') return policy
    const issuer = byPolicy.get(policy)
    if (issuer !== undefined) return { issuer, tenant }
    return { code: 'untrusted_issuer', about: 'tfp', received: policy, expected: policies }
  }
  return { issuers, find }
}

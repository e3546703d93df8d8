/** Decides who is trusted: which `iss` is ours to judge, where its documents are, and what its tokens must look like. */
import { trustB2c } from './b2c.ts'
import { trustEntra } from './entra.ts'
import {
  type EntraTrust,
  type FindIssuer,
  type Rfc9068Trust,
  type TrustedIssuer,
  untrusted,
} from './trusted-issuer.ts'

export { B2C_POLICY, trustB2c } from './b2c.ts'
export {
  GUID,
  isB2cHost,
  isCloud,
  isExternalId,
  isLoopback,
  issuerOrigins,
  preferredAuthority,
  type TokenVersion,
} from './clouds.ts'
export { trustEntra } from './entra.ts'
export type {
  EntraTrust,
  FindIssuer,
  IssuerMatch,
  Preset,
  Rfc9068Trust,
  TrustedIssuer,
} from './trusted-issuer.ts'

/** What any issuer may sign with; symmetric algorithms and `none` can't be configured (C-9). */
export const SIGNATURE_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']

const WINDOW_MS = 30_000

/** The issuers of a Microsoft authority, and the one function that finds the issuer of a token among them. */
function trustMicrosoft(trust: EntraTrust): { issuers: TrustedIssuer[]; find: FindIssuer } {
  return trust.b2cPolicies === undefined ? trustEntra(trust) : trustB2c(trust)
}

/** Whether an issuer is one of a Microsoft authority's, for whichever tenant. */
export function isEntraIssuer(trust: EntraTrust, issuer: string): boolean {
  const outcome = trustMicrosoft(trust).find(issuer)
  return !('code' in outcome && outcome.about === 'iss' && outcome.code === 'untrusted_issuer')
}

/** The authorization servers of a Microsoft authority (RFC 9728 §2), in the v2 form, where its clients ask. */
export function entraServers(trust: EntraTrust): string[] {
  const { authority, tenant, b2cPolicies } = trust
  if (b2cPolicies === undefined) return [`${authority}/${tenant}/v2.0`]
  return b2cPolicies.map(policy => `${authority}/${tenant}/${policy}/v2.0`)
}

/** An issuer of RFC 9068 tokens, or of their untyped predecessors. */
export function trustRfc9068(trust: Rfc9068Trust): TrustedIssuer {
  const typed = trust.tokenType === 'at+jwt'
  return {
    preset: 'rfc9068',
    version: undefined,
    name: trust.issuer,
    // OpenID Connect Discovery 1.0 §4.1: a terminating slash of the issuer is removed first.
    metadata: trust.issuer.replace(/\/$/, ''),
    mayClaim: issuer => issuer === trust.issuer,
    tenantOf: () => undefined,
    algorithms: SIGNATURE_ALGORITHMS,
    types: typed ? ['at+jwt'] : ['jwt', 'at+jwt'],
    audiences: trust.audiences,
    strict: typed,
    optional: false,
    forcedRefreshWindowMs: WINDOW_MS,
  }
}

/** Every trusted issuer, and the one function that finds the issuer of a token among them. */
export function trustIssuers(
  entra: EntraTrust | undefined,
  others: readonly Rfc9068Trust[],
): { issuers: readonly TrustedIssuer[]; find: FindIssuer } {
  const authority = entra && trustMicrosoft(entra)
  const byName = new Map(others.map(trust => [trust.issuer, trustRfc9068(trust)]))
  const issuers = [...(authority?.issuers ?? []), ...byName.values()]
  return {
    issuers,
    find: (iss, claims) => {
      const match = authority?.find(iss, claims)
      if (match !== undefined && !('code' in match && match.code === 'untrusted_issuer')) return match
      const other = typeof iss === 'string' ? byName.get(iss) : undefined
      if (other !== undefined) return { issuer: other, tenant: undefined }
      // A B2C issuer whose policy is not listed says so itself.
      return match !== undefined && 'about' in match && match.about !== 'iss'
        ? match
        : untrusted(iss, issuers)
    },
  }
}

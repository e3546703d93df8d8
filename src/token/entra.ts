/** Decides which issuers of an Entra authority are trusted: one form a token version, for one tenant or for many. */
import { LRUCache } from 'lru-cache'
import { isRefusal, type Refusal } from '../errors.ts'
import { GUID, type IssuerOrigins, issuerOrigins, type TokenVersion } from './clouds.ts'
import {
  ENTRA_WINDOW_MS,
  type EntraTrust,
  type FindIssuer,
  type IssuerMatch,
  type TrustedIssuer,
  untrusted,
} from './trusted-issuer.ts'

const VERSIONS = ['2.0', '1.0'] as const
const MAX_KNOWN_ISSUERS = 1000

const issuerPath = (version: TokenVersion, tenant: string): string =>
  version === '2.0' ? `/${tenant}/v2.0` : `/${tenant}/`

/** ENTRA-4: the tenant segment of `iss` is a GUID in lower case; `{tenantid}` or a domain name is none. */
function tenantIn(iss: string, version: TokenVersion, origins: IssuerOrigins): string | undefined {
  const segment = iss.split('/', 4)[3] ?? ''
  if (!GUID.test(segment)) return undefined
  return origins[version].some(origin => iss === origin + issuerPath(version, segment)) ? segment : undefined
}

/** The issuers of one Entra authority: one form a version that its cloud has, whether its tokens are accepted or not. */
export function trustEntra(trust: EntraTrust): { issuers: TrustedIssuer[]; find: FindIssuer } {
  const { authority, tenant, signingKeysAppId: appId } = trust
  const origins = issuerOrigins(authority, tenant)
  const single = GUID.test(tenant)
  const tenantOf = (issuer: string): string | undefined =>
    tenantIn(issuer, '2.0', origins) ?? tenantIn(issuer, '1.0', origins)
  const forms = VERSIONS.filter(version => origins[version].length > 0).map((version): TrustedIssuer => {
    const metadata = `${authority}/${tenant}${version === '2.0' ? '/v2.0' : ''}`
    const expected = origins[version].map(
      origin => origin + issuerPath(version, single ? tenant : '{tenantid}'),
    )
    return {
      preset: 'entra',
      version,
      // Keys that were kept from before stand under this name: an application's own are another set.
      name: appId === undefined ? metadata : `${metadata}?appid=${appId}`,
      metadata,
      appId,
      mayClaim: issuer => expected.includes(issuer),
      tenantOf,
      algorithms: ['RS256'],
      types: ['jwt', 'at+jwt'],
      audiences: trust.audiences[version],
      strict: false,
      optional: version === '1.0' && trust.versions.includes('2.0'),
      forcedRefreshWindowMs: ENTRA_WINDOW_MS,
    }
  })
  const accepted = forms.filter(form => trust.versions.some(version => version === form.version))

  /** The tokens of one tenant all say the same; only what was found is kept. */
  const known = new LRUCache<string, IssuerMatch>({ max: MAX_KNOWN_ISSUERS })
  const seek = (iss: string): IssuerMatch | Refusal => {
    for (const form of forms) {
      const named = tenantIn(iss, form.version!, origins)
      if (named === undefined) continue
      const allowed = single
        ? named === tenant
        : trust.allowedTenants === '*' || trust.allowedTenants.includes(named)
      if (!allowed) {
        const expected = single ? tenant : trust.allowedTenants
        return { code: 'tenant_not_allowed', about: 'iss', received: named, expected }
      }
      if (accepted.includes(form)) return { issuer: form, tenant: named }
      return { code: 'wrong_token_version', about: 'ver', received: form.version, expected: trust.versions }
    }
    return untrusted(iss, accepted)
  }
  const find: FindIssuer = iss => {
    if (typeof iss !== 'string') return untrusted(iss, accepted)
    const before = known.get(iss)
    if (before !== undefined) return before
    const match = seek(iss)
    if (!isRefusal(match)) known.set(iss, match)
    return match
  }
  return { issuers: accepted, find }
}

/** Decides who is trusted: which `iss` is ours to judge, where its documents are, and what its tokens must look like. */
import { isIP } from 'node:net'
import type { Refusal } from '../errors.ts'

/** Entra's two forms of access token, by their `ver` claim. */
export type TokenVersion = '1.0' | '2.0'

/** One issuer, or one form of the issuers of an Entra authority. */
export interface TrustedIssuer {
  readonly preset: 'entra' | 'rfc9068'
  /** Entra only. */
  readonly version: TokenVersion | undefined
  /** How logs and `/readyz` call it: the issuer itself, or the metadata address for Entra. */
  readonly name: string
  /** The discovery document is `<metadata>/.well-known/openid-configuration`; no trailing slash. */
  readonly metadata: string
  /** Whether the discovery document may name this `issuer`; for many tenants it holds `{tenantid}` literally. */
  readonly mayClaim: (documentIssuer: string) => boolean
  /** The tenant that an issuer value names in either of Entra's forms, if it is one of this authority. */
  readonly tenantOf: (issuer: string) => string | undefined
  /** RFC 8725 §3.1: the only algorithms that are looked at. */
  readonly algorithms: readonly string[]
  /** Accepted `typ`, in lower case and without `application/`. */
  readonly types: readonly string[]
  /** Accepted `aud`, compared exactly. */
  readonly audiences: readonly string[]
  /** Whether RFC 9068 §2.2's required claims are demanded. */
  readonly strict: boolean
  /** Whether a discovery document that answers 404 switches this form off instead of being an outage. */
  readonly optional: boolean
  /** Time that earns one more forced key refresh, in milliseconds (C-7). */
  readonly forcedRefreshWindowMs: number
}

/** A trusted issuer that a token claims to come from, and the tenant that its `iss` names (Entra only). */
export interface IssuerMatch {
  readonly issuer: TrustedIssuer
  readonly tenant: string | undefined
}

/** Finds the trusted issuer that an unverified `iss` names; costs no fetch, whatever it holds (BCP-7). */
export type FindIssuer = (iss: unknown) => IssuerMatch | Refusal

/** What makes an Entra authority trusted. */
export interface EntraTrust {
  /** Origin of the login host, without a trailing slash. */
  readonly authority: string
  /** Tenant GUID, or `common`/`organizations`. */
  readonly tenant: string
  /** Tenants that may call when `tenant` is none itself; `*` is any. */
  readonly allowedTenants: readonly string[] | '*'
  readonly versions: readonly TokenVersion[]
  /** Accepted audiences by token version. */
  readonly audiences: Readonly<Record<TokenVersion, readonly string[]>>
}

/** What makes an issuer of RFC 9068 tokens trusted. */
export interface Rfc9068Trust {
  /** Exactly as it stands in `iss`. */
  readonly issuer: string
  readonly audiences: readonly string[]
  /** `at+jwt`, or `JWT` for issuers that do not type their access tokens. */
  readonly tokenType: 'at+jwt' | 'JWT'
}

export const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** What any issuer may sign with; symmetric algorithms and `none` can't be configured (C-9). */
export const SIGNATURE_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']

const ENTRA_WINDOW_MS = 300_000
const WINDOW_MS = 30_000

/** Hosts that name the issuer of v1 tokens on behalf of a cloud's login host. */
const ISSUER_HOSTS: Readonly<Record<string, readonly string[]>> = {
  'login.microsoftonline.com': ['sts.windows.net'],
  'login.microsoftonline.us': ['sts.windows.net'],
  'login.partner.microsoftonline.cn': ['sts.chinacloudapi.cn'],
}
const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]']

/** Whether a URL's host can only be this machine. */
export function isLoopback(url: URL): boolean {
  const host = url.hostname
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '[::1]' ||
    (isIP(host) === 4 && host.startsWith('127.'))
  )
}

/** Origins under which an authority's issuers may be named (design, "Allowed issuer hosts"). */
function issuerOrigins({ authority, tenant }: EntraTrust): string[] {
  const url = new URL(authority)
  if (isLoopback(url)) {
    const port = url.port === '' ? '' : `:${url.port}`
    return [...new Set([url.origin, ...LOOPBACK_HOSTS.map(host => `${url.protocol}//${host}${port}`)])]
  }
  if (url.hostname.endsWith('.ciamlogin.com')) return [url.origin, `https://${tenant}.ciamlogin.com`]
  return [url.origin, ...(ISSUER_HOSTS[url.hostname] ?? []).map(host => `https://${host}`)]
}

const issuerPath = (version: TokenVersion, tenant: string): string =>
  version === '2.0' ? `/${tenant}/v2.0` : `/${tenant}/`

/** Whether an issuer is one of an Entra authority's, for whichever tenant. */
export function isEntraIssuer(trust: EntraTrust, issuer: string): boolean {
  return trustEntra(trust).issuers.some(form => form.tenantOf(issuer) !== undefined)
}

/** The issuers of one Entra authority: one form a version, whether its tokens are accepted or not. */
export function trustEntra(trust: EntraTrust): { issuers: TrustedIssuer[]; find: FindIssuer } {
  const origins = issuerOrigins(trust)
  const single = GUID.test(trust.tenant)
  const tenantOf = (issuer: string): string | undefined =>
    tenantIn(issuer, '2.0', origins) ?? tenantIn(issuer, '1.0', origins)
  const forms = (['2.0', '1.0'] as const).map((version): TrustedIssuer => {
    const metadata = `${trust.authority}/${trust.tenant}${version === '2.0' ? '/v2.0' : ''}`
    const expected = origins.map(origin => origin + issuerPath(version, single ? trust.tenant : '{tenantid}'))
    return {
      preset: 'entra',
      version,
      name: metadata,
      metadata,
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

  const find: FindIssuer = iss => {
    for (const form of forms) {
      const tenant = typeof iss === 'string' ? tenantIn(iss, form.version!, origins) : undefined
      if (tenant === undefined) continue
      const allowed = single
        ? tenant === trust.tenant
        : trust.allowedTenants === '*' || trust.allowedTenants.includes(tenant)
      if (!allowed) {
        const expected = single ? trust.tenant : trust.allowedTenants
        return { code: 'tenant_not_allowed', about: 'iss', received: tenant, expected }
      }
      if (accepted.includes(form)) return { issuer: form, tenant }
      return { code: 'wrong_token_version', about: 'ver', received: form.version, expected: trust.versions }
    }
    return untrusted(iss, accepted)
  }
  return { issuers: accepted, find }
}

/** ENTRA-4: the tenant segment of `iss` is a GUID in lower case; `{tenantid}` or a domain name is none. */
function tenantIn(iss: string, version: TokenVersion, origins: readonly string[]): string | undefined {
  const segment = iss.split('/', 4)[3] ?? ''
  if (!GUID.test(segment)) return undefined
  return origins.some(origin => iss === origin + issuerPath(version, segment)) ? segment : undefined
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

function untrusted(iss: unknown, issuers: readonly TrustedIssuer[]): Refusal {
  if (iss === undefined) return { code: 'missing_claim', about: 'iss' }
  if (typeof iss !== 'string') {
    return { code: 'malformed_claim', about: 'iss', received: typeof iss, expected: 'a string' }
  }
  return { code: 'untrusted_issuer', about: 'iss', received: iss, expected: issuers.map(({ name }) => name) }
}

/** Every trusted issuer, and the one function that finds the issuer of a token among them. */
export function trustIssuers(
  entra: EntraTrust | undefined,
  others: readonly Rfc9068Trust[],
): { issuers: readonly TrustedIssuer[]; find: FindIssuer } {
  const authority = entra && trustEntra(entra)
  const byName = new Map(others.map(trust => [trust.issuer, trustRfc9068(trust)]))
  const issuers = [...(authority?.issuers ?? []), ...byName.values()]
  return {
    issuers,
    find: iss => {
      const match = authority?.find(iss)
      if (match !== undefined && !('code' in match && match.code === 'untrusted_issuer')) return match
      const other = typeof iss === 'string' ? byName.get(iss) : undefined
      return other === undefined ? untrusted(iss, issuers) : { issuer: other, tenant: undefined }
    },
  }
}

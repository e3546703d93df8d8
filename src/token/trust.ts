/** Decides whether what an operator has set makes a resource server that can be trusted, and says everything that is wrong at once. */
import type { Problem } from '../errors.ts'
import { type EntraTrust, GUID, isEntraIssuer, isLoopback, type Rfc9068Trust } from './issuers.ts'
import { type Microsoft, readMicrosoft } from './trust-microsoft.ts'

/** What an operator sets. The plugin takes these as they are; the server reads them from the variables of the same names. */
export interface TrustSettings {
  /** Tenant GUID, or `common`/`organizations` together with `allowedTenants`. AZURE_TENANT_ID. */
  readonly azureTenantId?: string | undefined
  /** This API's application id; accepted as audience, and `api://<id>` too in v1 tokens. AZURE_CLIENT_ID. */
  readonly azureClientId?: string | undefined
  /** The login host of the cloud, of External ID or of B2C. Default `https://login.microsoftonline.com`. AZURE_AUTHORITY_HOST. */
  readonly azureAuthorityHost?: string | undefined
  /** Accepted audiences of every issuer, compared exactly; replaces those of `azureClientId`. AUDIENCE. */
  readonly audience?: readonly string[] | undefined
  /** Tenant GUIDs that may call, or `*` written out. ALLOWED_TENANTS. */
  readonly allowedTenants?: readonly string[] | undefined
  /** Application ids that may call; none named is any. ALLOWED_CLIENTS. */
  readonly allowedClients?: readonly string[] | undefined
  /** Further issuers, exactly as they stand in `iss`; their tokens are RFC 9068's. ISSUERS. */
  readonly issuers?: readonly string[] | undefined
  /** `at+jwt` (default), or `JWT` for issuers that do not type their access tokens. ISSUERS_TOKEN_TYP. */
  readonly issuersTokenTyp?: string | undefined
  /** Entra token versions accepted. Default: those that the cloud is known to issue. TOKEN_VERSIONS. */
  readonly tokenVersions?: readonly string[] | undefined
  /**
   * Application whose own signing keys (claims mapping) are trusted too; `true` is `azureClientId`. Documents and
   * keys are asked for with `?appid=`. Plugin option only. Default none.
   */
  readonly signingKeysAppId?: true | string | undefined
  /**
   * User flows and custom policies of an Azure AD B2C tenant whose tokens are accepted, for example
   * `['B2C_1_signin']`; with any, `azureAuthorityHost` is a B2C host. Plugin option only. Default none.
   */
  readonly b2cPolicies?: readonly string[] | undefined
  /** Clock difference that is forgiven, in seconds, 0 to 300. Default 60. CLOCK_TOLERANCE_SECONDS. */
  readonly clockToleranceSeconds?: number | undefined
  /** How long the last good keys serve while the issuer gives none, in hours, 1 to 72. Default 24. KEYS_MAX_STALE_HOURS. */
  readonly keysMaxStaleHours?: number | undefined
  /** File that holds the last good public keys, so that a restart while the issuer is down still works. Default none. KEYS_CACHE_FILE. */
  readonly keysCacheFile?: string | undefined
  /** What makes a scope requestable. Default `api://<azureClientId>/`. SCOPE_PREFIX. */
  readonly scopePrefix?: string | undefined
  /** This API's own address, for metadata and challenges; never taken from a request. PUBLIC_URL. */
  readonly publicUrl?: string | undefined
}

/** Settings that have been checked. */
export interface Trust {
  readonly entra: EntraTrust | undefined
  readonly others: readonly Rfc9068Trust[]
  readonly allowedClients: readonly string[]
  readonly toleranceSeconds: number
  readonly keysMaxStaleMs: number
  readonly keysCacheFile: string | undefined
  readonly scopePrefix: string
  /** Without a trailing slash. */
  readonly publicUrl: string
}

const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com'
const MULTI_TENANT = ['common', 'organizations']
const EXAMPLE_GUID = '11111111-2222-3333-4444-555555555555'
// Safe inside a quoted challenge parameter (BEARER-12).
const QUOTABLE = /^[\x21\x23-\x5b\x5d-\x7e]*$/

/** A value as it is shown to its author; what stands before an @ in an address may be a password. */
export const quote = (value: string): string =>
  JSON.stringify(value.replace(/\/\/[^/]*@/, '//…@').slice(0, 200))

/** Why an address can't be that of an issuer or of this API; undefined when it can. */
function addressProblem(value: string): string | undefined {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !['https:', 'http:'].includes(url.protocol)) return 'an https URL'
  if (url.protocol === 'http:' && !isLoopback(url)) return 'https (plain http is for loopback only)'
  if (url.username !== '' || url.password !== '') return 'a URL without a user name or password'
  if (url.search !== '' || url.hash !== '' || value.includes('?') || value.includes('#')) {
    return 'a URL without query and fragment'
  }
  return QUOTABLE.test(value) ? undefined : 'a URL of printable characters without space, " and \\'
}

/**
 * Checks an operator's settings.
 *
 * @param nameOf how a setting is called where the operator wrote it: a variable or an option
 * @returns the checked settings, or every problem
 */
export function readTrust(
  settings: TrustSettings,
  nameOf: (setting: keyof TrustSettings) => string,
): Trust | readonly Problem[] {
  const problems: Problem[] = []
  const report = (setting: keyof TrustSettings, found: string, expected: string, example: string): void => {
    problems.push({ name: nameOf(setting), found, expected, example })
  }
  const inRange = (
    setting: 'clockToleranceSeconds' | 'keysMaxStaleHours',
    low: number,
    high: number,
    fallback: number,
  ): number => {
    const value = settings[setting] ?? fallback
    if (Number.isInteger(value) && value >= low && value <= high) return value
    report(
      setting,
      Number.isNaN(value) ? 'no number' : String(value),
      `a whole number from ${low} to ${high}`,
      String(fallback),
    )
    return fallback
  }
  const checkAddress = (setting: keyof TrustSettings, value: string, example: string): void => {
    const expected = addressProblem(value)
    if (expected !== undefined) report(setting, quote(value), expected, example)
  }

  const { azureTenantId, azureClientId, issuers = [] } = settings
  const tenant = azureTenantId?.toLowerCase()
  if (tenant === undefined && issuers.length === 0) {
    report(
      'azureTenantId',
      'nothing, and no further issuer',
      'the tenant whose tokens are accepted',
      EXAMPLE_GUID,
    )
  }
  if (tenant !== undefined && !GUID.test(tenant) && !MULTI_TENANT.includes(tenant)) {
    report('azureTenantId', quote(tenant), 'a tenant GUID, common or organizations', EXAMPLE_GUID)
  }
  if (azureClientId !== undefined && !QUOTABLE.test(azureClientId)) {
    report('azureClientId', quote(azureClientId), 'an application id', EXAMPLE_GUID)
  }

  const authority = (settings.azureAuthorityHost ?? DEFAULT_AUTHORITY).replace(/\/$/, '')
  checkAddress('azureAuthorityHost', authority, DEFAULT_AUTHORITY)
  if (addressProblem(authority) === undefined && new URL(authority).pathname !== '/') {
    report('azureAuthorityHost', quote(authority), 'a login host without a path', DEFAULT_AUTHORITY)
  }
  const knownTenant = tenant !== undefined && (GUID.test(tenant) || MULTI_TENANT.includes(tenant))
  const microsoft: Microsoft = readMicrosoft(
    {
      authority: addressProblem(authority) === undefined ? authority : DEFAULT_AUTHORITY,
      // What is wrong with the tenant itself has been said already.
      tenant: knownTenant ? tenant : EXAMPLE_GUID,
      clientId: azureClientId,
      tokenVersions: settings.tokenVersions,
      signingKeysAppId: settings.signingKeysAppId,
      b2cPolicies: settings.b2cPolicies,
    },
    report,
  )
  for (const setting of ['signingKeysAppId', 'b2cPolicies'] as const) {
    if (settings[setting] !== undefined && tenant === undefined) {
      report(setting, 'a value, and no tenant', 'azureTenantId with it', EXAMPLE_GUID)
    }
  }

  const allowedTenants = settings.allowedTenants?.map(id => id.toLowerCase()) ?? []
  const anyTenant = allowedTenants.length === 1 && allowedTenants[0] === '*'
  for (const id of anyTenant ? [] : allowedTenants.filter(id => !GUID.test(id))) {
    report('allowedTenants', quote(id), 'tenant GUIDs, or * alone', EXAMPLE_GUID)
  }
  const multiTenant = tenant !== undefined && MULTI_TENANT.includes(tenant)
  if (multiTenant && allowedTenants.length === 0) {
    report(
      'allowedTenants',
      `nothing, with tenant ${tenant}`,
      'the tenants that may call, or * for any',
      EXAMPLE_GUID,
    )
  }
  if (tenant !== undefined && GUID.test(tenant) && allowedTenants.some(id => id !== tenant)) {
    report(
      'allowedTenants',
      'other tenants beside a single one',
      'the tenant common or organizations',
      tenant,
    )
  }

  const { audience } = settings
  if (audience === undefined && azureClientId === undefined) {
    report(
      'audience',
      'nothing, and no application id',
      'the audience that tokens for this API carry',
      'api://orders',
    )
  }
  if (audience?.length === 0 || audience?.includes('')) {
    report('audience', 'an empty audience', 'audiences that are not empty', 'api://orders')
  }

  for (const issuer of issuers) checkAddress('issuers', issuer, 'https://issuer.example')
  const { issuersTokenTyp = 'at+jwt' } = settings
  if (issuersTokenTyp !== 'at+jwt' && issuersTokenTyp !== 'JWT') {
    report('issuersTokenTyp', quote(issuersTokenTyp), 'at+jwt or JWT', 'at+jwt')
  }

  const toleranceSeconds = inRange('clockToleranceSeconds', 0, 300, 60)
  const staleHours = inRange('keysMaxStaleHours', 1, 72, 24)
  const scopePrefix = settings.scopePrefix ?? (azureClientId === undefined ? '' : `api://${azureClientId}/`)
  if (settings.scopePrefix !== undefined && !QUOTABLE.test(scopePrefix)) {
    report('scopePrefix', quote(scopePrefix), 'printable characters without space, " and \\', 'api://orders/')
  }
  const publicUrl = (settings.publicUrl ?? '').replace(/\/$/, '')
  if (publicUrl === '')
    report('publicUrl', 'nothing', "this API's own https address", 'https://api.example.com')
  else checkAddress('publicUrl', publicUrl, 'https://api.example.com')
  // PRM-8: compared by code point with the address that clients derive from it, so there must be one spelling; and
  // it is a route of this server, where * would mean something else.
  if (addressProblem(publicUrl) === undefined) {
    const { origin, pathname } = new URL(publicUrl)
    const normal = origin + pathname.replace(/\/$/, '')
    if (publicUrl !== normal || /\*|%(?![0-9a-f]{2})/i.test(pathname)) {
      report('publicUrl', quote(publicUrl), 'the address in its normal form, without * in the path', normal)
    }
  }

  if (problems.length > 0) return problems
  const ofId = azureClientId === undefined ? [] : [azureClientId]
  const ofIdAndUri = azureClientId === undefined ? [] : [azureClientId, `api://${azureClientId}`]
  const entra: EntraTrust | undefined =
    tenant === undefined
      ? undefined
      : {
          ...microsoft,
          tenant,
          allowedTenants: anyTenant ? '*' : allowedTenants,
          audiences: { '1.0': audience ?? ofIdAndUri, '2.0': audience ?? ofId },
        }
  for (const issuer of issuers.filter(other => entra !== undefined && isEntraIssuer(entra, other))) {
    const found = `${quote(issuer)}, an issuer of the Entra authority`
    report(
      'issuers',
      found,
      'issuers other than the tenant, which is trusted by its own rules',
      'https://issuer.example',
    )
  }
  if (problems.length > 0) return problems
  return Object.freeze({
    entra,
    others: issuers.map(issuer => ({
      issuer,
      audiences: audience ?? ofIdAndUri,
      tokenType: issuersTokenTyp as 'at+jwt' | 'JWT',
    })),
    allowedClients: settings.allowedClients ?? [],
    toleranceSeconds,
    keysMaxStaleMs: staleHours * 3_600_000,
    keysCacheFile: settings.keysCacheFile,
    scopePrefix,
    publicUrl,
  })
}

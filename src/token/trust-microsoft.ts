/** Decides whether a Microsoft authority, its tenant and its token versions fit together, and says everything that does not. */
import {
  B2C_POLICY,
  GUID,
  isB2cHost,
  isCloud,
  isExternalId,
  issuerOrigins,
  preferredAuthority,
  type TokenVersion,
} from './issuers.ts'

/** What an operator has said of a Microsoft authority; address, tenant and names have been read already. */
export interface MicrosoftSettings {
  /** A good address of a login host. */
  readonly authority: string
  /** In lower case; a GUID, `common` or `organizations`. */
  readonly tenant: string
  readonly clientId: string | undefined
  readonly tokenVersions: readonly string[] | undefined
  readonly signingKeysAppId: true | string | undefined
  readonly b2cPolicies: readonly string[] | undefined
}

/** Settings that have been found to fit. */
export interface Microsoft {
  /** Origin of the login host, by the name that its cloud goes by. */
  readonly authority: string
  readonly versions: readonly TokenVersion[]
  readonly signingKeysAppId: string | undefined
  readonly b2cPolicies: readonly string[] | undefined
}

/** The settings that can be at fault here. */
type Setting = 'azureAuthorityHost' | 'azureTenantId' | 'tokenVersions' | 'signingKeysAppId' | 'b2cPolicies'

/** Hears of a problem: which setting, what was found, what was expected, an example. */
export type Report = (setting: Setting, found: string, expected: string, example: string) => void

const VERSIONS: readonly TokenVersion[] = ['1.0', '2.0']
const EXAMPLE_GUID = '11111111-2222-3333-4444-555555555555'
const EXAMPLE_POLICY = "['B2C_1_signin']"

const show = (value: unknown): string => String(JSON.stringify(value)).slice(0, 200)

function checkB2c({ authority, tenant, ...settings }: MicrosoftSettings, report: Report): void {
  const policies: unknown = settings.b2cPolicies
  const isList = Array.isArray(policies) && policies.length > 0
  if (!isList || !policies.every(name => typeof name === 'string' && B2C_POLICY.test(name))) {
    report('b2cPolicies', show(policies), 'a list of names like B2C_1_… and B2C_1A_…', EXAMPLE_POLICY)
  }
  if (!GUID.test(tenant)) {
    report('azureTenantId', show(tenant), "the B2C tenant's GUID, as its issuer has it", EXAMPLE_GUID)
  }
  if (isCloud(authority) || isExternalId(authority)) {
    const expected = 'the host of an Azure AD B2C tenant, with b2cPolicies'
    report('azureAuthorityHost', show(authority), expected, 'https://contoso.b2clogin.com')
  }
  // B2C's tokens have one form, which is neither of Entra's, and no application has keys of its own.
  for (const setting of ['tokenVersions', 'signingKeysAppId'] as const) {
    if (settings[setting] === undefined) continue
    report(setting, `${show(settings[setting])}, with b2cPolicies`, 'nothing at Azure AD B2C', 'undefined')
  }
}

function readAppId({ tenant, clientId, signingKeysAppId }: MicrosoftSettings, report: Report) {
  if (signingKeysAppId === undefined) return undefined
  const appId = signingKeysAppId === true ? clientId : signingKeysAppId
  if (typeof appId !== 'string' || !GUID.test(appId.toLowerCase())) {
    report('signingKeysAppId', show(signingKeysAppId), 'an application id, or true for azureClientId', 'true')
  } else if (!GUID.test(tenant)) {
    const expected = 'a tenant GUID: an application has its own keys in one tenant'
    report('signingKeysAppId', `${show(signingKeysAppId)}, with tenant ${tenant}`, expected, EXAMPLE_GUID)
  }
  return appId
}

/** Checks the settings of a Microsoft authority; what comes back is to be used only when nothing was reported. */
export function readMicrosoft(settings: MicrosoftSettings, report: Report): Microsoft {
  const authority = preferredAuthority(settings.authority)
  const { tenant, tokenVersions } = settings
  if (settings.b2cPolicies !== undefined) {
    checkB2c({ ...settings, authority }, report)
    const { b2cPolicies } = settings
    return { authority, versions: VERSIONS, signingKeysAppId: undefined, b2cPolicies }
  }
  if (isB2cHost(authority)) {
    const expected = 'a login host of Entra ID, or a B2C host together with the plugin option b2cPolicies'
    report('azureAuthorityHost', show(authority), expected, 'https://login.microsoftonline.com')
  }
  if (isExternalId(authority) && !GUID.test(tenant)) {
    report('azureTenantId', show(tenant), "the External ID tenant's GUID, as its issuer has it", EXAMPLE_GUID)
  }
  const origins = issuerOrigins(authority, tenant)
  const known = VERSIONS.filter(version => origins[version].length > 0)
  const wanted = tokenVersions ?? known
  const versions = VERSIONS.filter(version => wanted.includes(version))
  if (versions.length === 0 || wanted.some(version => !VERSIONS.some(one => one === version))) {
    report('tokenVersions', show(wanted.join(',')), '1.0, 2.0 or both', '1.0,2.0')
  } else if (!versions.every(version => known.includes(version))) {
    const expected = `${known.join(' or ')} alone: nothing else is documented of ${authority}`
    report('tokenVersions', show(wanted.join(',')), expected, known.join(','))
  }
  return { authority, versions, signingKeysAppId: readAppId(settings, report), b2cPolicies: undefined }
}

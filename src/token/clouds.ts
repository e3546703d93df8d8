/** Decides under which hosts a login host's issuers stand, in each token version that is known of its cloud. */
import { isIP } from 'node:net'

/** Entra's two forms of access token, by their `ver` claim. */
export type TokenVersion = '1.0' | '2.0'

/** Origins under which an authority's issuers may stand; none for a version that its cloud is not known to issue. */
export type IssuerOrigins = Readonly<Record<TokenVersion, readonly string[]>>

export const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Login host → the host that its v1 issuers stand under; undefined where no document names one. */
const CLOUDS: ReadonlyMap<string, string | undefined> = new Map([
  ['login.microsoftonline.com', 'sts.windows.net'],
  ['login.microsoftonline.us', 'sts.windows.net'],
  ['login.partner.microsoftonline.cn', 'sts.chinacloudapi.cn'],
  ['login.sovcloud-identity.fr', undefined],
  ['login.sovcloud-identity.de', undefined],
  ['login.sovcloud-identity.sg', undefined],
])

/** Other names of a cloud's login host. Its tokens and documents name the host on the right, whichever was asked. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['login.windows.net', 'login.microsoftonline.com'],
  ['login.microsoft.com', 'login.microsoftonline.com'],
  ['sts.windows.net', 'login.microsoftonline.com'],
  ['login.usgovcloudapi.net', 'login.microsoftonline.us'],
  ['login.chinacloudapi.cn', 'login.partner.microsoftonline.cn'],
])

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

/** The authority by the name that its cloud goes by. */
export function preferredAuthority(authority: string): string {
  const { protocol, host, origin } = new URL(authority)
  const preferred = ALIASES.get(host)
  return preferred === undefined ? origin : `${protocol}//${preferred}`
}

/** Whether this is the login host of a cloud of Entra ID itself: neither External ID, nor B2C, nor unknown to us. */
export const isCloud = (authority: string): boolean => CLOUDS.has(new URL(authority).host)

/** Whether this is a host of Entra External ID, which serves one tenant. */
export const isExternalId = (authority: string): boolean => new URL(authority).host.endsWith('.ciamlogin.com')

/** Whether this is a host of Azure AD B2C, where every policy has documents of its own. */
export const isB2cHost = (authority: string): boolean => new URL(authority).host.endsWith('.b2clogin.com')

/**
 * Where an authority's issuers may stand (design, "Allowed issuer hosts").
 *
 * @param tenant a GUID wherever the host of the issuer has the tenant in it
 */
export function issuerOrigins(authority: string, tenant: string): IssuerOrigins {
  const url = new URL(authority)
  if (isLoopback(url)) {
    const port = url.port === '' ? '' : `:${url.port}`
    const named = LOOPBACK_HOSTS.map(host => `${url.protocol}//${host}${port}`)
    const origins = [...new Set([url.origin, ...named])]
    return { '1.0': origins, '2.0': origins }
  }
  if (isExternalId(authority)) return { '1.0': [], '2.0': [`https://${tenant}.ciamlogin.com`] }
  if (!CLOUDS.has(url.host)) return { '1.0': [url.origin], '2.0': [url.origin] }
  const v1Host = CLOUDS.get(url.host)
  return { '1.0': v1Host === undefined ? [] : [`https://${v1Host}`], '2.0': [url.origin] }
}

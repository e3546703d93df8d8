/** Decides what each variable of the token command may hold, and what it means. */
import type { Problem } from '../errors.ts'
import type { LocalTenant } from './local.ts'
import type { How } from './options.ts'

/** Environment variables by name. */
export type Env = Readonly<Record<string, string | undefined>>

/** How the calling application proves itself. A secret must never reach a message. */
export type Credential = { readonly secret: string } | { readonly certificatePath: string }

/** A GUID that is nobody's. */
export const GUID_EXAMPLE = '11111111-2222-3333-4444-555555555555'

const ENTRA = 'https://login.microsoftonline.com'
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const DOMAIN = /^[a-z0-9-]+(\.[a-z0-9-]+)+$/i
const SHARED_TENANTS = ['common', 'organizations', 'consumers']
/** Scopes of OpenID Connect belong to no API. */
const OIDC_SCOPES = ['openid', 'profile', 'email', 'offline_access']

/** @returns the origin of AZURE_AUTHORITY_HOST, https only */
export function readAuthority(env: Env, problems: Problem[]): string {
  const text = env.AZURE_AUTHORITY_HOST || ENTRA
  const url = URL.canParse(text) ? new URL(text) : undefined
  const problem = (found: string, expected: string) =>
    problems.push({ name: 'AZURE_AUTHORITY_HOST', found, expected, example: ENTRA })
  if (url?.protocol === 'http:') {
    problem('a plain http URL', 'https: MSAL sends no credentials over plain http, not even on loopback')
  } else if (url?.protocol !== 'https:') {
    problem('something that is not an https URL', 'the https origin of the login host')
  } else if (`${url.origin}/` !== url.href) {
    problem(
      'a URL with more than an origin',
      'scheme, host and port only; the tenant goes into AZURE_TENANT_ID',
    )
  }
  return url?.protocol === 'https:' ? url.origin : ENTRA
}

/** @returns AZURE_TENANT_ID: a GUID, a domain, or for people a shared endpoint */
export function readTenant(env: Env, how: How, problems: Problem[]): string {
  const tenant = env.AZURE_TENANT_ID ?? ''
  const isShared = SHARED_TENANTS.includes(tenant)
  const problem = (found: string, expected: string) =>
    problems.push({ name: 'AZURE_TENANT_ID', found, expected, example: GUID_EXAMPLE })
  if (isShared && how === 'client-credentials') {
    problem('a shared endpoint', 'the GUID of one tenant: an application signs in to exactly one')
  } else if (!isShared && !GUID.test(tenant) && !DOMAIN.test(tenant)) {
    problem(describe(tenant), 'the GUID or a domain of the tenant; for people also common or organizations')
  }
  return tenant
}

/** @returns the application id that a variable holds, or the fallback */
export function readGuid(env: Env, name: string, fallback: string | undefined, problems: Problem[]): string {
  const id = env[name] || fallback || ''
  if (!GUID.test(id)) {
    problems.push({
      name,
      found: describe(id),
      expected: 'the GUID of an application',
      example: GUID_EXAMPLE,
    })
  }
  return id
}

/** @returns the credential of the calling application; at the local tenant the one registered there */
export function readCredential(
  env: Env,
  clientId: string,
  local: LocalTenant | undefined,
  problems: Problem[],
): Credential | undefined {
  const certificatePath = env.TOKEN_CLIENT_CERTIFICATE_PATH
  const registered = [local?.daemon, local?.daemonWithoutRole].find(app => app?.clientId === clientId)
  const secret = env.TOKEN_CLIENT_SECRET || registered?.clientSecret
  if (env.TOKEN_CLIENT_SECRET && certificatePath) {
    problems.push({
      name: 'TOKEN_CLIENT_SECRET',
      found: 'a value, and TOKEN_CLIENT_CERTIFICATE_PATH too',
      expected: 'one of the two',
      example: 'TOKEN_CLIENT_SECRET=',
    })
  }
  if (certificatePath) return { certificatePath }
  if (secret) return { secret }
  problems.push({
    name: 'TOKEN_CLIENT_SECRET',
    found: 'nothing, and no TOKEN_CLIENT_CERTIFICATE_PATH',
    expected: 'the credential of the calling application: the one or the other',
    example: 'TOKEN_CLIENT_CERTIFICATE_PATH=./caller.pem',
  })
  return undefined
}

/**
 * @param wanted what the command line asks for
 * @param local the local tenant, when the environment names no other API than its own
 * @returns complete scopes; a bare name is one of this API
 */
export function readScopes(
  env: Env,
  wanted: readonly string[],
  local: LocalTenant | undefined,
  problems: Problem[],
): string[] {
  const configured = (env.TOKEN_SCOPE ?? '').split(/\s+/).filter(scope => scope !== '')
  const named = [wanted, configured].find(scopes => scopes.length > 0) ?? ['.default']
  const isComplete = (scope: string) => /[:/]/.test(scope) || OIDC_SCOPES.includes(scope)
  if (named.every(isComplete)) return [...named]
  const prefix = local
    ? `api://${local.api.clientId}/`
    : env.SCOPE_PREFIX || `api://${readGuid(env, 'AZURE_CLIENT_ID', undefined, problems)}/`
  return named.map(scope => (isComplete(scope) ? scope : `${prefix}${scope}`))
}

/** @returns the proxy for https; the name in small letters goes first, as with curl */
export function readProxy(env: Env, problems: Problem[]): string | undefined {
  const proxy = env.https_proxy || env.HTTPS_PROXY
  if (proxy && !(URL.canParse(proxy) && /^https?:$/.test(new URL(proxy).protocol))) {
    problems.push({
      name: 'HTTPS_PROXY',
      found: 'something that is not an http or https URL',
      expected: 'the URL of the proxy, or nothing',
      example: 'http://proxy.example:3128',
    })
  }
  return proxy || undefined
}

function describe(value: string): string {
  return value === '' ? 'nothing' : `something else, ${value.length} characters long`
}

/** Decides what each variable of the token command may hold, and what it means. */
import type { Problem } from '../errors.ts'
import type { LocalTenant } from './local.ts'
import type { How } from './options.ts'
import { OIDC_SCOPES } from './resources.ts'

/** Environment variables by name. */
export type Env = Readonly<Record<string, string | undefined>>

/** A GUID that is nobody's. */
export const GUID_EXAMPLE = '11111111-2222-3333-4444-555555555555'

const ENTRA = 'https://login.microsoftonline.com'
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const DOMAIN = /^[a-z0-9-]+(\.[a-z0-9-]+)+$/i
const SHARED_TENANTS: readonly string[] = ['common', 'organizations', 'consumers']
const GRAPH = 'https://graph.microsoft.com'

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

/** Tells whether this names every tenant rather than one. */
export function isShared(tenant: string): boolean {
  return SHARED_TENANTS.includes(tenant)
}

/** Tells whether a text is a GUID. */
export function isGuid(text: string): boolean {
  return GUID.test(text)
}

/** @returns AZURE_TENANT_ID: a GUID, a domain, or for people a shared endpoint */
export function readTenant(env: Env, how: How, problems: Problem[]): string {
  const tenant = env.AZURE_TENANT_ID ?? ''
  const problem = (found: string, expected: string) =>
    problems.push({ name: 'AZURE_TENANT_ID', found, expected, example: GUID_EXAMPLE })
  if (isShared(tenant) && how === 'client-credentials') {
    problem('a shared endpoint', 'the GUID of one tenant: an application signs in to exactly one')
  } else if (!isShared(tenant) && !GUID.test(tenant) && !DOMAIN.test(tenant)) {
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
  if (named.every(isComplete)) return [...named]
  const prefix = local
    ? `api://${local.api.clientId}/`
    : env.SCOPE_PREFIX || `api://${readGuid(env, 'AZURE_CLIENT_ID', undefined, problems)}/`
  return named.map(scope => (isComplete(scope) ? scope : `${prefix}${scope}`))
}

/**
 * @param wanted what the command line asks for
 * @returns complete scopes of the API that is called on a caller's behalf; a bare name is one of Microsoft Graph
 */
export function readDownstreamScopes(wanted: readonly string[]): string[] {
  const named = wanted.length > 0 ? wanted : ['.default']
  return named.map(scope => (isComplete(scope) ? scope : `${GRAPH}/${scope}`))
}

const isComplete = (scope: string): boolean => /[:/]/.test(scope) || OIDC_SCOPES.includes(scope)

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

/** Decides where the token command asks, as which application and for what: environment and local tenant to settings. */
import { Misconfigured, type Problem } from '../errors.ts'
import { API, CALLER, type Credential, readCredential } from './credential.ts'
import type { LocalTenant } from './local.ts'
import type { How } from './options.ts'
import {
  type Env,
  GUID_EXAMPLE,
  readAuthority,
  readDownstreamScopes,
  readGuid,
  readProxy,
  readScopes,
  readTenant,
} from './variables.ts'

/** Where to ask, as whom and for what. */
export interface TokenSettings {
  /** For example `https://login.microsoftonline.com/<tenant>`. */
  readonly authority: string
  /** Host of the authority, with its port if it has one: what MSAL calls the environment of an account. */
  readonly host: string
  readonly tenant: string
  readonly clientId: string
  /** Present for client credentials and on-behalf-of. */
  readonly credential?: Credential
  readonly scopes: readonly string[]
  /** Present when the platform proves who asks; `userAssigned` is the client id of one of several identities. */
  readonly managedIdentity?: { readonly userAssigned?: string }
  /** Present when the authority is the local tenant that runs here. */
  readonly local?: LocalTenant
  /** Proxy for everything but loopback. */
  readonly proxy?: string
  readonly noProxy: string
}

/** Tells whether the environment names no tenant at all; an empty variable counts as unset. */
export function namesNoTenant(env: Env): boolean {
  return !env.AZURE_TENANT_ID && !env.AZURE_AUTHORITY_HOST && !env.AZURE_CLIENT_ID
}

/** Finds the local tenant if it is the one that the environment means: by saying nothing, or by naming it. */
export function findLocal(env: Env, running: LocalTenant | undefined): LocalTenant | undefined {
  if (namesNoTenant(env)) return running
  const host = env.AZURE_AUTHORITY_HOST?.replace(/\/$/, '')
  return host === running?.authority && env.AZURE_TENANT_ID === running?.tenantId ? running : undefined
}

/**
 * Decides the settings of one run.
 *
 * @param running the local tenant that runs here, if one does
 * @param scopes what the command line asks for; empty means TOKEN_SCOPE or the default
 * @param canAsk whether a secret that is nowhere can be asked for at a terminal
 * @throws {Misconfigured} with every problem at once; it repeats no value of a variable, for a secret may have
 *   been pasted into the wrong one
 */
export function readTokenSettings(
  env: Env,
  running: LocalTenant | undefined,
  how: How,
  scopes: readonly string[] = [],
  canAsk = false,
): TokenSettings {
  const unnamed = namesNoTenant(env)
  const local = findLocal(env, running)
  if (how === 'managed-identity') return readManagedIdentity(env, unnamed ? local : undefined, scopes)
  if (unnamed && !local) throw new Misconfigured([NOTHING_RUNS])

  const problems: Problem[] = []
  const origin = local?.authority ?? readAuthority(env, problems)
  const tenant = local?.tenantId ?? readTenant(env, how, problems)
  const application = readApplication(env, how, local, canAsk, problems)
  const asked =
    how === 'on-behalf-of'
      ? readDownstreamScopes(scopes)
      : readScopes(env, scopes, unnamed ? local : undefined, problems)
  const proxy = readProxy(env, problems)
  if (problems.length > 0) throw new Misconfigured(problems)
  return {
    authority: `${origin}/${tenant}`,
    host: new URL(origin).host,
    tenant,
    ...application,
    scopes: asked,
    ...(local && { local }),
    ...(proxy && { proxy }),
    noProxy: env.no_proxy || env.NO_PROXY || '',
  }
}

/** No tenant is named: the platform knows it. No proxy: the endpoint is the machine's own. */
function readManagedIdentity(
  env: Env,
  local: LocalTenant | undefined,
  scopes: readonly string[],
): TokenSettings {
  const problems: Problem[] = []
  const userAssigned = env.TOKEN_CLIENT_ID && readGuid(env, 'TOKEN_CLIENT_ID', undefined, problems)
  const asked = readScopes(env, scopes, local, problems)
  if (!asked.every(scope => scope.endsWith('/.default'))) {
    problems.push({
      name: 'TOKEN_SCOPE',
      found: 'a single permission, there or in --scope',
      expected: 'everything that the identity was granted: scopes that end in /.default',
      example: `api://${GUID_EXAMPLE}/.default`,
    })
  }
  if (problems.length > 0) throw new Misconfigured(problems)
  return {
    authority: 'the managed identity endpoint of this machine',
    host: '',
    tenant: '',
    clientId: userAssigned || '(system-assigned)',
    scopes: asked,
    managedIdentity: userAssigned ? { userAssigned } : {},
    noProxy: '',
  }
}

/** On-behalf-of is what this API itself does; everything else is the calling application's. */
function readApplication(
  env: Env,
  how: How,
  local: LocalTenant | undefined,
  canAsk: boolean,
  problems: Problem[],
): Pick<TokenSettings, 'clientId' | 'credential'> {
  const isApi = how === 'on-behalf-of'
  const isDaemon = how === 'client-credentials'
  const fallback = isApi ? local?.api : isDaemon ? local?.daemon : local?.publicClient
  const clientId = readGuid(env, isApi ? 'AZURE_CLIENT_ID' : 'TOKEN_CLIENT_ID', fallback?.clientId, problems)
  if (!isApi && !isDaemon) return { clientId }
  const applications = isApi ? [local?.api] : [local?.daemon, local?.daemonWithoutRole]
  const registered = applications.find(one => one?.clientId === clientId)?.clientSecret
  const credential = readCredential(env, isApi ? API : CALLER, registered, canAsk, problems)
  return { clientId, ...(credential && { credential }) }
}

const NOTHING_RUNS: Problem = {
  name: 'AZURE_TENANT_ID',
  found:
    'nothing, and no local tenant is running here: start it with `npm run dev`, or set AZURE_TENANT_ID, ' +
    'AZURE_CLIENT_ID and TOKEN_CLIENT_ID',
  expected: 'the GUID of the tenant',
  example: GUID_EXAMPLE,
}

/** Decides where the token command asks, as which application and for what: environment and local tenant to settings. */
import { Misconfigured, type Problem } from '../errors.ts'
import type { LocalTenant } from './local.ts'
import type { How } from './options.ts'
import {
  type Credential,
  type Env,
  GUID_EXAMPLE,
  readAuthority,
  readCredential,
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
  /** Present exactly for client credentials. */
  readonly credential?: Credential
  readonly scopes: readonly string[]
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
 * @throws {Misconfigured} with every problem at once; it repeats no value of a variable, for a secret may have
 *   been pasted into the wrong one
 */
export function readTokenSettings(
  env: Env,
  running: LocalTenant | undefined,
  how: How,
  scopes: readonly string[] = [],
): TokenSettings {
  const unnamed = namesNoTenant(env)
  const local = findLocal(env, running)
  if (unnamed && !local) throw new Misconfigured([NOTHING_RUNS])

  const problems: Problem[] = []
  const origin = local?.authority ?? readAuthority(env, problems)
  const tenant = local?.tenantId ?? readTenant(env, how, problems)
  const caller = how === 'client-credentials' ? local?.daemon : local?.publicClient
  const clientId = readGuid(env, 'TOKEN_CLIENT_ID', caller?.clientId, problems)
  const credential = how === 'client-credentials' ? readCredential(env, clientId, local, problems) : undefined
  const asked = readScopes(env, scopes, unnamed ? local : undefined, problems)
  const proxy = readProxy(env, problems)
  if (problems.length > 0) throw new Misconfigured(problems)
  return {
    authority: `${origin}/${tenant}`,
    host: new URL(origin).host,
    tenant,
    clientId,
    ...(credential && { credential }),
    scopes: asked,
    ...(local && { local }),
    ...(proxy && { proxy }),
    noProxy: env.no_proxy || env.NO_PROXY || '',
  }
}

const NOTHING_RUNS: Problem = {
  name: 'AZURE_TENANT_ID',
  found:
    'nothing, and no local tenant is running here: start it with `npm run dev`, or set AZURE_TENANT_ID, ' +
    'AZURE_CLIENT_ID and TOKEN_CLIENT_ID',
  expected: 'the GUID of the tenant',
  example: GUID_EXAMPLE,
}

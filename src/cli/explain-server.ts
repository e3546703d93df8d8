/** Decides which server `explain` asks: the one that this environment would start, built by the same functions, never listening. */
import { request } from 'undici'
import { buildApp, createDispatcher } from '../app.ts'
import { type Config, type Environment, readConfig } from '../config.ts'
import { Misconfigured } from '../errors.ts'
import { createLogger } from '../http/logger.ts'
import { systemClock } from '../token/keys/clock.ts'
import { createKeyFetch } from '../token/keys/fetch.ts'
import type { Discovery, Judge, OpenJudge, Route } from './explain-judge.ts'
import { createOffline } from './explain-offline.ts'
import type { Io } from './io.ts'
import type { LocalTenant } from './local.ts'
import { findLocal, namesNoTenant } from './settings.ts'

const TIMEOUT_MS = 5000
const MAX_BYTES = 512 * 1024

/** What `npm run dev` gives the server beside the local tenant, as far as it decides about tokens and routes. */
function localEnvironment({ authority, tenantId, api, graph }: LocalTenant, env: Environment): Environment {
  return {
    AZURE_AUTHORITY_HOST: authority,
    AZURE_TENANT_ID: tenantId,
    AZURE_CLIENT_ID: api.clientId,
    AZURE_CLIENT_SECRET: api.clientSecret,
    GRAPH_URL: graph,
    CLOCK_TOLERANCE_SECONDS: env.CLOCK_TOLERANCE_SECONDS,
  }
}

/** Its certificate authority is trusted at its own address, also when many tenants of it may call. */
function findAuthority({ env, localTenant }: Io, local: LocalTenant | undefined): string | undefined {
  return (
    local?.ca ??
    (env.AZURE_AUTHORITY_HOST?.replace(/\/$/, '') === localTenant?.authority ? localTenant?.ca : undefined)
  )
}

function readEnvironment({ env, localTenant }: Io): { config: Config; local: LocalTenant | undefined } {
  const unnamed = namesNoTenant(env) && !env.ISSUERS
  const local = env.ISSUERS ? undefined : findLocal(env, localTenant)
  if (!unnamed || local === undefined) {
    try {
      return { config: readConfig(env), local }
    } catch (error) {
      if (!unnamed || !(error instanceof Misconfigured)) throw error
      const [first, ...rest] = error.problems
      const found = 'nothing, and no local tenant is running here: start it with `npm run dev`'
      throw new Misconfigured([{ ...first!, found }, ...rest])
    }
  }
  return { config: readConfig(localEnvironment(local, env)), local }
}

/** A route that answers HEAD only because it answers GET is the same route to a person. */
function withoutHeads(routes: readonly Route[]): Route[] {
  const names = new Set(routes.map(({ route }) => route))
  return routes.filter(({ route }) => !route.startsWith('HEAD ') || !names.has(route.replace('HEAD', 'GET')))
}

/** @param now milliseconds since 1970 */
export function createOpenJudge(now: () => number = systemClock.now): OpenJudge {
  const clock = { ...systemClock, now }
  return async (io, offline) => {
    const { config, local } = readEnvironment(io)
    const file = offline && createOffline(offline)
    const dispatcher = file?.dispatcher ?? (await createDispatcher(config, findAuthority(io, local)))
    // What was kept from before would hide an issuer that can't be reached, and nothing is to be written.
    const trustSettings = { ...config.trust, keysCacheFile: undefined }
    // Nobody is counted, so that no Redis is asked.
    const judging = { ...config, trust: trustSettings, rateLimitMax: 0, redisUrl: undefined }
    const log = createLogger('silent')
    const app = await buildApp(judging, { log, clock, dispatcher })
    const { trust, issuers, findIssuer, authenticate, enforce, routes, answerProblem } = app.protectedResource
    file?.serve(findIssuer)
    await app.ready()

    const discover: Judge['discover'] = async issuer => {
      const address = `${issuer.metadata}/.well-known/openid-configuration`
      const asked = now()
      const { statusCode, headers, body } = await request(address, {
        dispatcher,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const answered = now()
      let text = ''
      for await (const chunk of body) {
        text += String(chunk)
        if (text.length > MAX_BYTES) throw new Error(`${address} answered with more than ${MAX_BYTES} bytes`)
      }
      return {
        address,
        status: statusCode,
        issuer: readIssuer(text),
        aheadSeconds: headers.age === undefined ? compare((asked + answered) / 2, headers.date) : undefined,
      }
    }
    return {
      trust,
      clientId: config.trust.azureClientId,
      issuers,
      findIssuer,
      authenticate,
      enforce,
      routes: withoutHeads(routes.list()),
      answer: (refusal, access) => {
        const { status, body } = answerProblem(refusal, access)
        return { status, detail: (JSON.parse(body) as { detail: string }).detail }
      },
      fetchKeys: (issuer, appId) =>
        createKeyFetch({ issuer: appId === undefined ? issuer : { ...issuer, appId }, dispatcher, clock })(),
      discover,
      now,
      offline: offline !== undefined,
      local: local !== undefined,
      close: async () => {
        await app.close()
        await dispatcher.close()
      },
    }
  }
}

function readIssuer(text: string): Discovery['issuer'] {
  try {
    return (JSON.parse(text) as { issuer?: unknown }).issuer
  } catch {
    return undefined
  }
}

/** RFC 9110 §6.6.1: `Date` has whole seconds, so its middle is the best guess. */
function compare(nowMs: number, date: string | string[] | undefined): number | undefined {
  const theirs = Date.parse(String(date))
  return Number.isNaN(theirs) ? undefined : Math.round((nowMs - theirs - 500) / 1000)
}

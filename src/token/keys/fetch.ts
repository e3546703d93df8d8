/** Decides how one key set is obtained: one discovery and one key request through get-jwks, within one deadline. */
import type buildGetJwks from 'get-jwks'
import type { Dispatcher } from 'undici'
import { type Connections, dispatcherOf } from '../../connections.ts'
import type { TrustedIssuer } from '../issuers.ts'
import type { Clock } from './clock.ts'
import { FetchFailure, watchExchange } from './exchange.ts'
import { type IgnoredKey, judgeKey, type VerificationKey } from './usable.ts'

/** The usable keys of one issuer, as published at one moment. */
export interface KeySet {
  /** The `issuer` of the discovery document; holds `{tenantid}` literally when it stands for many tenants. */
  readonly issuer: string
  /** Entra's `cloud_instance_name` of the discovery document. */
  readonly cloud: string | undefined
  readonly keys: readonly VerificationKey[]
  readonly ignored: readonly IgnoredKey[]
  /** When the set was fetched, in milliseconds since 1970. */
  readonly fetchedAt: number
  /** `Cache-Control: max-age` of the set in seconds, when it has one. */
  readonly maxAgeSeconds: number | undefined
}

/** Obtains the key set of one issuer, or throws a {@link FetchFailure}. */
export type FetchKeySet = () => Promise<KeySet>

/** What a key fetch needs from outside. */
export interface KeyFetchOptions {
  readonly issuer: TrustedIssuer
  /** Carries the requests; it brings trust, proxy and connections. */
  readonly dispatcher: Connections
  readonly clock: Clock
  /** For the whole exchange, bodies included (JWKS-18), in milliseconds. */
  readonly deadlineMs?: number
}

/** JWKS-4: more entries than this are no key set of an issuer. */
const MAX_KEYS = 1000

type FetchOptions = NonNullable<NonNullable<Parameters<typeof buildGetJwks>[0]>['fetchOptions']>

/**
 * A fetcher of one issuer's keys.
 *
 * get-jwks makes the two requests. It gets a fresh instance a fetch, because its own caches keep withdrawn keys
 * alive and its time-out does not reach fetch: so nothing is remembered here, and one signal bounds both
 * requests.
 */
export function createKeyFetch(options: KeyFetchOptions): FetchKeySet {
  const { issuer, clock, deadlineMs = 5000 } = options
  const query = issuer.appId === undefined ? '' : `?appid=${encodeURIComponent(issuer.appId)}`

  /** The answer is not used: no kid is asked for, and the whole set passes through the interceptor. */
  const ask = async (
    interceptor: Dispatcher.DispatcherComposeInterceptor,
    signal: AbortSignal,
  ): Promise<unknown> => {
    const [{ default: buildGetJwks }, dispatcher] = await Promise.all([
      import('get-jwks'),
      dispatcherOf(options.dispatcher),
    ])
    const fetchOptions = {
      dispatcher: dispatcher.compose(interceptor),
      signal,
      redirect: 'manual',
      headers: { accept: 'application/json', 'accept-encoding': 'identity' },
    }
    const getJwks = buildGetJwks({
      providerDiscovery: true,
      issuersWhitelist: [issuer.metadata],
      fetchOptions: fetchOptions as unknown as FetchOptions,
    })
    return getJwks.getJwk({ domain: issuer.metadata, alg: '', kid: '' })
  }

  const retrieve = async (): Promise<KeySet> => {
    const exchange = watchExchange(issuer, query)
    const deadline = new AbortController()
    const cancel = clock.after(deadlineMs, () => deadline.abort())
    const error: unknown = await ask(exchange.interceptor, deadline.signal)
      .then(
        () => undefined,
        cause => cause,
      )
      .finally(cancel)
    const [discovery, keys] = [exchange.discovery(), exchange.keys()]
    if (deadline.signal.aborted)
      throw new FetchFailure(`${issuer.metadata} did not answer within ${deadlineMs} ms`)
    if (discovery === undefined || keys === undefined || exchange.failure() !== undefined) {
      throw (
        exchange.failure() ??
        new FetchFailure(`${issuer.metadata} could not be reached`, undefined, { cause: error })
      )
    }
    return toKeySet(discovery.body, keys.body, keys.maxAgeSeconds)
  }

  const toKeySet = (
    discovery: { readonly issuer?: unknown; readonly cloud_instance_name?: unknown },
    body: { readonly keys?: unknown },
    maxAgeSeconds: number | undefined,
  ): KeySet => {
    const { issuer: claimed, cloud_instance_name: cloud } = discovery
    const entries = Array.isArray(body.keys) ? body.keys : []
    if (entries.length > MAX_KEYS)
      throw new FetchFailure(`${issuer.metadata} publishes ${entries.length} keys`)
    const { keys, ignored } = judgeKeys(entries, issuer.algorithms)
    if (keys.length === 0) throw new FetchFailure(`${issuer.metadata} publishes no usable key`)
    return {
      issuer: claimed as string,
      cloud: typeof cloud === 'string' ? cloud : undefined,
      keys,
      ignored,
      fetchedAt: clock.now(),
      maxAgeSeconds,
    }
  }
  return retrieve
}

/** Judges every entry of a set; of two keys with one kid and one algorithm the first is used. */
export function judgeKeys(
  entries: readonly unknown[],
  algorithms: readonly string[],
): { keys: VerificationKey[]; ignored: IgnoredKey[] } {
  const keys = new Map<string, VerificationKey>()
  const ignored: IgnoredKey[] = []
  for (const entry of entries) {
    const judged = judgeKey(entry, algorithms)
    if ('reason' in judged) {
      ignored.push(judged)
      continue
    }
    const name = JSON.stringify([judged.kid, judged.alg, judged.kid === undefined ? judged.thumbprint : ''])
    if (keys.has(name))
      ignored.push({ kid: judged.kid, reason: 'a second key with the same kid', alarm: false })
    else keys.set(name, judged)
  }
  return { keys: [...keys.values()], ignored }
}

/** Decides how the keys of all issuers are held together: sources, the budget they share, the file that outlives a restart, and what is said of them. */
import type { FastifyBaseLogger } from 'fastify'
import type { Connections } from '../connections.ts'
import type { TrustedIssuer } from '../token/issuers.ts'
import { createBudget } from '../token/keys/budget.ts'
import { openKeysCache } from '../token/keys/cache-file.ts'
import type { Clock } from '../token/keys/clock.ts'
import { createKeyCounters, type KeyCounters } from '../token/keys/counters.ts'
import type { KeyEvent } from '../token/keys/events.ts'
import { createKeyFetch, type KeySet } from '../token/keys/fetch.ts'
import { createKeySource, type KeySource, type KeyState } from '../token/keys/source.ts'
import type { Trust } from '../token/trust.ts'

/** The keys of every issuer. */
export interface Keys {
  readonly of: (issuer: TrustedIssuer) => KeySource
  readonly states: () => readonly KeyState[]
  readonly counters: () => KeyCounters
  /** Reads what was kept, and asks every issuer, a moment later where something was; does not wait for an answer. */
  readonly start: () => Promise<void>
  /** Waits for what is being written. */
  readonly stop: () => Promise<void>
}

/** The world outside, as keys see it. */
export interface KeysWorld {
  readonly clock: Clock
  readonly random: () => number
  readonly dispatcher: Connections
  readonly log: FastifyBaseLogger
}

/** Forced key fetches that all issuers together may be asked for: a burst, and one more each window. */
const PROCESS_BURST = 20
const PROCESS_WINDOW_MS = 15_000

function logKeyEvent(log: FastifyBaseLogger, event: KeyEvent): void {
  if (event.event !== 'keys_refreshed') {
    const worrying = ['keys_refresh_failed', 'keys_cache_unusable'].includes(event.event)
    // Where nothing is asked for, the line of the request says as much.
    const isRepeated = event.event === 'unknown_key' && event.coolingDown
    log[worrying ? 'warn' : isRepeated ? 'debug' : 'info'](event)
    return
  }
  const { set, ...rest } = event
  log.info({ ...rest, keys: set.keys.length })
  for (const { kid, reason, alarm } of set.ignored) {
    // A private or symmetric key in a public set is somebody's accident (JWKS-15).
    const line = { event: 'key_ignored', issuer: event.issuer, kid: kid?.slice(0, 64), reason }
    if (alarm) log.error(line)
    else log.debug(line)
  }
}

/** Prepares the keys of every issuer; nothing is asked or read before `start`. */
export function openKeys(issuers: readonly TrustedIssuer[], trust: Trust, world: KeysWorld): Keys {
  const { clock, random, dispatcher, log } = world
  const { keysMaxStaleMs: maxStaleMs, keysCacheFile: file } = trust
  const { count, read } = createKeyCounters()
  const sharedBudget = createBudget(PROCESS_BURST, PROCESS_WINDOW_MS, clock)
  let writing = Promise.resolve()

  const onEvent = (event: KeyEvent): void => {
    count(event)
    logKeyEvent(log, event)
    if (event.event === 'keys_refreshed' && cache !== undefined)
      writing = cache.write(event.issuer, event.set)
  }
  const cache = file === undefined ? undefined : openKeysCache({ file, issuers, maxStaleMs, clock, onEvent })
  const sources = new Map(
    issuers.map((issuer): [TrustedIssuer, KeySource] => {
      const fetchKeySet = createKeyFetch({ issuer, dispatcher, clock })
      const source = createKeySource({
        issuer,
        fetchKeySet,
        clock,
        random,
        maxStaleMs,
        sharedBudget,
        onEvent,
      })
      return [issuer, source]
    }),
  )

  return {
    of: issuer => sources.get(issuer)!,
    states: () => [...sources.values()].map(source => source.state()),
    counters: read,
    start: async () => {
      const kept = cache === undefined ? new Map<string, KeySet>() : await cache.read()
      for (const [issuer, source] of sources) source.start(kept.get(issuer.name))
    },
    stop: async () => {
      for (const source of sources.values()) source.stop()
      await writing
    },
  }
}

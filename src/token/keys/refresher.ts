/** Decides when an issuer is asked for its keys, and what its answer changes: ahead of need in the background, again and again during an outage. */
import type { TrustedIssuer } from '../issuers.ts'
import type { Clock } from './clock.ts'
import type { OnKeyEvent, RefreshReason } from './events.ts'
import { FetchFailure } from './exchange.ts'
import type { FetchKeySet } from './fetch.ts'
import type { LastGood } from './last-good.ts'
import { refreshDelayMs, retryDelayMs, START_DELAY_MS } from './schedule.ts'
import { singleFlight } from './single-flight.ts'

/** Keeps a set fresh. */
export interface Refresher {
  /** Asks the issuer now, or joins whoever does; never rejects. */
  readonly refresh: (reason: RefreshReason) => Promise<void>
  /** Asks the issuer for the first time, once the first callers have had their answers. */
  readonly startSoon: () => void
  /** Joins the fetch under way; one that {@link startSoon} has put off begins with this. Never rejects. */
  readonly join: () => Promise<void> | undefined
  /** Whether the last answer was a good one. */
  readonly isReachable: () => boolean
  /** Whether the authority has said that it does not offer this token version. */
  readonly isOff: () => boolean
  /** Seconds until the next try in the background, at least 1. */
  readonly secondsUntilNextTry: () => number
  readonly stop: () => void
}

/** What a refresher needs. */
export interface RefresherOptions {
  readonly issuer: TrustedIssuer
  readonly fetchKeySet: FetchKeySet
  readonly lastGood: LastGood
  readonly clock: Clock
  /** A number in [0, 1), for jitter. */
  readonly random: () => number
  readonly onEvent: OnKeyEvent
}

/** Refreshes in the background until stopped; timers never keep the process alive. */
export function createRefresher(options: RefresherOptions): Refresher {
  const { issuer, lastGood, clock, random, onEvent } = options
  let failures = 0
  let reachable = false
  let off = false
  let nextTryAt = clock.now()
  let cancelNext = (): void => {}
  let stopped = false
  let startIsPutOff = false

  const schedule = (delayMs: number, reason: RefreshReason = 'background'): void => {
    cancelNext()
    nextTryAt = clock.now() + delayMs
    if (!stopped) cancelNext = clock.after(delayMs, () => void flight.run(reason))
  }

  const fail = (error: unknown, reason: RefreshReason): void => {
    const failure = (error as Error).message
    reachable = false
    const absent = error instanceof FetchFailure && error.metadataStatus === 404
    if (issuer.optional && absent && lastGood.current() === undefined) {
      if (!off) onEvent({ event: 'token_version_off', issuer: issuer.name, failure })
      off = true
      schedule(refreshDelayMs(undefined, random()))
      return
    }
    failures += 1
    off = false
    const retryInMs = Math.round(retryDelayMs(failures, random()))
    const usable = lastGood.current() !== undefined
    onEvent({ event: 'keys_refresh_failed', issuer: issuer.name, reason, failure, retryInMs, usable })
    schedule(retryInMs)
  }

  const flight = singleFlight(async (reason: RefreshReason): Promise<void> => {
    startIsPutOff = false
    try {
      const set = await options.fetchKeySet()
      const changes = lastGood.replace(set)
      failures = 0
      reachable = true
      off = false
      onEvent({ event: 'keys_refreshed', issuer: issuer.name, reason, set, ...changes })
      schedule(refreshDelayMs(set.maxAgeSeconds, random()))
    } catch (error) {
      fail(error, reason)
    }
  })

  return {
    refresh: flight.run,
    startSoon: () => {
      startIsPutOff = true
      schedule(START_DELAY_MS, 'start')
    },
    join: () => (startIsPutOff ? flight.run('start') : flight.pending()),
    isReachable: () => reachable,
    isOff: () => off,
    secondsUntilNextTry: () => Math.max(1, Math.ceil((nextTryAt - clock.now()) / 1000)),
    stop: () => {
      stopped = true
      cancelNext()
    },
  }
}

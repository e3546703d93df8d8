/** Decides with which key an issuer's token is verified: fetch, single flight, last good set, background refresh, and forced refreshes within a budget, composed in this order. */
import type { Refusal } from '../../errors.ts'
import type { TrustedIssuer } from '../issuers.ts'
import { type Budget, createBudget, joinBudgets } from './budget.ts'
import type { Clock } from './clock.ts'
import type { OnKeyEvent } from './events.ts'
import type { FetchKeySet, KeySet } from './fetch.ts'
import { createLastGood } from './last-good.ts'
import { createRefresher } from './refresher.ts'
import { REFRESH_INTERVAL_MS } from './schedule.ts'
import { type FoundKey, NO_KID, showKid } from './select.ts'
import { createUnknownKids } from './unknown-kids.ts'

/** How an issuer's keys stand. */
export interface KeyState {
  readonly issuer: string
  /** `off`: this token version is not offered by the authority. */
  readonly state: 'usable' | 'missing' | 'off'
  /** Since when it has been so, in milliseconds since 1970. */
  readonly since: number
  /** Time since the set in force was fetched, in seconds: the gauge `protected_resource_keys_age_seconds`. */
  readonly ageSeconds: number | undefined
}

type Found = FoundKey | Refusal | Promise<FoundKey | Refusal>

/** The keys of one issuer. */
export interface KeySource {
  /** The set in force, unless it has grown too old: one object for as long as the issuer publishes the same. */
  readonly current: () => KeySet | undefined
  /** The key that a token names: at once when it is known, after at most two fetches when it is not. */
  readonly find: (kid: string | undefined, alg: string) => Found
  readonly state: () => KeyState
  /** Asks the issuer for the first time; a set that was kept from before serves until it answers, which it is asked a moment later then. */
  readonly start: (kept?: KeySet) => void
  readonly stop: () => void
}

/** What a key source is made of. */
export interface KeySourceOptions {
  readonly issuer: TrustedIssuer
  readonly fetchKeySet: FetchKeySet
  readonly clock: Clock
  /** A number in [0, 1), for jitter. */
  readonly random: () => number
  /** How long the last good keys serve while the issuer gives none, in milliseconds. */
  readonly maxStaleMs: number
  /** The process-wide share of forced fetches. */
  readonly sharedBudget: Budget
  readonly onEvent: OnKeyEvent
}

/** Forced fetches that an issuer's tokens may cause at once (C-7). */
const FORCED_BURST = 2

/** Composes the parts of this folder. Throws RangeError when keys would grow too old between two good refreshes. */
export function createKeySource(options: KeySourceOptions): KeySource {
  const { issuer, clock, maxStaleMs, onEvent } = options
  if (maxStaleMs < REFRESH_INTERVAL_MS) {
    throw new RangeError(
      `keys must be allowed to be as old as the refresh interval, ${REFRESH_INTERVAL_MS} ms`,
    )
  }
  const lastGood = createLastGood(maxStaleMs, clock)
  const refresher = createRefresher({ ...options, lastGood })
  const window = issuer.forcedRefreshWindowMs
  const budget = joinBudgets([createBudget(FORCED_BURST, window, clock), options.sharedBudget])
  const unknown = createUnknownKids(window, clock)

  const ageSeconds = (): number | undefined => {
    const fetchedAt = lastGood.fetchedAt()
    return fetchedAt === undefined ? undefined : Math.round((clock.now() - fetchedAt) / 1000)
  }

  /** Undefined when only a fetch could tell. */
  const look = (kid: string | undefined, alg: string): FoundKey | Refusal | undefined => {
    if (kid === undefined && issuer.preset !== 'rfc9068') return NO_KID
    const found = lastGood.select(kid, alg)
    if (found !== undefined || lastGood.current() !== undefined || !refresher.isOff()) return found
    return { code: 'wrong_token_version', about: 'ver', received: issuer.version }
  }

  const unavailable = (): Refusal => {
    const retryAfterSeconds = refresher.secondsUntilNextTry()
    return { code: 'keys_unavailable', about: 'issuer', received: issuer.name, retryAfterSeconds }
  }

  /** C-15: without keys, or with an issuer that can't be asked, nobody can say that the id is unknown. */
  const verdict = (kid: string): Refusal =>
    refresher.isReachable() && lastGood.current() !== undefined
      ? { code: 'unknown_key', about: 'kid', received: showKid(kid), expected: lastGood.kids() }
      : unavailable()

  /** Turns an unknown id away while the budget cools down; else pays for a fetch. */
  const turnAway = (kid: string): Refusal | undefined => {
    const coolingDown = unknown.has(kid) || !budget.has()
    onEvent({ event: 'unknown_key', issuer: issuer.name, kid: showKid(kid), coolingDown })
    if (coolingDown) return verdict(kid)
    budget.spend()
    return undefined
  }

  const findByFetch = (kid: string | undefined, alg: string): Found => {
    // C-5: a token that names no key can't be waiting for a new one.
    if (kid === undefined) return unavailable()
    const refusal = refresher.join() === undefined ? turnAway(kid) : undefined
    if (refusal !== undefined) return refusal
    return refresher.refresh('forced').then(() => {
      const found = look(kid, alg)
      if (found !== undefined) return found
      unknown.add(kid)
      return verdict(kid)
    })
  }

  const find: KeySource['find'] = (kid, alg) => {
    const found = look(kid, alg)
    if (found !== undefined) return found
    const underWay = refresher.join()
    if (underWay === undefined) return findByFetch(kid, alg)
    return underWay.then(
      () => look(kid, alg) ?? (refresher.isReachable() ? findByFetch(kid, alg) : unavailable()),
    )
  }

  return {
    current: lastGood.current,
    find,
    state: () => ({
      issuer: issuer.name,
      state: lastGood.current() !== undefined ? 'usable' : refresher.isOff() ? 'off' : 'missing',
      since: lastGood.since(),
      ageSeconds: ageSeconds(),
    }),
    start: kept => {
      if (kept === undefined) {
        void refresher.refresh('start')
        return
      }
      lastGood.replace(kept)
      refresher.startSoon()
    },
    stop: refresher.stop,
  }
}

/** Decides with which keys an issuer's tokens are verified now: the last good set, refreshed ahead of need and within a budget. */
import type { Refusal } from '../../errors.ts'
import type { TrustedIssuer } from '../issuers.ts'
import { type Budget, createBudget, joinBudgets } from './budget.ts'
import type { Clock } from './clock.ts'
import { FetchFailure } from './exchange.ts'
import type { FetchKeySet, KeySet } from './fetch.ts'
import { refreshDelayMs, retryDelayMs } from './schedule.ts'
import { createSelect, type FoundKey, type SelectKey, showKid } from './select.ts'
import { createUnknownKids } from './unknown-kids.ts'

/** Why a fetch was made. */
export type RefreshReason = 'start' | 'background' | 'forced'

/** What happens to keys, for the log; no event holds a key or a token. */
export type KeyEvent =
  | {
      readonly event: 'keys_refreshed'
      readonly issuer: string
      readonly reason: RefreshReason
      readonly set: KeySet
      readonly added: readonly string[]
      readonly withdrawn: readonly string[]
    }
  | {
      readonly event: 'keys_refresh_failed'
      readonly issuer: string
      readonly reason: RefreshReason
      readonly failure: string
      readonly retryInMs: number
      readonly usable: boolean
    }
  | { readonly event: 'token_version_off'; readonly issuer: string; readonly failure: string }
  | {
      readonly event: 'unknown_key'
      readonly issuer: string
      readonly kid: string
      readonly coolingDown: boolean
    }

/** How an issuer's keys stand. */
export interface KeyState {
  readonly issuer: string
  /** `off`: this token version is not offered by the authority. */
  readonly state: 'usable' | 'missing' | 'off'
  /** Since when it has been so, in milliseconds since 1970. */
  readonly since: number
}

/** The keys of one issuer. */
export interface KeySource {
  /** The set in force, unless it has grown too old. */
  readonly current: () => KeySet | undefined
  /** The key that a token names: at once when it is known, after at most one fetch when it is not. */
  readonly find: (kid: string | undefined, alg: string) => FoundKey | Refusal | Promise<FoundKey | Refusal>
  readonly state: () => KeyState
  readonly start: () => void
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
  readonly onEvent: (event: KeyEvent) => void
}

/** Forced fetches that an issuer's tokens may cause at once (C-7). */
const FORCED_BURST = 2

const kidsOf = (set: KeySet | undefined): string[] => set?.keys.map(key => showKid(key.kid ?? '')) ?? []

/** Composes the parts of this folder into the keys of one issuer. */
export function createKeySource(options: KeySourceOptions): KeySource {
  const { issuer, clock, random, maxStaleMs, onEvent } = options
  const { name } = issuer
  const budget = joinBudgets([
    createBudget(FORCED_BURST, issuer.forcedRefreshWindowMs, clock),
    options.sharedBudget,
  ])
  const unknown = createUnknownKids(issuer.forcedRefreshWindowMs, clock)
  let set: KeySet | undefined
  let select: SelectKey = () => undefined
  let failures = 0
  let off = false
  let since = clock.now()
  let nextTryAt = since
  let cancelNext = (): void => {}
  let inFlight: Promise<void> | undefined
  let stopped = false

  const current = (): KeySet | undefined =>
    set !== undefined && clock.now() - set.fetchedAt <= maxStaleMs ? set : undefined

  const schedule = (delayMs: number): void => {
    cancelNext()
    nextTryAt = clock.now() + delayMs
    if (!stopped) cancelNext = clock.after(delayMs, () => void refresh('background'))
  }

  const replace = (fresh: KeySet, reason: RefreshReason): void => {
    const [before, after] = [kidsOf(set), kidsOf(fresh)]
    if (current() === undefined) since = clock.now()
    set = fresh
    select = createSelect(issuer, fresh)
    off = false
    failures = 0
    unknown.clear()
    onEvent({
      event: 'keys_refreshed',
      issuer: name,
      reason,
      set: fresh,
      added: after.filter(kid => !before.includes(kid)),
      withdrawn: before.filter(kid => !after.includes(kid)),
    })
    schedule(refreshDelayMs(fresh.maxAgeSeconds, random()))
  }

  const keep = (error: unknown, reason: RefreshReason): void => {
    failures += 1
    const failure = error instanceof Error ? error.message : String(error)
    if (
      issuer.optional &&
      set === undefined &&
      error instanceof FetchFailure &&
      error.metadataStatus === 404
    ) {
      if (!off) onEvent({ event: 'token_version_off', issuer: name, failure })
      off = true
      schedule(refreshDelayMs(undefined, random()))
      return
    }
    off = false
    const retryInMs = Math.round(retryDelayMs(failures, random()))
    onEvent({
      event: 'keys_refresh_failed',
      issuer: name,
      reason,
      failure,
      retryInMs,
      usable: current() !== undefined,
    })
    schedule(retryInMs)
  }

  /** Single flight: whoever comes while a fetch is under way waits for that one. Never rejects. */
  const refresh = (reason: RefreshReason): Promise<void> => {
    inFlight ??= options
      .fetchKeySet()
      .then(fresh => replace(fresh, reason))
      .catch((error: unknown) => keep(error, reason))
      .finally(() => {
        inFlight = undefined
      })
    return inFlight
  }

  /** Undefined when only a fetch could tell. */
  const look = (kid: string | undefined, alg: string): FoundKey | Refusal | undefined => {
    if (current() !== undefined) return select(kid, alg)
    if (off) return { code: 'wrong_token_version', about: 'ver', received: issuer.version }
    return undefined
  }

  /** C-15: without keys, or with an issuer that can't be asked, nobody can say that the id is unknown. */
  const verdict = (kid: string | undefined): Refusal => {
    if (failures === 0 && current() !== undefined) {
      return { code: 'unknown_key', about: 'kid', received: showKid(kid ?? ''), expected: kidsOf(set) }
    }
    const retryAfterSeconds = Math.max(1, Math.ceil((nextTryAt - clock.now()) / 1000))
    return { code: 'keys_unavailable', about: 'issuer', received: name, retryAfterSeconds }
  }

  const findByFetch = async (kid: string | undefined, alg: string): Promise<FoundKey | Refusal> => {
    if (inFlight !== undefined) {
      await inFlight
      const joined = look(kid, alg)
      if (joined !== undefined) return joined
      if (failures > 0) return verdict(kid)
    }
    if (inFlight === undefined) {
      const coolingDown = (kid !== undefined && unknown.has(kid)) || !budget.has()
      onEvent({ event: 'unknown_key', issuer: name, kid: showKid(kid ?? ''), coolingDown })
      if (coolingDown) return verdict(kid)
      budget.spend()
    }
    await refresh('forced')
    const found = look(kid, alg)
    if (found !== undefined) return found
    if (kid !== undefined) unknown.add(kid)
    return verdict(kid)
  }

  return {
    current,
    find: (kid, alg) => look(kid, alg) ?? findByFetch(kid, alg),
    state: () => ({
      issuer: name,
      state: current() !== undefined ? 'usable' : off ? 'off' : 'missing',
      since,
    }),
    start: () => void refresh('start'),
    stop: () => {
      stopped = true
      cancelNext()
    },
  }
}

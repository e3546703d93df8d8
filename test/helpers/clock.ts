/** Decides what time it is in a test: a clock that stands still until it is told to advance. */
import type { Clock } from '../../src/token/keys/clock.ts'

/** A clock under control. */
export interface FakeClock extends Clock {
  /**
   * Lets time pass: fires what falls due, in order, and after each lets the key fetches that it started end.
   * A fetch that hangs is left hanging until its own deadline falls due.
   */
  readonly advance: (ms: number) => Promise<void>
  /** Resolves once a key fetch is under way. */
  readonly fetching: () => Promise<void>
  /** Lets time pass until something has happened. */
  readonly advanceUntil: <T>(happening: Promise<T>) => Promise<T>
  /** How many actions are waiting. */
  readonly waiting: () => number
}

interface Timer {
  readonly at: number
  readonly delayMs: number
  readonly action: () => void
}

/** The deadline of a key fetch: a timer of this length is one that is under way. */
const FETCH_DEADLINE_MS = 5000
/** Real time that a fetch on loopback gets before it counts as hanging. */
const HANGING_AFTER_MS = 400

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

/** A clock that starts now and stands still. */
export function createFakeClock(): FakeClock {
  let now = Date.now()
  const timers = new Set<Timer>()

  const underWay = (): boolean => [...timers].some(({ delayMs }) => delayMs === FETCH_DEADLINE_MS)

  /** Until no fetch is under way and what fired has set its next timer: at least `expected` are waiting again. */
  const quiet = async (expected: number): Promise<void> => {
    const started = performance.now()
    do await new Promise(resolve => setTimeout(resolve, 1))
    while ((underWay() || timers.size < expected) && performance.now() - started < HANGING_AFTER_MS)
  }

  const clock: FakeClock = {
    now: () => now,
    after: (delayMs, action) => {
      const timer = { at: now + delayMs, delayMs, action }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    fetching: async () => {
      while (!underWay()) await new Promise(resolve => setTimeout(resolve, 1))
    },
    advanceUntil: async happening => {
      let done = false
      const settle = (): void => {
        done = true
      }
      happening.then(settle, settle)
      while (!done) await clock.advance(1000)
      return happening
    },
    waiting: () => timers.size,
    advance: async ms => {
      const end = now + ms
      await quiet(0)
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (next === undefined) break
        const expected = timers.size
        timers.delete(next)
        now = Math.max(now, next.at)
        next.action()
        await quiet(expected)
      }
      now = end
      await quiet(0)
    },
  }
  return clock
}

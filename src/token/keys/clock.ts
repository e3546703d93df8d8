/** Decides what time it is and when something is done later: the one place where real time enters the token pipeline. */

/** Time as an argument, so that rotation, expiry and outage are tested in milliseconds. */
export interface Clock {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Calls `action` once after `delayMs`; the answer cancels it. Never keeps the process alive. */
  readonly after: (delayMs: number, action: () => void) => () => void
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: Date.now,
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Decides what time it is in a measured process: simulated time stands still until it is told to advance. */

/** A timer of this length is the deadline of one of our key fetches: while it waits, one is under way. */
const OUR_FETCH_DEADLINE_MS = 5000
/** Real time that a fetch on loopback gets before it counts as hanging. */
const HANGING_AFTER_MS = 10_000
/** Timers shorter than this also run in real time: libraries use them to yield, not to wait. */
const SHORT_MS = 1000

const real = { setTimeout, clearTimeout, setImmediate, Date, now: performance.now.bind(performance) }
const breathe = () => new Promise(resolve => real.setImmediate(resolve))

/** Time under control, starting at `startMs`. `after` has the shape of the project's Clock. */
export function createTimeline(startMs) {
  let now = startMs
  const timers = new Set()

  const after = (delayMs, action) => {
    const timer = { at: now + delayMs, delayMs, action }
    timers.add(timer)
    return () => timers.delete(timer)
  }
  const underWay = () => [...timers].some(({ delayMs }) => delayMs === OUR_FETCH_DEADLINE_MS)
  const settle = async () => {
    const started = real.now()
    do await breathe()
    while (underWay() && real.now() - started < HANGING_AFTER_MS)
  }
  const firstDue = end => {
    let first
    for (const timer of timers)
      if (timer.at <= end && (first === undefined || timer.at < first.at)) first = timer
    return first
  }

  return {
    now: () => now,
    after,
    /** Lets time pass: fires what falls due, in order, and lets what it started end. */
    advance: async ms => {
      const end = now + ms
      for (let due = firstDue(end); due !== undefined; due = firstDue(end)) {
        timers.delete(due)
        now = Math.max(now, due.at)
        due.action()
        await settle()
      }
      now = end
      await breathe()
    },
  }
}

/** Puts simulated time in the place of Date, performance.now, process.hrtime, setTimeout and setInterval; before any library is loaded. */
export function installTimeline(timeline) {
  const started = timeline.now()
  globalThis.Date = class extends real.Date {
    constructor(...given) {
      if (given.length === 0) super(timeline.now())
      else super(...given)
    }

    static now() {
      return timeline.now()
    }
  }
  const elapsedMs = () => 1000 + timeline.now() - started
  performance.now = elapsedMs
  process.hrtime = (since = [0, 0]) => {
    const ns = BigInt(Math.round(elapsedMs() * 1e6)) - BigInt(since[0]) * 1_000_000_000n - BigInt(since[1])
    return [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)]
  }
  process.hrtime.bigint = () => BigInt(Math.round(elapsedMs() * 1e6))

  const schedule = (again, action, delayMs = 0, ...given) => {
    let cancel = () => {}
    let shortcut
    const run = () => {
      handle.close()
      if (again) start()
      action(...given)
    }
    const start = () => {
      cancel = timeline.after(delayMs, run)
      if (delayMs < SHORT_MS) shortcut = real.setTimeout(run, delayMs)
    }
    const handle = {
      close: () => {
        cancel()
        real.clearTimeout(shortcut)
      },
      ref: () => handle,
      unref: () => handle,
      hasRef: () => true,
      refresh: () => {
        handle.close()
        start()
        return handle
      },
      [Symbol.dispose]: () => handle.close(),
    }
    start()
    return handle
  }
  const cancel = handle => {
    if (typeof handle?.close === 'function') handle.close()
    else real.clearTimeout(handle)
  }
  globalThis.setTimeout = (action, delayMs, ...given) => schedule(false, action, delayMs, ...given)
  globalThis.setInterval = (action, delayMs, ...given) => schedule(true, action, delayMs, ...given)
  globalThis.clearTimeout = cancel
  globalThis.clearInterval = cancel
}

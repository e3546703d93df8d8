/** Decides when work that came in one turn of the event loop is done: back to back at the end of the turn, a few at a time. */

interface Job<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result | Promise<Result>) => void
  readonly reject: (error: unknown) => void
}

/**
 * Most items of one batch: about a millisecond of RSA checks. A flood waits in line, and the loop serves everybody
 * else between two batches.
 */
const MAX_BATCH = 32

/**
 * Gathers calls. Back to back the same check costs about half of what it costs between two requests, because the
 * machine's caches stay warm (bench/README.md).
 *
 * @param work what is done with one item
 * @param defer runs something once what is waiting now has been read: `setImmediate`
 * @returns calls `work`, in the order of the calls
 */
export function createBatch<Item, Result>(
  work: (item: Item) => Result | Promise<Result>,
  defer: (run: () => void) => void,
): (item: Item) => Promise<Result> {
  let waiting: Job<Item, Result>[] = []
  const run = (): void => {
    const jobs = waiting.slice(0, MAX_BATCH)
    waiting = waiting.slice(MAX_BATCH)
    if (waiting.length > 0) defer(run)
    for (const { item, resolve, reject } of jobs) {
      try {
        resolve(work(item))
      } catch (error) {
        reject(error)
      }
    }
  }
  return item =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (waiting.length === 1) defer(run)
    })
}

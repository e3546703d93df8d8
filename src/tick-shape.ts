/** Decides that `process.nextTick` stays as fast as V8 has made it, for as long as the process lives. */
import { executionAsyncResource } from 'node:async_hooks'

const kept: object[] = []

/**
 * Keeps one object of the kind that `process.nextTick` makes for every call.
 *
 * V8 holds the shape of such an object weakly. A garbage collection that meets no living one, as soon after the start
 * of a server that nobody has asked yet, makes it forget what it had learnt of that literal: from then on it takes the
 * computed names for unpredictable and calls its runtime for each, for life. Node 20 and 24 alike; three to four times
 * as dear a tick, a quarter more CPU for a request with a remembered token (bench/README.md).
 */
export function keepTickShape(): void {
  process.nextTick(() => {
    kept.push(executionAsyncResource())
  })
}

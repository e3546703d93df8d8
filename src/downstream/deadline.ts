/** Decides that nothing downstream is waited for longer than it was given. */
import type { Clock } from '../token/keys/clock.ts'

/**
 * Runs work under a deadline.
 *
 * @param work gets the signal that fires when the time is up; it ends by it
 */
export async function withDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController()
  const cancel = clock.after(deadlineMs, () => {
    deadline.abort(new Error(`no complete answer within ${deadlineMs / 1000} s`))
  })
  return work(deadline.signal).finally(cancel)
}

/** Decides what happens to work that does not end by itself. */

/** It took longer than the person wanted to wait. */
export class GaveUp extends Error {
  override readonly name = 'GaveUp'

  constructor(seconds: number) {
    super(`no answer within ${seconds} s`)
  }
}

/**
 * Waits for work, at most so long.
 *
 * @param stop ends the work when the time is over, and never fails; what the work says then is not heard
 * @throws {GaveUp} after `seconds` and `stop`
 */
export function within<T>(work: Promise<T>, seconds: number, stop?: () => Promise<void>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let gaveUp: GaveUp | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(async () => {
      gaveUp = new GaveUp(seconds)
      await stop?.()
      reject(gaveUp)
    }, seconds * 1000)
  })
  return Promise.race([work, late])
    .catch(error => {
      throw gaveUp ?? error
    })
    .finally(() => clearTimeout(timer))
}

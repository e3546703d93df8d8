/** Decides how finished lines leave the process: together at the end of each turn of the event loop, and without harm when they can't. */
import { writeSync } from 'node:fs'

/** As much as a pipe holds, in bytes. Lines that could not be written wait in here, and what does not fit is dropped. */
const MAX_WAITING = 64 * 1024

/** Where pino writes its lines. */
export interface LogOutput {
  readonly write: (line: string) => void
  /** Writes what waits at once; before the process ends, or the lines of its last turn are lost. */
  readonly flush: () => void
  /** The same; pino asks for it after a fatal line. */
  readonly flushSync: () => void
}

/**
 * Lines on their way to a file descriptor. One write for all lines of a turn costs a busy server a third of what one
 * write a line does (bench/README.md). Whoever reads may be gone (a collector that restarts), slow, or out of disk:
 * nothing waits for them, and nothing is thrown.
 *
 * @param fd a file descriptor, by default standard output
 */
export function openOutput(fd = 1): LogOutput {
  let waiting: Buffer[] = []
  let bytes = 0
  let timer: NodeJS.Immediate | undefined

  const flush = (): void => {
    clearImmediate(timer)
    timer = undefined
    const all = Buffer.concat(waiting)
    let written = 0
    try {
      while (written < all.length) written += writeSync(fd, all, written)
    } catch {
      // Who should be told of it?
    }
    waiting = written === all.length ? [] : [all.subarray(written)]
    bytes = all.length - written
  }

  return {
    flush,
    flushSync: flush,
    write: line => {
      const chunk = Buffer.from(line)
      if (bytes + chunk.length > MAX_WAITING) flush()
      if (bytes + chunk.length > MAX_WAITING) return
      waiting.push(chunk)
      bytes += chunk.length
      timer ??= setImmediate(flush)
    },
  }
}

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
 * Lines on their way to a file descriptor, in one write for all lines of a turn. Whoever reads may be gone (a collector
 * that restarts), slow, or out of disk: nothing waits for them, and nothing is thrown.
 *
 * @param fd a file descriptor, by default standard output
 */
export function openOutput(fd = 1): LogOutput {
  let unwritten = Buffer.alloc(0)
  let lines = ''
  let timer: NodeJS.Immediate | undefined

  const flush = (): void => {
    clearImmediate(timer)
    timer = undefined
    const all = Buffer.concat([unwritten, Buffer.from(lines)])
    lines = ''
    let written = 0
    try {
      while (written < all.length) written += writeSync(fd, all, written)
    } catch {
      // Who should be told of it?
    }
    unwritten = all.subarray(written)
  }

  const isFull = (line: string): boolean => unwritten.length + lines.length + line.length > MAX_WAITING

  return {
    flush,
    flushSync: flush,
    write: line => {
      if (isFull(line)) flush()
      if (isFull(line)) return
      lines += line
      timer ??= setImmediate(flush)
    },
  }
}

/** Decides what the command line may touch: its streams, its environment and its folders, all handed in as values. */
import { styleText } from 'node:util'
import type { LocalTenant } from './local.ts'

/** A stream that text goes to. */
export interface Out {
  write(text: string): unknown
  /** True when a person reads it. */
  readonly isTTY?: boolean | undefined
}

/** The stream that text comes from. */
export interface In extends AsyncIterable<string | Uint8Array> {
  /** True when a person types it. */
  readonly isTTY?: boolean | undefined
  /** At a terminal: hands over every key as it is pressed, and shows none of them. */
  setRawMode?(raw: boolean): unknown
}

/** Everything of the outside that a command may use. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: In
  /** The result alone, so that `$(…)` takes it whole. */
  readonly stdout: Out
  /** Text for people. */
  readonly stderr: Out
  readonly cwd: string
  /** The person's home folder. */
  readonly home: string
  /** Node's name of the operating system, for example `linux`. */
  readonly platform: string
  /** What the local tenant that runs here says of itself; absent when none runs. */
  readonly localTenant?: LocalTenant | undefined
  /** Shows a URL to the person. Default: the platform's own opener. */
  readonly openBrowser?: ((url: string) => Promise<void>) | undefined
}

/** Writes text for people, as a line of its own. */
export function tell(io: Io, text: string): void {
  io.stderr.write(`${text}\n`)
}

/** Writes what went wrong; red only for a person at a terminal that has not declined colours. */
export function complain(io: Io, text: string): void {
  const coloured = io.stderr.isTTY && !io.env.NO_COLOR
  tell(io, `${coloured ? styleText('red', 'error:', { validateStream: false }) : 'error:'} ${text}`)
}

/**
 * Makes text of another party fit for a terminal: its first line, no control characters (they could move the
 * cursor or recolour the screen), at most 500 characters.
 */
export function plain(text: string): string {
  const line = text.trim().split(/[\r\n]/, 1)[0]!
  return line.replace(/\p{C}/gu, ' ').slice(0, 500)
}

/** Tells whether a URL's host name is this machine's loopback. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

/** Decides how a test runs the token command: in the process, over streams of its own. */
import type { Io } from '../../src/cli/io.ts'
import { runToken } from '../../src/cli/token.ts'

/** What a run left behind. */
export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** What a test may want different; nothing is in the environment, on stdin or on disk. */
export interface World extends Partial<Omit<Io, 'stdout' | 'stderr'>> {
  /** Hears each line for people as it is written. */
  readonly hear?: (text: string) => void
  readonly isTTY?: boolean
}

/** Runs the token command. */
export async function run(args: readonly string[], { hear, isTTY, ...world }: World = {}): Promise<Outcome> {
  let out = ''
  let err = ''
  const code = await runToken(args, {
    env: {},
    stdin: (async function* () {})(),
    cwd: '/nonexistent',
    home: '/nonexistent',
    platform: 'linux',
    stdout: { write: text => (out += text) },
    stderr: {
      isTTY,
      write: text => {
        err += text
        hear?.(text)
      },
    },
    ...world,
  })
  return { code, out, err }
}

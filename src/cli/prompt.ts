/** Decides how what must stay unseen comes in: from stdin, or key by key from a prompt that shows nothing. */
import type { Io } from './io.ts'
import { Usage } from './options.ts'

/** Far more than a token that any server takes, so that a file named by mistake ends soon. */
const MAX_CHARACTERS = 256 * 1024

/**
 * Reads all of stdin.
 *
 * @throws {Usage} when it is longer than any token
 */
export async function readAll({ stdin }: Io): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of stdin) {
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    if (text.length > MAX_CHARACTERS) throw new Usage('stdin holds more than a token')
  }
  return text
}

/**
 * Asks the person at the terminal, key by key, because a terminal in line mode cuts a line at 4096 characters and
 * shows it.
 *
 * @throws {Usage} when they stop it with Ctrl-C, or type more than any token
 */
export async function prompt({ stdin, stderr }: Io, question: string): Promise<string> {
  stderr.write(question)
  stdin.setRawMode?.(true)
  let text = ''
  try {
    for await (const chunk of stdin) {
      for (const key of typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk)) {
        if (key === '\u0003') throw new Usage('stopped')
        if (key === '\r' || key === '\n' || key === '\u0004') return text
        text = key === '\u007f' || key === '\b' ? text.slice(0, -1) : text + key
      }
      if (text.length > MAX_CHARACTERS) throw new Usage('this is more than a token')
    }
    return text
  } finally {
    stdin.setRawMode?.(false)
    stderr.write('\n')
  }
}

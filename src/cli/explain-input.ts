/** Decides how a token comes in: as a word, from stdin or from a prompt that shows nothing; it is kept nowhere. */
import type { Io } from './io.ts'
import { Usage } from './options.ts'

/** Far more than a token that any server takes, so that a file named by mistake ends soon. */
const MAX_CHARACTERS = 256 * 1024
const PROMPT = 'Paste the token and press Enter (it is not shown): '

/**
 * Reads the token.
 *
 * @param word what stood on the command line; `-` asks stdin
 * @throws {Usage} when there is none
 */
export async function readToken(word: string, io: Io): Promise<string> {
  const text = word !== '-' ? word : io.stdin.isTTY ? await prompt(io) : await readAll(io)
  const token = clean(text)
  if (token === '') throw new Usage(word === '-' ? 'no token came from stdin' : 'the token is empty')
  return token
}

/** Frees a token of what comes along when it is copied: header name, scheme, quotes, line breaks, the JSON around it. */
export function clean(text: string): string {
  const bare = fromJson(text)
    .trim()
    .replace(/^["'`]+|["'`,;]+$/g, '')
    .replace(/^authorization\s*:\s*/i, '')
    .replace(/^bearer(\s+|$)/i, '')
  return bare.replace(/[\s"'`]+/g, '')
}

/** What `token --json` prints, and every token endpoint answers. */
function fromJson(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && 'access_token' in value) return `${value.access_token}`
  } catch {}
  return text
}

async function readAll({ stdin }: Io): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of stdin) {
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    if (text.length > MAX_CHARACTERS) throw new Usage('stdin holds more than a token')
  }
  return text
}

/** Key by key, because a terminal in line mode cuts a line at 4096 characters and shows it. */
async function prompt({ stdin, stderr }: Io): Promise<string> {
  stderr.write(PROMPT)
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

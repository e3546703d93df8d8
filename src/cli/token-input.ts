/** Decides how a token comes in: as a word, from stdin or from a prompt that shows nothing; it is kept nowhere. */
import type { Io } from './io.ts'
import { Usage } from './options.ts'
import { prompt, readAll } from './prompt.ts'

const PROMPT = 'Paste the token and press Enter (it is not shown): '

/**
 * Reads the token.
 *
 * @param word what stood on the command line; `-` asks stdin
 * @throws {Usage} when there is none
 */
export async function readToken(word: string, io: Io): Promise<string> {
  const text = word !== '-' ? word : io.stdin.isTTY ? await prompt(io, PROMPT) : await readAll(io)
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

/** Decides what a request's Authorization header offers: one bearer token, nothing that we understand, or a malformed offer. */
import type { Refusal } from '../errors.ts'

/** Longest token that is looked at, in characters (JWT-21). */
export const MAX_TOKEN_CHARACTERS = 16_384

const NO_CREDENTIALS: Refusal = { code: 'no_credentials' }
// RFC 9110 §11.4: credentials = auth-scheme [ 1*SP ( token68 / … ) ]; a scheme is an RFC 9110 §5.6.2 token.
const SCHEME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+/
const TOKEN68 = /^[A-Za-z0-9\-._~+/]+=*$/

const NO_TOKEN = 'Bearer without a token'
const NO_TOKEN68 = 'Bearer with something that is no token68'
const ONE_TOKEN = 'Bearer, a space and exactly one token'

function malformed(received: string, expected: string): Refusal {
  return { code: 'malformed_credentials', about: 'authorization', received, expected }
}

/**
 * Reads the Authorization field lines of one request.
 *
 * @param rawHeaders names and values in turn, as node gives them; needed because `headers` silently keeps only
 *   the first of two Authorization lines (BEARER-15)
 * @returns what stands behind `Bearer`, which {@link checkToken68} has yet to judge; or why there is nothing to judge
 */
export function readCredential(rawHeaders: readonly string[]): string | Refusal {
  let value: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length !== 13 || name.toLowerCase() !== 'authorization') continue
    if (value !== undefined) return malformed('several Authorization field lines', 'one (RFC 6750 §3.1)')
    value = rawHeaders[i + 1]!
  }
  if (value === undefined) return NO_CREDENTIALS

  // As nearly everybody writes it.
  if (value.startsWith('Bearer ') && value.length > 7 && value.charCodeAt(7) !== 0x20) return value.slice(7)

  // RFC 6750 §3.1: no error information for a caller who used none of the methods that we support.
  const scheme = SCHEME.exec(value)?.[0] ?? ''
  if (scheme.toLowerCase() !== 'bearer') return NO_CREDENTIALS

  let start = scheme.length
  while (value.charCodeAt(start) === 0x20) start++
  if (start === scheme.length) return malformed(start === value.length ? NO_TOKEN : NO_TOKEN68, ONE_TOKEN)
  return value.slice(start)
}

/** Whether what stands behind `Bearer` is one token, of whatever kind: the refusal when it is not. */
export function checkToken68(token: string): Refusal | undefined {
  if (TOKEN68.test(token)) return undefined
  return malformed(token === '' ? NO_TOKEN : NO_TOKEN68, ONE_TOKEN)
}

/** Whether a token is of a size that is looked at: the refusal when it is not. */
export function checkSize({ length }: string): Refusal | undefined {
  if (length <= MAX_TOKEN_CHARACTERS) return undefined
  const expected = `at most ${MAX_TOKEN_CHARACTERS}`
  return { code: 'malformed_token', about: 'size', received: `${length} characters`, expected }
}

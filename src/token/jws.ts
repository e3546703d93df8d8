/** Decides whether a string is one strictly well-formed signed JWT, and reads its header and claims without trusting them. */
import type { Refusal } from '../errors.ts'

/** A JSON object as it was parsed; every member is untrusted until its type has been checked. */
export type JsonObject = { readonly [name: string]: unknown }

/** The JOSE header parameters that this server acts upon, their types checked. */
export interface JoseHeader {
  readonly alg: string
  readonly typ: string | undefined
  readonly kid: string | undefined
}

/** A decoded token. Nothing in it is verified. */
export interface Jws {
  readonly header: JoseHeader
  readonly claims: JsonObject
}

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/
// RFC 7519 §7.2 steps 4 and 10: valid UTF-8. `ignoreBOM` keeps a byte order mark, on which JSON.parse then fails.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

function malformed(about: string, received: string, expected: string): Refusal {
  return { code: 'malformed_token', about, received, expected }
}

/** Base64url of RFC 7515 §2 whose unused trailing bits are zero, so that one octet string has one spelling. */
function isCanonical(part: string): boolean {
  const rest = part.length % 4
  if (rest === 0) return true
  if (rest === 1) return false
  const last = BASE64URL.indexOf(part[part.length - 1]!)
  return (last & (rest === 2 ? 0b1111 : 0b11)) === 0
}

function parseObject(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(Buffer.from(part, 'base64url')))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined
  } catch {
    return undefined
  }
}

/**
 * RFC 7515 §5.2 step 4: the JOSE header has no duplicate names. JSON.parse can't tell (the last one wins), but
 * the text can: with every string blanked, the names of the outermost object are the strings before its colons.
 */
function hasDuplicateNames(part: string): boolean {
  const seen = new Set<string>()
  let depth = 0
  for (const [symbol, name] of Buffer.from(part, 'base64url')
    .toString()
    .matchAll(/"((?:[^"\\]|\\.)*)"\s*(?::)|"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (symbol === '{' || symbol === '[') depth++
    else if (symbol === '}' || symbol === ']') depth--
    else if (depth === 1 && name !== undefined) {
      const unescaped = JSON.parse(`"${name}"`) as string
      if (seen.has(unescaped)) return true
      seen.add(unescaped)
    }
  }
  return false
}

function readHeader(part: string): JoseHeader | Refusal {
  const header = isCanonical(part) ? parseObject(part) : undefined
  if (header === undefined) return malformed('header', 'no JSON object', 'a JSON object in base64url')
  if (hasDuplicateNames(part)) {
    return malformed('header', 'a duplicate name', 'each name once (RFC 7515 §5.2)')
  }
  const { alg, typ, kid, crit } = header
  if (typeof alg !== 'string') {
    return { code: 'unsupported_algorithm', about: 'alg', received: typeof alg, expected: 'a string' }
  }
  if (typ !== undefined && typeof typ !== 'string') {
    return { code: 'wrong_token_type', about: 'typ', received: typeof typ, expected: 'a string' }
  }
  if (kid !== undefined && typeof kid !== 'string') return malformed('kid', typeof kid, 'a string')
  // RFC 7515 §4.1.11: we implement no extension, so whatever `crit` names is not understood, and an empty or
  // ill-typed `crit` is not allowed.
  if (Object.hasOwn(header, 'crit')) {
    // Its text is never rebuilt: it may be nested deeper than a stack goes.
    const received = Array.isArray(crit)
      ? crit.filter(name => typeof name === 'string').join(' ')
      : typeof crit
    return malformed('crit', received.slice(0, 64), 'no critical extensions')
  }
  return { alg, typ, kid }
}

/**
 * Decodes a compact JWS (RFC 7515 §7.1) whose payload is a JSON object.
 *
 * The order is the cheapest first: alphabet and number of parts, header, claims. The signature part is only
 * checked for its spelling.
 */
export function decodeJws(token: string): Jws | Refusal {
  if (!COMPACT.test(token)) {
    return malformed('token', 'no compact JWS', 'three base64url parts joined by dots')
  }
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  const header = readHeader(token.slice(0, first))
  if ('code' in header) return header
  const part = token.slice(first + 1, second)
  const claims = isCanonical(part) ? parseObject(part) : undefined
  if (claims === undefined) return malformed('payload', 'no JSON object', 'a JSON object in base64url')
  if (!isCanonical(token.slice(second + 1))) {
    return malformed('signature', 'non-canonical base64url', 'base64url without stray bits')
  }
  return { header, claims }
}

/** Decides whether a string is one strictly well-formed signed JWT, and reads its header and claims without trusting them. */
import { isUtf8 } from 'node:buffer'
import { LRUCache } from 'lru-cache'
import { isRefusal, type Refusal } from '../errors.ts'

/** A JSON object as it was parsed; every member is untrusted until its type has been checked. */
export type JsonObject = { readonly [name: string]: unknown }

/** The JOSE header parameters that this server acts upon, their types checked. */
export interface JoseHeader {
  readonly alg: string
  readonly typ: string | undefined
  readonly kid: string | undefined
}

/** A token whose header has been read, and whose other parts have not. */
export interface OpenJws {
  readonly header: JoseHeader
  /** As they stand in the token: base64url by their alphabet. */
  readonly payload: string
  readonly signature: string
}

/** A decoded token. Nothing in it is verified. */
export interface Jws {
  readonly header: JoseHeader
  readonly claims: JsonObject
}

const FOREIGN = /[^A-Za-z0-9_.-]/
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

const BRACE = '{'.charCodeAt(0)
const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d

/** Whether a text that is JSON would be an object: what JSON.parse throws costs more than all else about junk. */
function opensObject(bytes: Buffer): boolean {
  let start = 0
  while (isSpace(bytes[start])) start++
  return bytes[start] === BRACE
}

function parseObject(part: string): JsonObject | undefined {
  const bytes = Buffer.from(part, 'base64url')
  // RFC 7519 §7.2 steps 4 and 10: valid UTF-8. A byte order mark is no brace.
  if (!opensObject(bytes) || !isUtf8(bytes)) return undefined
  try {
    return JSON.parse(bytes.toString()) as JsonObject
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

/** The tokens of one key mostly have one header, so a few are kept as they were read. */
const known = new LRUCache<string, JoseHeader>({ max: 100 })
const MAX_KNOWN_CHARACTERS = 500

function readHeader(part: string): JoseHeader | Refusal {
  const before = known.get(part)
  if (before !== undefined) return before
  const header = parseHeader(part)
  if (!('code' in header) && part.length <= MAX_KNOWN_CHARACTERS) known.set(part, header)
  return header
}

function parseHeader(part: string): JoseHeader | Refusal {
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
 * Opens a compact JWS (RFC 7515 §7.1): its alphabet, the number of its parts, and its header. What an algorithm that
 * nobody may use has signed is not worth reading.
 */
export function openJws(token: string): OpenJws | Refusal {
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  const hasThreeParts = first > 0 && second > first + 1 && !token.includes('.', second + 1)
  if (!hasThreeParts || FOREIGN.test(token)) {
    return malformed('token', 'no compact JWS', 'three base64url parts joined by dots')
  }
  const header = readHeader(token.slice(0, first))
  if ('code' in header) return header
  return { header, payload: token.slice(first + 1, second), signature: token.slice(second + 1) }
}

/** Reads the claims of an opened token: a JSON object. Of the signature only the spelling is checked. */
export function readClaims({ header, payload, signature }: OpenJws): Jws | Refusal {
  const claims = isCanonical(payload) ? parseObject(payload) : undefined
  if (claims === undefined) return malformed('payload', 'no JSON object', 'a JSON object in base64url')
  if (isCanonical(signature)) return { header, claims }
  return malformed('signature', 'non-canonical base64url', 'base64url without stray bits')
}

/** Decodes a compact JWS, whoever may have signed it: opens it and reads its claims. */
export function decodeJws(token: string): Jws | Refusal {
  const open = openJws(token)
  return isRefusal(open) ? open : readClaims(open)
}

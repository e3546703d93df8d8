/** Decides what is logged of a request, and that no credential ever is. */
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { Refusal } from '../errors.ts'
import type { Access } from '../token/access.ts'
import { openOutput } from './log-output.ts'

const SECRET_NAMES = new Set([
  'authorization',
  'dpop',
  'cookie',
  'set-cookie',
  'access_token',
  'id_token',
  'refresh_token',
  'client_secret',
  'client_assertion',
  'assertion',
  'password',
])
/** A member of that name, anywhere in a line. In a text the quotes are escaped, and it is no member. */
const SECRET_MEMBER = new RegExp(`"(?:${[...SECRET_NAMES].join('|')})":`, 'i')
/** Whatever looks like a JWS, wherever it stands: the second fence, for values that no path names (BCP-14). */
export const TOKEN_SHAPE = /ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/g
const MAX_SHOWN_CHARACTERS = 256

/**
 * Blanks the secrets of a finished line. Few lines have a member with such a name, and only those are parsed: pino's
 * `redact` with as many paths costs every request more than its authorization does (bench/README.md).
 */
function blank(line: string): string {
  const blanked = SECRET_MEMBER.test(line)
    ? `${JSON.stringify(
        JSON.parse(line, (name, value) => (SECRET_NAMES.has(name.toLowerCase()) ? '[redacted]' : value)),
      )}\n`
    : line
  return blanked.replace(TOKEN_SHAPE, '[token]')
}

/** A logger that writes one JSON line an event, with every secret blanked at any depth; to stdout by default. */
export function createLogger(level: string, destination: DestinationStream = openOutput()): Logger {
  return pino({ level, base: null, hooks: { streamWrite: blank } }, destination)
}

/** A path without its query, because a query may hold a token that somebody put there (BEARER-13). */
export function showPath(url: string): string {
  const end = url.search(/[?#]/)
  return (end === -1 ? url : url.slice(0, end)).slice(0, MAX_SHOWN_CHARACTERS)
}

/** A received or expected value, cut to what an operator reads. */
function show(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, MAX_SHOWN_CHARACTERS)
  if (Array.isArray(value)) return value.slice(0, 20).map(show)
  if (typeof value === 'object' && value !== null) return JSON.stringify(value).slice(0, MAX_SHOWN_CHARACTERS)
  return value
}

/** The access of a remembered token is one object, so its digest is made once. */
const pseudonyms = new WeakMap<Access, string>()

/** ASVS 16.2.5: lines of one caller can be told to be the same without saying who it is. */
function pseudonym(access: Access): string {
  const known = pseudonyms.get(access)
  if (known !== undefined) return known
  const { issuer, subject } = access
  const made = createHash('sha256').update(`${issuer} ${subject}`).digest('base64url').slice(0, 16)
  pseudonyms.set(access, made)
  return made
}

/** The one line of a request, written when it has been answered. */
export function logRequest(
  request: FastifyRequest,
  reply: FastifyReply,
  access: Access | null,
  refusal: Refusal | null,
): void {
  const level = reply.statusCode >= 500 ? 'warn' : 'info'
  // Fastify promises a logger, not that it is pino's.
  if ((request.log as Partial<Logger>).isLevelEnabled?.(level) === false) return
  // pino leaves out what is undefined.
  const line = {
    event: refusal === null ? 'answered' : 'refused',
    method: request.method,
    route: request.routeOptions.url ?? showPath(request.url),
    status: reply.statusCode,
    ms: Math.round(reply.elapsedTime * 10) / 10,
    kind: access?.kind,
    issuer: access?.issuer,
    tenant: access?.tenant,
    client: access?.client,
    subject: access === null ? undefined : pseudonym(access),
    code: refusal?.code,
    about: refusal?.about,
    received: show(refusal?.received),
    expected: show(refusal?.expected),
  }
  request.log[level](line)
}

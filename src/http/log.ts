/** Decides what is logged of a request, and that no credential ever is. */
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { Refusal } from '../errors.ts'
import type { Access } from '../token/access.ts'

const SECRET_NAMES = [
  'authorization',
  'Authorization',
  'dpop',
  'DPoP',
  'cookie',
  'Cookie',
  'set-cookie',
  'Set-Cookie',
  'access_token',
  'id_token',
  'refresh_token',
  'client_secret',
  'client_assertion',
  'assertion',
  'password',
]
/** Whatever looks like a JWS, wherever it stands: the second fence, for values that no path names (BCP-14). */
export const TOKEN_SHAPE = /ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/g
const MAX_SHOWN_CHARACTERS = 256
const REDACTED_DEPTH = 4

/** A logger that writes one JSON line an event, with every known place of a secret blanked. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const quoted = SECRET_NAMES.map(name => `["${name}"]`)
  const options = {
    level,
    base: null,
    redact: {
      paths: Array.from({ length: REDACTED_DEPTH }, (_, depth) => Array(depth).fill('*').join('.')).flatMap(
        parents => quoted.map(name => parents + name),
      ),
      censor: '[redacted]',
    },
    hooks: { streamWrite: (line: string) => line.replace(TOKEN_SHAPE, '[token]') },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
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

/** ASVS 16.2.5: lines of one caller can be told to be the same without saying who it is. */
const pseudonym = ({ issuer, subject }: Access): string =>
  createHash('sha256').update(`${issuer} ${subject}`).digest('base64url').slice(0, 16)

/** The one line of a request, written when it has been answered. */
export function logRequest(
  request: FastifyRequest,
  reply: FastifyReply,
  access: Access | null,
  refusal: Refusal | null,
): void {
  const line = {
    event: refusal === null ? 'answered' : 'refused',
    method: request.method,
    route: request.routeOptions.url ?? showPath(request.url),
    status: reply.statusCode,
    ms: Math.round(reply.elapsedTime * 10) / 10,
    ...(access !== null && {
      kind: access.kind,
      issuer: access.issuer,
      tenant: access.tenant,
      client: access.client,
      subject: pseudonym(access),
    }),
    ...(refusal !== null && {
      code: refusal.code,
      about: refusal.about,
      received: show(refusal.received),
      expected: show(refusal.expected),
    }),
  }
  if (reply.statusCode >= 500) request.log.warn(line)
  else request.log.info(line)
}

/** Decides what is logged of a request. */
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { Refusal } from '../errors.ts'
import type { Access } from '../token/access.ts'

const MAX_SHOWN_CHARACTERS = 256

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

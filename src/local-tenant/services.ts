/** Decides how Microsoft Graph and the token endpoint misbehave when told to. */

import type { FastifyReply } from 'fastify'
import { pause } from './faults.ts'

/** What a service does in place of answering. */
export const SERVICE_MODES = ['ok', 'throttled', 'unavailable', 'hang', 'html', 'huge', 'redirect'] as const

/** One of {@link SERVICE_MODES}. */
export type ServiceMode = (typeof SERVICE_MODES)[number]

/** What can misbehave beside the documents. */
export const SERVICES = ['graph', 'tokens'] as const

/** One of {@link SERVICES}. */
export type Service = (typeof SERVICES)[number]

/** How a service is at the moment. */
export interface ServiceWeather {
  readonly mode: ServiceMode
  /** What `throttled` and `unavailable` say in `Retry-After`; absent: nothing. */
  readonly retryAfterSeconds?: number
}

const HUGE_BYTES = 2 * 1024 * 1024
/** The longest time that a timer takes: until the tenant closes. */
const FOREVER_MS = 2 ** 31 - 1

/**
 * Misbehaves as told.
 * @returns whether the request has been answered so; false: nothing is wrong
 */
export async function misbehave(
  reply: FastifyReply,
  { mode, retryAfterSeconds }: ServiceWeather,
  stop: AbortSignal,
): Promise<boolean> {
  if (mode === 'ok') return false
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  if (mode === 'hang') await pause(FOREVER_MS, stop)
  if (mode === 'redirect') reply.redirect('/moved')
  else if (mode === 'html') reply.type('text/html').send('<!doctype html><title>Local tenant</title>')
  else if (mode === 'huge') reply.send({ padding: 'x'.repeat(HUGE_BYTES) })
  else {
    const status = mode === 'throttled' ? 429 : 503
    const code = mode === 'throttled' ? 'TooManyRequests' : 'ServiceUnavailable'
    reply.code(status).send({ error: { code, message: 'The local tenant was told to answer so.' } })
  }
  return true
}

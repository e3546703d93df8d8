/** Decides what both ports have in common: loopback names only, forms, Entra's marks, and errors as Entra has them. */

import formbody from '@fastify/formbody'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Aadsts } from './aadsts.ts'
import type { Form } from './client-authentication.ts'
import type { Directory } from './directory.ts'
import type { Page } from './views.ts'

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** Origins under which a port on loopback is reached, the canonical one first. */
export function loopbackOrigins(origin: string): string[] {
  const { protocol, port } = new URL(origin)
  return LOOPBACK.map(host => `${protocol}//${host}:${port}`)
}

/** Whether a URL stays on this machine. */
export function isLoopback(url: URL): boolean {
  return LOOPBACK.includes(url.hostname) && /^https?:$/.test(url.protocol)
}

/** A form or query, every parameter at most once. @throws Aadsts 9002313 */
export function readForm(parameters: unknown): Form {
  const entries = Object.entries((parameters ?? {}) as Record<string, unknown>)
  const repeated = entries.find(([, value]) => typeof value !== 'string')
  // RFC 6749 §3.1, §3.2: parameters must not be included more than once.
  if (repeated) throw new Aadsts(9002313, `Parameter: ${repeated[0]}.`)
  return Object.fromEntries(entries) as Form
}

/** The tenant that a path names. */
export function tenantOf(request: FastifyRequest): string {
  return (request.params as { tenant: string }).tenant
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The client's own id of a request, if it has one. */
export function correlationOf(request: FastifyRequest): string | undefined {
  const sent = request.headers['client-request-id']
  return typeof sent === 'string' && UUID.test(sent) ? sent : undefined
}

/** Sends a page. */
export function sendPage(reply: FastifyReply, page: Page, status = 200): FastifyReply {
  return reply
    .code(status)
    .type('text/html; charset=utf-8')
    .headers({
      'content-security-policy': page.contentSecurityPolicy,
      'x-content-type-options': 'nosniff',
      // Not no-referrer: that makes the Origin of the page's own forms `null`.
      'referrer-policy': 'strict-origin',
    })
    .send(page.text)
}

/** A Fastify instance for one port. It does not listen. What fails by our own fault is logged, without what was sent. */
export function createPort(origin: string, { now, log }: Pick<Directory, 'now' | 'log'>): FastifyInstance {
  const hosts = loopbackOrigins(origin).map(one => new URL(one).host)
  const app = Fastify({ bodyLimit: 65_536, routerOptions: { maxParamLength: 200 } })
  app.register(formbody)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'x-ms-ests-server': 'local', 'cache-control': 'no-store' })
    // A name that merely resolves to loopback is somebody else's (DNS rebinding).
    if (!hosts.includes(request.headers.host ?? ''))
      return reply.code(421).send({ error: 'misdirected_request' })
  })
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const refusal = error instanceof Aadsts ? error : new Aadsts(9002313, undefined, { cause: error })
    const status = error instanceof Aadsts ? refusal.status : (error.statusCode ?? 500)
    if (status >= 500) {
      const { method, routeOptions } = request
      log?.error({ method, route: routeOptions.url, err: error }, 'local tenant failed')
    }
    return reply.code(status).send(refusal.toDocument(now(), correlationOf(request)))
  })
  return app
}

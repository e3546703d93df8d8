/** Decides which pages of other origins may read answers: those of the configured origins, without cookies. */
import { promisify } from 'node:util'
import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import { showPath } from './log.ts'

/** How long a browser may remember what it was allowed, in seconds. */
const PREFLIGHT_MAX_AGE_SECONDS = 600

/** What pages may read beside what browsers always let them: why they were refused, and when to come back (HTTP-12). */
const EXPOSED = [
  'WWW-Authenticate',
  'Retry-After',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
]

/**
 * Answers preflights, and marks what pages of `origins` may read. Register it before the guard: a preflight
 * never carries a token.
 */
export async function addCors(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  // The plugin's hook answers preflights by itself; its route, OPTIONS *, would give every path a method.
  const withoutRoute = Object.create(app, { options: { value: () => app } }) as FastifyInstance
  await promisify(cors)(withoutRoute, {
    delegator: ({ headers, url }, done) => {
      done(null, {
        origin: [...origins],
        methods: [...app.protectedResource.routes.methodsAt(showPath(url)).methods],
        exposedHeaders: EXPOSED,
        maxAge: PREFLIGHT_MAX_AGE_SECONDS,
        // Any other OPTIONS is a request like every other, and the guard's.
        preflight: headers.origin !== undefined && headers['access-control-request-method'] !== undefined,
      })
    },
  })
}

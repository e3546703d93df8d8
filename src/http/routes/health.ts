/** Decides what an orchestrator is told: alive whatever the issuer does, ready once every issuer has usable keys. */
import type { FastifyInstance } from 'fastify'

const status = (value: string) => ({ type: 'string', enum: [value] })

/** `GET /livez` and `GET /readyz`. */
export function addHealth(app: FastifyInstance): void {
  app.get(
    '/livez',
    {
      config: { access: 'public' },
      logLevel: 'warn',
      schema: {
        operationId: 'getLivez',
        summary: 'Liveness',
        description: 'Never depends on an issuer.',
        tags: ['Operations'],
        response: {
          200: {
            description: 'The process answers.',
            type: 'object',
            required: ['status'],
            properties: { status: status('alive') },
            example: { status: 'alive' },
          },
        },
      },
    },
    async () => ({ status: 'alive' }),
  )

  const issuers = {
    type: 'array',
    items: {
      type: 'object',
      required: ['issuer', 'state', 'since'],
      properties: {
        issuer: { type: 'string' },
        state: { type: 'string', enum: ['usable', 'missing', 'off'] },
        since: { type: 'string', format: 'date-time' },
      },
    },
  }
  const example = {
    issuer: 'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0',
    since: '2026-11-23T12:00:00.000Z',
  }
  app.get(
    '/readyz',
    {
      config: { access: 'public' },
      logLevel: 'warn',
      schema: {
        operationId: 'getReadyz',
        summary: 'Readiness',
        description:
          'Ready when every configured issuer has usable keys; a later outage does not change that.',
        tags: ['Operations'],
        response: {
          200: {
            description: 'Tokens of every configured issuer can be judged.',
            type: 'object',
            required: ['status', 'issuers'],
            properties: { status: status('ready'), issuers },
            example: { status: 'ready', issuers: [{ ...example, state: 'usable' }] },
          },
          503: {
            description: 'The keys of an issuer are missing; the body says which, and since when.',
            type: 'object',
            required: ['status', 'issuers'],
            properties: { status: status('waiting'), issuers },
            example: { status: 'waiting', issuers: [{ ...example, state: 'missing' }] },
          },
        },
      },
    },
    async (_request, reply) => {
      const keys = app.protectedResource.keys()
      const ready = keys.every(({ state }) => state !== 'missing')
      const shown = keys.map(key => ({ ...key, since: new Date(key.since).toISOString() }))
      reply.header('cache-control', 'no-store')
      if (ready) return { status: 'ready', issuers: shown }
      return reply.code(503).header('retry-after', '5').send({ status: 'waiting', issuers: shown })
    },
  )
}

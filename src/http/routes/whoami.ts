/** Decides what a caller is told about itself: its access as handlers see it, without the claims. */
import type { FastifyInstance } from 'fastify'

const text = { type: 'string' }
const texts = { type: 'array', items: text }

/** `GET /whoami`. */
export function addWhoami(app: FastifyInstance): void {
  app.get(
    '/whoami',
    {
      config: { access: 'any' },
      schema: {
        operationId: 'getWhoami',
        summary: "The caller's own access",
        description: 'What the token lets its bearer do here, as handlers see it.',
        tags: ['Data'],
        response: {
          200: {
            description: 'Who is calling.',
            type: 'object',
            required: ['kind', 'subject', 'scopes', 'roles', 'name', 'issuer', 'expiresAt'],
            additionalProperties: false,
            properties: {
              kind: { type: 'string', enum: ['user', 'application', 'unknown'] },
              subject: text,
              objectId: text,
              tenant: text,
              client: text,
              scopes: texts,
              roles: texts,
              name: text,
              issuer: text,
              expiresAt: { type: 'number', description: 'Seconds since 1970.' },
            },
            example: {
              kind: 'user',
              subject: 'Q2xhcmE',
              objectId: '6b2f4c0e-0000-4000-8000-000000000001',
              tenant: '11111111-2222-3333-4444-555555555555',
              client: '66666666-7777-8888-9999-000000000000',
              scopes: ['Data.Read'],
              roles: [],
              name: 'Ada Lovelace',
              issuer: 'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0',
              expiresAt: 1795000000,
            },
          },
        },
      },
    },
    async request => {
      const { claims: _, ...shown } = request.access
      return shown
    },
  )
}

/** Decides what the protected resource itself answers: a greeting for a user with a scope or an application with a role. */
import type { FastifyInstance } from 'fastify'

/** `GET /secure-data`. */
export function addSecureData(app: FastifyInstance): void {
  app.get(
    '/secure-data',
    {
      config: { access: { scope: 'Data.Read', role: 'Data.Read.All' } },
      schema: {
        operationId: 'getSecureData',
        summary: 'Protected data',
        description: 'Greets the caller by name.',
        tags: ['Data'],
        response: {
          200: {
            description: 'The caller may read the data.',
            type: 'object',
            required: ['message'],
            additionalProperties: false,
            properties: { message: { type: 'string' } },
            example: { message: 'Hello Ada Lovelace, this is protected data.' },
          },
        },
      },
    },
    // Nothing is waited for, so no promise is made.
    (request, reply) => {
      reply.send({ message: `Hello ${request.access.name}, this is protected data.` })
    },
  )
}

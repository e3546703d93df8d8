/** Decides how the API description is published: as a page, as JSON and as YAML, to everybody. */
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

const hidden = { hide: true }

/** `GET /docs`, `GET /openapi.json`, `GET /openapi.yaml`. */
export async function addDocs(app: FastifyInstance, title: string): Promise<void> {
  app.get('/openapi.json', { config: { access: 'public' }, schema: hidden }, async () => app.swagger())
  app.get('/openapi.yaml', { config: { access: 'public' }, schema: hidden }, async (_request, reply) =>
    reply.type('application/yaml; charset=utf-8').send(app.swagger({ yaml: true })),
  )
  await app.register(async scope => {
    scope.addHook('onRoute', route => {
      route.config = { ...route.config, access: 'public' }
    })
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      theme: { title },
      uiConfig: { deepLinking: true, docExpansion: 'list', validatorUrl: null },
    })
  })
}

/** Decides how the API description is published: as a page, as JSON and as YAML, to everybody. */
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

const PAGE_CSP = {
  'default-src': "'none'",
  'base-uri': "'none'",
  'connect-src': "'self'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
  'img-src': "'self' data:",
  'script-src': "'self'",
  'style-src': "'self'",
}

// This description has no links, and swagger-ui's tables of headers don't fit a telephone.
const PAGE_CSS = `
.swagger-ui .response-col_links { display: none }
@media (max-width: 640px) {
  .swagger-ui .responses-inner, .swagger-ui .opblock-description-wrapper { padding: 10px }
  .swagger-ui table.headers thead { display: none }
  .swagger-ui table.headers :is(tbody, tr, td) { display: block; padding: 2px 0; white-space: normal }
}
`

const open = { config: { access: 'public' as const }, schema: { hide: true } }

/** `GET /docs`, `GET /openapi.json`, `GET /openapi.yaml`. */
export async function addDocs(app: FastifyInstance, title: string): Promise<void> {
  app.get('/openapi.json', open, async () => app.swagger())
  app.get('/openapi.yaml', open, async (_request, reply) =>
    reply.type('application/yaml').send(app.swagger({ yaml: true })),
  )
  const { pathname } = new URL(app.protectedResource.trust.publicUrl)
  await app.register(async scope => {
    scope.addHook('onRoute', route => {
      route.config = { ...route.config, access: 'public' }
    })
    scope.addHook('onSend', async (_request, reply, payload) => {
      reply.header('referrer-policy', 'no-referrer')
      // swagger-ui's page leaves it out, and a telephone then shows a tiny desktop page.
      return typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html')
        ? payload.replace(
            '<head>',
            '<head><meta name="viewport" content="width=device-width, initial-scale=1">',
          )
        : payload
    })
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: PAGE_CSP,
      theme: { title, css: [{ filename: 'page.css', content: PAGE_CSS }] },
      uiConfig: {
        // No bar in which any other description could be opened.
        layout: 'BaseLayout',
        deepLinking: true,
        docExpansion: 'list',
        tryItOutEnabled: true,
        validatorUrl: null,
      },
      // The page calls the server that it came from, under whichever name that was reached.
      transformSpecification: document => ({ ...document, servers: [{ url: pathname }] }),
      transformSpecificationClone: false,
    })
  })
}

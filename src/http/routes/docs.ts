/** Decides how the API description is published: as a page on which people sign in and call, as JSON and as YAML, to everybody. */
import { readFile } from 'node:fs/promises'
import helmet from '@fastify/helmet'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { showDocument } from '../page/document.ts'
import { pageHeaders, RETURN_HEADERS } from '../page/headers.ts'
import { ICON } from '../page/icon.ts'
import { REMEDIES } from '../page/remedies.ts'
import { STYLE } from '../page/style.ts'

/** Somebody whom the page offers to sign in as. */
export interface DocsPerson {
  readonly name: string
  readonly about: string
  /** What tells the tenant who it is. */
  readonly username: string
}

/** What the page needs to know. */
export interface DocsSettings {
  /** How the API calls itself. */
  readonly title: string
  /** How people sign in on the page; absent: they paste a token. */
  readonly signIn?: {
    /** A public client, registered with `<PUBLIC_URL>/docs/static/oauth2-redirect.html` as a redirect URI of a page. */
    readonly clientId: string
    /** Origin of the token endpoint that the page reaches. */
    readonly origin: string
    /** Offered by name, for a tenant of which everybody is known; default: nobody. */
    readonly people: readonly DocsPerson[]
  }
}

const PREFIX = '/docs'
const SCRIPTS = ['main.js', 'refusal-panel.js', 'sign-in.js', 'elements.js']
const FOLDER = new URL('../page/browser/', import.meta.url)

const open = { config: { access: 'public' as const }, schema: { hide: true } }

/** What the scripts of the page read. */
const pageFacts = ({ signIn }: DocsSettings): object => ({
  remedies: REMEDIES,
  ...(signIn && { signIn: { clientId: signIn.clientId, people: signIn.people } }),
})

/** `GET /docs` and what belongs to it, with headers of their own. */
async function addPage(app: FastifyInstance, settings: DocsSettings): Promise<void> {
  const { title, signIn } = settings
  const { pathname: base } = new URL(app.protectedResource.trust.publicUrl)
  const own = `${base.replace(/\/$/, '')}${PREFIX}/page`
  const head = [
    // swagger-ui's page leaves it out, and a telephone then shows a tiny desktop page.
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<script type="module" src="${own}/main.js"></script>`,
  ]
  app.addHook('onRoute', route => {
    const returns = route.url === `${PREFIX}/static/*` && { helmet: RETURN_HEADERS }
    route.config = { ...route.config, access: 'public', ...returns }
  })
  await app.register(helmet, pageHeaders(signIn?.origin))
  app.addHook('onSend', async (_request, reply, payload) =>
    typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html')
      ? payload.replace('<head>', `<head>${head.join('')}`)
      : payload,
  )
  for (const name of SCRIPTS) {
    const script = await readFile(new URL(name, FOLDER), 'utf8')
    app.get(`${PREFIX}/page/${name}`, open, async (_request, reply) =>
      reply.type('text/javascript; charset=utf-8').send(script),
    )
  }
  const facts = pageFacts(settings)
  app.get(`${PREFIX}/page/facts.json`, open, async () => facts)
  await app.register(swaggerUi, {
    routePrefix: PREFIX,
    indexPrefix: base,
    theme: {
      title,
      css: [{ filename: 'page.css', content: STYLE }],
      favicon: [{ filename: 'icon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: ICON }],
    },
    uiConfig: {
      // No bar in which any other description could be opened.
      layout: 'BaseLayout',
      deepLinking: true,
      docExpansion: 'list',
      tryItOutEnabled: true,
      validatorUrl: null,
    },
    transformSpecification: document => showDocument(document, base, signIn !== undefined),
    transformSpecificationClone: false,
  })
}

/** `GET /docs`, `GET /openapi.json`, `GET /openapi.yaml`. */
export async function addDocs(app: FastifyInstance, settings: DocsSettings): Promise<void> {
  app.get('/openapi.json', open, async () => app.swagger())
  app.get('/openapi.yaml', open, async (_request, reply) =>
    reply.type('application/yaml').send(app.swagger({ yaml: true })),
  )
  await app.register(async page => addPage(page, settings))
}

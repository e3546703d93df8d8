/** Decides what the API description and its page answer, and with which headers: an application of its own, made from the routes of the one that it describes. */
import { readFile } from 'node:fs/promises'
import helmet from '@fastify/helmet'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyInstance } from 'fastify'
import { addDescription } from '../description.ts'
import type { DescriptionSettings } from '../description-shapes.ts'
import { showDocument } from '../page/document.ts'
import { pageHeaders, RETURN_HEADERS } from '../page/headers.ts'
import { ICON } from '../page/icon.ts'
import { PREFIX, SCRIPTS } from '../page/paths.ts'
import { REMEDIES } from '../page/remedies.ts'
import { STYLE } from '../page/style.ts'
import type { ProtectedResource } from '../protect.ts'
import { createHandOver, type HandOver } from './hand-over.ts'

/** Somebody whom the page offers to sign in as. */
export interface DocsPerson {
  readonly name: string
  readonly about: string
  /** What tells the tenant who it is. */
  readonly username: string
}

/** What the description and its page need to know. */
export interface DocsSettings {
  readonly description: DescriptionSettings
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

const FOLDER = new URL('../page/browser/', import.meta.url)

/** The description is not about itself. */
const hidden = { schema: { hide: true } }

/** What the scripts of the page read. */
const pageFacts = ({ signIn }: DocsSettings): object => ({
  remedies: REMEDIES,
  ...(signIn && { signIn: { clientId: signIn.clientId, people: signIn.people } }),
})

/** `GET /docs` and what belongs to it, with headers of their own. */
async function addPage(app: FastifyInstance, settings: DocsSettings): Promise<void> {
  const { description, signIn } = settings
  const { pathname: base } = new URL(description.publicUrl)
  const own = `${base.replace(/\/$/, '')}${PREFIX}/page`
  const head = [
    // swagger-ui's page leaves it out, and a telephone then shows a tiny desktop page.
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<script type="module" src="${own}/main.js"></script>`,
  ]
  app.addHook('onRoute', route => {
    const returns = route.url === `${PREFIX}/static/*` && { helmet: RETURN_HEADERS }
    route.config = { ...route.config, ...returns }
  })
  await app.register(helmet, pageHeaders(signIn?.origin))
  app.addHook('onSend', async (_request, reply, payload) =>
    typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html')
      ? payload.replace('<head>', `<head>${head.join('')}`)
      : payload,
  )
  for (const name of SCRIPTS) {
    const script = await readFile(new URL(name, FOLDER), 'utf8')
    app.get(`${PREFIX}/page/${name}`, hidden, async (_request, reply) =>
      reply.type('text/javascript; charset=utf-8').send(script),
    )
  }
  const facts = pageFacts(settings)
  app.get(`${PREFIX}/page/facts.json`, hidden, async () => facts)
  await app.register(swaggerUi, {
    routePrefix: PREFIX,
    indexPrefix: base,
    theme: {
      title: description.title,
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

/** The application that answers, and how it is asked. */
export interface Docs {
  readonly app: FastifyInstance
  readonly pass: HandOver['pass']
}

/**
 * Makes the application.
 *
 * @param guarded the one that it describes, with all of its routes
 */
export async function createDocs(guarded: ProtectedResource, settings: DocsSettings): Promise<Docs> {
  const app = Fastify()
  const { pass, deny } = createHandOver(app)
  await addDescription(app, guarded, settings.description)
  // The generator hears of routes as they are registered. Here they answer nothing, and nobody is sent to them.
  for (const route of guarded.routes.registered()) {
    const isShown = (route.schema as { hide?: boolean } | undefined)?.hide !== true
    if (isShown) app.route({ ...route, exposeHeadRoute: false, handler: deny })
  }
  app.get('/openapi.json', hidden, async () => app.swagger())
  app.get('/openapi.yaml', hidden, async (_request, reply) =>
    reply.type('application/yaml').send(app.swagger({ yaml: true })),
  )
  await app.register(async page => addPage(page, settings))
  await app.ready()
  return { app, pass }
}

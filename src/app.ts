/** Decides what the server is made of: configuration and the outside world in, an application out; it never listens and never reads the environment. */
import { createSecureContext, rootCertificates } from 'node:tls'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Logger } from 'pino'
import type { EnvHttpProxyAgent } from 'undici'
import type { Config } from './config.ts'
import { type Connections, endConnections } from './connections.ts'
import { addDownstream } from './downstream/downstream.ts'
import { onFirstUse } from './first-use.ts'
import { addAnswers, createClientErrorHandler, createFrameworkErrors } from './http/answers.ts'
import { type Limit, protect } from './http/protect.ts'
import { addDocs } from './http/routes/docs.ts'
import type { DocsPerson, DocsSettings } from './http/routes/docs-page.ts'
import { addHealth } from './http/routes/health.ts'
import { addMetadata } from './http/routes/metadata.ts'
import { addSecureData } from './http/routes/secure-data.ts'
import { addWhoami } from './http/routes/whoami.ts'
import { type Clock, systemClock } from './token/keys/clock.ts'
import type { Trust } from './token/trust.ts'

/** What the application takes from the world outside, so that tests can give it another one. */
export interface World {
  readonly log?: FastifyBaseLogger
  readonly clock?: Clock
  readonly random?: () => number
  /** How many verified tokens are remembered; default as the plugin's. */
  readonly rememberedTokens?: number
  /** PEM of a certificate authority that is trusted beside the machine's own, for key requests. */
  readonly ca?: string
  /** Carries the server's own requests; whoever gives it closes it. Default: {@link createDispatcher}. */
  readonly dispatcher?: Connections
  /** Where people sign in when a browser can't reach the tenant itself, and who they are: the local tenant's pages. */
  readonly pages?: { readonly origin: string; readonly people: readonly DocsPerson[] }
}

const TITLE = 'protected-resource'
const VERSION = '0.1.0'
const MAX_HEADER_BYTES = 32 * 1024
const CLOSING_SWEEP_MS = 50
const REQUEST_TIMEOUT_MS = 30_000
const CONNECT_TIMEOUT_MS = 4000
const NEVER_PROXIED = ['localhost', '127.0.0.1', '[::1]', '::1']

/** One context for all connections: reading every root certificate costs tens of milliseconds. */
const trusting = (ca: string) => createSecureContext({ ca: [...rootCertificates, ca] })

/** Connections for the server's own requests: through the operator's proxy, but never to this machine. */
export async function createDispatcher(
  { proxy }: Config,
  ca: string | undefined,
): Promise<EnvHttpProxyAgent> {
  const { EnvHttpProxyAgent } = await import('undici')
  return new EnvHttpProxyAgent({
    httpProxy: proxy.http ?? '',
    httpsProxy: proxy.https ?? '',
    noProxy: [...NEVER_PROXIED, ...(proxy.no ?? '').split(',')].filter(host => host !== '').join(','),
    connect: { timeout: CONNECT_TIMEOUT_MS, ...(ca !== undefined && { secureContext: trusting(ca) }) },
  })
}

/** The logger that the configuration asks for. */
async function openLogger({ logLevel }: Config): Promise<Logger | undefined> {
  if (logLevel === 'silent') return undefined
  const { createLogger } = await import('./http/logger.ts')
  return createLogger(logLevel)
}

/** The limit that the configuration asks for; what it opens is closed with the application. */
async function limitOf(
  app: FastifyInstance,
  { rateLimitMax, redisUrl }: Config,
  clock: Clock = systemClock,
): Promise<Limit | undefined> {
  if (rateLimitMax === 0) return undefined
  const { openLimit } = await import('./http/limit.ts')
  if (redisUrl === undefined) return openLimit(app, rateLimitMax)
  const { openShared } = await import('./http/limit-shared.ts')
  const shared = openShared(redisUrl, clock, app.log)
  app.addHook('onClose', async () => shared.redis.disconnect())
  return openLimit(app, rateLimitMax, shared)
}

/** Without a client of its own the page of the description signs nobody in. */
function docsSettings(
  { entra, publicUrl, scopePrefix }: Trust,
  { docsClientId: clientId, rateLimitMax }: Config,
  pages: World['pages'],
): DocsSettings {
  const description = {
    title: TITLE,
    version: VERSION,
    publicUrl,
    authority: entra && `${entra.authority}/${entra.tenant}`,
    pages: entra && pages && `${pages.origin}/${entra.tenant}`,
    scopePrefix,
    isLimited: rateLimitMax > 0,
  }
  if (clientId === undefined || entra === undefined) return { description }
  const { origin, people } = pages ?? { origin: new URL(entra.authority).origin, people: [] }
  return { description, signIn: { clientId, origin, people } }
}

/**
 * Builds the application. What only some configurations ask for is imported where they do: a server without it starts
 * sooner, and smaller. The caller listens and closes. Throws Misconfigured when a route declares no access.
 */
export async function buildApp(config: Config, world: World = {}): Promise<FastifyInstance> {
  const answerProblem = () => app.protectedResource.answerProblem
  // Without a logger Fastify does nothing for one; a silent one costs every request.
  const ownLogger = world.log ? undefined : await openLogger(config)
  const logger = world.log ?? ownLogger
  const app: FastifyInstance = Fastify({
    ...(logger && { loggerInstance: logger }),
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: config.trustProxy.length > 0 ? [...config.trustProxy] : false,
    http: { maxHeaderSize: MAX_HEADER_BYTES, requireHostHeader: false },
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    frameworkErrors: createFrameworkErrors(answerProblem),
    clientErrorHandler: createClientErrorHandler(answerProblem, () => app.log),
  })
  // Closing runs backwards, so nothing is logged after it.
  app.addHook('onClose', async () => ownLogger?.flush())
  const ownConnections = onFirstUse(() => createDispatcher(config, world.ca))
  const dispatcher = world.dispatcher ?? ownConnections.get
  app.addHook('onClose', () => endConnections(ownConnections))
  // A client that keeps its connection would hold the end of the process until its time-out: while closing,
  // connections are ended as soon as their last answer is out.
  app.addHook('preClose', done => {
    const sweep = setInterval(() => app.server.closeIdleConnections(), CLOSING_SWEEP_MS)
    app.server.once('close', () => clearInterval(sweep))
    done()
  })

  const behindTls = config.trust.publicUrl?.startsWith('https:') === true
  const constants = {
    'x-content-type-options': 'nosniff',
    ...(behindTls && { 'strict-transport-security': 'max-age=31536000' }),
  }
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(constants)
    done()
  })

  if (config.corsOrigins.length > 0) {
    const { addCors } = await import('./http/cors.ts')
    await addCors(app, config.corsOrigins)
  }
  const limit = await limitOf(app, config, world.clock)
  const { log: _, ca: __, pages, ...outside } = world
  await app.register(protect, {
    ...config.trust,
    ...outside,
    dispatcher,
    ...(limit !== undefined && { limit }),
    logRequests: true,
    handleErrors: false,
  })
  addAnswers(app)
  await addDownstream(app, config.downstream, { ...outside, dispatcher })
  addSecureData(app)
  addWhoami(app)
  if (app.downstream.desk !== undefined) {
    const { addMe } = await import('./http/routes/me.ts')
    addMe(app)
  }
  addHealth(app)
  addMetadata(app, TITLE)
  addDocs(app, docsSettings(app.protectedResource.trust, config, pages))
  return app
}

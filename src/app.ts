/** Decides what the server is made of: configuration and the outside world in, an application out; it never listens and never reads the environment. */
import { createSecureContext, rootCertificates } from 'node:tls'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { type Dispatcher, EnvHttpProxyAgent } from 'undici'
import type { Config } from './config.ts'
import { addDownstream } from './downstream/downstream.ts'
import { addAnswers, createClientErrorHandler, createFrameworkErrors } from './http/answers.ts'
import { addCors } from './http/cors.ts'
import { addDescription } from './http/description.ts'
import { openLimit } from './http/limit.ts'
import { createLogger } from './http/log.ts'
import { type Limit, protect } from './http/protect.ts'
import { addDocs, type DocsPerson, type DocsSettings } from './http/routes/docs.ts'
import { addHealth } from './http/routes/health.ts'
import { addMe } from './http/routes/me.ts'
import { addMetadata } from './http/routes/metadata.ts'
import { addSecureData } from './http/routes/secure-data.ts'
import { addWhoami } from './http/routes/whoami.ts'
import { type Clock, systemClock } from './token/keys/clock.ts'

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
  readonly dispatcher?: Dispatcher
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
export function createDispatcher({ proxy }: Config, ca: string | undefined): EnvHttpProxyAgent {
  return new EnvHttpProxyAgent({
    httpProxy: proxy.http ?? '',
    httpsProxy: proxy.https ?? '',
    noProxy: [...NEVER_PROXIED, ...(proxy.no ?? '').split(',')].filter(host => host !== '').join(','),
    connect: { timeout: CONNECT_TIMEOUT_MS, ...(ca !== undefined && { secureContext: trusting(ca) }) },
  })
}

/** The limit that the configuration asks for; what it opens is closed with the application. */
async function limitOf(
  app: FastifyInstance,
  { rateLimitMax, redisUrl }: Config,
  clock: Clock = systemClock,
): Promise<Limit | undefined> {
  if (rateLimitMax === 0) return undefined
  if (redisUrl === undefined) return openLimit(app, rateLimitMax)
  // Not above: a server that counts for itself need not load a client of Redis.
  const { openShared } = await import('./http/limit-shared.ts')
  const shared = openShared(redisUrl, clock, app.log)
  app.addHook('onClose', async () => shared.redis.disconnect())
  return openLimit(app, rateLimitMax, shared)
}

/** Without a client of its own the page of the description signs nobody in. */
function docsSettings(
  { docsClientId: clientId }: Config,
  authority: string | undefined,
  pages: World['pages'],
): DocsSettings {
  if (clientId === undefined || authority === undefined) return { title: TITLE }
  const { origin, people } = pages ?? { origin: new URL(authority).origin, people: [] }
  return { title: TITLE, signIn: { clientId, origin, people } }
}

/** Builds the application; the caller listens and closes. Throws Misconfigured when a route declares no access. */
export async function buildApp(config: Config, world: World = {}): Promise<FastifyInstance> {
  const answerProblem = () => app.protectedResource.answerProblem
  // Without a logger Fastify does nothing for one; a silent one costs every request.
  const ownLogger = world.log || config.logLevel === 'silent' ? undefined : createLogger(config.logLevel)
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
  const ownDispatcher = world.dispatcher === undefined ? createDispatcher(config, world.ca) : undefined
  const dispatcher = world.dispatcher ?? ownDispatcher!
  app.addHook('onClose', async () => ownDispatcher?.destroy())
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

  if (config.corsOrigins.length > 0) await addCors(app, config.corsOrigins)
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
  const { trust } = app.protectedResource
  const { entra } = trust
  await addDescription(app, {
    title: TITLE,
    version: VERSION,
    publicUrl: trust.publicUrl,
    authority: entra && `${entra.authority}/${entra.tenant}`,
    pages: entra && pages && `${pages.origin}/${entra.tenant}`,
    scopePrefix: trust.scopePrefix,
    isLimited: limit !== undefined,
  })
  addSecureData(app)
  addWhoami(app)
  if (app.downstream.desk !== undefined) addMe(app)
  addHealth(app)
  addMetadata(app, TITLE)
  await addDocs(app, docsSettings(config, entra?.authority, pages))
  return app
}

/** Decides who reaches a handler: the plugin that judges each request's token and enforces its route's access before any body is read. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type Connections, endConnections, plainConnections } from '../connections.ts'
import { Denied, isRefusal, Misconfigured, type Refusal, Unavailable } from '../errors.ts'
import type { Access } from '../token/access.ts'
import { type Authenticate, createAuthenticate, type VerifySignature } from '../token/authenticate.ts'
import { createBatch } from '../token/batch.ts'
import { findCountProblems } from '../token/count.ts'
import { readCredential } from '../token/credential.ts'
import { type FindIssuer, type TrustedIssuer, trustIssuers } from '../token/issuers.ts'
import { type Clock, systemClock } from '../token/keys/clock.ts'
import type { KeyCounters } from '../token/keys/counters.ts'
import type { KeyState } from '../token/keys/source.ts'
import type { VerificationKey } from '../token/keys/usable.ts'
import { enforce, type RouteAccess } from '../token/policy.ts'
import { createRememberedTokens, REMEMBERED_TOKENS } from '../token/remembered.ts'
import { readTrust, type Trust, type TrustSettings } from '../token/trust.ts'
import { logRequest, showPath } from './log.ts'
import { type AnswerProblem, createAnswerProblem, sendProblem } from './problem.ts'
import { openKeys } from './protect-keys.ts'
import { createRouteTable, type RouteTable, routesBefore } from './protect-routes.ts'
import {
  findPermissionProblems,
  type PermissionOptions,
  readSurroundings,
  readTerms,
} from './protect-terms.ts'
import { createCheckSignature } from './verify.ts'

/**
 * Told of every judged request of a guarded route, before the route's access is asked for: the caller whose token was
 * accepted, or why none was. A refusal that it gives is answered in place of anything else.
 */
export type Limit = (
  request: FastifyRequest,
  reply: FastifyReply,
  judged: Access | Refusal,
) => Promise<Refusal | undefined> | undefined

/** Options of the plugin: the settings of {@link TrustSettings}, and what only code can give. */
export interface ProtectedResourceOptions extends TrustSettings, PermissionOptions {
  /** `realm` of every challenge. Plugin option only. Default `protected-resource`. */
  readonly realm?: string
  /** Whether requests that were not refused are logged too, one line each. Plugin option only. Default false. */
  readonly logRequests?: boolean
  /**
   * Whether `Denied` and `Unavailable` that a handler throws are answered by the plugin; false when the
   * application sets an error handler of its own on the same scope. Plugin option only. Default true.
   */
  readonly handleErrors?: boolean
  /** Turns away who calls too often; may set headers. Plugin option only. Default: nobody is counted. */
  readonly limit?: Limit
  /**
   * Carries the requests for keys: trust, proxy, connections. An undici dispatcher, or a function that gives one, which
   * is called with each request; whoever gives it closes it. Plugin option only. Default: a plain undici Agent.
   */
  readonly dispatcher?: Connections
  /** Time. Plugin option only. Default: the machine's clock. */
  readonly clock?: Clock
  /**
   * How many verified tokens are remembered for up to five minutes, so that their signatures are not checked again; 0
   * for none. What depends on time, keys and routes is decided on every request. All of them together are counted for
   * at most 2,800 bytes times this number. Plugin option only. Default 12,000, in 32 MiB.
   */
  readonly rememberedTokens?: number
  /** A number in [0, 1), for jitter. Plugin option only. Default: Math.random. */
  readonly random?: () => number
}

/** What the plugin adds to an application, for the routes that describe it. */
export interface ProtectedResource {
  readonly trust: Trust
  /** How the keys of each issuer stand. */
  readonly keys: () => readonly KeyState[]
  /** What has been counted of keys, by issuer. */
  readonly keyCounters: () => KeyCounters
  readonly answerProblem: AnswerProblem
  readonly routes: RouteTable
  readonly issuers: readonly TrustedIssuer[]
  readonly findIssuer: FindIssuer
  /** What the guard asks of a token, and of a caller on a route: for `explain`, which must not judge by rules of its own. */
  readonly authenticate: Authenticate
  readonly enforce: (access: Exclude<RouteAccess, 'public'>, caller: Access) => Refusal | undefined
  /** Turns a request away from where no guard can: error and not-found handlers. */
  readonly refuse: (
    request: FastifyRequest,
    reply: FastifyReply,
    refusal: Refusal,
    status?: number,
  ) => FastifyReply
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route asks for. A route without it keeps the application from booting. */
    access?: RouteAccess
  }
  interface FastifyRequest {
    /** The caller, on every route that is not public; null on a public route and on a request that was refused. */
    access: Access
  }
  interface FastifyInstance {
    protectedResource: ProtectedResource
  }
}

const REFUSAL = Symbol('protected-resource.refusal')
const QUERY_TOKEN = /[?&]access_token=/
type Guarded = FastifyRequest & { [REFUSAL]: Refusal | null }

/** New tokens of one turn of the event loop are checked together. */
function createVerifySignature(): VerifySignature {
  const check = createCheckSignature()
  const verify = createBatch(
    ({ key, token }: { key: VerificationKey; token: string }) => check(key, token),
    setImmediate,
  )
  return (key, token) => verify({ key, token })
}

/** `azureTenantId`, as it is called by whoever registers the plugin. */
const optionName = (setting: string): string => `option ${setting}`

/** RFC 9728 §3.1: the well-known part stands between host and path. */
export function metadataAddress(publicUrl: string): string {
  const { origin, pathname } = new URL(publicUrl)
  return `${origin}/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}`
}

async function plugin(app: FastifyInstance, options: ProtectedResourceOptions): Promise<void> {
  const trust = readTrust(options, optionName)
  const problems = [
    ...findPermissionProblems(options),
    ...findCountProblems('rememberedTokens', options.rememberedTokens, 0),
  ]
  if (!('others' in trust)) throw new Misconfigured([...trust, ...problems])
  if (problems.length > 0) throw new Misconfigured(problems)
  const ownConnections = plainConnections()
  const { clock = systemClock, random = Math.random, dispatcher = ownConnections.get } = options
  const { issuers, find: findIssuer } = trustIssuers(trust.entra, trust.others)
  const keys = openKeys(issuers, trust, { clock, random, dispatcher, log: app.log })
  const authenticate = createAuthenticate({
    findIssuer,
    keysOf: keys.of,
    verifySignature: createVerifySignature(),
    remembered: createRememberedTokens({
      maxTokens: options.rememberedTokens ?? REMEMBERED_TOKENS,
      currentSet: issuer => keys.of(issuer).current(),
      clock,
      toleranceSeconds: trust.toleranceSeconds,
    }),
    clock,
    toleranceSeconds: trust.toleranceSeconds,
  })
  const answerProblem = createAnswerProblem({
    realm: options.realm ?? 'protected-resource',
    resourceMetadata: metadataAddress(trust.publicUrl),
    scopePrefix: trust.scopePrefix,
    authority: trust.entra?.authority,
  })
  const early = routesBefore(app)
  if (early !== undefined) throw new Misconfigured([early])
  const routes = createRouteTable(readSurroundings(trust, options))
  const terms = readTerms(trust, options, clock)

  const accessOf = (request: FastifyRequest): RouteAccess | undefined => {
    if (!request.is404) return request.routeOptions.config.access
    return routes.methodsAt(request.url).isPublic ? 'public' : 'any'
  }

  const refuse: ProtectedResource['refuse'] = (request, reply, refusal, status) => {
    const guarded = request as Guarded
    guarded[REFUSAL] = refusal
    const { access } = request.routeOptions.config
    return sendProblem(reply, answerProblem(refusal, access, status))
  }

  const enforceHere: ProtectedResource['enforce'] = (access, caller) => enforce(access, caller, terms)

  /** Whose token the request carries, or why it carries none that is good. */
  const judge = (request: FastifyRequest): Access | Refusal | Promise<Access | Refusal> => {
    // C-2: not a method that we support, so it is ignored; whoever sends it should know that URLs are logged.
    if (request.url.includes('?') && QUERY_TOKEN.test(request.url))
      request.log.warn({ event: 'token_in_query', route: showPath(request.url) })
    const credential = readCredential(request.raw.rawHeaders)
    return typeof credential === 'string' ? authenticate(credential) : credential
  }

  /** Puts an access that is enough for the route on the request; why it is turned away when it is not. */
  const admit = (
    request: FastifyRequest,
    reply: FastifyReply,
    access: Exclude<RouteAccess, 'public'>,
    judged: Access | Refusal,
  ): Refusal | undefined => {
    const refusal = isRefusal(judged) ? judged : enforceHere(access, judged)
    if (refusal !== undefined) return refusal
    request.access = judged as Access
    // HTTP-6: what one caller may see, no shared cache may keep; a handler can say otherwise.
    reply.header('cache-control', 'no-store')
    return undefined
  }

  const { limit } = options
  /** The same where somebody is waited for: a signature check, a key, the place where callers are counted. */
  const admitLater = async (
    request: FastifyRequest,
    reply: FastifyReply,
    access: Exclude<RouteAccess, 'public'>,
    pending: Access | Refusal | Promise<Access | Refusal>,
  ): Promise<Refusal | undefined> => {
    const judged = await pending
    const counted = limit?.(request, reply, judged)
    // Most callers are counted at once, and whoever waits for nothing should not.
    const refusal = counted === undefined ? undefined : await counted
    return refusal ?? admit(request, reply, access, judged)
  }

  app.decorate('protectedResource', {
    trust,
    keys: keys.states,
    keyCounters: keys.counters,
    answerProblem,
    routes,
    issuers,
    findIssuer,
    authenticate,
    enforce: enforceHere,
    refuse,
  })
  // Null gives every request its final shape; the type says what a guarded handler sees.
  app.decorateRequest('access', null as unknown as Access)
  app.decorateRequest(REFUSAL, null)
  app.addHook('onRoute', route => routes.add(route))

  app.addHook('onRequest', (request, reply, done) => {
    const access = accessOf(request)
    if (access === 'public') {
      done()
      return
    }
    const answer = (refusal: Refusal | undefined): void => {
      if (refusal === undefined) done()
      else refuse(request, reply, refusal)
    }
    if (access === undefined) {
      // Reached only by a route of a scope that registered this plugin after it, where no check at boot can see it.
      answer({ code: 'internal_error', about: 'route without config.access' })
      return
    }
    const judged = judge(request)
    if (judged instanceof Promise || limit !== undefined)
      admitLater(request, reply, access, judged).then(answer, done)
    else answer(admit(request, reply, access, judged))
  })

  // Fastify's logger of an application without one has no level.
  if (app.log.level !== undefined && app.log.level !== 'silent') {
    app.addHook('onResponse', (request, reply, done) => {
      const refusal = (request as Guarded)[REFUSAL]
      if (refusal !== null || options.logRequests === true)
        logRequest(request, reply, request.access, refusal)
      done()
    })
  }

  if (options.handleErrors !== false) {
    app.setErrorHandler((error, request, reply) => {
      if (error instanceof Denied || error instanceof Unavailable)
        return refuse(request, reply, error.refusal)
      throw error
    })
  }

  app.addHook('onReady', async () => {
    routes.check()
    await keys.start()
  })
  app.addHook('onClose', async () => {
    await keys.stop()
    await endConnections(ownConnections)
  })
}

/**
 * Guards every route of the application it is registered on.
 *
 * Register it first and await it: a route says in `config: { access }` what it asks for, and one that says
 * nothing keeps the application from booting. Throws {@link Misconfigured} with every problem of the options.
 */
export const protect = fp(plugin, { name: 'protected-resource/guard', fastify: '5.x' })

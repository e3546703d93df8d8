/** Decides how a route calls another API on behalf of its caller: with an exchanged token, within a deadline, and with every failure as the right answer to the caller. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Denied, Misconfigured, type Refusal } from '../errors.ts'
import { findApiAddressProblem } from '../token/own-credential.ts'
import { handlesChallenges } from '../token/step-up.ts'
import { quote } from '../token/trust.ts'
import { readCaller } from './caller.ts'
import { withDeadline } from './deadline.ts'
import type { DownstreamDesk } from './downstream.ts'
import type { ExchangeRequest } from './exchange.ts'
import { claimsOf, findFault, unserved } from './judge-answer.ts'
import type { Answer, NoAnswer } from './send.ts'

/** Another API. */
export interface ApiOptions {
  /** Its base address, https except on loopback, for example `https://graph.microsoft.com/v1.0`. */
  readonly url: string
  /** Delegated permissions on it, all of one API: `User.Read` is Microsoft Graph's, others are named in full. */
  readonly scopes: readonly string[]
  /** For one call, from name to last byte, the exchange of the token aside. Default 10 s. */
  readonly timeoutMs?: number
}

/** One call. */
export interface ApiCall {
  /** Default `GET`. GET and HEAD are sent a second time when the first gets no answer, or a 5xx that names no time. */
  readonly method?: string
  /** Sent as JSON. */
  readonly body?: unknown
  /** Further headers; `authorization` is ours. */
  readonly headers?: Readonly<Record<string, string>>
}

/** What the other API answered, when it served the request: any status below 500 but 3xx, 401 and 429. */
export interface ApiAnswer<T> {
  readonly status: number
  /** By names in small letters. */
  readonly headers: Readonly<Record<string, string>>
  /** What was sent as JSON; undefined when nothing was. Nobody checks that it is a `T`. */
  readonly body: T | undefined
  /** The body as it came. */
  readonly text: string
}

/** An API that is called on behalf of callers. */
export interface Api {
  /**
   * Calls it. The caller's own token never leaves this server; the one it is exchanged for goes to this API only.
   *
   * @param request a request on a guarded route; its caller is a user
   * @param path below the base address, with its query, for example `/me?$select=id`
   * @throws Denied `wrong_caller_kind`, `consent_required`, `interaction_required` (401 with the claims challenge
   *   when the client has said that it can act on one)
   * @throws Unavailable `downstream_throttled`, `downstream_unavailable`: 503, with the other API's `Retry-After`
   * @throws RangeError when the path leads away from the base address
   */
  readonly call: <T>(request: FastifyRequest, path: string, call?: ApiCall) => Promise<ApiAnswer<T>>
  /** The body of a GET that is answered 200 in JSON, and `downstream_unavailable` for every other status. Throws as `call` does. */
  readonly get: <T>(request: FastifyRequest, path: string) => Promise<T>
}

const TIMEOUT_MS = 10_000
const REPEATABLE = ['GET', 'HEAD']

/** The address of a path; a path may come from a caller, and must not choose who gets the token. */
function addressOf(base: string, path: string): string {
  const { href } = new URL(base + path)
  if (path.startsWith('/') && href.startsWith(`${base}/`)) return href
  throw new RangeError(`a path that leads away from ${base}`)
}

function parse<T>({ headers, text }: Answer): T | undefined {
  if (!/^application\/(?:.+\+)?json\b/.test(headers['content-type'] ?? '')) return undefined
  try {
    return JSON.parse(text) as T
  } catch {
    return undefined
  }
}

function check({ url, scopes }: ApiOptions, desk: DownstreamDesk | undefined): DownstreamDesk {
  const problems = []
  const expected = findApiAddressProblem(url)
  if (expected !== undefined) {
    problems.push({ name: 'callOn url', found: quote(url), expected, example: 'https://orders.example.com' })
  }
  if (scopes.length === 0) {
    const example = "['https://graph.microsoft.com/User.Read']"
    problems.push({ name: 'callOn scopes', found: 'none', expected: 'the permissions to call with', example })
  }
  if (desk === undefined) {
    problems.push({
      name: 'callOn',
      found: 'no credential of this API',
      expected: 'a secret, a certificate, a federated token file or a managed identity',
      example: 'AZURE_CLIENT_SECRET, or the option azureClientSecret',
    })
  }
  if (desk === undefined || problems.length > 0) throw new Misconfigured(problems)
  return desk
}

/**
 * Makes an API callable on behalf of whoever calls this one (Entra's on-behalf-of flow):
 *
 * ```ts
 * const orders = callOn(app, { url: 'https://orders.example.com', scopes: ['api://orders/Orders.Read'] })
 * const config = { access: { scope: 'Data.Read', kind: 'user' } } as const
 * app.get('/my-orders', { config }, request => orders.get<Order[]>(request, '/orders'))
 * ```
 *
 * @param app where the plugin is registered, with a credential
 * @throws Misconfigured at once, with every problem of the options, or without a credential
 */
export function callOn(app: FastifyInstance, options: ApiOptions): Api {
  const { tokens, send, clock } = check(options, app.downstream.desk)
  const { scopes, timeoutMs = TIMEOUT_MS } = options
  const base = new URL(options.url).href.replace(/\/$/, '')

  const ask = async (exchange: ExchangeRequest, url: string, call: ApiCall): Promise<Answer> => {
    const { token } = await tokens.obtain(exchange)
    const { method = 'GET', headers = {} } = call
    const body = call.body === undefined ? undefined : JSON.stringify(call.body)
    const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])
    const sent = body === undefined ? {} : { 'content-type': 'application/json' }
    return withDeadline(clock, timeoutMs, signal =>
      send({
        method,
        url,
        headers: {
          accept: 'application/json',
          ...sent,
          ...Object.fromEntries(given),
          authorization: `Bearer ${token}`,
        },
        body,
        signal,
        repeatable: REPEATABLE.includes(method),
      }),
    ).catch((error: NoAnswer) => {
      throw unserved(base, error.message, {}, error)
    })
  }

  const call = async <T>(
    request: FastifyRequest,
    path: string,
    what: ApiCall = {},
  ): Promise<ApiAnswer<T>> => {
    const url = addressOf(base, path)
    const exchange = { ...readCaller(app, request), scopes }
    const { claims } = request.access
    let answer = await ask(exchange, url, what).catch(refuseFor(claims))
    const challenge = claimsOf(answer)
    if (answer.status === 401) tokens.forget(exchange)
    if (challenge !== undefined) {
      const strong = { ...exchange, claims: challenge }
      answer = await ask(strong, url, what).catch(refuseFor(claims, challenge))
      if (answer.status === 401) tokens.forget(strong)
    }
    const fault = findFault(answer, base, clock.now())
    if (fault !== undefined) throw fault
    return { ...answer, body: parse<T>(answer) }
  }

  return {
    call,
    get: async <T>(request: FastifyRequest, path: string) => {
      const { status, body } = await call<T>(request, path)
      if (status !== 200 || body === undefined)
        throw unserved(base, `${status} to GET${status === 200 ? ', and not JSON' : ''}`)
      return body
    },
  }
}

/**
 * Turns a refusal of the exchange into the caller's: a challenge only for a client that can act on one (ENTRA-22).
 *
 * @param asked what the other API has asked for, where the issuer itself does not say
 */
function refuseFor(claims: FastifyRequest['access']['claims'], asked?: string): (error: unknown) => never {
  return error => {
    if (!(error instanceof Denied) || error.refusal.code !== 'interaction_required') throw error
    const { stepUp, ...refusal }: Refusal = error.refusal
    const wanted = stepUp?.claims ?? asked
    const isAble = wanted !== undefined && handlesChallenges(claims)
    throw new Denied({ ...refusal, ...(isAble && { stepUp: { claims: wanted } }) })
  }
}

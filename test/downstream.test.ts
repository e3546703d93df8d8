/** Decides whether this API calls on as promised: on behalf of users only, once for many, and with every failure of others told as theirs. */
import { createPublicKey, randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { InteractionRequiredAuthError } from '@azure/msal-node'
import Fastify from 'fastify'
import { decodeJwt, importPKCS8, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { Agent } from 'undici'
import { readCertificate } from '../src/certificate.ts'
import { runToken } from '../src/cli/token.ts'
import { readConfig } from '../src/config.ts'
import { createTokenCache } from '../src/downstream/cache.ts'
import { claimsOf } from '../src/downstream/judge-answer.ts'
import { judgeExchange } from '../src/downstream/judge-exchange.ts'
import type { Seen } from '../src/downstream/msal-network.ts'
import { retryAfterOf } from '../src/downstream/send.ts'
import type { Denied, Misconfigured, Unavailable } from '../src/errors.ts'
import protectedResource, {
  type Api as Callable,
  callOn,
  type ProtectedResourceOptions,
} from '../src/index.ts'
import type { LocalTenant } from '../src/local-tenant/tenant.ts'
import { type Api, startApi, startTenant, trusting } from './helpers/api.ts'
import { parseBearer } from './helpers/challenge.ts'
import { createFakeClock } from './helpers/clock.ts'
import { createKey, startEntraIssuer, startIssuer } from './helpers/issuer.ts'

const skew = { ms: 0 }
const tenant = await startTenant(t, { now: () => Date.now() + skew.ms })
const { profile } = tenant
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const user = { access: { scope: 'Data.Read', kind: 'user' } } as const
const withSecret = { AZURE_CLIENT_SECRET: profile.api.clientSecret, GRAPH_URL: profile.graph }
const api = await startApi(t, { tenant, env: withSecret })

const exchanges = () => tenant.calls.filter(({ grantType }) => grantType === EXCHANGE)
const graphCalls = () => tenant.calls.filter(({ method }) => method === 'GET')
const strong = (context: string) => tenant.issue({ claims: { acrs: [context], xms_cc: ['cp1'] } })
/** The line of the latest refusal: what the operator reads. */
const told = ({ refusals }: Api = api) => refusals().at(-1)

/** Runs the token command as a person would. */
async function signIn(t: Test, ...args: string[]): Promise<string> {
  const cwd = t.testdir()
  const said = { out: '', err: '' }
  const code = await runToken(['interactive', '--as', 'ada', '--no-cache', ...args], {
    env: {},
    stdin: (async function* () {})(),
    cwd,
    home: cwd,
    platform: 'linux',
    localTenant: profile,
    stdout: { write: part => (said.out += part) },
    stderr: { write: part => (said.err += part) },
  })
  t.equal(code, 0, said.err)
  return said.out.trim()
}

/** Lets a service misbehave while something is done. */
async function during(t: Test, ...[service, mode, seconds]: Parameters<LocalTenant['service']>) {
  tenant.service(service, mode, seconds)
  t.teardown(() => tenant.service(service, 'ok'))
}

/** An API of somebody else, which answers as told and keeps what it was asked. */
async function startOther(t: Test) {
  const seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = []
  const next: { status: number; headers?: Record<string, string>; body?: string } = { status: 200 }
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request
    seen.push({ method, url, headers, body: await text(request) })
    const { status, headers: more = { 'content-type': 'application/json' }, body = '{"ok":true}' } = next
    response.writeHead(status, more).end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`, seen, next, server }
}

t.test('the whole chain over the wire: sign-in, /me, exchange, Graph, answer', async t => {
  const before = exchanges().length
  const token = await signIn(t)
  const answer = await api.get('/me', token)
  t.equal(answer.status, 200)
  t.strictSame(answer.json, {
    id: decodeJwt(token).oid,
    displayName: 'Ada Lovelace',
    givenName: 'Ada',
    surname: 'Lovelace',
    userPrincipalName: 'ada@local.localhost',
    mail: 'ada@local.localhost',
    jobTitle: null,
    officeLocation: null,
    mobilePhone: null,
    preferredLanguage: null,
    businessPhones: [],
  })
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.match(exchanges().at(-1), { url: `/${profile.tenantId}/oauth2/v2.0/token` })
  t.equal((await api.get('/me', token)).status, 200)
  t.equal(exchanges().length, before + 1, 'the second call uses the token of the first')
})

t.test('200 concurrent calls of one user: one exchange', async t => {
  const before = exchanges().length
  const token = tenant.issue()
  const answers = await Promise.all(Array.from({ length: 200 }, () => api.get('/me', token)))
  t.ok(answers.every(({ status }) => status === 200))
  t.equal(exchanges().length - before, 1)
})

t.test('an application: refused, nothing is exchanged', async t => {
  const before = tenant.calls.length
  const token = tenant.issue({ app: 'daemon' })
  const answer = await api.get('/me', token)
  t.match([answer.status, answer.json.code], [403, 'wrong_caller_kind'])
  t.equal((await api.get('/me')).status, 401)
  t.equal((await api.get('/me', tenant.issue({ person: 'bob' }))).json.code, 'insufficient_scope')
  t.equal(tenant.calls.length, before)
})

t.test('a guest at an API for several tenants: asked at the tenant of the token', async t => {
  const env = { ...withSecret, AZURE_TENANT_ID: 'organizations', ALLOWED_TENANTS: profile.tenantId }
  const many = await startApi(t, { tenant, env })
  const answer = await many.get('/me', tenant.issue({ person: 'gus' }))
  t.match(answer.json, { displayName: 'Gus Babbage', mail: 'gus@partner.localhost' })
  t.match(exchanges().at(-1), { url: `/${profile.tenantId}/oauth2/v2.0/token` })
})

t.test('consent is missing: 403, the log says what an administrator must do', async t => {
  tenant.graphConsent(false)
  t.teardown(() => tenant.graphConsent(true))
  const answer = await api.get('/me', await signIn(t))
  t.match([answer.status, answer.json.code], [403, 'consent_required'])
  t.match(answer.json.detail, /administrator must consent/)
  t.notMatch(answer.challenge, 'error=')
  t.match(told(), { code: 'consent_required', received: /AADSTS65001/, expected: /consent to User\.Read/ })
  tenant.graphConsent(true)
  t.equal((await api.get('/me', tenant.issue())).status, 200)
})

t.test('conditional access: a challenge, a sign-in as it says, and the answer', async t => {
  tenant.graphContext('c1')
  t.teardown(() => tenant.graphContext(undefined))
  const refused = await api.get('/me', await signIn(t))
  t.equal(refused.status, 401)
  const { error, claims } = parseBearer(refused.challenge!)
  t.equal(error, 'insufficient_claims')
  t.strictSame(JSON.parse(Buffer.from(claims!, 'base64').toString()), {
    access_token: { acrs: { essential: true, value: 'c1' } },
  })
  t.match(refused.json, { code: 'interaction_required', error: 'insufficient_claims' })
  const again = await signIn(t, '--claims', refused.challenge!)
  t.equal((await api.get('/me', again)).status, 200)

  const unable = await api.get('/me', tenant.issue())
  t.match([unable.status, unable.json.code], [403, 'interaction_required'], 'a client that can not act on it')
  t.notMatch(unable.challenge, 'claims=')
})

t.test('sessions revoked while Graph’s token is cached: Graph’s challenge reaches the client', async t => {
  const token = await signIn(t)
  t.equal((await api.get('/me', token)).status, 200)
  skew.ms += 2000
  tenant.revokeSessions('ada')
  const refused = await api.get('/me', token)
  t.equal(refused.status, 401)
  const { claims } = parseBearer(refused.challenge!)
  t.match(Buffer.from(claims!, 'base64').toString(), /"nbf":\{"essential":true,"value":"\d+"\}/)
  skew.ms += 2000
  const again = await signIn(t, '--claims', refused.challenge!)
  t.equal((await api.get('/me', again)).status, 200)
  const old = tenant.issue({ claims: { iat: 1_700_000_000 } })
  t.match((await api.get('/me', old)).json, { status: 403, code: 'interaction_required' })
  t.match(told(), { received: /AADSTS50173/ })
})

t.test('Graph in trouble: 503 with its own Retry-After, and a GET is repeated once', async t => {
  const cases = [
    ['throttled', 7, 'downstream_throttled', '7', 1],
    ['throttled', undefined, 'downstream_throttled', '30', 1],
    ['unavailable', 9, 'downstream_unavailable', '9', 1],
    ['unavailable', undefined, 'downstream_unavailable', '30', 2],
    ['redirect', undefined, 'downstream_unavailable', '30', 1],
    ['html', undefined, 'downstream_unavailable', '30', 1],
    ['huge', undefined, 'downstream_unavailable', '30', 2],
  ] as const
  for (const [mode, seconds, code, retryAfter, tries] of cases) {
    await during(t, 'graph', mode, seconds)
    const before = graphCalls().length
    const { status, json, headers, challenge } = await api.get('/me', tenant.issue())
    t.match([status, json.code, headers.get('retry-after'), challenge], [503, code, retryAfter, null], mode)
    t.equal(graphCalls().length - before, tries, `${mode}: tries`)
    t.match(told(), { code, about: profile.graph, received: String })
  }
  tenant.service('graph', 'ok')
  t.equal((await api.get('/me', tenant.issue())).status, 200)
})

t.test('the token endpoint in trouble: 503, and nobody is shut out afterwards', async t => {
  const cases = [
    ['throttled', 7, 'downstream_throttled', '7', 1],
    ['unavailable', undefined, 'downstream_unavailable', '30', 2],
    ['html', undefined, 'downstream_unavailable', '30', 1],
  ] as const
  for (const [mode, seconds, code, retryAfter, tries] of cases) {
    await during(t, 'tokens', mode, seconds)
    const before = exchanges().length
    const { status, json, headers } = await api.get('/me', tenant.issue())
    t.match([status, json.code, headers.get('retry-after')], [503, code, retryAfter], mode)
    t.equal(exchanges().length - before, tries, `${mode}: tries`)
    t.match(told(), { about: 'token endpoint' })
  }
  tenant.service('tokens', 'ok')
  t.equal((await api.get('/me', tenant.issue())).status, 200, 'msal-node remembers no failure here')
})

t.test('the tenant down: 503, whoever is known already is served from the cache again after it', async t => {
  const known = tenant.issue()
  t.equal((await api.get('/me', known)).status, 200)
  tenant.goDown()
  t.teardown(() => tenant.comeUp())
  const answer = await api.get('/me', tenant.issue())
  t.match([answer.status, answer.json.code], [503, 'downstream_unavailable'])
  t.match(told(), { about: 'token endpoint', received: /^POST https:\/\/localhost:\d+\/[^ ]+: / })
  t.equal((await api.get('/me', known)).json.code, 'downstream_unavailable', 'Graph is down with it')
  t.match(told(), { received: /^GET https:\/\/localhost:\d+\/v1\.0\/me: / })
  const before = exchanges().length
  tenant.comeUp()
  t.equal((await api.get('/me', known)).status, 200)
  t.equal(exchanges().length, before)
})

t.test('what hangs: given up at the deadline', async t => {
  const clock = createFakeClock()
  const patient = await startApi(t, { tenant, env: withSecret, world: { clock } })
  const token = tenant.issue()
  t.equal((await patient.get('/me', token)).status, 200)
  for (const service of ['graph', 'tokens'] as const) {
    await during(t, service, 'hang')
    const pending = patient.get('/me', service === 'graph' ? token : tenant.issue())
    const before = tenant.calls.length
    while (tenant.calls.length === before) await new Promise(resolve => setTimeout(resolve, 1))
    await clock.advance(10_000)
    t.match((await pending).json, { status: 503, code: 'downstream_unavailable' })
    t.match(told(patient), { received: /no complete answer within 10 s$/ })
    tenant.service(service, 'ok')
  }
})

t.test('a caller’s token at its end: what is kept never outlives it', async t => {
  const clock = createFakeClock()
  const late = await startApi(t, { tenant, env: withSecret, world: { clock } })
  const exp = Math.floor(clock.now() / 1000) + 600
  const token = tenant.issue({ claims: { exp } })
  t.equal((await late.get('/me', token)).status, 200)
  const before = exchanges().length
  await clock.advance(599_000)
  t.equal((await late.get('/me', token)).status, 200)
  t.equal(exchanges().length, before)
  // Our clock forgives a minute; the token is forgotten all the same, and the issuer says that it has expired.
  await clock.advance(10_000)
  const old = skew.ms
  skew.ms += 609_000
  t.teardown(() => {
    skew.ms = old
  })
  t.match((await late.get('/me', token)).json, { status: 401, code: 'expired' })
  t.equal(exchanges().length, before + 1)
})

t.test('a cache: keyed by all that matters, bounded, and no place for what dies at once', async t => {
  const clock = createFakeClock()
  let asked = 0
  const lifetimeMs = { value: 3_600_000 }
  const cache = createTokenCache({
    clock,
    maxEntries: 100,
    exchange: async () => {
      asked += 1
      return { token: `token-${asked}`, expiresAtMs: clock.now() + lifetimeMs.value }
    },
  })
  const request = {
    assertion: 'a',
    assertionExpiresAtMs: clock.now() + 7_200_000,
    tenant: 't',
    scopes: ['x', 'y'],
  }
  const { token } = await cache.obtain(request)
  t.equal(
    (await cache.obtain({ ...request, scopes: ['y', 'x'] })).token,
    token,
    'the order of scopes does not matter',
  )
  for (const other of [{ assertion: 'b' }, { tenant: 'u' }, { scopes: ['x'] }, { claims: '{}' }]) {
    t.not((await cache.obtain({ ...request, ...other })).token, token, JSON.stringify(other))
  }
  cache.forget(request)
  t.not((await cache.obtain(request)).token, token)
  for (let i = 0; i < 1000; i += 1) await cache.obtain({ ...request, assertion: `user-${i}` })
  t.equal(cache.counters().entries, 100)
  lifetimeMs.value = 20_000
  await cache.obtain({ ...request, assertion: 'short' })
  const before = asked
  await cache.obtain({ ...request, assertion: 'short' })
  t.equal(asked, before + 1, 'a token that is about to expire is not kept')
})

t.test('1,000 users over the wire: the cache stays within its bound', async t => {
  const dispatcher = new Agent({ connect: { ca: profile.ca } })
  t.teardown(() => dispatcher.destroy())
  const app = Fastify()
  t.teardown(() => app.close())
  const { AZURE_AUTHORITY_HOST: azureAuthorityHost } = trusting(tenant)
  await app.register(protectedResource, {
    azureAuthorityHost,
    azureTenantId: profile.tenantId,
    azureClientId: profile.api.clientId,
    azureClientSecret: profile.api.clientSecret,
    publicUrl: 'https://api.example.com',
    downstreamTokens: 100,
    dispatcher,
  })
  const graph = callOn(app, { url: profile.graph, scopes: ['User.Read'] })
  app.get('/', { config: user }, request => graph.get(request, '/me'))
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const before = exchanges().length
  for (let i = 0; i < 20; i += 1) {
    const calls = Array.from({ length: 50 }, async () => {
      const headers = { authorization: `Bearer ${tenant.issue({ claims: { sub: randomUUID() } })}` }
      const response = await fetch(origin, { headers })
      await response.text()
      return response.status
    })
    t.ok((await Promise.all(calls)).every(status => status === 200))
  }
  t.equal(exchanges().length - before, 1000)
  t.strictSame(app.downstream.desk?.tokens.counters(), { entries: 100, exchanges: 1000 })
})

t.test('somebody’s own route: three lines, and everything that the other API says', async t => {
  const other = await startOther(t)
  let orders: Callable | undefined
  const mine = await startApi(t, {
    tenant,
    env: withSecret,
    routes: app => {
      const url = `${other.url.replace('http:', 'HTTP:')}/`
      const own = callOn(app, { url, scopes: ['https://graph.microsoft.com/User.Read'] })
      orders = own
      app.get('/orders', { config: user }, async request => own.get(request, '/orders?top=5'))
      app.post('/orders', { config: user }, async request =>
        own.call(request, '/orders', {
          method: 'POST',
          body: request.body,
          headers: { 'x-trace': 'one', Authorization: 'Bearer mine' },
        }),
      )
      app.get('/path', { config: user }, async request =>
        own.call(request, (request.query as { to: string }).to),
      )
      app.get('/anybody', { config: { access: 'any' } }, async request => own.get(request, '/orders'))
      app.get('/public', { config: { access: 'public' } }, async request => own.get(request, '/orders'))
    },
  })
  const token = tenant.issue()

  t.strictSame((await mine.get('/orders', token)).json, { ok: true })
  const [first] = other.seen
  t.match(first, { method: 'GET', url: '/api/orders?top=5', headers: { accept: 'application/json' } })
  const sent = first!.headers.authorization!.replace('Bearer ', '')
  t.not(sent, token, 'the caller’s own token is not forwarded')
  t.match(decodeJwt(sent), { appid: profile.api.clientId, scp: 'User.Read' })

  const post = { method: 'POST', body: '{"name":"x"}', headers: { 'content-type': 'application/json' } }
  other.next.status = 201
  t.match((await mine.get('/orders', token, post)).json, { status: 201, body: { ok: true } })
  t.match(other.seen.at(-1), {
    method: 'POST',
    body: '{"name":"x"}',
    headers: { 'content-type': 'application/json', 'x-trace': 'one', authorization: `Bearer ${sent}` },
  })
  other.next.status = 503
  const before = other.seen.length
  t.equal((await mine.get('/orders', token, post)).status, 503)
  t.equal(other.seen.length, before + 1, 'a POST is not repeated')

  other.next.status = 404
  t.match((await mine.get('/path?to=/orders', token)).json, { status: 404, body: { ok: true } })
  t.match((await mine.get('/orders', token)).json, { status: 503, code: 'downstream_unavailable' })
  t.match(told(mine), { about: other.url, received: '404 to GET' })
  Object.assign(other.next, { status: 204, body: '' })
  t.match((await mine.get('/path?to=/orders', token)).json, { status: 204 })
  t.equal((await mine.get('/orders', token)).status, 503, 'get has nothing to give')
  for (const [type, body] of [
    ['application/problem+json', '{"ok":true}'],
    ['application/json', '{'],
    ['text/plain', '{}'],
    ['', '{}'],
  ] as const) {
    Object.assign(other.next, { status: 200, body, headers: type === '' ? {} : { 'content-type': type } })
    const { json } = await mine.get('/path?to=/x', token)
    t.strictSame([json.body, json.text], [type.includes('+') ? { ok: true } : undefined, body], type)
  }
  t.equal((await mine.get('/orders', token)).status, 503, 'get gives JSON or nothing')
  t.match(told(mine), { received: '200 to GET, and not JSON' })

  const count = other.seen.length
  for (const to of ['@evil.example/', '/../../admin', '/%2e%2e/admin', 'orders']) {
    const path = `/path?to=${encodeURIComponent(to)}`
    t.equal((await mine.get(path, token)).status, 500, to)
  }
  t.equal(other.seen.length, count, 'a path that leads elsewhere reaches nobody')

  t.match((await mine.get('/anybody', tenant.issue({ app: 'daemon' }))).json, { code: 'wrong_caller_kind' })
  t.equal((await mine.get('/public', token)).status, 500)
  t.type(orders?.call, 'function')
})

t.test('an API that does not take the token: 503, and the next call brings another', async t => {
  const other = await startOther(t)
  const mine = await startApi(t, {
    tenant,
    env: withSecret,
    routes: app => {
      const own = callOn(app, { url: other.url, scopes: ['User.Read'] })
      app.get('/orders', { config: user }, async request => own.get(request, '/orders'))
    },
  })
  const token = strong('c2')
  const count = () => [exchanges().length, other.seen.length] as const
  other.next.status = 401
  let [exchanged, asked] = count()
  const refused = await mine.get('/orders', token)
  t.match([refused.status, refused.json.code, refused.challenge], [503, 'downstream_unavailable', null])
  t.match(told(mine), { about: other.url, received: '401', expected: String })
  t.strictSame(count(), [exchanged + 1, asked + 1])
  other.next.status = 200
  t.equal((await mine.get('/orders', token)).status, 200)
  t.strictSame(count(), [exchanged + 2, asked + 2], 'a token that was refused is not used again')

  const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: 'c2' } } })
  const header = `Bearer realm="", error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`
  Object.assign(other.next, { status: 401, headers: { 'www-authenticate': header } })
  ;[exchanged, asked] = count()
  t.equal(
    (await mine.get('/orders', token)).status,
    503,
    'asked again with a token that has what was asked for',
  )
  t.strictSame(count(), [exchanged + 1, asked + 2])
  t.equal((await mine.get('/orders', token)).status, 503)
  t.strictSame(count(), [exchanged + 3, asked + 4], 'neither of the two is used again')

  const weak = await mine.get('/orders', tenant.issue({ claims: { xms_cc: 'CP1' } }))
  t.match([weak.status, weak.json.code], [401, 'interaction_required'])
  t.equal(Buffer.from(parseBearer(weak.challenge!).claims!, 'base64').toString(), claims)
  t.match((await mine.get('/orders', tenant.issue())).json, { status: 403, code: 'interaction_required' })
})

t.test('what other APIs write into headers: read as far as it can be', t => {
  const answer = (status: number, headers: Record<string, string>) => ({ status, headers, text: '' })
  const challenge = (value: string) => claimsOf(answer(401, { 'www-authenticate': value }))
  t.equal(challenge('Bearer claims="e30="'), '{}')
  t.equal(challenge('Bearer error="x",claims="e30"'), '{}')
  for (const value of ['Bearer', 'Bearer claims="!"', 'Bearer xclaims="e30="', 'Bearer claims="eyJ9"']) {
    t.equal(challenge(value), undefined, value)
  }
  t.equal(claimsOf(answer(401, {})), undefined)
  t.equal(claimsOf(answer(403, { 'www-authenticate': 'Bearer claims="e30="' })), undefined)

  const now = Date.parse('2026-11-24T00:00:00Z')
  const after = (value: string) => retryAfterOf(answer(503, { 'retry-after': value }), now)
  t.equal(after('7'), 7)
  t.equal(after('Tue, 24 Nov 2026 00:00:30 GMT'), 30)
  t.equal(after('Mon, 23 Nov 2026 00:00:30 GMT'), 0)
  t.equal(after('soon'), undefined)
  t.end()
})

t.test('a user of another issuer: nobody exchanges their token', async t => {
  const other = await startIssuer(t, { keys: [createKey('ES256')], audience: profile.api.clientId })
  const both = await startApi(t, {
    tenant,
    env: { ...withSecret, ISSUERS: other.issuer, AUDIENCE: profile.api.clientId },
  })
  const before = tenant.calls.length
  const token = other.issue({ claims: { tid: profile.tenantId } })
  const answer = await both.get('/me', token)
  t.match([answer.status, answer.json.code], [403, 'wrong_caller_kind'])
  t.match(told(both), { about: 'iss' })
  t.equal(tenant.calls.length, before)
})

t.test('a Graph that answers with something else: 503', async t => {
  const other = await startOther(t)
  const mine = await startApi(t, { tenant, env: { ...withSecret, GRAPH_URL: other.url } })
  t.match((await mine.get('/me', tenant.issue())).json, { status: 503, code: 'downstream_unavailable' })
  t.match(told(mine), { about: other.url, received: 'an answer that is no profile' })
})

t.test('what an issuer may answer to an exchange: whose fault each is', t => {
  const facts = { credential: 'AZURE_CLIENT_SECRET', scopes: ['x'], assertionExpiresAtMs: 1, nowMs: 0 }
  const judge = (status: number, body: Seen['body'], error: Error = new Error('x')) => {
    const seen = { answer: { status, headers: {}, text: '' }, ...(body !== undefined && { body }) }
    return (judgeExchange(error, seen, facts) as Denied | Unavailable).refusal
  }
  const interaction = new InteractionRequiredAuthError('interaction_required', '', '')
  const word = 'x'.repeat(200)
  const cases: [ReturnType<typeof judge>, object][] = [
    [judge(400, { error: 'consent_required' }), { code: 'consent_required' }],
    [judge(400, { error: 'interaction_required', claims: '{}' }, interaction), { stepUp: { claims: '{}' } }],
    [judge(400, { error: 'interaction_required', claims: '' }, interaction), { stepUp: undefined }],
    [judge(400, { error: 'interaction_required', claims: 7 }, interaction), { stepUp: undefined }],
    [judge(400, { error: 'invalid_grant' }), { code: 'downstream_unavailable', about: 'token endpoint' }],
    [judge(400, { error: 'invalid_grant', error_codes: [1] }), { expected: /see README/ }],
    [
      judge(400, { error: word, error_codes: [word] }),
      { received: `400 ${word.slice(0, 100)}, AADSTS${word.slice(0, 10)}` },
    ],
    [judge(400, { error: {} }), { received: '400' }],
    [judge(200, undefined), { received: '200' }],
    [(judgeExchange(new Error('x'), {}, facts) as Unavailable).refusal, { about: 'AZURE_CLIENT_SECRET' }],
  ]
  for (const [refusal, expected] of cases) t.match(refusal, expected)
  t.end()
})

t.test('a file with a certificate: what it must hold', async t => {
  const { certificate, privateKey } = tenant.daemonCertificate
  const other = createKey('RS256').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const folder = t.testdir()
  const read = async (content: string) => {
    await writeFile(join(folder, 'api.pem'), content)
    return readCertificate(join(folder, 'api.pem'), 'NAME')
  }
  t.match(await read(`${privateKey}\n${profile.ca}\n${certificate}`), { x5c: /^-----BEGIN/ })
  const broken = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----'
  const cases = [
    ['', 'no certificate'],
    [certificate, 'no private key without a pass phrase'],
    [certificate + broken, 'a key or certificate that does not parse'],
    [certificate + other, 'no certificate that belongs to the private key'],
  ] as const
  for (const [content, found] of cases) await t.rejects(read(content), new RegExp(`NAME: found ${found} at `))
})

t.test('a plain-http authority: /me is 503, and the log says why', async t => {
  const plain = await startEntraIssuer(t, {
    tenant: randomUUID(),
    audience: profile.api.clientId,
    key: createKey('RS256'),
  })
  const near = await startApi(t, {
    tenant,
    env: { ...withSecret, AZURE_AUTHORITY_HOST: plain.origin, AZURE_TENANT_ID: plain.tenant },
  })
  t.equal(near.app.downstream.state, 'off, the authority is plain http')
  t.match((await near.get('/me', plain.issue())).json, { status: 503, code: 'downstream_unavailable' })
  t.match(told(near), { about: 'AZURE_AUTHORITY_HOST', received: plain.origin, expected: /https/ })
})

t.test('without a credential: no /me, and callOn says what is missing', async t => {
  const none = await startApi(t, { tenant })
  t.equal(none.app.downstream.state, 'off, no credential is configured')
  t.match((await none.get('/me', tenant.issue())).json, { status: 404, code: 'not_found' })
  const act = (options: Parameters<typeof callOn>[1]) => () => callOn(none.app, options)
  t.throws(act({ url: 'https://orders.example', scopes: ['x'] }), /callOn: found no credential/)
  t.throws(
    act({ url: 'http://user:secret@orders.example', scopes: [] }),
    /^3 configuration problems:\n {2}callOn url: [^\n]*\n {2}callOn scopes: [^\n]*\n {2}callOn: /,
  )
  t.throws(() => callOn(api.app, { url: 'https://a@b.example', scopes: ['x'] }), /without a user name/)
})

t.test(
  'the other credentials of the API: each is as good as the secret, and its faults are ours',
  async t => {
    const { certificate, privateKey } = tenant.daemonCertificate
    const folder = t.testdir({ 'api.pem': `${certificate}\n${privateKey}`, token: 'nonsense' })
    const [pem, tokenFile] = [join(folder, 'api.pem'), join(folder, 'token')]
    const key = await importPKCS8(privateKey, 'RS256')
    const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
    const vouch = (issuer: string, subject: string) =>
      new SignJWT({ iss: issuer, sub: subject, aud: 'api://AzureADTokenExchange' })
        .setProtectedHeader({ alg: 'RS256' })
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(key)
    const start = (env: Record<string, string>) =>
      startApi(t, { tenant, env: { GRAPH_URL: profile.graph, ...env } })
    const ask = async (mine: Api) => (await mine.get('/me', tenant.issue())).status

    await t.test('a wrong secret', async t => {
      const mine = await start({ AZURE_CLIENT_SECRET: 'not~the~secret' })
      t.equal(await ask(mine), 503)
      t.match(told(mine), {
        code: 'downstream_unavailable',
        about: 'AZURE_CLIENT_SECRET',
        received: /^401 invalid_client, AADSTS7000215, correlation id /,
        expected: /value of the secret, not its id/,
      })
      t.notOk(mine.lines.some(line => JSON.stringify(line).includes('not~the~secret')))
    })

    await t.test('a certificate', async t => {
      const mine = await start({ AZURE_CLIENT_CERTIFICATE_PATH: pem })
      t.equal(mine.app.downstream.state, 'certificate')
      t.equal(await ask(mine), 503, 'that the registration does not have')
      t.match(told(mine), {
        about: 'AZURE_CLIENT_CERTIFICATE_PATH',
        expected: /certificate that the registration has/,
      })
      tenant.addCredential('api', { certificate })
      t.equal(await ask(mine), 200)
      await writeFile(pem, 'renewed badly')
      t.equal(await ask(mine), 503)
      t.match(told(mine), { received: `no certificate at ${pem}`, expected: /PEM file/ })
    })

    await t.test('a federated token, renewed by the platform', async t => {
      const mine = await start({ AZURE_FEDERATED_TOKEN_FILE: tokenFile })
      tenant.addCredential('api', { issuer: 'https://cluster.example', subject: 'system:sa', publicKey })
      await writeFile(tokenFile, `${await vouch('https://cluster.example', 'system:other')}\n`)
      t.equal(await ask(mine), 503)
      t.match(told(mine), {
        about: 'AZURE_FEDERATED_TOKEN_FILE',
        received: /AADSTS700213/,
        expected: /federated/,
      })
      await writeFile(tokenFile, `${await vouch('https://cluster.example', 'system:sa')}\n`)
      t.equal(await ask(mine), 200)
      await writeFile(tokenFile, '')
      t.equal(await ask(mine), 503, 'an empty file')
      const gone = await start({ AZURE_FEDERATED_TOKEN_FILE: pem })
      await rm(pem)
      t.equal(await ask(gone), 503)
      t.match(told(gone), { received: `ENOENT at ${pem}` })
    })

    await t.test('a managed identity, by the endpoint of App Service', async t => {
      const platform = await startOther(t)
      const [clientId, objectId] = [randomUUID(), randomUUID()]
      // msal-node reads these once in the life of a process.
      process.env.IDENTITY_ENDPOINT = `${platform.url}/token`
      process.env.IDENTITY_HEADER = 'platform-secret'
      const issuer = `https://login.microsoftonline.com/${profile.tenantId}/v2.0`
      tenant.addCredential('api', { issuer, subject: objectId, publicKey })
      const mine = await start({ AZURE_MANAGED_IDENTITY_CLIENT_ID: clientId })
      t.equal(mine.app.downstream.state, 'managed identity')

      const { port } = platform.server.address() as AddressInfo
      await new Promise(resolve => platform.server.close(resolve))
      t.equal(await ask(mine), 503)
      t.match(told(mine), {
        about: 'AZURE_MANAGED_IDENTITY_CLIENT_ID',
        received: /^GET http:\/\/127\.0\.0\.1:\d+\/api\/token: .*ECONNREFUSED/,
        expected: /user-assigned managed identity/,
      })
      await new Promise<void>(resolve => platform.server.listen(port, '127.0.0.1', resolve))
      platform.next.status = 400
      platform.next.body = '{"error":{"code":"identity_not_found","message":"none"}}'
      t.equal(await ask(mine), 503)
      t.match(told(mine), {
        about: 'AZURE_MANAGED_IDENTITY_CLIENT_ID',
        received: /^identity_not_found/,
      })
      Object.assign(platform.next, { status: 200, body: '{}' })
      t.equal(await ask(mine), 503)
      t.match(told(mine), { received: 'no token in the answer' })
      platform.next.body = JSON.stringify({
        access_token: await vouch(issuer, objectId),
        expires_on: String(Math.floor(Date.now() / 1000) + 3600),
        resource: 'api://AzureADTokenExchange',
        token_type: 'Bearer',
      })
      const calls = platform.seen.length
      t.strictSame(await Promise.all([ask(mine), ask(mine), ask(mine)]), [200, 200, 200])
      t.equal(platform.seen.length, calls + 1, 'one request for all')
      const { url, headers } = platform.seen.at(-1)!
      const query = new URL(url, platform.url).searchParams
      t.match([query.get('resource'), query.get('client_id')], ['api://AzureADTokenExchange', clientId])
      t.equal(headers['x-identity-header'], 'platform-secret')
    })
  },
)

t.test('configuration: every problem at once, and no secret in it', t => {
  const id = randomUUID()
  const registered = { AZURE_TENANT_ID: id, AZURE_CLIENT_ID: id }
  const problemsOf = (env: Record<string, string>) => {
    try {
      return readConfig(env).downstream
    } catch (error) {
      t.notMatch((error as Error).message, 's3cret')
      return (error as Misconfigured).problems.map(({ name, found }) => `${name}: ${found}`)
    }
  }
  t.strictSame(
    problemsOf({
      ...registered,
      AZURE_CLIENT_SECRET: 's3cret',
      AZURE_CLIENT_CERTIFICATE_PATH: '/nowhere/api.pem',
      AZURE_FEDERATED_TOKEN_FILE: '/nowhere/token',
      AZURE_MANAGED_IDENTITY_CLIENT_ID: 's3cret',
      GRAPH_URL: 'http://graph.example/v1.0',
    }),
    [
      'AZURE_CLIENT_SECRET: a value, and AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE and AZURE_MANAGED_IDENTITY_CLIENT_ID too',
      'AZURE_CLIENT_CERTIFICATE_PATH: ENOENT at /nowhere/api.pem',
      'AZURE_FEDERATED_TOKEN_FILE: ENOENT at /nowhere/token',
      'AZURE_MANAGED_IDENTITY_CLIENT_ID: no GUID',
      'GRAPH_URL: "http://graph.example/v1.0"',
    ],
  )
  t.match(problemsOf({ ISSUERS: 'https://issuer.example', AUDIENCE: 'x', AZURE_CLIENT_SECRET: 's3cret' }), [
    /^AZURE_CLIENT_ID: AZURE_CLIENT_SECRET without the tenant/,
  ])
  for (const url of [
    'nonsense',
    'ftp://graph.example',
    'https://u:s3cret@graph.example',
    'https://g.example?x',
  ]) {
    t.match(problemsOf({ ...registered, GRAPH_URL: url }), [/^GRAPH_URL: /], url)
  }
  t.match(
    problemsOf({ ...registered, AZURE_CLIENT_SECRET: 's3cret', GRAPH_URL: 'http://127.0.0.1:1/v1.0/' }),
    {
      credential: { name: 'AZURE_CLIENT_SECRET', kind: 'secret' },
      clientId: id,
      graphUrl: 'http://127.0.0.1:1/v1.0',
    },
  )
  t.match(problemsOf(registered), { credential: undefined, graphUrl: 'https://graph.microsoft.com/v1.0' })
  t.end()
})

t.test('the plugin: the same settings as options, with all their problems at once', async t => {
  const register = async (options: ProtectedResourceOptions) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(protectedResource, options)
    return app
  }
  const id = randomUUID()
  const good = { azureTenantId: id, azureClientId: id, publicUrl: 'https://api.example.com' }
  await t.rejects(register({ publicUrl: 'x', graphUrl: 'x' }), /option publicUrl.*option graphUrl/s)
  await t.rejects(register({ ...good, graphUrl: 'x' }), /^1 configuration problem:\n {2}option graphUrl: /)
  await t.rejects(register({ ...good, azureTenantId: 7 as never }), TypeError)
  const app = await register({ ...good, azureClientSecret: 'x' })
  t.equal(app.downstream.state, 'secret')
  t.equal((await register(good)).downstream.desk, undefined)
})

t.test('nothing of this stands in a log: no token, no secret', t => {
  const log = JSON.stringify(api.lines)
  t.notMatch(log, profile.api.clientSecret!)
  t.notMatch(log, /ey[A-Za-z0-9_-]{8,}\./)
  t.ok(api.lines.length > 200)
  t.end()
})

/** The plugin: what it asks of routes, what it puts on requests, and what it refuses to boot with. */
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Agent } from 'undici'
import { endConnections, plainConnections } from '../src/connections.ts'
import { createCheckSignature } from '../src/http/verify.ts'
import protectedResource, { Denied, Misconfigured, type RouteAccess, Unavailable } from '../src/index.ts'
import { judgeKey } from '../src/token/keys/usable.ts'
import { pluginOptions, startApi, startTenant } from './helpers/api.ts'
import { createKey, startIssuer } from './helpers/issuer.ts'

const tenant = await startTenant(t)
const { profile } = tenant
const OPTIONS = pluginOptions(t, tenant)

/** Somebody's own API with the plugin in it. */
async function own(
  t: Test,
  routes: (app: FastifyInstance) => unknown,
  options = OPTIONS,
): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(protectedResource, options)
  await routes(app)
  await app.ready()
  while (app.protectedResource.keys().some(({ state }) => state === 'missing')) {
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  return app
}

const bearing = (token: string) => ({ authorization: `Bearer ${token}` })

t.test(
  'the server of this package: a user with the scope and an application with the role are greeted',
  async t => {
    const api = await startApi(t, { tenant })
    const ada = await api.get('/secure-data', tenant.issue({ person: 'ada' }))
    t.match(ada, { status: 200, json: { message: 'Hello Ada Lovelace, this is protected data.' } })
    const daemon = await api.get('/secure-data', tenant.issue({ app: 'daemon', version: 1 }))
    t.match(daemon, { status: 200, json: { message: /^Hello .+, this is protected data\.$/ } })
    t.match(await api.get('/secure-data', tenant.issue({ person: 'bob' })), {
      status: 403,
      json: { code: 'insufficient_scope' },
    })
    const plain = tenant.issue({ app: 'daemonWithoutRole' })
    t.match(await api.get('/secure-data', plain), { status: 403, json: { code: 'no_permissions' } })
    t.equal(api.refusals().length, 2)
  },
)

t.test('a handler: sees who is calling, and can change nothing of it', async t => {
  const app = await own(t, app => {
    app.get('/me', { config: { access: 'any' } }, async ({ access }) => {
      t.throws(() => Object.assign(access, { name: 'x' }))
      t.throws(() => Object.assign(access.claims, { name: 'x' }))
      t.throws(() => (access.scopes as string[]).push('x'))
      return { ...access, claims: undefined }
    })
  })
  const response = await app.inject({ url: '/me', headers: bearing(tenant.issue({ person: 'gus' })) })
  t.match(response.json(), {
    kind: 'user',
    tenant: profile.tenantId,
    client: profile.publicClient.clientId,
    scopes: ['Data.Read'],
    roles: [],
    name: /.+/,
    issuer: `${profile.authority}/${profile.tenantId}/v2.0`,
  })
  t.equal(response.headers['cache-control'], 'no-store')
})

t.test(
  'routes that say nothing, or nothing that can be enforced: the application refuses to boot and names them',
  async t => {
    const refused: readonly unknown[] = [
      undefined,
      null,
      {},
      [],
      'public ',
      { scopes: 'Data.Read' },
      { scope: '' },
      { scope: [] },
      { scope: 'a b' },
      { scope: { any: [] } },
      { scope: 'a"b' },
      { role: 7 },
      { scope: 'Data.Read', role: null },
      () => true,
    ]
    for (const access of refused) {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(protectedResource, OPTIONS)
      const config = access === undefined ? {} : { access: access as RouteAccess }
      app.get('/orders', { config }, async () => 'x')
      app.get('/open', { config: { access: 'public' } }, async () => 'x')
      await t.rejects(
        async () => app.ready(),
        { name: 'Misconfigured', message: /access of GET \/orders/ },
        String(JSON.stringify(access)),
      )
    }
  },
)

t.test('several such routes: all named at once, HEAD included', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(protectedResource, OPTIONS)
  app.post('/a', async () => 'x')
  app.register(async scope => {
    scope.get('/b', async () => 'x')
  })
  const error = await app.ready().then(
    () => undefined,
    (cause: unknown) => cause,
  )
  t.type(error, Misconfigured)
  t.match(
    (error as Misconfigured).problems.map(({ name }) => name),
    ['access of POST /a', 'access of GET /b', 'access of HEAD /b'],
  )
})

t.test('routes before the plugin: it refuses to boot and says how to register it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/early', async () => 'x')
  await t.rejects(async () => app.register(protectedResource, OPTIONS), {
    message: /routes registered before protected-resource: found \/early \(GET, HEAD\)/,
  })
})

t.test(
  'a scope of an application: guarded alone, and a route before the plugin in it is never served',
  async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    app.get('/health', async () => 'fine')
    app.register(async scope => {
      scope.get('/early', async () => 'never')
      await scope.register(protectedResource, OPTIONS)
      scope.get('/orders', { config: { access: 'any' } }, async () => 'x')
    })
    await app.ready()
    t.equal((await app.inject('/health')).body, 'fine')
    t.equal((await app.inject('/orders')).statusCode, 401)
    t.match((await app.inject('/early')).json(), { status: 500, code: 'internal_error' })
  },
)

t.test(
  'options that make no resource server: every problem at once, by the names of the options',
  async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    const error = await app.register(protectedResource, {}).then(
      () => undefined,
      (cause: unknown) => cause,
    )
    t.match(
      (error as Misconfigured).problems.map(({ name }) => name),
      ['option azureTenantId', 'option audience', 'option publicUrl'],
    )
  },
)

t.test('policies of several names: all of a list, any of a set', async t => {
  const app = await own(t, app => {
    const add = (url: string, access: RouteAccess) => app.get(url, { config: { access } }, async () => 'x')
    add('/all', { scope: ['A', 'B'] })
    add('/any', { scope: { any: ['A', 'B'] } })
    add('/roles', { role: ['R', 'S'] })
  })
  const status = async (url: string, options: Parameters<typeof tenant.issue>[0]) =>
    (await app.inject({ url, headers: bearing(tenant.issue(options)) })).statusCode
  t.equal(await status('/all', { scopes: ['A', 'B', 'C'] }), 200)
  t.equal(await status('/all', { scopes: ['A'] }), 403)
  t.equal(await status('/any', { scopes: ['B'] }), 200)
  t.equal(await status('/any', { scopes: ['C'] }), 403)
  t.equal(await status('/roles', { app: 'daemon', roles: ['R', 'S'] }), 200)
  t.equal(await status('/roles', { app: 'daemon', roles: ['R'] }), 403)
  t.equal(await status('/roles', { scopes: ['R', 'S'], roles: ['R', 'S'] }), 403, 'roles of a user')
  t.equal(
    await status('/all', { app: 'daemon', roles: ['A', 'B'] }),
    403,
    'an application at a door for users',
  )
})

t.test(
  'faults that a handler throws: answered as what they are; other errors stay the application’s own',
  async t => {
    const app = await own(t, app => {
      const config = { access: 'any' as const }
      app.get('/denied', { config }, async () => {
        throw new Denied({ code: 'insufficient_group' })
      })
      app.get('/down', { config }, async () => {
        throw new Unavailable('no Graph', { code: 'downstream_unavailable', retryAfterSeconds: 7 })
      })
      app.get('/bug', { config }, async () => {
        throw new Error('mine')
      })
    })
    const headers = bearing(tenant.issue())
    t.match((await app.inject({ url: '/denied', headers })).json(), {
      status: 403,
      code: 'insufficient_group',
    })
    t.match(await app.inject({ url: '/down', headers }), { statusCode: 503, headers: { 'retry-after': '7' } })
    t.match((await app.inject({ url: '/bug', headers })).json(), { statusCode: 500, message: 'mine' })
  },
)

t.test('an application with its own error handler: it gets the faults', async t => {
  const app = await own(
    t,
    app => {
      app.setErrorHandler((error: Error, _request, reply) => reply.code(418).send({ name: error.name }))
      app.get('/denied', { config: { access: 'public' } }, async () => {
        throw new Denied({ code: 'revoked' })
      })
    },
    { ...OPTIONS, handleErrors: false },
  )
  t.match(await app.inject('/denied'), { statusCode: 418, body: '{"name":"Denied"}' })
})

t.test('the metadata document: served by the plugin, with the scopes of the routes', async t => {
  const app = await own(
    t,
    app => app.get('/orders', { config: { access: { scope: 'Orders.Read' } } }, async () => 'x'),
    { ...OPTIONS, resourceName: 'Orders' },
  )
  t.match((await app.inject('/.well-known/oauth-protected-resource')).json(), {
    resource: 'https://api.example.com',
    resource_name: 'Orders',
    scopes_supported: [`api://${profile.api.clientId}/Orders.Read`],
  })
})

t.test('a path with two versions: each asks for its own, and the path is listed once', async t => {
  const app = await own(t, app => {
    const add = (version: string, access: RouteAccess) =>
      app.get('/orders', { constraints: { version }, config: { access } }, async () => version)
    add('1.0.0', { scope: 'A' })
    add('2.0.0', { scope: 'B' })
  })
  const status = async (version: string, scope: string) => {
    const headers = { ...bearing(tenant.issue({ scopes: [scope] })), 'accept-version': version }
    return (await app.inject({ url: '/orders', headers })).statusCode
  }
  t.equal(await status('1.0.0', 'A'), 200)
  t.equal(await status('2.0.0', 'A'), 403)
  t.equal(await status('2.0.0', 'B'), 200)
  t.strictSame(app.protectedResource.routes.methodsAt('/orders'), {
    methods: ['GET', 'HEAD'],
    isPublic: false,
  })
})

t.test('without a dispatcher: the plugin opens connections of its own, and closes them', async t => {
  const audience = 'api://orders'
  const issuer = await startIssuer(t, { keys: [createKey('RS256')], audience })
  const app = await own(t, app => app.get('/orders', { config: { access: 'any' } }, async () => 'x'), {
    issuers: [issuer.issuer],
    audience: [audience],
    publicUrl: 'https://api.example.com',
  })
  t.equal((await app.inject({ url: '/orders', headers: bearing(issuer.issue()) })).statusCode, 200)
})

t.test('connections that are opened late', async t => {
  const audience = 'api://orders'
  const issuer = await startIssuer(t, { keys: [createKey('RS256')], audience })
  const options = { issuers: [issuer.issuer], audience: [audience], publicUrl: 'https://api.example.com' }
  const ask = async (t: Test, dispatcher: () => Promise<Agent>): Promise<number> => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(protectedResource, { ...options, dispatcher })
    app.get('/orders', { config: { access: 'any' } }, async () => 'x')
    const { statusCode } = await app.inject({ url: '/orders', headers: bearing(issuer.issue()) })
    await app.close()
    return statusCode
  }

  await t.test('by a function of the application: asked for them, and left to close them', async t => {
    const agent = new Agent()
    t.teardown(() => agent.destroy())
    t.equal(await ask(t, async () => agent), 200)
    t.notOk(agent.destroyed)
  })

  await t.test('they can not be opened: no keys, which is our own fault', async t => {
    t.equal(await ask(t, () => Promise.reject(new Error('no network'))), 503)
  })

  await t.test('closed while they are being opened: closed then; never opened: nothing to close', async t => {
    const opening = plainConnections()
    const agent = opening.get()
    await endConnections(opening)
    t.ok((await agent).destroyed)
    const unused = plainConnections()
    await endConnections(unused)
    t.equal(unused.made(), undefined)
  })
})

t.test('a signature check that can not be made: thrown, for it says nothing about the token', async t => {
  const key = judgeKey(createKey('RS256').jwk, ['RS256'])
  if ('reason' in key) throw new Error(key.reason)
  const verify = createCheckSignature()
  t.equal(await verify(key, 'no token'), false)
  t.throws(() => verify(key, ''), { code: 'ERR_ASSERTION' }, 'no token reaches the check empty')
})

t.test('a token in the query: ignored, and the log says that it was there', async t => {
  const api = await startApi(t, { tenant })
  t.equal((await api.get(`/whoami?access_token=${tenant.issue()}`)).status, 401)
  t.match(
    api.lines.filter(({ event }) => event === 'token_in_query'),
    [{ level: 40, route: '/whoami' }],
  )
})

t.test('a request without Host, and one with an unknown expectation: answered by us', async t => {
  const api = await startApi(t, { tenant })
  const missing = await api.raw('GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n')
  t.match(missing, /^HTTP\/1\.1 400 [\s\S]*"code":"bad_request"/)
  t.match(await api.raw('GET /livez HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200/)
  t.match(
    await api.raw('GET /livez HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1\.1 200/,
  )
})

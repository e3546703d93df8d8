/** RFC 9728: what a client learns of this API before it has a token, and how a refusal leads it there. */
import t, { type Test } from 'tap'
import type { LocalTenant } from '../src/local-tenant/tenant.ts'
import { type Answer, type Api, type ApiOptions, startApi, startTenant } from './helpers/api.ts'
import { parseBearer } from './helpers/challenge.ts'

const WELL_KNOWN = '/.well-known/oauth-protected-resource'

/** RFC 9728 §3.1, written once more from its text: the well-known string goes between host and path. */
function documentUrl(resource: string): string {
  const [, host, path] = /^(https?:\/\/[^/]+)\/?(.*)$/.exec(resource)!
  return `${host}${WELL_KNOWN}${path === '' ? '' : `/${path}`}`
}

/** The media type, without parameters. */
const typeOf = (answer: Answer): string | undefined => answer.headers.get('content-type')?.split(';')[0]

/** Asks the server for an absolute address of its public origin, as a proxy in front of it would. */
function follow(api: Api, address: string, publicOrigin: string): Promise<Answer> {
  if (!address.startsWith(`${publicOrigin}/`)) throw new Error(`${address} is not of ${publicOrigin}`)
  return api.get(address.slice(publicOrigin.length))
}

t.test('RFC 9728', async t => {
  const tenant = await startTenant(t)
  const { profile } = tenant
  const start = (t: Test, options: ApiOptions = {}) =>
    startApi(t, { tenant, waitForKeys: false, ...options } satisfies ApiOptions & { tenant: LocalTenant })

  t.test('PRM-1 PRM-2 PRM-3 PRM-4: an origin as resource; the whole document', async t => {
    const api = await start(t)
    const answer = await api.get(WELL_KNOWN)
    t.equal(answer.status, 200, 'without a token')
    t.equal(typeOf(answer), 'application/json')
    t.same(answer.json, {
      resource: 'https://api.example.com',
      resource_name: 'protected-resource',
      authorization_servers: [`${profile.authority}/${profile.tenantId}/v2.0`],
      bearer_methods_supported: ['header'],
      scopes_supported: [`api://${profile.api.clientId}/Data.Read`],
    })
    for (const path of [`${WELL_KNOWN}/`, `${WELL_KNOWN}/api`, `${WELL_KNOWN}x`]) {
      t.equal((await api.get(path)).status, 401, `${path} is nothing, and like any unknown path`)
    }
  })

  t.test('PRM-1: the document stands between host and path, and nowhere else', async t => {
    const cases = [
      ['https://api.example.com', WELL_KNOWN],
      ['https://api.example.com/', WELL_KNOWN],
      ['https://api.example.com/api', `${WELL_KNOWN}/api`],
      ['https://api.example.com/api/', `${WELL_KNOWN}/api`],
      ['https://api.example.com/api/v1', `${WELL_KNOWN}/api/v1`],
      ['https://api.example.com:8443/api', `${WELL_KNOWN}/api`],
      ['http://127.0.0.1:4321', WELL_KNOWN],
    ] as const
    for (const [publicUrl, path] of cases) {
      const api = await start(t, { env: { PUBLIC_URL: publicUrl } })
      const { status, json } = await api.get(path)
      t.equal(status, 200, `${publicUrl} → ${path}`)
      const resource = publicUrl.replace(/\/$/, '')
      t.equal(json.resource, resource, 'the identifier, without a trailing slash')
      t.ok(documentUrl(json.resource).endsWith(path), 'a client that derives the address arrives here')
      if (path !== WELL_KNOWN) t.equal((await api.get(WELL_KNOWN)).status, 401)
    }
  })

  t.test('PRM-1 PRM-8: a path with characters that a router reads: only that very path', async t => {
    const cases = [
      ['/caf%C3%A9', ['/cafe%CC%81', '/cafe', '/CAF%C3%A9']],
      ['/a:b', ['/axyz', '/a', '/a::b']],
      ['/a::b', ['/a:b']],
      ['/a(b)', ['/ab']],
      ['/100%25', ['/100']],
      ['/api', ['/API', '/api/', '/ap%69x']],
    ] as const
    for (const [path, others] of cases) {
      const api = await start(t, { env: { PUBLIC_URL: `https://api.example.com${path}` } })
      const answer = await api.get(WELL_KNOWN + path)
      t.match(answer, { status: 200, json: { resource: `https://api.example.com${path}` } }, path)
      for (const other of others) {
        t.equal((await api.get(WELL_KNOWN + other)).status, 401, `${path} is not ${other}`)
      }
    }
  })

  t.test('PRM-2: members without a value are left out, and those with several are arrays', async t => {
    const api = await start(t)
    const { text, json } = await api.get(WELL_KNOWN)
    t.notMatch(text, /null|\[\]|""/)
    for (const member of ['authorization_servers', 'bearer_methods_supported', 'scopes_supported']) {
      t.ok(Array.isArray(json[member]) && json[member].length > 0, member)
    }
    t.equal(typeof json, 'object')
    const head = await api.get(WELL_KNOWN, undefined, { method: 'HEAD' })
    t.match(head, { status: 200, text: '' })
    t.equal(typeOf(head), 'application/json')
  })

  t.test('PRM-3: host and scheme of the request do not matter, whatever the request claims', async t => {
    const api = await start(t, { env: { TRUST_PROXY: '127.0.0.1/32' } })
    const { port } = new URL(api.url)
    const plain = await api.get(WELL_KNOWN)
    const spoofed = await api.raw(
      [
        `GET ${WELL_KNOWN} HTTP/1.1`,
        'Host: evil.example',
        'X-Forwarded-Host: evil.example',
        'X-Forwarded-Proto: http',
        'X-Forwarded-Prefix: /evil',
        'Forwarded: host=evil.example;proto=http',
        'Connection: close',
        '\r\n',
      ].join('\r\n'),
    )
    t.match(spoofed, /^HTTP\/1\.1 200 /)
    t.ok(spoofed.endsWith(plain.text), 'the same bytes')
    t.notMatch(spoofed, /evil/)
    t.notMatch(plain.text, `:${port}`, 'nor the port that it came in by')
    const refused = await api.raw(
      'GET /secure-data HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\nConnection: close\r\n\r\n',
    )
    t.match(refused, /^HTTP\/1\.1 401 /)
    t.match(refused, `resource_metadata="https://api.example.com${WELL_KNOWN}"`)
    t.notMatch(refused, /evil/)
  })

  t.test('PRM-3: an address that can be no resource identifier: refuses to start', async t => {
    for (const publicUrl of [
      'http://api.example.com',
      'https://api.example.com/#a',
      'https://api.example.com/?a=b',
      'https://me:secret@api.example.com',
      'https://api.example.com/a"b',
      'api.example.com',
      // PRM-8: characters beyond ASCII have more than one form, so they must come percent-encoded.
      'https://api.example.com/caf\u00e9',
      'https://api.example.com/cafe\u0301',
    ]) {
      await t.rejects(start(t, { env: { PUBLIC_URL: publicUrl } }), { message: /PUBLIC_URL/ }, publicUrl)
    }
  })

  t.test('PRM-4: authorization_servers are the configured issuers, byte by byte and in order', async t => {
    const issuers = [
      'https://issuer.example/realms/A',
      'https://issuer.example/realms/A/',
      'http://127.0.0.1:9',
    ]
    const api = await start(t, { env: { ISSUERS: issuers.join(',') } })
    const { json } = await api.get(WELL_KNOWN)
    t.same(json.authorization_servers, [`${profile.authority}/${profile.tenantId}/v2.0`, ...issuers])

    const alone = await start(t, {
      env: { AZURE_TENANT_ID: '', ISSUERS: 'http://127.0.0.1:9', AUDIENCE: 'orders', SCOPE_PREFIX: '' },
    })
    t.same((await alone.get(WELL_KNOWN)).json.authorization_servers, ['http://127.0.0.1:9'])
  })

  t.test(
    'PRM-4: scopes_supported are what the routes ask for, each once, requestable as they stand',
    async t => {
      const api = await start(t, {
        env: { SCOPE_PREFIX: 'orders/' },
        routes: app => {
          app.get('/a', { config: { access: { scope: ['Data.Read', 'B'] } } }, async () => ({}))
          app.get('/b', { config: { access: { scope: { any: ['B', 'C'] } } } }, async () => ({}))
          app.get('/c', { config: { access: { role: 'R' } } }, async () => ({}))
        },
      })
      const { json } = await api.get(WELL_KNOWN)
      t.same(json.scopes_supported, ['orders/Data.Read', 'orders/B', 'orders/C'], 'a role is no scope')
      t.notOk(json.scopes_supported.includes('offline_access'), 'MCP-4')
    },
  )

  t.test('PRM-5: no key of this API is announced, because it signs nothing', async t => {
    const { json } = await (await start(t)).get(WELL_KNOWN)
    t.notHas(json, { jwks_uri: '' })
    t.same(
      Object.keys(json).filter(name => /jwks|signing|signed/.test(name)),
      [],
    )
  })

  for (const publicUrl of ['https://api.example.com', 'https://api.example.com/api/v1']) {
    t.test(`PRM-6: ${publicUrl}: every 401 and 403 leads to the document`, async t => {
      const api = await start(t, {
        waitForKeys: true,
        env: {
          PUBLIC_URL: publicUrl,
          ALLOWED_CLIENTS: `${profile.publicClient.clientId},${profile.daemon.clientId}`,
        },
        routes: app => {
          app.get('/users', { config: { access: { scope: 'Data.Read' } } }, async () => ({}))
          app.get('/applications', { config: { access: { role: 'Other' } } }, async () => ({}))
        },
      })
      const basic = { headers: { authorization: 'Basic YTpi' } }
      const garbage = { headers: { authorization: 'Bearer a.b.c' } }
      const two = { headers: { authorization: 'Bearer a b' } }
      const user = tenant.issue({ person: 'ada', app: 'publicClient' })
      const daemon = tenant.issue({ app: 'daemon' })
      const refusals: [string, number, Answer][] = [
        ['no_credentials', 401, await api.get('/secure-data')],
        ['no_credentials', 401, await api.get('/secure-data', undefined, basic)],
        ['malformed_token', 401, await api.get('/secure-data', undefined, garbage)],
        ['malformed_credentials', 400, await api.get('/secure-data', undefined, two)],
        ['expired', 401, await api.get('/whoami', await tenant.mint('expired'))],
        ['no_credentials', 401, await api.get('/no-such-path')],
        ['no_credentials', 401, await api.get('/secure-data', undefined, { method: 'POST' })],
        [
          'insufficient_scope',
          403,
          await api.get('/secure-data', tenant.issue({ person: 'bob', app: 'publicClient' })),
        ],
        ['insufficient_role', 403, await api.get('/applications', daemon)],
        ['wrong_caller_kind', 403, await api.get('/applications', user)],
        ['wrong_caller_kind', 403, await api.get('/users', daemon)],
        [
          'no_permissions',
          403,
          await api.get('/whoami', await tenant.mint('no-scope-no-roles', { app: 'daemon' })),
        ],
        ['client_not_allowed', 403, await api.get('/whoami', tenant.issue({ app: 'daemonWithoutRole' }))],
      ]
      for (const [code, status, answer] of refusals) {
        t.match(answer, { status, json: { code } })
        const { resource_metadata } = parseBearer(answer.challenge ?? '')
        t.equal(resource_metadata, documentUrl(publicUrl), code)
      }
      const found = await follow(api, documentUrl(publicUrl), 'https://api.example.com')
      t.match(found, { status: 200, json: { resource: publicUrl } }, 'and the document is of this resource')
    })
  }

  t.test('PRM-6: HEAD: the same challenge', async t => {
    const api = await start(t)
    const [get, head] = [
      await api.get('/secure-data'),
      await api.get('/secure-data', undefined, { method: 'HEAD' }),
    ]
    t.equal(head.status, 401)
    t.equal(head.challenge, get.challenge)
  })

  t.test('PRM-7: for an hour and for every origin; and nothing else is', async t => {
    const api = await start(t, { waitForKeys: true })
    const origin = { headers: { origin: 'https://app.example' } }
    const metadata = await api.get(WELL_KNOWN, undefined, origin)
    t.equal(metadata.headers.get('cache-control'), 'max-age=3600')
    t.equal(metadata.headers.get('access-control-allow-origin'), '*')
    t.equal(metadata.headers.get('access-control-allow-credentials'), null)
    const ada = tenant.issue({ person: 'ada' })
    const others = [
      await api.get('/secure-data', ada, origin),
      await api.get('/whoami', ada, origin),
      await api.get('/secure-data', undefined, origin),
      await api.get('/no-such-path', undefined, origin),
      await api.get('/no-such-path', ada, origin),
      await api.get('/livez', undefined, origin),
      await api.get('/readyz', undefined, origin),
      await api.get('/openapi.json', undefined, origin),
      await api.get('/openapi.yaml', undefined, origin),
    ]
    for (const { status, headers } of others) {
      t.equal(headers.get('access-control-allow-origin'), null, `${status}`)
      t.notMatch(headers.get('cache-control') ?? '', /max-age|public/)
    }
  })

  t.test('PRM-8: resource and issuers are never normalized', async t => {
    const publicUrl = 'https://api.example.com/caf%c3%a9/%7Ea'
    const issuer = 'https://issuer.example/%7Etenant/caf%c3%a9'
    const api = await start(t, { env: { PUBLIC_URL: publicUrl, ISSUERS: issuer } })
    const { json } = await api.get(`${WELL_KNOWN}/caf%c3%a9/%7Ea`)
    t.equal(json?.resource, publicUrl)
    t.equal(json?.authorization_servers[1], issuer)
    const { resource_metadata } = parseBearer((await api.get('/secure-data')).challenge ?? '')
    t.equal(resource_metadata, documentUrl(publicUrl))
  })
})

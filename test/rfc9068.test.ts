/** RFC 9068: access tokens of any issuer; every ATJWT-* requirement, keys by algorithm and id, and issuers that do not type their tokens. */
import t from 'tap'
import type { Code } from '../src/errors.ts'
import { readAccess } from '../src/token/access.ts'
import { trustIssuers, trustRfc9068 } from '../src/token/issuers.ts'
import { type Api, startApi, startTenant } from './helpers/api.ts'
import { bare, createKey, type Json, startIssuer, type Wish } from './helpers/issuer.ts'
import { accepts, refuses } from './helpers/refused.ts'

const AUDIENCE = 'https://orders.example/api'
const NO_TENANT = { AZURE_AUTHORITY_HOST: undefined, AZURE_TENANT_ID: undefined, AZURE_CLIENT_ID: undefined }

const rs256 = createKey('RS256', 'rs256')
const ps256 = createKey('PS256', 'ps256')
const es256 = createKey('ES256', 'es256')
const es384 = createKey('ES384', 'es384')
const eddsa = createKey('EdDSA', 'eddsa')
const keys = [rs256, ps256, es256, es384, eddsa] as const

const tenant = await startTenant(t)
const issuer = await startIssuer(t, { keys: [...keys], audience: AUDIENCE })
const alone = await startApi(t, { tenant, env: { ...NO_TENANT, ISSUERS: issuer.issuer, AUDIENCE } })

type Row = readonly [title: string, wish: Wish, code: Code]

function table(title: string, rows: readonly Row[]): void {
  t.test(title, async t => {
    for (const [title, wish, code] of rows) {
      await t.test(title, async t => {
        await refuses(t, alone, issuer.issue(wish), code)
      })
    }
  })
}
const claim = (claims: Json): Wish => ({ claims })

t.test(
  'an issuer alone (ATJWT-1, ATJWT-4, BCP-1): every algorithm is accepted, at every guarded route',
  async t => {
    for (const key of keys) {
      const token = issuer.issue({ key })
      t.match((await accepts(t, alone, token)).json, { message: 'Hello client-1, this is protected data.' })
      const { json } = await accepts(t, alone, token, '/whoami')
      t.match(json, {
        kind: 'user',
        subject: 'user-1',
        client: 'client-1',
        scopes: ['Data.Read'],
        roles: [],
        name: 'client-1',
        issuer: issuer.issuer,
      })
      t.notOk('claims' in json)
    }
    t.match(await alone.get('/readyz'), {
      status: 200,
      json: { issuers: [{ issuer: issuer.issuer, state: 'usable' }] },
    })
    await refuses(t, alone, tenant.issue({ claims: { aud: AUDIENCE } }), 'untrusted_issuer')
  },
)

t.test('an issuer beside the Entra tenant: each is judged by its own rules', async t => {
  const api = await startApi(t, { tenant, env: { ISSUERS: issuer.issuer, AUDIENCE } })
  const entra = (over: Json = {}) => tenant.issue({ claims: { aud: AUDIENCE, ...over } })
  await accepts(t, api, entra())
  await accepts(t, api, issuer.issue())
  t.match(await api.get('/readyz'), { status: 200, json: { issuers: { length: 3 } } })
  // C-4: what Entra may do, a generic issuer may not, and the other way round.
  await refuses(t, api, issuer.issue({ header: { typ: 'JWT' } }), 'wrong_token_type')
  await refuses(t, api, issuer.issue({ claims: { jti: undefined } }), 'missing_claim')
  await accepts(t, api, entra({ jti: undefined, client_id: undefined }))
  await refuses(
    t,
    api,
    tenant.issue({ header: { alg: 'PS256' }, claims: { aud: AUDIENCE } }),
    'unsupported_algorithm',
  )
  // Neither signs for the other.
  await refuses(t, api, entra({ iss: issuer.issuer }), 'wrong_token_type')
  await refuses(t, api, tenant.issue({ claims: issuer.claims(), header: { typ: 'at+jwt' } }), 'unknown_key')
  const [kid] = tenant.keys().flatMap(key => (key.signing ? [key.kid] : []))
  const asEntra = JSON.parse(Buffer.from(entra().split('.')[1]!, 'base64url').toString()) as Json
  await refuses(t, api, issuer.issue({ claims: asEntra, header: { typ: 'JWT', kid } }), 'invalid_signature')
  // `scp` is Entra's word, `scope` is that of RFC 9068.
  await refuses(t, api, issuer.issue({ claims: { scope: undefined, scp: 'Data.Read' } }), 'no_permissions')
  await refuses(t, api, entra({ scp: undefined, scope: 'Data.Read' }), 'no_permissions')
})

t.test('one audience for every issuer (ATJWT-3): without AUDIENCE it is the application', async t => {
  const api = await startApi(t, { tenant, env: { ISSUERS: issuer.issuer } })
  const { clientId } = tenant.profile.api
  await accepts(t, api, issuer.issue({ claims: { aud: clientId } }))
  await accepts(t, api, issuer.issue({ claims: { aud: `api://${clientId}` } }))
  await refuses(t, api, issuer.issue(), 'wrong_audience')
})

table('typ (ATJWT-1): only at+jwt', [
  ['JWT', { header: { typ: 'JWT' } }, 'wrong_token_type'],
  ['absent', { header: { typ: undefined } }, 'wrong_token_type'],
  ['another', { header: { typ: 'dpop+jwt' } }, 'wrong_token_type'],
  ['an ID token', { header: { typ: 'JWT' }, claims: { nonce: 'n', aud: 'client-1' } }, 'wrong_token_type'],
])

table('iss (ATJWT-2): exactly the configured one', [
  ['a slash after it', claim({ iss: `${issuer.issuer}/` }), 'untrusted_issuer'],
  ['another case', claim({ iss: issuer.issuer.toUpperCase() }), 'untrusted_issuer'],
  ['another scheme', claim({ iss: issuer.issuer.replace('http:', 'https:') }), 'untrusted_issuer'],
  ['another port', claim({ iss: `${issuer.issuer}0` }), 'untrusted_issuer'],
  [
    'another name of the same host',
    claim({ iss: issuer.issuer.replace('127.0.0.1', 'localhost') }),
    'untrusted_issuer',
  ],
  ['a list', claim({ iss: [issuer.issuer] }), 'malformed_claim'],
])

table('aud (ATJWT-3): one of ours', [
  ['another', claim({ aud: 'https://other.example' }), 'wrong_audience'],
  ['a slash after it', claim({ aud: `${AUDIENCE}/` }), 'wrong_audience'],
  ['the client', claim({ aud: 'client-1' }), 'wrong_audience'],
  ['Microsoft Graph', claim({ aud: 'https://graph.microsoft.com' }), 'graph_token'],
])

table('claims that must be there (ATJWT-6): missing ones are refused', [
  ...['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'].map(
    (name): Row => [name, claim({ [name]: undefined }), 'missing_claim'],
  ),
  ['sub, with an oid', claim({ sub: undefined, oid: 'o' }), 'missing_claim'],
  ['client_id, with an azp', claim({ client_id: undefined, azp: 'client-1' }), 'missing_claim'],
])

table('claims of another type (JWT-17, ATJWT-7): refused', [
  ...['sub', 'client_id', 'jti', 'azp', 'scope'].flatMap((name): Row[] =>
    [null, 7, ['Data.Read'], { a: 1 }, true].map(value => [
      `${name}: ${JSON.stringify(value)}`,
      claim({ [name]: value }),
      'malformed_claim',
    ]),
  ),
  ['an empty sub', claim({ sub: '' }), 'malformed_claim'],
  ['iat a string', claim({ iat: '1800000000' }), 'malformed_claim'],
])

t.test('any failure of RFC 9068 §4 (ATJWT-5): invalid_token and 401, whatever else is wrong', async t => {
  const wrong: Json[] = [{ aud: 'x' }, { exp: 1 }, { iss: 'x' }, { sub: undefined }]
  for (const claims of wrong) {
    const { status, json } = await alone.get(
      '/secure-data',
      issuer.issue({ claims: { ...claims, scope: undefined } }),
    )
    t.match({ status, json }, { status: 401, json: { error: 'invalid_token' } })
  }
})

t.test('scope and roles (ATJWT-7): exact, case-sensitive, split at spaces', async t => {
  const rows: readonly (readonly [unknown, Code | undefined])[] = [
    ['Data.Read', undefined],
    ['openid Data.Read email', undefined],
    ['  Data.Read  ', undefined],
    ['data.read', 'insufficient_scope'],
    ['DATA.READ', 'insufficient_scope'],
    ['Data.Read.All', 'insufficient_scope'],
    ['Data.Read:all', 'insufficient_scope'],
    ['Data.Read,Data.Write', 'insufficient_scope'],
    ['Data', 'insufficient_scope'],
    ['Data.Read\tx', 'insufficient_scope'],
    ['xData.Read', 'insufficient_scope'],
    ['', 'no_permissions'],
    ['   ', 'no_permissions'],
    [undefined, 'no_permissions'],
  ]
  for (const [scope, code] of rows) {
    const token = issuer.issue({ claims: { scope } })
    if (code === undefined) await accepts(t, alone, token)
    else await refuses(t, alone, token, code)
  }
})

t.test('kinds of callers (BCP-17, ATJWT-7): user, application, and one that does not say', async t => {
  const app = { sub: 'client-1', client_id: 'client-1', scope: undefined, roles: ['Data.Read.All'] }
  const application = issuer.issue({ claims: app })
  t.match((await accepts(t, alone, application)).json, { message: 'Hello client-1, this is protected data.' })
  t.match((await accepts(t, alone, application, '/whoami')).json, {
    kind: 'application',
    roles: ['Data.Read.All'],
  })
  const secure = (claims: Json, code: Code) => refuses(t, alone, issuer.issue({ claims }), code)
  await secure({ ...app, roles: ['Other'] }, 'insufficient_role')
  await secure({ ...app, roles: ['data.read.all'] }, 'insufficient_role')
  await secure({ ...app, roles: 'Data.Read.All' }, 'no_permissions')
  await secure({ ...app, roles: [7, null] }, 'no_permissions')
  await secure({ ...app, roles: undefined, scope: 'Data.Read' }, 'insufficient_role')
  // ENTRA-16 for every issuer: a role of a user is not a permission of an application.
  await secure({ scope: 'Other', roles: ['Data.Read.All'] }, 'insufficient_scope')
  await secure({ scope: undefined, roles: ['Data.Read.All'] }, 'insufficient_scope')
  await secure({ client_id: '', roles: ['Data.Read.All'] }, 'malformed_claim')
  // Marks of a service account whose `sub` is not the client: no user, and no application either.
  for (const mark of [{ gty: 'client-credentials' }, { preferred_username: 'service-account-svc' }]) {
    const unknown = issuer.issue({ claims: { ...mark, roles: ['Data.Read.All'] } })
    t.match((await accepts(t, alone, unknown, '/whoami')).json, { kind: 'unknown' })
    await refuses(t, alone, unknown, 'wrong_caller_kind')
  }
})

t.test('allowed clients (ENTRA-17): restrict callers of every issuer', async t => {
  const env = { ...NO_TENANT, ISSUERS: issuer.issuer, AUDIENCE, ALLOWED_CLIENTS: 'client-1,client-2' }
  const api = await startApi(t, { tenant, env })
  await accepts(t, api, issuer.issue())
  await accepts(t, api, issuer.issue({ claims: { client_id: 'client-2' } }))
  await refuses(t, api, issuer.issue({ claims: { client_id: 'client-3' } }), 'client_not_allowed')
  await refuses(
    t,
    api,
    issuer.issue({ claims: { client_id: 'client-3', azp: 'client-1' } }),
    'client_not_allowed',
  )
  await refuses(t, api, issuer.issue({ claims: { client_id: 'client-3', scope: '' } }), 'client_not_allowed')
})

t.test(
  'a token bound to a key (C-13, DPOP-3, MTLS-3): no bearer token; members nobody knows are ignored',
  async t => {
    const rows: readonly (readonly [unknown, Code | undefined])[] = [
      [{ jkt: 'x' }, 'sender_constrained'],
      [{ 'x5t#S256': 'x' }, 'sender_constrained'],
      [{ 'x5t#S256': '' }, 'sender_constrained'],
      [{ jkt: null }, 'sender_constrained'],
      [{ kid: 'x', jkt: 'x' }, 'sender_constrained'],
      [{ kid: 'x' }, undefined],
      [{}, undefined],
      [null, 'malformed_claim'],
      ['jkt', 'malformed_claim'],
      [['jkt'], 'malformed_claim'],
      [7, 'malformed_claim'],
    ]
    for (const [cnf, code] of rows) {
      const token = issuer.issue({ claims: { cnf } })
      if (code === undefined) await accepts(t, alone, token)
      else await refuses(t, alone, token, code)
    }
  },
)

t.test('what only Entra looks at: ignored here', async t => {
  const claims = {
    TID: 'x',
    tid: 7,
    ver: null,
    oid: 7,
    idtyp: 'app',
    appid: [],
    nonce: 'n',
    typ: 'ID',
    nbf: 0,
  }
  t.match((await accepts(t, alone, issuer.issue({ claims }), '/whoami')).json, { kind: 'user' })
})

t.test('the name (ENTRA-18): for display, from what there is', async t => {
  const names: readonly (readonly [Json, string])[] = [
    [{ name: 'Ada', preferred_username: 'ada' }, 'Ada'],
    [{ name: '', preferred_username: 'ada' }, 'ada'],
    [{ name: 7, preferred_username: ['x'], unique_name: 'ada@x' }, 'ada@x'],
    [{ app_displayname: 'App' }, 'App'],
    [{}, 'client-1'],
  ]
  for (const [claims, name] of names) {
    t.match((await accepts(t, alone, issuer.issue({ claims }), '/whoami')).json, { name })
  }
})

t.test(
  'one key, one algorithm (BCP-3, JWT-11): with alg it is enforced, without it is pinned by type',
  async t => {
    const published = await startIssuer(t, {
      keys: [rs256],
      audience: AUDIENCE,
      published: [...keys.map(bare), ps256.jwk].slice(0, 5),
    })
    const api = await startApi(t, { tenant, env: { ...NO_TENANT, ISSUERS: published.issuer, AUDIENCE } })
    for (const key of [rs256, es256, es384, eddsa]) await accepts(t, api, published.issue({ key }))
    await refuses(t, api, published.issue({ key: ps256 }), 'unsupported_algorithm')
    await accepts(t, api, published.issue({ key: { ...ps256, alg: 'RS256' } }))
    await refuses(t, api, published.issue({ key: { ...rs256, alg: 'PS256' } }), 'unsupported_algorithm')
    // With alg, in the first server's set.
    await refuses(t, alone, issuer.issue({ key: { ...ps256, alg: 'RS256' } }), 'unsupported_algorithm')
    await refuses(t, alone, issuer.issue({ key: { ...rs256, alg: 'PS256' } }), 'unsupported_algorithm')
    await refuses(t, alone, issuer.issue({ key: { ...es256, kid: 'es384' } }), 'unsupported_algorithm')
    await refuses(t, alone, issuer.issue({ key: { ...rs256, kid: 'ps256' } }), 'unsupported_algorithm')
  },
)

t.test('several keys of one id: told apart by their algorithm, the first of two alike is used', async t => {
  const other = createKey('RS256', 'same')
  const set = [{ ...rs256.jwk, kid: 'same' }, { ...es256.jwk, kid: 'same' }, other.jwk]
  const own = await startIssuer(t, { keys: [rs256], audience: AUDIENCE, published: set })
  const api = await startApi(t, { tenant, env: { ...NO_TENANT, ISSUERS: own.issuer, AUDIENCE } })
  await accepts(t, api, own.issue({ header: { kid: 'same' } }))
  await accepts(t, api, own.issue({ key: es256, header: { kid: 'same' } }))
  await refuses(t, api, own.issue({ key: other }), 'invalid_signature')
  await refuses(t, api, own.issue({ key: eddsa, header: { kid: 'same' } }), 'unsupported_algorithm')
})

t.test('tokens without kid (JWKS-16, C-5): only where one key fits, and without any fetch', async t => {
  const one = await startIssuer(t, { keys: [rs256], audience: AUDIENCE, published: [rs256.jwk, es256.jwk] })
  const two = await startIssuer(t, {
    keys: [rs256],
    audience: AUDIENCE,
    published: [rs256.jwk, createKey('RS256', 'second').jwk, { ...bare(es256), kid: undefined }],
  })
  const api = await startApi(t, {
    tenant,
    env: { ...NO_TENANT, ISSUERS: `${one.issuer}, ${two.issuer}`, AUDIENCE },
  })
  const before = [one.requests.length, two.requests.length]
  t.strictSame(before, [2, 2])
  const header = { kid: undefined }
  await accepts(t, api, one.issue({ header }))
  await accepts(t, api, one.issue({ key: es256, header }))
  await refuses(t, api, one.issue({ key: eddsa, header }), 'unknown_key')
  await refuses(
    t,
    api,
    one.issue({ key: { ...rs256, privateKey: createKey('RS256').privateKey }, header }),
    'invalid_signature',
  )
  await refuses(t, api, two.issue({ header }), 'unknown_key')
  await accepts(t, api, two.issue({ key: es256, header }))
  t.strictSame([one.requests.length, two.requests.length], before)
  // A key without kid is never what a kid names; asking for one may cost a fetch.
  await refuses(t, api, two.issue({ key: es256 }), 'unknown_key')
})

t.test('a set in which no key has an id (JWKS-16): the only one that fits is used', async t => {
  const nameless = keys.map(({ jwk }) => ({ ...jwk, kid: undefined }))
  const own = await startIssuer(t, { keys: [rs256], audience: AUDIENCE, published: nameless })
  const api = await startApi(t, { tenant, env: { ...NO_TENANT, ISSUERS: own.issuer, AUDIENCE } })
  for (const key of keys) await accepts(t, api, own.issue({ key, header: { kid: undefined } }))
  await refuses(t, api, own.issue(), 'unknown_key')
})

t.test('the same kid at two issuers (BCP-6): each key signs for its own issuer only', async t => {
  const [a, b] = [createKey('RS256', 'same'), createKey('RS256', 'same')]
  const first = await startIssuer(t, { keys: [a], audience: AUDIENCE, path: '/a' })
  const second = await startIssuer(t, { keys: [b], audience: AUDIENCE, path: '/b/' })
  const api = await startApi(t, {
    tenant,
    env: { ...NO_TENANT, ISSUERS: `${first.issuer},${second.issuer}`, AUDIENCE },
  })
  await accepts(t, api, first.issue())
  await accepts(t, api, second.issue())
  await refuses(t, api, first.issue({ key: b }), 'invalid_signature')
  await refuses(t, api, second.issue({ key: a }), 'invalid_signature')
  await refuses(t, api, second.issue({ claims: { iss: second.issuer.slice(0, -1) } }), 'untrusted_issuer')
  const subjects = await Promise.all(
    [first, second].map(async one => (await accepts(t, api, one.issue(), '/whoami')).json.issuer),
  )
  t.strictSame(subjects, [first.issuer, second.issuer])
})

t.test(
  'keys that change while the server runs (JWKS-7, JWKS-13): the new one at once, the withdrawn one no more',
  async t => {
    const own = await startIssuer(t, { keys: [rs256], audience: AUDIENCE })
    const api = await startApi(t, { tenant, env: { ...NO_TENANT, ISSUERS: own.issuer, AUDIENCE } })
    const old = own.issue()
    await accepts(t, api, old)
    own.publish([es256.jwk])
    await accepts(t, api, own.issue({ key: es256 }))
    await refuses(t, api, old, 'unknown_key')
  },
)

t.test(
  'a document that names another issuer (JWKS-1): its keys are not used, and the fault is not the caller’s',
  async t => {
    const own = await startIssuer(t, { keys: [rs256], audience: AUDIENCE })
    const document = '/.well-known/openid-configuration'
    own.documents.set(document, { issuer: `${own.issuer}/`, jwks_uri: `${own.origin}/keys` })
    const api = await startApi(t, {
      tenant,
      env: { ...NO_TENANT, ISSUERS: own.issuer, AUDIENCE },
      waitForKeys: false,
    })
    await refuses(t, api, own.issue(), 'keys_unavailable')
    t.match(await api.get('/readyz'), { status: 503, json: { issuers: [{ state: 'missing' }] } })
    t.match(await api.get('/livez'), { status: 200 })
    t.notOk(own.requests.includes('/keys'), 'nor are they fetched')
    t.ok(api.lines.some(({ event }) => event === 'keys_refresh_failed'))
  },
)

t.test('an issuer that does not type its tokens (ISSUERS_TOKEN_TYP=JWT, C-4)', async t => {
  const own = await startIssuer(t, { keys: [...keys], audience: AUDIENCE, path: '/realms/shop' })
  const env = { ...NO_TENANT, ISSUERS: own.issuer, AUDIENCE, ISSUERS_TOKEN_TYP: 'JWT' }
  const api: Api = await startApi(t, { tenant, env })
  /** A token as Keycloak makes it. */
  const keycloak = (claims: Json = {}, header: Json = {}) =>
    own.issue({
      header: { typ: 'JWT', ...header },
      claims: {
        client_id: undefined,
        azp: 'shop-web',
        typ: 'Bearer',
        acr: '1',
        sid: 'session',
        scope: 'openid Data.Read',
        preferred_username: 'ada',
        realm_access: { roles: ['offline_access'] },
        ...claims,
      },
    })
  t.match((await accepts(t, api, keycloak(), '/whoami')).json, {
    kind: 'user',
    client: 'shop-web',
    name: 'ada',
  })
  await accepts(t, api, keycloak())
  for (const claims of [
    { jti: undefined },
    { iat: undefined },
    { typ: undefined },
    { typ: 'bearer' },
    { typ: 'at+jwt' },
  ]) {
    await accepts(t, api, keycloak(claims))
  }
  for (const typ of ['at+jwt', 'jwt', 'application/jwt']) await accepts(t, api, keycloak({}, { typ }))

  const wrong: readonly (readonly [string, string, Code])[] = [
    ['an ID token', keycloak({ typ: 'ID', nonce: 'n', at_hash: 'h', aud: AUDIENCE }), 'id_token'],
    ['an ID token without a nonce', keycloak({ typ: 'ID' }), 'wrong_token_type'],
    ['nonce', keycloak({ nonce: 'n' }), 'id_token'],
    ['at_hash', keycloak({ at_hash: 'h' }), 'id_token'],
    ['c_hash', keycloak({ c_hash: 'h' }), 'id_token'],
    ['a refresh token', keycloak({ typ: 'Refresh' }), 'wrong_token_type'],
    ['an offline token', keycloak({ typ: 'Offline' }), 'wrong_token_type'],
    ['a logout token', keycloak({ typ: 'Logout', events: {} }), 'wrong_token_type'],
    ['a logout token that has no typ', keycloak({ typ: undefined, events: {} }), 'wrong_token_type'],
    ['no typ in the header', keycloak({}, { typ: undefined }), 'wrong_token_type'],
    ['another typ in the header', keycloak({}, { typ: 'logout+jwt' }), 'wrong_token_type'],
    ['no sub', keycloak({ sub: undefined }), 'missing_claim'],
    ['no exp', keycloak({ exp: undefined }), 'missing_claim'],
    ['no aud', keycloak({ aud: undefined }), 'missing_claim'],
    ['the audience that Keycloak gives by default', keycloak({ aud: 'account' }), 'wrong_audience'],
    ['azp no string', keycloak({ azp: 7 }), 'malformed_claim'],
  ]
  for (const [title, token, code] of wrong) {
    await t.test(title, async t => {
      await refuses(t, api, token, code)
    })
  }

  // Without any client, nobody can tell a user from an application.
  const anonymous = keycloak({ azp: undefined, roles: ['Data.Read.All'] })
  t.match((await accepts(t, api, anonymous, '/whoami')).json, { kind: 'unknown' })
  await refuses(t, api, anonymous, 'wrong_caller_kind')
  const application = keycloak({ sub: 'shop-web', scope: undefined, roles: ['Data.Read.All'] })
  t.match((await accepts(t, api, application, '/whoami')).json, { kind: 'application', client: 'shop-web' })
  await accepts(t, api, application)
})

t.test('what is trusted, as values: a slash at the end of an issuer, and one issuer named twice', t => {
  const trust = { issuer: 'https://issuer.example/a/', audiences: ['x'], tokenType: 'at+jwt' as const }
  const one = trustRfc9068(trust)
  t.equal(one.metadata, 'https://issuer.example/a')
  t.equal(one.mayClaim('https://issuer.example/a'), false)
  t.equal(one.mayClaim('https://issuer.example/a/'), true)
  t.equal(one.tenantOf('https://issuer.example/a/'), undefined)
  const { issuers, find } = trustIssuers(undefined, [trust, trust])
  t.equal(issuers.length, 1)
  t.match(find('https://issuer.example/a/'), { issuer: { name: trust.issuer }, tenant: undefined })
  t.match(find('https://issuer.example/a'), { code: 'untrusted_issuer' })
  t.end()
})

t.test('access, as a value: frozen all the way down', t => {
  const access = readAccess('rfc9068', {
    iss: 'i',
    exp: 1,
    sub: 's',
    client_id: 'c',
    roles: ['a', 7, 'b'],
    scope: 'x  y',
    deep: { list: [{ a: {} }] },
  })
  t.strictSame(access.roles, ['a', 'b'])
  t.strictSame(access.scopes, ['x', 'y'])
  const pending: unknown[] = [access]
  for (const value of pending) {
    if (typeof value !== 'object' || value === null) continue
    t.ok(Object.isFrozen(value))
    pending.push(...Object.values(value))
  }
  t.end()
})

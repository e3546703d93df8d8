/** Entra: tenants, versions, key issuers, audiences, ID tokens and the two kinds of callers; requirements ENTRA-1 to ENTRA-19. */
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { Agent } from 'undici'
import { readConfig } from '../src/config.ts'
import { type Code, Misconfigured } from '../src/errors.ts'
import { type Access, readAccess } from '../src/token/access.ts'
import { CLAIM_RULES } from '../src/token/claims.ts'
import { findPolicyProblems } from '../src/token/declared.ts'
import { type EntraTrust, trustEntra } from '../src/token/issuers.ts'
import { systemClock } from '../src/token/keys/clock.ts'
import { createKeyFetch } from '../src/token/keys/fetch.ts'
import { enforce, type Policy, rolesOf, scopesOf } from '../src/token/policy.ts'
import { type Api, startApi, startTenant } from './helpers/api.ts'
import { bare, createKey, type EntraIssuer, type Json, startEntraIssuer } from './helpers/issuer.ts'
import { accepts, refuses } from './helpers/refused.ts'

const CONSUMERS = '9188040d-6c67-4c5b-b112-36a304b66dad'
const HOME = '0a1b2c3d-1111-4222-8333-0123456789ab'
const OTHER = '0a1b2c3d-2222-4222-8333-0123456789ab'
const API_ID = '0a1b2c3d-9999-4222-8333-0123456789ab'

const tenant = await startTenant(t)
const { tenantId, api: registration, authority } = tenant.profile
const { clientId } = registration
const key = createKey('RS256', 'entra-1')
const second = createKey('RS256', 'entra-2')

const api = await startApi(t, {
  tenant,
  routes: app => {
    app.get('/users', { config: { access: { scope: 'Data.Read' } } }, async () => ({}))
    app.get('/applications', { config: { access: { role: 'Data.Read.All' } } }, async () => ({}))
    app.get('/access', { config: { access: 'any' } }, async ({ access }) => {
      const pending: unknown[] = [access]
      for (const value of pending) {
        if (typeof value !== 'object' || value === null) continue
        if (!Object.isFrozen(value)) return { frozen: false }
        pending.push(...Object.values(value))
      }
      return { frozen: true, seen: pending.length, claims: access.claims }
    })
  },
})

type Row = readonly [title: string, token: string, code: Code]

function table(title: string, rows: readonly Row[], server: Api = api): void {
  t.test(title, async t => {
    for (const [title, token, code] of rows) {
      await t.test(title, async t => {
        await refuses(t, server, token, code)
      })
    }
  })
}
const both = (claims: Json) => [1, 2].map(version => tenant.issue({ version: version as 1 | 2, claims }))
const v1Issuer = (tid: string) => `${authority.replace('localhost', '127.0.0.1')}/${tid}/`
const v2Issuer = (tid: string) => `${authority}/${tid}/v2.0`

table('issuers (ENTRA-1, ENTRA-4): this tenant’s, exactly', [
  ['another tenant, version 2', await tenant.mint('wrong-tenant', { version: 2 }), 'tenant_not_allowed'],
  ['another tenant, version 1', await tenant.mint('wrong-tenant', { version: 1 }), 'tenant_not_allowed'],
  ['a slash after it', tenant.issue({ claims: { iss: `${v2Issuer(tenantId)}/` } }), 'untrusted_issuer'],
  [
    'no slash in version 1',
    tenant.issue({ version: 1, claims: { iss: v1Issuer(tenantId).slice(0, -1) } }),
    'untrusted_issuer',
  ],
  ['another case', tenant.issue({ claims: { iss: v2Issuer(tenantId.toUpperCase()) } }), 'untrusted_issuer'],
  [
    'the unresolved template (ENTRA-3)',
    tenant.issue({ claims: { iss: v2Issuer('{tenantid}') } }),
    'untrusted_issuer',
  ],
  ['the name of every tenant', tenant.issue({ claims: { iss: v2Issuer('common') } }), 'untrusted_issuer'],
  [
    'a domain instead of the GUID',
    tenant.issue({ claims: { iss: v2Issuer('contoso.example') } }),
    'untrusted_issuer',
  ],
  ['more path', tenant.issue({ claims: { iss: `${v2Issuer(tenantId)}/x` } }), 'untrusted_issuer'],
  [
    'the real Entra',
    tenant.issue({ claims: { iss: `https://login.microsoftonline.com/${tenantId}/v2.0` } }),
    'untrusted_issuer',
  ],
  [
    'another host of this machine',
    tenant.issue({ claims: { iss: v1Issuer(tenantId).replace(/\/$/, '/v2.0') } }),
    'untrusted_issuer',
  ],
])

table('tid (ENTRA-4): the tenant that iss names', [
  ...(
    [
      ['missing', undefined, 'missing_claim'],
      ['another', tenant.partnerTenantId, 'untrusted_issuer'],
      ['in upper case', tenantId.toUpperCase(), 'malformed_claim'],
      ['no GUID', 'contoso.example', 'malformed_claim'],
      ['empty', '', 'malformed_claim'],
      ['the template', '{tenantid}', 'malformed_claim'],
      ['a number', 7, 'malformed_claim'],
      ['a list', [tenantId], 'malformed_claim'],
      ['with a line end', `${tenantId}\n`, 'malformed_claim'],
    ] as const
  ).flatMap(([title, tid, code]) =>
    both({ tid }).map((token, i): Row => [`${title}, version ${i + 1}`, token, code]),
  ),
])

table('ver (ENTRA-2): says the same as iss', [
  ['missing', tenant.issue({ claims: { ver: undefined } }), 'wrong_token_version'],
  ['missing, version 1', tenant.issue({ version: 1, claims: { ver: undefined } }), 'wrong_token_version'],
  ['another', await tenant.mint('wrong-version'), 'wrong_token_version'],
  ['1.0 with the issuer of version 2', tenant.issue({ claims: { ver: '1.0' } }), 'wrong_token_version'],
  [
    '2.0 with the issuer of version 1',
    tenant.issue({ version: 1, claims: { ver: '2.0' } }),
    'wrong_token_version',
  ],
  ['2', tenant.issue({ claims: { ver: '2' } }), 'wrong_token_version'],
  ['a number', tenant.issue({ claims: { ver: 2 } }), 'malformed_claim'],
  ['null', tenant.issue({ claims: { ver: null } }), 'malformed_claim'],
])

t.test(
  'versions switched off (ENTRA-2): what is left is accepted, and only its documents are asked for',
  async t => {
    for (const [accepted, other] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
      const server = await startApi(t, { tenant, env: { ...pointing(own), TOKEN_VERSIONS: `${accepted}.0` } })
      await accepts(t, server, own.issue({ version: accepted }))
      await refuses(t, server, own.issue({ version: other }), 'wrong_token_version')
      t.equal(own.requests.length, 2)
      t.equal(
        own.requests.some(url => url.includes('v2.0')),
        accepted === 2,
      )
      t.match((await server.get('/readyz')).json.issuers, { length: 1 })
    }
    for (const TOKEN_VERSIONS of ['3.0', '1.0,3.0', '1', '2.0,', ',']) {
      const env = { AZURE_TENANT_ID: HOME, AZURE_CLIENT_ID: API_ID, TOKEN_VERSIONS }
      t.throws(() => readConfig(env), Misconfigured, TOKEN_VERSIONS)
    }
  },
)

/** The variables that make a server trust an issuer in Entra's shape. */
function pointing(own: EntraIssuer): Record<string, string> {
  return { AZURE_AUTHORITY_HOST: own.origin, AZURE_TENANT_ID: own.tenant, AZURE_CLIENT_ID: API_ID }
}

t.test('a key’s own issuer (ENTRA-5): one tenant, every tenant, or another’s', async t => {
  t.equal((await accepts(t, api, tenant.issue())).status, 200)
  await refuses(t, api, await tenant.mint('consumer-key'), 'key_not_for_issuer')
  await refuses(t, api, await tenant.mint('consumer-key', { version: 1 }), 'key_not_for_issuer')

  const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
  const forms: readonly (readonly [string, string | undefined, Code | undefined])[] = [
    ['none', undefined, undefined],
    ['exact, version 2', own.issuerOf(HOME, 2), undefined],
    ['exact, version 1', own.issuerOf(HOME, 1), undefined],
    ['template, version 2', own.issuerOf('{tenantid}', 2), undefined],
    ['template, version 1', own.issuerOf('{tenantid}', 1), undefined],
    ['another tenant', own.issuerOf(OTHER, 2), 'key_not_for_issuer'],
    ['the consumers', own.issuerOf(CONSUMERS, 2), 'key_not_for_issuer'],
    ['another host', `https://login.microsoftonline.com/${HOME}/v2.0`, 'key_not_for_issuer'],
    ['another host, template', 'https://login.microsoftonline.com/{tenantid}/v2.0', 'key_not_for_issuer'],
    ['no URL', 'x', 'key_not_for_issuer'],
    ['empty', '', 'key_not_for_issuer'],
    ['the tenant twice', `${own.issuerOf('{tenantid}', 2)}{tenantid}`, 'key_not_for_issuer'],
  ]
  const keys = forms.map(([kid, issuer]) => ({ ...bare(key), kid, ...(issuer !== undefined && { issuer }) }))
  for (const version of [1, 2] as const) own.describe(HOME, version, {}, keys)
  const server = await startApi(t, { tenant, env: pointing(own) })
  for (const [kid, , code] of forms) {
    for (const version of [1, 2] as const) {
      const token = own.issue({ version, header: { kid } })
      if (code === undefined) await accepts(t, server, token)
      else await refuses(t, server, token, code)
    }
  }
})

t.test('cloud_instance_name (ENTRA-6): refused only where both say it and they differ', async t => {
  const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
  const clouds: readonly (readonly [string | undefined, Code | undefined])[] = [
    [undefined, undefined],
    ['microsoftonline.com', undefined],
    ['microsoftonline.us', 'key_not_for_issuer'],
    ['', 'key_not_for_issuer'],
  ]
  const keys = clouds.map(([cloud]) => ({ ...bare(key), kid: `of ${cloud}`, cloud_instance_name: cloud }))
  own.describe(HOME, 2, { cloud_instance_name: 'microsoftonline.com' }, keys)
  own.describe(HOME, 1, { cloud_instance_name: 7 }, keys)
  const server = await startApi(t, { tenant, env: pointing(own) })
  for (const [cloud, code] of clouds) {
    const header = { kid: `of ${cloud}` }
    if (code === undefined) await accepts(t, server, own.issue({ header }))
    else await refuses(t, server, own.issue({ header }), code)
    await accepts(t, server, own.issue({ version: 1, header }))
  }
})

t.test('keys as Entra publishes them (BCP-3, C-5): without alg, RS256 only, and always named', async t => {
  const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
  const pss = createKey('PS256', 'pss')
  const ec = createKey('ES256', 'ec')
  own.describe(HOME, 2, {}, [bare(key), pss.jwk, bare(ec), { ...bare(second), kid: undefined }])
  const server = await startApi(t, { tenant, env: pointing(own) })
  await accepts(t, server, own.issue())
  await refuses(t, server, own.issue({ key: { ...key, alg: 'PS256' } }), 'unsupported_algorithm')
  await refuses(t, server, own.issue({ key: pss }), 'unsupported_algorithm')
  await refuses(t, server, own.issue({ key: ec }), 'unsupported_algorithm')
  const before = own.requests.length
  await refuses(t, server, own.issue({ header: { kid: undefined } }), 'unknown_key')
  await refuses(t, server, own.issue({ key: second, header: { kid: undefined } }), 'unknown_key')
  t.equal(own.requests.length, before)
})

t.test(
  'a key of version 1 only (ENTRA-2, C-18): does not sign for version 2, and the other way round',
  async t => {
    const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
    own.describe(HOME, 1, {}, [bare(second)])
    const server = await startApi(t, { tenant, env: pointing(own) })
    await accepts(t, server, own.issue({ version: 1, key: second }))
    await accepts(t, server, own.issue({ version: 2 }))
    await refuses(t, server, own.issue({ version: 1 }), 'unknown_key')
    await refuses(t, server, own.issue({ version: 2, key: second }), 'unknown_key')
  },
)

t.test('a version 1 document that is not there: version 1 is off, and the server is ready', async t => {
  const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
  own.documents.delete(`/${HOME}/.well-known/openid-configuration`)
  const server = await startApi(t, { tenant, env: pointing(own) })
  await accepts(t, server, own.issue())
  await refuses(t, server, own.issue({ version: 1 }), 'wrong_token_version')
  const states = (await server.get('/readyz')).json.issuers.map(({ state }: Json) => state)
  t.strictSame(states.sort(), ['off', 'usable'])
  t.equal(server.lines.filter(({ event }) => event === 'token_version_off').length, 1)
})

t.test('a version 1 document that is not there, with version 1 alone: an outage', async t => {
  const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
  own.documents.clear()
  const env = { ...pointing(own), TOKEN_VERSIONS: '1.0' }
  const server = await startApi(t, { tenant, env, waitForKeys: false })
  await refuses(t, server, own.issue({ version: 1 }), 'keys_unavailable')
  t.match(await server.get('/readyz'), { status: 503 })
})

t.test(
  'documents that are not this tenant’s (ENTRA-1, JWKS-1): not used, and the caller is not blamed',
  async t => {
    const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
    const lies = [
      own.issuerOf(OTHER, 2),
      own.issuerOf('{tenantid}', 2),
      own.issuerOf(HOME, 1),
      `${own.issuerOf(HOME, 2)}/`,
      own.issuerOf(HOME.toUpperCase(), 2),
      `https://login.microsoftonline.com/${HOME}/v2.0`,
      undefined,
      7,
    ]
    for (const issuer of lies) {
      own.describe(HOME, 2, { issuer }, [bare(key)])
      const env = { ...pointing(own), TOKEN_VERSIONS: '2.0' }
      const server = await startApi(t, { tenant, env, waitForKeys: false })
      await refuses(t, server, own.issue(), 'keys_unavailable')
      t.match(
        await server.get('/readyz'),
        { status: 503, json: { issuers: [{ state: 'missing' }] } },
        String(issuer),
      )
      await refuses(t, server, 'x.y', 'malformed_token')
      await refuses(t, server, own.issue({ tenant: OTHER }), 'tenant_not_allowed')
    }
    t.notOk(own.requests.some(url => url.endsWith('/keys')))
  },
)

t.test('an issuer under another name of this machine: exactly what the document says (ENTRA-1)', async t => {
  const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
  const local = own.issuerOf(HOME, 2).replace('127.0.0.1', 'localhost')
  own.describe(HOME, 2, { issuer: local }, [bare(key)])
  const server = await startApi(t, { tenant, env: pointing(own) })
  await accepts(t, server, own.issue({ claims: { iss: local } }))
  await refuses(t, server, own.issue(), 'untrusted_issuer')
})

t.test('many tenants (ENTRA-3, ENTRA-7): listed ones, by common and by organizations', async t => {
  for (const name of ['common', 'organizations', 'COMMON']) {
    const own = await startEntraIssuer(t, { tenant: name.toLowerCase(), audience: API_ID, key })
    const issuer = own.issuerOf('{tenantid}', 2)
    own.describe(own.tenant, 2, {}, [
      { ...bare(key), issuer },
      { ...bare(second), issuer: own.issuerOf(CONSUMERS, 2) },
    ])
    const env = {
      ...pointing(own),
      AZURE_TENANT_ID: name,
      ALLOWED_TENANTS: `${HOME.toUpperCase()}, ${CONSUMERS}`,
    }
    const server = await startApi(t, { tenant, env })
    const before = own.requests.length
    t.equal(before, 4)
    await accepts(t, server, own.issue({ tenant: HOME }))
    await accepts(t, server, own.issue({ tenant: HOME, version: 1 }))
    t.match((await accepts(t, server, own.issue({ tenant: HOME }), '/whoami')).json, {
      tenant: HOME,
      issuer: own.issuerOf(HOME, 2),
    })
    await accepts(t, server, own.issue({ tenant: CONSUMERS, key: second }))
    await refuses(t, server, own.issue({ tenant: HOME, key: second }), 'key_not_for_issuer')
    await refuses(t, server, own.issue({ tenant: OTHER }), 'tenant_not_allowed')
    await refuses(t, server, own.issue({ tenant: OTHER, version: 1 }), 'tenant_not_allowed')
    await refuses(
      t,
      server,
      own.issue({ tenant: OTHER, header: { kid: 'nobody knows' } }),
      'tenant_not_allowed',
    )
    await refuses(t, server, own.issue({ tenant: '{tenantid}' }), 'untrusted_issuer')
    await refuses(t, server, own.issue({ tenant: 'common' }), 'untrusted_issuer')
    await refuses(t, server, own.issue({ tenant: HOME.toUpperCase() }), 'untrusted_issuer')
    await refuses(t, server, own.issue({ tenant: HOME, claims: { tid: CONSUMERS } }), 'untrusted_issuer')
    t.equal(own.requests.length, before, 'no token costs a fetch')
  }
})

t.test('any tenant (ENTRA-7): only where * is written out', async t => {
  const own = await startEntraIssuer(t, { tenant: 'common', audience: API_ID, key })
  const server = await startApi(t, { tenant, env: { ...pointing(own), ALLOWED_TENANTS: '*' } })
  for (const one of [HOME, OTHER, CONSUMERS]) await accepts(t, server, own.issue({ tenant: one }))
  await refuses(t, server, own.issue({ tenant: 'contoso.example' }), 'untrusted_issuer')
  await refuses(t, server, own.issue({ tenant: HOME, claims: { tid: OTHER } }), 'untrusted_issuer')
  // ENTRA-19: the same subject in two tenants is two callers.
  const [a, b] = await Promise.all(
    [HOME, OTHER].map(one => server.get('/whoami', own.issue({ tenant: one }))),
  )
  t.equal(a?.json.subject, b?.json.subject)
  t.not(a?.json.tenant, b?.json.tenant)
  t.not(a?.json.issuer, b?.json.issuer)

  const env = { AZURE_TENANT_ID: 'common', AZURE_CLIENT_ID: API_ID }
  for (const ALLOWED_TENANTS of [undefined, '', `*,${HOME}`, '**', 'contoso.example', `${HOME},`]) {
    t.throws(() => readConfig({ ...env, ALLOWED_TENANTS }), Misconfigured, String(ALLOWED_TENANTS))
  }
  t.throws(() => readConfig({ ...env, AZURE_TENANT_ID: 'consumers', ALLOWED_TENANTS: '*' }), Misconfigured)
  t.throws(() => readConfig({ ...env, AZURE_TENANT_ID: HOME, ALLOWED_TENANTS: OTHER }), Misconfigured)
  t.throws(() => readConfig({ ...env, AZURE_TENANT_ID: HOME, ALLOWED_TENANTS: '*' }), Misconfigured)
  t.ok(readConfig({ ...env, AZURE_TENANT_ID: HOME, ALLOWED_TENANTS: HOME }))
})

t.test('the document of every tenant that names one (ENTRA-3): not used', async t => {
  const own = await startEntraIssuer(t, { tenant: 'common', audience: API_ID, key })
  own.describe('common', 2, { issuer: own.issuerOf(HOME, 2) }, [bare(key)])
  const env = { ...pointing(own), ALLOWED_TENANTS: '*', TOKEN_VERSIONS: '2.0' }
  const server = await startApi(t, { tenant, env, waitForKeys: false })
  await refuses(t, server, own.issue({ tenant: HOME }), 'keys_unavailable')
})

t.test('the local tenant as one of many (ENTRA-7): its people are, its partner’s are not', async t => {
  const env = { AZURE_TENANT_ID: 'organizations', ALLOWED_TENANTS: tenantId }
  const server = await startApi(t, { tenant, env })
  await accepts(t, server, tenant.issue())
  await accepts(t, server, tenant.issue({ version: 1 }))
  await refuses(t, server, await tenant.mint('wrong-tenant'), 'tenant_not_allowed')
  await refuses(t, server, await tenant.mint('consumer-key'), 'key_not_for_issuer')
})

t.test('audiences by version (ENTRA-8)', async t => {
  const rows: readonly (readonly [string, boolean, boolean])[] = [
    [clientId, true, true],
    [`api://${clientId}`, true, false],
    [`api://${clientId}/`, false, false],
    [clientId.toUpperCase(), false, false],
    [`API://${clientId}`, false, false],
    [`api://${clientId}/Data.Read`, false, false],
    [`spn:${clientId}`, false, false],
    ['https://orders.example', false, false],
  ]
  for (const [aud, inV1, inV2] of rows) {
    for (const [i, token] of both({ aud }).entries()) {
      if (i === 0 ? inV1 : inV2) await accepts(t, api, token)
      else await refuses(t, api, token, 'wrong_audience')
    }
  }
  await refuses(t, api, await tenant.mint('wrong-audience', { version: 1 }), 'wrong_audience')
})

t.test('AUDIENCE (ENTRA-8): replaces the defaults in both versions', async t => {
  const env = { AUDIENCE: 'api://orders, https://orders.example/' }
  const server = await startApi(t, { tenant, env })
  for (const aud of ['api://orders', 'https://orders.example/']) {
    for (const token of both({ aud })) await accepts(t, server, token)
  }
  for (const aud of [clientId, `api://${clientId}`, 'https://orders.example', 'api://orders/']) {
    for (const token of both({ aud })) await refuses(t, server, token, 'wrong_audience')
  }
})

table('tokens for Microsoft Graph (ENTRA-9, ENTRA-10): named as such, whatever their signature', [
  ['as Entra signs them', await tenant.mint('graph'), 'graph_token'],
  ['as Entra signs them, version 2', await tenant.mint('graph', { version: 2 }), 'graph_token'],
  ['with a signature that verifies', await tenant.mint('graph-plain'), 'graph_token'],
  ...[
    'https://graph.microsoft.com',
    'https://graph.microsoft.com/',
    '00000003-0000-0000-c000-000000000000',
  ].map((aud): Row => [aud, tenant.issue({ claims: { aud } }), 'graph_token']),
  ['among others', tenant.issue({ claims: { aud: ['x', 'https://graph.microsoft.com'] } }), 'graph_token'],
  [
    'a nonce in the header over our own audience',
    await tenant.mint('graph', { claims: { aud: clientId } }),
    'invalid_signature',
  ],
  [
    'what only looks like it',
    tenant.issue({ claims: { aud: 'https://graph.microsoft.com.evil.example' } }),
    'wrong_audience',
  ],
])

t.test('a Graph token (ENTRA-9): the log says what it is, the answer names no value', async t => {
  const answer = await refuses(t, api, await tenant.mint('graph-plain'), 'graph_token')
  t.notMatch(answer.text, '00000003')
  t.match(api.refusals().at(-1), { code: 'graph_token' })
  // A nonce in the header of a token of ours changes nothing.
  await accepts(t, api, tenant.issue({ header: { nonce: 'n' } }))
})

table('typ and alg (ENTRA-11): JWT or at+jwt, RS256', [
  ...['pop', 'dpop+jwt', 'logout+jwt', 'JWE', '', 'token-introspection+jwt', 'secevent+jwt'].map(
    (typ): Row => [`"${typ}"`, tenant.issue({ header: { typ } }), 'wrong_token_type'],
  ),
  ['absent', tenant.issue({ header: { typ: undefined } }), 'wrong_token_type'],
  ['PS256', tenant.issue({ header: { alg: 'PS256' } }), 'unsupported_algorithm'],
])

table('ID tokens (ENTRA-12): no access tokens, even for an application that is client and API', [
  ['of the local tenant', await tenant.mint('id-token'), 'id_token'],
  ['with roles', await tenant.mint('id-token', { claims: { roles: ['Data.Read.All'] } }), 'id_token'],
  [
    'with scp and without a nonce',
    await tenant.mint('id-token', { claims: { nonce: undefined, scp: 'Data.Read' } }),
    'id_token',
  ],
  [
    'with azp, scp and a nonce',
    await tenant.mint('id-token', { claims: { azp: clientId, scp: 'Data.Read' } }),
    'id_token',
  ],
  ...['nonce', 'at_hash', 'c_hash'].flatMap(name =>
    both({ [name]: 'x' }).map((token, i): Row => [`${name}, version ${i + 1}`, token, 'id_token']),
  ),
  ['a nonce that is empty', tenant.issue({ claims: { nonce: '' } }), 'id_token'],
  ['no azp', tenant.issue({ claims: { azp: undefined } }), 'id_token'],
  ['no azp but an appid', tenant.issue({ claims: { azp: undefined, appid: 'x' } }), 'id_token'],
  ['no appid', tenant.issue({ version: 1, claims: { appid: undefined } }), 'id_token'],
  ['no appid but an azp', tenant.issue({ version: 1, claims: { appid: undefined, azp: 'x' } }), 'id_token'],
])

table('scp (ENTRA-13): one element, exactly', [
  ...[
    'Data.Read2',
    'Data',
    'data.read',
    'xData.Read',
    'Data.Read,Data.Write',
    `api://${clientId}/Data.Read`,
    'Data.ReadData.Read',
  ].map((scp): Row => [scp, tenant.issue({ claims: { scp } }), 'insufficient_scope']),
  ['a list', tenant.issue({ claims: { scp: ['Data.Read'] } }), 'malformed_claim'],
  ['null', tenant.issue({ claims: { scp: null } }), 'malformed_claim'],
  ['somebody without it', tenant.issue({ person: 'bob' }), 'insufficient_scope'],
])

t.test(
  'a scope that is missing (ENTRA-13, ENTRA-25, C-10): named in its requestable form, a role is not',
  async t => {
    const user = await refuses(t, api, tenant.issue({ person: 'bob' }), 'insufficient_scope')
    t.equal(user.json.scope, `api://${clientId}/Data.Read`)
    t.match(user.challenge, `scope="api://${clientId}/Data.Read"`)
    const app = await refuses(t, api, tenant.issue({ app: 'daemon', roles: ['Other'] }), 'insufficient_role')
    t.notOk('scope' in app.json)
    t.notMatch(app.challenge, 'scope=')
  },
)

t.test('scp with several elements (ENTRA-13): any place', async t => {
  for (const scp of ['Data.Read', 'x Data.Read', 'Data.Read x', ' Data.Read ', 'a  Data.Read  b']) {
    await accepts(t, api, tenant.issue({ claims: { scp } }))
  }
})

t.test('roles (ENTRA-14): a list with the role, exactly', async t => {
  const app = (roles: unknown, more: Json = {}) => tenant.issue({ app: 'daemon', claims: { roles, ...more } })
  for (const path of ['/secure-data', '/applications']) {
    await accepts(t, api, app(['Data.Read.All']), path)
    await accepts(t, api, app(['x', 'Data.Read.All']), path)
    for (const roles of [
      ['Data.Read'],
      ['data.read.all'],
      ['Data.Read.All2'],
      ['Data.Read.All '],
      ['x Data.Read.All'],
    ]) {
      await refuses(t, api, app(roles), 'insufficient_role', path)
    }
    for (const roles of ['Data.Read.All', null, {}, 7, [7], ['Data.Read.All', null], [['Data.Read.All']]]) {
      await refuses(t, api, app(roles), 'malformed_claim', path)
    }
    await refuses(t, api, app([]), 'no_permissions', path)
  }
})

t.test('neither scp nor roles (ENTRA-15): nobody, on every guarded route', async t => {
  const nobody = [
    await tenant.mint('no-scope-no-roles'),
    await tenant.mint('no-scope-no-roles', { version: 1 }),
    tenant.issue({ app: 'daemonWithoutRole' }),
    tenant.issue({ app: 'daemonWithoutRole', version: 1 }),
    tenant.issue({ claims: { scp: '' } }),
    tenant.issue({ claims: { scp: '  ' } }),
    tenant.issue({ app: 'daemon', roles: [] }),
  ]
  for (const token of nobody) {
    for (const path of ['/secure-data', '/whoami', '/users', '/applications', '/nothing-here']) {
      const answer = await refuses(t, api, token, 'no_permissions', path)
      t.notMatch(answer.challenge, /error|scope/)
    }
  }
})

t.test(
  'user or application (ENTRA-16, BCP-17): by idtyp, else by scp; never by each other’s permission',
  async t => {
    const kinds: readonly (readonly [string, Json, string])[] = [
      ['idtyp user', { idtyp: 'user' }, 'user'],
      ['scp', { idtyp: undefined }, 'user'],
      ['scp, idtyp that nobody knows', { idtyp: 'device' }, 'user'],
      ['idtyp app and scp', { idtyp: 'app' }, 'application'],
      ['no scp', { scp: undefined, roles: ['x'] }, 'application'],
      ['no scp, idtyp user', { scp: undefined, roles: ['x'], idtyp: 'user' }, 'user'],
      ['an empty scp', { scp: '', roles: ['x'] }, 'user'],
    ]
    for (const [title, claims, kind] of kinds) {
      for (const token of both(claims)) {
        t.equal((await accepts(t, api, token, '/whoami')).json.kind, kind, title)
      }
    }
    await refuses(t, api, tenant.issue({ claims: { idtyp: 7 } }), 'malformed_claim')

    const roles = ['Data.Read.All']
    const user = tenant.issue({ scopes: ['Data.Read'], roles })
    await accepts(t, api, user, '/users')
    await refuses(t, api, user, 'wrong_caller_kind', '/applications')
    await refuses(t, api, tenant.issue({ scopes: ['Other'], roles }), 'insufficient_scope')
    await refuses(
      t,
      api,
      tenant.issue({ claims: { scp: undefined, idtyp: 'user', roles } }),
      'insufficient_scope',
    )
    const app = tenant.issue({ app: 'daemon', claims: { scp: 'Data.Read', roles: ['Other'] } })
    await refuses(t, api, app, 'wrong_caller_kind', '/users')
    await refuses(t, api, app, 'insufficient_role')
    await refuses(
      t,
      api,
      tenant.issue({ app: 'daemon', roles: ['Data.Read'] }),
      'wrong_caller_kind',
      '/users',
    )
  },
)

t.test('allowed clients (ENTRA-17): azp or appid, exactly; the list only ever restricts', async t => {
  const { publicClient, daemon, daemonWithoutRole } = tenant.profile
  const env = { ALLOWED_CLIENTS: `${publicClient.clientId},${daemonWithoutRole.clientId}` }
  const server = await startApi(t, { tenant, env })
  for (const version of [1, 2] as const) {
    const name = version === 1 ? 'appid' : 'azp'
    await accepts(t, server, tenant.issue({ version }))
    await refuses(t, server, tenant.issue({ version, app: 'daemon' }), 'client_not_allowed')
    await refuses(t, server, tenant.issue({ version, app: 'daemon' }), 'client_not_allowed', '/whoami')
    const wrong = [publicClient.clientId.toUpperCase(), `${publicClient.clientId} `, 'x', daemon.clientId]
    for (const client of wrong) {
      await refuses(t, server, tenant.issue({ version, claims: { [name]: client } }), 'client_not_allowed')
    }
    await refuses(t, server, tenant.issue({ version, claims: { [name]: 7 } }), 'malformed_claim')
    // Being listed is no permission.
    await refuses(t, server, tenant.issue({ version, app: 'daemonWithoutRole' }), 'no_permissions')
  }
  const answer = await server.get('/secure-data', tenant.issue({ app: 'daemon' }))
  t.notMatch(answer.challenge, /error|scope/)
})

t.test('the name (ENTRA-18): for display, from what there is, and never for a decision', async t => {
  const names: readonly (readonly [Json, string])[] = [
    [{}, 'Ada Lovelace'],
    [{ name: undefined }, 'ada@local.localhost'],
    [{ name: '' }, 'ada@local.localhost'],
    [{ name: 7, preferred_username: undefined, unique_name: 'ada@v1' }, 'ada@v1'],
    [{ name: undefined, preferred_username: undefined, app_displayname: 'App' }, 'App'],
    [{ name: undefined, preferred_username: undefined, azp: 'client-7' }, 'client-7'],
  ]
  for (const [claims, name] of names) {
    const { json } = await accepts(t, api, tenant.issue({ claims }), '/whoami')
    t.equal(json.name, name)
    t.match((await accepts(t, api, tenant.issue({ claims }))).json, {
      message: `Hello ${name}, this is protected data.`,
    })
  }
  const daemon = await accepts(t, api, tenant.issue({ app: 'daemon', version: 1 }), '/whoami')
  t.equal(daemon.json.name, 'Daemon (local)')
  await refuses(
    t,
    api,
    tenant.issue({
      person: 'bob',
      claims: { name: 'Ada Lovelace', preferred_username: 'ada@local.localhost' },
    }),
    'insufficient_scope',
  )
})

t.test('who it is (ENTRA-19): tenant, object and subject, as the token has them', async t => {
  const token = tenant.issue({ person: 'gus' })
  const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Json
  const { json } = await accepts(t, api, token, '/whoami')
  t.strictSame(json, {
    kind: 'user',
    subject: claims.sub,
    objectId: claims.oid,
    tenant: tenantId,
    client: claims.azp,
    scopes: ['Data.Read'],
    roles: [],
    name: 'Gus Babbage',
    issuer: claims.iss,
    expiresAt: claims.exp,
  })
  await refuses(t, api, tenant.issue({ claims: { sub: undefined, oid: undefined } }), 'missing_claim')
  for (const name of ['sub', 'oid']) {
    await refuses(t, api, tenant.issue({ claims: { [name]: '' } }), 'malformed_claim')
    await refuses(t, api, tenant.issue({ claims: { [name]: ['x'] } }), 'malformed_claim')
    await accepts(t, api, tenant.issue({ claims: { [name]: undefined } }))
  }
})

t.test(
  'the same claim in another case (C-17, JWT-4): refused for every claim that decides something',
  async t => {
    const names = [
      'TID',
      'Tid',
      'AUD',
      'Iss',
      'EXP',
      'Nbf',
      'SUB',
      'Oid',
      'Ver',
      'AZP',
      'AppId',
      'SCP',
      'Roles',
      'IdTyp',
      'CNF',
      'Iat',
    ]
    for (const name of names) {
      await refuses(t, api, tenant.issue({ claims: { [name]: 'x' } }), 'malformed_claim')
    }
    await accepts(t, api, tenant.issue({ claims: { Name: 'x', EMAIL: 'x', Tıd: 'x' } }))
  },
)

t.test('tokens bound to a key (C-13, DPOP-3): refused with any member, as Entra’s use kid', async t => {
  await refuses(t, api, await tenant.mint('bound'), 'sender_constrained')
  for (const cnf of [{ kid: 'x' }, { jkt: 'x' }, { 'x5t#S256': 'x' }, { xms_ksl: 'sw' }, { unknown: 1 }]) {
    await refuses(t, api, tenant.issue({ claims: { cnf } }), 'sender_constrained')
  }
  for (const cnf of [null, 'x', [], 7])
    await refuses(t, api, tenant.issue({ claims: { cnf } }), 'malformed_claim')
  await accepts(t, api, tenant.issue({ claims: { cnf: {} } }))
})

t.test('groups that are too many (ENTRA-20): nothing is asked of the address in the token', async t => {
  await accepts(t, api, await tenant.mint('overage'))
})

t.test('access in a handler: frozen all the way down', async t => {
  const claims = { deep: { list: [{ a: [{}] }], none: null }, roles: ['x'] }
  const { json } = await accepts(t, api, tenant.issue({ claims }), '/access')
  t.match(json, { frozen: true, claims })
  t.ok(json.seen > 20)
})

t.test('the order of checks: the first thing that is wrong decides', async t => {
  const wrong: readonly (readonly [Json, Code])[] = [
    [{ exp: undefined }, 'missing_claim'],
    [{ exp: '1' }, 'malformed_claim'],
    [{ aud: 7 }, 'malformed_claim'],
    [{ azp: 7 }, 'malformed_claim'],
    [{ tid: tenant.partnerTenantId }, 'untrusted_issuer'],
    [{ ver: '3.0' }, 'wrong_token_version'],
    [{ aud: 'x' }, 'wrong_audience'],
    [{ exp: 1 }, 'expired'],
    [{ nbf: 1e10 }, 'not_yet_valid'],
    [{ nonce: 'x' }, 'id_token'],
    [{ events: {} }, 'wrong_token_type'],
    [{ cnf: { kid: 'x' } }, 'sender_constrained'],
    [{ scp: '' }, 'no_permissions'],
  ]
  for (let i = 0; i < wrong.length; i++) {
    const claims = Object.assign(
      {},
      ...wrong
        .slice(i)
        .map(([one]) => one)
        .reverse(),
    ) as Json
    await refuses(t, api, tenant.issue({ claims }), wrong[i]![1])
  }
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const all = Object.assign({}, ...wrong.map(([one]) => one)) as Json
  await refuses(
    t,
    api,
    tenant.issue({ claims: { ...all, aud: clientId }, key: stranger }),
    'invalid_signature',
  )
  t.equal(new Set(CLAIM_RULES.map(({ name }) => name)).size, CLAIM_RULES.length)
})

t.test('the clouds (ENTRA-1, ENTRA-2): which hosts may name the issuer', t => {
  const find = (authority: string, iss: string, more: Partial<EntraTrust> = {}) =>
    trustEntra({
      authority,
      tenant: HOME,
      allowedTenants: [],
      versions: ['1.0', '2.0'],
      audiences: { '1.0': [], '2.0': [] },
      ...more,
    }).find(iss)
  const trusted: readonly (readonly [string, string])[] = [
    ['https://login.microsoftonline.com', `https://login.microsoftonline.com/${HOME}/v2.0`],
    ['https://login.microsoftonline.com', `https://sts.windows.net/${HOME}/`],
    ['https://login.microsoftonline.us', `https://login.microsoftonline.us/${HOME}/v2.0`],
    ['https://login.microsoftonline.us', `https://sts.windows.net/${HOME}/`],
    ['https://login.partner.microsoftonline.cn', `https://login.partner.microsoftonline.cn/${HOME}/v2.0`],
    ['https://login.partner.microsoftonline.cn', `https://sts.chinacloudapi.cn/${HOME}/`],
    ['https://login.sovcloud-identity.fr', `https://login.sovcloud-identity.fr/${HOME}/v2.0`],
    ['https://contoso.ciamlogin.com', `https://${HOME}.ciamlogin.com/${HOME}/v2.0`],
    ['http://localhost:8443', `http://127.0.0.1:8443/${HOME}/`],
    ['https://127.0.0.1', `https://localhost/${HOME}/v2.0`],
  ]
  for (const [authority, iss] of trusted) t.match(find(authority, iss), { tenant: HOME }, iss)
  const untrusted: readonly (readonly [string, string])[] = [
    ['https://login.microsoftonline.com', `https://login.microsoftonline.us/${HOME}/v2.0`],
    ['https://login.microsoftonline.com', `https://sts.chinacloudapi.cn/${HOME}/`],
    ['https://login.microsoftonline.com', `http://login.microsoftonline.com/${HOME}/v2.0`],
    ['https://login.microsoftonline.com', `https://login.microsoftonline.com:8443/${HOME}/v2.0`],
    ['https://login.microsoftonline.com', `https://LOGIN.microsoftonline.com/${HOME}/v2.0`],
    ['https://login.microsoftonline.com', `https://login.microsoftonline.com.evil.example/${HOME}/v2.0`],
    ['https://login.microsoftonline.com', `https://sts.windows.net.evil.example/${HOME}/`],
    ['https://login.microsoftonline.com', `https://login.microsoftonline.com//${HOME}/v2.0`],
    ['https://login.sovcloud-identity.fr', `https://sts.windows.net/${HOME}/`],
    ['https://contoso.ciamlogin.com', `https://${OTHER}.ciamlogin.com/${OTHER}/v2.0`],
    ['https://contoso.ciamlogin.com', `https://login.microsoftonline.com/${HOME}/v2.0`],
    ['https://ciamlogin.com.evil.example', `https://${HOME}.ciamlogin.com/${HOME}/v2.0`],
    ['http://localhost:8443', `http://127.0.0.1:8444/${HOME}/`],
    ['http://localhost:8443', `http://127.0.0.2:8443/${HOME}/`],
  ]
  for (const [authority, iss] of untrusted) t.match(find(authority, iss), { code: 'untrusted_issuer' }, iss)
  const many = { tenant: 'common', allowedTenants: [HOME] }
  const authority = 'https://login.microsoftonline.com'
  t.match(find(authority, `${authority}/${HOME}/v2.0`, many), {
    issuer: { metadata: `${authority}/common/v2.0` },
  })
  t.match(find(authority, `https://sts.windows.net/${HOME}/`, many), {
    issuer: { metadata: `${authority}/common` },
  })
  t.match(find(authority, `${authority}/${OTHER}/v2.0`, many), { code: 'tenant_not_allowed' })
  t.match(find(authority, `${authority}/${OTHER}/v2.0`, { ...many, allowedTenants: '*' }), { tenant: OTHER })
  t.match(find(authority, `https://sts.windows.net/${HOME}/`, { versions: ['2.0'] }), {
    code: 'wrong_token_version',
  })
  for (const iss of [undefined, null, 7, {}]) {
    t.match(
      trustEntra({
        authority,
        tenant: HOME,
        allowedTenants: [],
        versions: ['2.0'],
        audiences: { '1.0': [], '2.0': [] },
      }).find(iss),
      {
        code: iss === undefined ? 'missing_claim' : 'malformed_claim',
      },
    )
  }
  t.end()
})

t.test('the name of a caller without a client: its subject, or its object', t => {
  const base = { iss: 'i', exp: 1, scp: 'x', oid: 'object-7' }
  t.equal(readAccess('entra', { ...base, sub: 'subject-7' }).name, 'subject-7')
  t.match(readAccess('entra', base), { name: 'object-7', subject: 'object-7', client: undefined })
  t.end()
})

t.test('what a route asks for: one name, all of a list, any of a list; nothing else boots', t => {
  const user = (...scopes: string[]) =>
    readAccess('entra', { iss: 'i', exp: 1, sub: 's', scp: scopes.join(' ') })
  const app = (...roles: string[]) => readAccess('entra', { iss: 'i', exp: 1, sub: 's', roles })
  const terms = {
    allowedClients: [],
    implied: new Map(),
    acrs: {},
    isEntra: () => true,
    now: Date.now,
    toleranceSeconds: 60,
  }
  const rows: readonly (readonly [Policy, Access, Code | undefined])[] = [
    [{ scope: 'a' }, user('a', 'b'), undefined],
    [{ scope: 'a' }, user('b'), 'insufficient_scope'],
    [{ scope: ['a', 'b'] }, user('b', 'a'), undefined],
    [{ scope: ['a', 'b'] }, user('a'), 'insufficient_scope'],
    [{ scope: { any: ['a', 'b'] } }, user('b'), undefined],
    [{ scope: { any: ['a', 'b'] } }, user('c'), 'insufficient_scope'],
    [{ scope: 'a' }, app('a'), 'wrong_caller_kind'],
    [{ role: 'a' }, user('a'), 'wrong_caller_kind'],
    [{ role: ['a', 'b'] }, app('a', 'b', 'c'), undefined],
    [{ role: ['a', 'b'] }, app('b'), 'insufficient_role'],
    [{ role: { any: ['a', 'b'] } }, app('b'), undefined],
    [{ scope: 'x', role: 'a' }, app('a'), undefined],
    [{ scope: 'x', role: 'a' }, user('a'), 'insufficient_scope'],
  ]
  for (const [policy, caller, code] of rows) {
    const outcome = enforce(policy, caller, terms)
    t.equal(outcome?.code, code, JSON.stringify([policy, caller.scopes, caller.roles]))
  }
  t.equal(enforce('any', user('x'), terms), undefined)
  t.match(enforce('any', user('x'), { ...terms, allowedClients: ['c'] }), { code: 'client_not_allowed' })
  t.strictSame(scopesOf({ scope: { any: ['a', 'b'] } }), ['a', 'b'])
  t.strictSame(scopesOf({ role: 'a' }), [])
  t.strictSame(rolesOf({ role: ['a'] }), ['a'])
  t.strictSame(rolesOf('any'), [])

  const good: unknown[] = [
    'public',
    'any',
    { scope: 'a' },
    { role: ['a', 'b'] },
    { scope: { any: ['a'] }, role: 'b' },
  ]
  for (const access of good) t.strictSame(findPolicyProblems('GET /x', access), [], JSON.stringify(access))
  const bad: unknown[] = [
    undefined,
    null,
    '',
    'all',
    7,
    true,
    [],
    ['a'],
    {},
    { scopes: 'a' },
    { scope: 'a', roles: 'b' },
  ]
  const worse: unknown[] = [
    '',
    [],
    'a b',
    'a"',
    'a\\',
    'é',
    7,
    null,
    undefined,
    [''],
    ['a', 7],
    { any: [] },
    { any: 'a' },
    {},
  ]
  for (const access of [...bad, ...worse.flatMap(names => [{ scope: names }, { role: names }]), () => true]) {
    const [problem] = findPolicyProblems('GET /x', access)
    t.match(
      problem,
      { name: /^access of GET \/x/, found: String, expected: String, example: String },
      String(JSON.stringify(access)),
    )
  }
  t.end()
})

t.test(
  'an application’s own signing keys (ENTRA-26): asked for by appid, at the discovery document',
  async t => {
    const own = await startEntraIssuer(t, { tenant: HOME, audience: API_ID, key })
    const [issuer] = trustEntra({
      authority: own.origin,
      tenant: HOME,
      allowedTenants: [],
      versions: ['2.0'],
      audiences: { '1.0': [], '2.0': [API_ID] },
      signingKeysAppId: API_ID,
    }).issuers
    const keys = `/${HOME}/discovery/v2.0/keys`
    own.describe(HOME, 2, { jwks_uri: `${own.origin}${keys}?appid=${API_ID}` }, [bare(key)])
    const dispatcher = new Agent()
    t.teardown(() => dispatcher.destroy())
    const set = await createKeyFetch({ issuer: issuer!, dispatcher, clock: systemClock })()
    t.match(set, { issuer: own.issuerOf(HOME, 2), keys: [{ kid: key.kid, alg: 'RS256' }] })
    t.strictSame(own.requests, [
      `/${HOME}/v2.0/.well-known/openid-configuration?appid=${API_ID}`,
      `${keys}?appid=${API_ID}`,
    ])
  },
)

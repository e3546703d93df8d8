/** Decides whether explain judges as the server does, says what mends each refusal, repeats no token, and whether every reason has its page. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { runExplain } from '../src/cli/explain.ts'
import { investigate } from '../src/cli/explain-case.ts'
import { type Case, FIXED_CODES, fixOf } from '../src/cli/explain-fixes.ts'
import { createOpenJudge } from '../src/cli/explain-server.ts'
import { writeToken } from '../src/cli/explain-text.ts'
import { SHOWN } from '../src/cli/explain-token.ts'
import { showClock, showDate, showDuration, showValue } from '../src/cli/explain-values.ts'
import type { In, Io } from '../src/cli/io.ts'
import { clean } from '../src/cli/token-input.ts'
import { CODES, type Code, type Refusal } from '../src/errors.ts'
import { MINT_KINDS, type MintKind } from '../src/local-tenant/mint.ts'
import type { LocalTenant } from '../src/local-tenant/tenant.ts'
import { CHECKS } from '../src/token/authenticate.ts'
import type { Jws } from '../src/token/jws.ts'
import { type Api, startApi, startTenant, trusting } from './helpers/api.ts'
import { exampleIn, exampleOf, withExample } from './helpers/code-pages.ts'
import { bare, createKey, serveDocuments, startEntraIssuer, startIssuer } from './helpers/issuer.ts'
import { wireTo } from './helpers/tenant.ts'

const GUID = '11111111-2222-3333-4444-555555555555'
const PARTNER = '99999999-2222-3333-4444-555555555555'
const PAGES = new URL('../docs/codes/', import.meta.url)

/** What a run left behind. */
interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

interface World extends Partial<Omit<Io, 'stdout' | 'stderr'>> {
  readonly isTTY?: boolean
  readonly now?: () => number
}

const idle: In = (async function* () {})()

async function run(args: readonly string[], { isTTY, now, ...world }: World = {}): Promise<Outcome> {
  let out = ''
  let err = ''
  const io: Io = {
    env: {},
    stdin: idle,
    cwd: '/nonexistent',
    home: '/nonexistent',
    platform: 'linux',
    stdout: { isTTY, write: text => (out += text) },
    stderr: { isTTY, write: text => (err += text) },
    ...world,
  }
  const code = await runExplain(args, io, createOpenJudge(now))
  return { code, out, err }
}

/** Fails when a part of the token stands in what was written. */
function keepsSecret(t: Test, token: string, { out, err }: Outcome): void {
  const pieces = token.split('.').flatMap(part => [part.slice(0, 16), part.slice(-16)])
  const found = pieces.find(piece => piece.length === 16 && `${out}${err}`.includes(piece))
  t.equal(found, undefined, 'no part of the token is written')
}

/** Explains a token at the local tenant; both ways of writing the report in one run, since each builds a server. */
async function explain(t: Test, tenant: LocalTenant, token: string, world: World = {}) {
  const { code, out: json, err } = await run([token, '--json'], { localTenant: tenant.profile, ...world })
  t.equal(err, '')
  const report = JSON.parse(json)
  const out = writeToken(report, (_, text) => text)
  keepsSecret(t, token, { code, out, err: json })
  return { code, out, report }
}

/** One pain of the field: a token that is refused by the server, and what explain says. */
async function pains(
  t: Test,
  api: Api,
  token: string,
  code: Code,
  says: RegExp,
  world: World = {},
): Promise<void> {
  const before = api.refusals().length
  const answer = await api.get('/secure-data', token)
  t.equal(answer.json.code, code)
  const line = api.refusals()[before]
  t.match(line, { event: 'refused', code, route: '/secure-data' })
  const { out, code: exit, report } = await explain(t, api.tenant, token, world)
  t.match(out, says)
  const refusal = report.refusal ?? report.routes[0].refusal
  t.match(refusal, { code, status: answer.status, detail: answer.json.detail })
  t.equal(exit, report.accepted ? 0 : 1)
  t.match(out, new RegExp(`${answer.status} ${code}`))
}

t.test('the pains of the field', async t => {
  const api = await startApi(t)
  const { tenant } = api
  const { clientId } = tenant.profile.api

  t.test('2: a Microsoft Graph token sent to this API: ask for a scope of this API', async t => {
    const says = new RegExp(`is for Microsoft Graph: ask for scope api://${clientId}/Data\\.Read instead`)
    await pains(t, api, await tenant.mint('graph'), 'graph_token', says)
    await pains(t, api, await tenant.mint('graph-plain'), 'graph_token', says)
  })

  t.test('3: a wrong audience: both sides, and which scope to ask for', async t => {
    const aud = (aud: unknown, version: 1 | 2 = 2) => tenant.issue({ version, claims: { aud } })
    await pains(
      t,
      api,
      aud('api://orders'),
      'wrong_audience',
      new RegExp(
        `received api://orders\\n +expected ${clientId}[\\s\\S]*The audience is api://orders, this API is ${clientId}[\\s\\S]*Ask for scope api://${clientId}/Data.Read`,
      ),
    )
    await pains(t, api, aud(`${clientId}/`), 'wrong_audience', /differ only in a slash, a space or in case/)
    await pains(t, api, aud(` api://${clientId}`, 1), 'wrong_audience', /differ only in a slash, a space/)
    const own = tenant.profile.publicClient.clientId
    await pains(t, api, aud(own), 'wrong_audience', /The application asked for a token for itself/)
  })

  t.test('3: names of this API that AUDIENCE leaves out: which one to add', async t => {
    const named = await startApi(t, { tenant, env: { AUDIENCE: `api://${clientId}` } })
    const env = { ...trusting(tenant), AUDIENCE: `api://${clientId}` }
    await pains(t, named, tenant.issue(), 'wrong_audience', /v2 tokens always carry the client id: add/, {
      env,
    })
    const byId = await startApi(t, { tenant, env: { AUDIENCE: clientId } })
    const v1 = { env: { ...trusting(tenant), AUDIENCE: clientId } }
    await pains(
      t,
      byId,
      tenant.issue({ version: 1 }),
      'wrong_audience',
      /v1 tokens carry the Application ID/,
      v1,
    )
  })

  t.test('4: a v1 token where v2 is expected: requestedAccessTokenVersion', async t => {
    const modern = await startApi(t, { tenant, env: { TOKEN_VERSIONS: '2.0' } })
    const env = { ...trusting(tenant), TOKEN_VERSIONS: '2.0' }
    const token = tenant.issue({ version: 1 })
    await pains(t, modern, token, 'wrong_token_version', /v1 token: set requestedAccessTokenVersion to 2/, {
      env,
    })
    const old = await startApi(t, { tenant, env: { TOKEN_VERSIONS: '1.0' } })
    const only1 = { env: { ...trusting(tenant), TOKEN_VERSIONS: '1.0' } }
    await pains(t, old, tenant.issue(), 'wrong_token_version', /v2 token, and 1\.0 alone is accepted/, only1)
    await pains(t, api, await tenant.mint('wrong-version'), 'wrong_token_version', /claim ver says 3\.0/)
  })

  t.test('5: the issuer of common, which has {tenantid} in it: matched, and other tenants named', async t => {
    const env = { AZURE_TENANT_ID: 'organizations', ALLOWED_TENANTS: tenant.profile.tenantId }
    const shared = await startApi(t, { tenant, env })
    const world = { env: { ...trusting(tenant), ...env } }
    const good = tenant.issue()
    t.equal((await shared.get('/secure-data', good)).status, 200)
    t.equal((await explain(t, tenant, good, world)).code, 0)
    const { out } = await explain(t, tenant, await tenant.mint('wrong-tenant'), world)
    t.match(out, /401 tenant_not_allowed[\s\S]*add it to ALLOWED_TENANTS/)
    await pains(
      t,
      api,
      await tenant.mint('wrong-tenant'),
      'tenant_not_allowed',
      /this API accepts [-0-9a-f]{36} alone\. Sign in at the authority of that tenant/,
    )
  })

  t.test('6 and 20: keys without alg, no tenant in the cloud: accepted', async t => {
    const { code, out, report } = await explain(t, tenant, tenant.issue())
    t.equal(code, 0)
    t.match(out, /✓ published key/)
    t.match(
      out,
      /✓ GET \/secure-data +admitted[\s\S]*✓ GET \/me +admitted[\s\S]*Accepted: admitted on 3 of 3 guarded routes/,
    )
    t.match(report.caller, { kind: 'user', name: 'Ada Lovelace', verified: true })
    const app = await explain(t, tenant, tenant.issue({ app: 'daemon' }))
    t.match(app.report.caller, { kind: 'application', roles: ['Data.Read.All'] })
  })

  t.test('15: the answer says little, the log has both sides, explain the rest', async t => {
    const token = await tenant.mint('wrong-audience')
    const answer = await api.get('/secure-data', token)
    t.notMatch(answer.text, new RegExp(clientId))
    t.match(api.refusals().at(-1), { about: 'aud', received: /^[-0-9a-f]{36}$/, expected: [clientId] })
    const { report } = await explain(t, tenant, token)
    t.match(report.refusal, { about: 'aud', expected: clientId })
  })

  t.test('16: scope where Entra has scp: no permission, and how to get one', async t => {
    const token = tenant.issue({ claims: { scp: undefined, scope: 'Data.Read' } })
    await pains(
      t,
      api,
      token,
      'no_permissions',
      /neither scp nor roles\. As a person: ask for scope api:\/\//,
    )
  })

  t.test('17: an application without a role, a user without the scope: where to click', async t => {
    const daemon = tenant.issue({ app: 'daemonWithoutRole' })
    await pains(
      t,
      api,
      daemon,
      'no_permissions',
      /API permissions > Application permissions, then Grant admin/,
    )
    const wrong = tenant.issue({ app: 'daemon', roles: ['Other.All'] })
    await pains(t, api, wrong, 'insufficient_role', /has role Other\.All: add Data\.Read\.All/)
    const bob = tenant.issue({ scopes: ['User.Read'] })
    await pains(t, api, bob, 'insufficient_scope', /received User\.Read\n +expected Data\.Read\n +fix/)
  })

  t.test('17: an application that is not on the list: by its id', async t => {
    const env = { ALLOWED_CLIENTS: GUID }
    const strict = await startApi(t, { tenant, env })
    const world = { env: { ...trusting(tenant), ...env } }
    await pains(
      t,
      strict,
      tenant.issue(),
      'client_not_allowed',
      /add it to ALLOWED_CLIENTS[\s\S]*as above/,
      world,
    )
  })

  t.test('22: groups left out because they are too many: said though nothing needs them', async t => {
    const access = { groups: GUID }
    const grouped = await startApi(t, {
      tenant,
      routes: app => {
        app.get(
          '/grouped',
          {
            config: { access },
            schema: { operationId: 'getGrouped', response: { 200: { type: 'object', description: 'x' } } },
          },
          async () => ({}),
        )
      },
    })
    const token = await tenant.mint('overage')
    t.match((await grouped.get('/grouped', token)).json, { code: 'groups_undetermined' })
    t.match(grouped.refusals().at(-1), { code: 'groups_undetermined' })
    const { code, out, report } = await explain(t, tenant, token)
    t.equal(code, 0)
    t.match(out, /note: The caller is in more groups than a token holds[\s\S]*groups_undetermined/)
    t.equal(report.notes.length, 1)
  })
})

t.test('18: a key that is published only under ?appid=: said', async t => {
  const [common, custom] = [createKey('RS256', 'common'), createKey('RS256', 'custom')]
  const entra = await startEntraIssuer(t, { tenant: PARTNER, audience: GUID, key: common })
  const path = `/${PARTNER}/v2.0/.well-known/openid-configuration`
  const jwks = `${entra.origin}/${PARTNER}/discovery/v2.0/keys?appid=${GUID}`
  entra.documents.set(`${path}?appid=${GUID}`, { issuer: entra.issuerOf(PARTNER, 2), jwks_uri: jwks })
  entra.documents.set(new URL(jwks).pathname + new URL(jwks).search, { keys: [bare(common), bare(custom)] })
  const env = { AZURE_AUTHORITY_HOST: entra.origin, AZURE_TENANT_ID: PARTNER, AZURE_CLIENT_ID: GUID }
  const told = await run([entra.issue({ key: custom })], { env })
  t.equal(told.code, 1)
  t.match(told.out, new RegExp(`signed by a key published only under \\?appid=${GUID}`))
  const other = await run([entra.issue({ key: createKey('RS256', 'nobody') })], { env })
  t.match(other.out, /It is not published under \?appid= either/)
})

t.test('every mint kind: the same reason as the server gives, every check in its order', async t => {
  const api = await startApi(t)
  const { tenant } = api
  const reasons: Record<MintKind, Code | 'admitted'> = {
    'alg-none': 'unsupported_algorithm',
    bound: 'sender_constrained',
    'consumer-key': 'key_not_for_issuer',
    'embedded-key': 'invalid_signature',
    expired: 'expired',
    'foreign-key': 'invalid_signature',
    graph: 'graph_token',
    'graph-plain': 'graph_token',
    hs256: 'unsupported_algorithm',
    'id-token': 'id_token',
    'no-exp': 'missing_claim',
    'no-kid': 'unknown_key',
    'no-scope-no-roles': 'no_permissions',
    'not-yet-valid': 'not_yet_valid',
    overage: 'admitted',
    tampered: 'invalid_signature',
    'unknown-kid': 'unknown_key',
    'wrong-audience': 'wrong_audience',
    'wrong-tenant': 'tenant_not_allowed',
    'wrong-version': 'wrong_token_version',
  }
  for (const kind of MINT_KINDS) {
    const token = await tenant.mint(kind)
    const answer = await api.get('/secure-data', token)
    const { code, out, report } = await explain(t, tenant, token)
    const [secureData] = report.routes
    t.equal(answer.json.code ?? 'admitted', reasons[kind], `${kind}: the server`)
    t.equal(secureData.refusal?.code ?? 'admitted', reasons[kind], `${kind}: explain`)
    t.equal(code, answer.status === 200 ? 0 : 1)
    t.same(
      report.checks.map(({ check }: { check: string }) => check),
      CHECKS,
    )
    const outcomes = report.checks.map(({ outcome }: { outcome: string }) => outcome).join(' ')
    t.match(outcomes, report.refusal ? /^(passed )+failed( not reached)*$/ : /^passed( passed)*$/, kind)
    const fixes = report.routes.flatMap((route: { refusal?: { fix: string } }) => route.refusal?.fix ?? [])
    for (const fix of fixes) t.match(fix, /^[A-Z].{20,}\.$/, `${kind}: a sentence that mends it`)
    t.notMatch(`${out}${JSON.stringify(report)}`, /undefined|NaN|\[object/)
  }
})

t.test('what is no token of anybody', async t => {
  const tenant = await startTenant(t)
  const wrong: Record<string, [token: string, code: Code, says: RegExp]> = {
    'an opaque token': ['EwBwA8l6BAAURSN', 'malformed_token', /This is no JWT: an opaque token/],
    'an encrypted token': ['a.b.c.d.e', 'malformed_token', /The token is encrypted \(JWE\)/],
    'a token cut off': ['eyJhbGciOiJSUzI1NiJ9.eyJpc3M', 'malformed_token', /Copy it again, whole/],
    'a token that is too long': [`a.b.${'c'.repeat(17_000)}`, 'malformed_token', /Make it shorter/],
    'characters of no token': ['ey€', 'malformed_credentials', /letters, digits/],
  }
  for (const [what, [token, code, says]] of Object.entries(wrong)) {
    const told = await run([token, '--json'], { localTenant: tenant.profile })
    t.equal(told.code, 1, what)
    const report = JSON.parse(told.out)
    t.equal(report.refusal.code, code, what)
    t.match(report.refusal.fix, says)
    t.notOk('caller' in report)
  }
})

t.test('other issuers: their own words', async t => {
  const key = createKey('RS256')
  const issuer = await startIssuer(t, { keys: [key], audience: 'api://orders' })
  const env = { ISSUERS: issuer.issuer, AUDIENCE: 'api://orders' }
  t.equal((await run([issuer.issue()], { env })).code, 0)
  const cases: [token: string, says: RegExp][] = [
    [issuer.issue({ header: { typ: 'JWT' } }), /does not type its access tokens.*ISSUERS_TOKEN_TYP=JWT/],
    [issuer.issue({ claims: { client_id: undefined } }), /client_id is missing, which RFC 9068 requires/],
    [
      issuer.issue({ claims: { iss: `${issuer.issuer}/` } }),
      /write it in ISSUERS exactly as it stands in iss/,
    ],
    [issuer.issue({ claims: { iss: 'https://sts.windows.net/x/' } }), /Check AZURE_AUTHORITY_HOST/],
    [issuer.issue({ claims: { iss: 'https://other.example' } }), /or add this one to ISSUERS/],
    [
      issuer.issue({ claims: { exp: 'soon' } }),
      /The claim exp has a form that is not allowed; expected is a finite number/,
    ],
    [issuer.issue({ claims: { cnf: { jkt: 'x' } } }), /bound to a key of the client/],
    [issuer.issue({ header: { alg: 'RS512' } }), /Have the issuer sign with RS256/],
    [issuer.issue({ claims: { sub: 5 } }), /The claim sub has a form that is not allowed/],
    [
      issuer.issue({ key: createKey('RS256', 'nobody') }),
      /publishes 1 keys, and not this one: the token is older than a change of keys, or of another environment, or forged\. Get a new token\.\n/,
    ],
  ]
  for (const [token, says] of cases) {
    const told = await run([token], { env })
    t.equal(told.code, 1)
    t.match(told.out, says)
    keepsSecret(t, token, told)
  }
  // A claim that holds a token, or would move the cursor.
  const nested = issuer.issue({ claims: { aud: `${issuer.issue()}\u001b[2J`, client_id: 'a\nb' } })
  const told = await run([nested], { env })
  t.match(told.out, /received \[token\]/)
  t.notMatch(told.out, '\u001b')
})

t.test('the words of the rest: what no token of the local tenant comes to', async t => {
  const nothing = {
    claims: {},
    parts: 3,
    issuer: undefined,
    issuers: [],
    tenant: undefined,
    tenants: [],
    scopes: [],
    nowSeconds: 0,
    aheadSeconds: undefined,
    customKeyOf: undefined,
    failure: undefined,
    offline: false,
    local: false,
  }
  const fix = (refusal: Refusal, over: Partial<Case> = {}) => fixOf({ ...nothing, refusal, ...over })
  for (const code of FIXED_CODES) t.match(fix({ code }), /^[A-Zv][^{}]{20,}\.$/, code)
  t.match(fix({ code: 'wrong_token_type', about: 'typ' }), /This signed JWT is no access token/)
  t.match(fix({ code: 'untrusted_issuer', about: 'tid' }), /iss and tid name different tenants/)
  t.match(fix({ code: 'graph_token' }), /ask for scope a scope of this API instead/)
  t.match(fix({ code: 'expired' }), /The issuer's clock could not be read/)
  t.match(fix({ code: 'insufficient_scope', expected: ['A', 'B'] }), /ask for scope A, B \(/)
  t.match(fix({ code: 'keys_unavailable' }), /asked for its keys: no answer/)
  t.match(fix({ code: 'keys_unavailable' }, { offline: true }), /no key for this issuer: no usable key/)
  t.match(fix({ code: 'insufficient_authentication' }), /set clientCapabilities to CP1/)
  t.match(fix({ code: 'insufficient_authentication', stepUp: { claims: '{}' } }), /Conditional Access/)
  t.match(
    fix({ code: 'insufficient_authentication', stepUp: { acrValues: ['x'] } }),
    /acr_values and max_age/,
  )
  const caller = (received: string) => fix({ code: 'wrong_caller_kind', received, expected: 'x' })
  t.match(caller('application'), /sign a person in/)
  t.match(caller('user'), /call as an application/)
  t.match(fix({ code: 'internal_error' }), /nothing to do with the token; the log/)
})

t.test('an issuer that fails while it is asked more: less is told, nothing is made up', async t => {
  const tenant = await startTenant(t)
  const io = { env: {}, localTenant: tenant.profile } as unknown as Io
  const judge = await createOpenJudge()(io)
  t.teardown(() => judge.close())
  const jws = { header: { alg: 'RS256' }, claims: {} } as Jws
  const match = { issuer: judge.issuers[0]!, tenant: undefined }
  const facts = (code: Code) => investigate({ code }, jws, match, judge)
  t.same(await facts('keys_unavailable'), { failure: undefined }, 'back again')
  tenant.goDown()
  t.match(await facts('keys_unavailable'), { failure: /openid-configuration could not be read: / })
  t.same(await facts('expired'), { aheadSeconds: undefined })
})

t.test('clocks: compared with the issuer where it matters', async t => {
  const tenant = await startTenant(t)
  const shifted = (seconds: number) => () => Date.now() + seconds * 1000
  const old = await explain(t, tenant, await tenant.mint('expired'))
  t.match(old.out, /Expired 60 min ago[\s\S]*This machine's clock agrees with the issuer's/)
  t.equal(Math.abs(old.report.clockAheadSeconds) < 2, true)
  const ahead = await explain(t, tenant, tenant.issue(), { now: shifted(3 * 3600) })
  t.match(ahead.out, /401 expired[\s\S]*clock is 3 h ahead of the issuer's\. Set it by NTP/)
  const behind = await explain(t, tenant, tenant.issue(), { now: shifted(-600) })
  t.match(behind.out, /401 not_yet_valid[\s\S]*clock is 10 min behind the issuer's/)
  t.equal(showClock(-120), "this machine's clock is 2 min behind the issuer's")
})

t.test('--jwks: judged without a network', async t => {
  const tenant = await startTenant(t)
  const wire = wireTo(tenant.profile)
  const { authority, tenantId } = tenant.profile
  const keys = await (await wire.fetch(`${authority}/${tenantId}/discovery/v2.0/keys`)).text()
  await wire.close()
  const key = createKey('RS256')
  const own = JSON.stringify({ keys: [key.jwk] })
  const dir = t.testdir({ 'keys.json': keys, 'empty.json': '{"keys":[]}', 'text.json': 'x', 'own.json': own })
  const file = (name: string) => ['--jwks', join(dir, name)]
  const unknown = await tenant.mint('unknown-kid')
  tenant.goDown()
  const asked = tenant.requests.length
  const world = { localTenant: tenant.profile }

  for (const version of [1, 2] as const) {
    const good = await run([tenant.issue({ version }), ...file('keys.json')], world)
    t.equal(good.code, 0, good.out)
    t.match(good.out, /by the keys of the file/)
  }
  t.match((await run([unknown, ...file('keys.json')], world)).out, /The key is not in the file/)
  t.match(
    (await run([await tenant.mint('expired'), ...file('keys.json')], world)).out,
    /not compared \(offline\)/,
  )
  t.match(
    (await run([tenant.issue(), ...file('empty.json')], world)).out,
    /503 keys_unavailable[\s\S]*The file gives/,
  )
  const stranger = tenant.issue({ claims: { iss: 'https://other.example' } })
  t.match((await run([stranger, ...file('keys.json')], world)).out, /401 untrusted_issuer/)
  t.match((await run(['a.b.c', ...file('keys.json')], world)).out, /401 malformed_token/)

  const many = { ...trusting(tenant), AZURE_TENANT_ID: 'common', ALLOWED_TENANTS: '*' }
  t.equal((await run([tenant.issue(), ...file('keys.json')], { env: many })).code, 0, 'many tenants')
  t.match((await run([await tenant.mint('expired'), ...file('keys.json')], { env: many })).out, /401 expired/)
  t.equal(tenant.requests.length, asked, 'nothing was asked')

  const issuer = await startIssuer(t, { keys: [key], audience: 'api://orders' })
  const env = { ISSUERS: issuer.issuer, AUDIENCE: 'api://orders' }
  t.equal((await run([issuer.issue(), ...file('own.json')], { env })).code, 0)
  t.same(issuer.requests, [])

  t.match(await run([unknown, '--jwks', '/nonexistent'], world), {
    code: 2,
    err: /cannot be read \(ENOENT\)/,
  })
  t.match(await run([unknown, ...file('text.json')], world), { code: 2, err: /holds no JWK Set/ })
  t.match(await run(['--jwks', 'x'], world), { code: 2, err: /--jwks judges a token/ })
})

t.test('the token comes in', async t => {
  t.test('with whatever was copied along: freed of it', async t => {
    const spellings = [
      'a.b.c',
      ' Bearer a.b.c\n',
      'Authorization: Bearer a.b.c',
      '"a.b.c"',
      "'Bearer a.b.c',",
      'a.\n  b.\r\n  c',
      '{"access_token":"a.b.c"}',
    ]
    for (const spelling of spellings) t.equal(clean(spelling), 'a.b.c', JSON.stringify(spelling))
    t.equal(clean('Bearer'), '')
  })

  const tenant = await startTenant(t)
  const token = tenant.issue()
  const localTenant = tenant.profile
  const from = (...chunks: (string | Uint8Array)[]): In =>
    (async function* () {
      yield* chunks
    })()

  t.test('from stdin, in pieces', async t => {
    const stdin = from(Buffer.from(`Bearer ${token.slice(0, 40)}`), `${token.slice(40)}\n`)
    const told = await run(['-'], { stdin, localTenant })
    t.equal(told.code, 0)
    keepsSecret(t, token, told)
  })

  t.test('in two words, because nobody quoted it', async t => {
    t.equal((await run(['Bearer', token], { localTenant })).code, 0)
  })

  t.test('from a prompt: nothing shown, the terminal as it was', async t => {
    const modes: boolean[] = []
    const terminal = (...keys: (string | Uint8Array)[]): In =>
      Object.assign(from(...keys), { isTTY: true, setRawMode: (raw: boolean) => modes.push(raw) })
    const told = await run(['-'], { stdin: terminal('x\u007f', token, '\r'), localTenant, isTTY: true })
    t.equal(told.code, 0)
    t.match(told.err, /^Paste the token and press Enter \(it is not shown\): \n$/)
    t.same(modes, [true, false])
    keepsSecret(t, token, told)
    t.match(await run(['-'], { stdin: terminal(Buffer.from('\u0003')), localTenant }), {
      code: 2,
      err: /stopped/,
    })
    t.match(await run(['-'], { stdin: terminal(), localTenant }), { code: 2, err: /no token came/ })
    t.match(await run(['-'], { stdin: terminal('x'.repeat(300_000)), localTenant }), { code: 2 })
    t.same(modes.slice(2), [true, false, true, false, true, false])
  })

  t.test('not at all, or far too much: exit code 2, and no word repeated', async t => {
    t.match(await run(['-'], { localTenant }), {
      code: 2,
      out: '',
      err: /no token came from stdin\nTry explain/,
    })
    t.match(await run(['""'], { localTenant }), { code: 2, err: /the token is empty/ })
    const much = from('x'.repeat(300_000))
    t.match(await run(['-'], { stdin: much, localTenant }), { code: 2, err: /more than a token/ })
    const unknown = await run([`--${token}`], { localTenant })
    t.equal(unknown.code, 2)
    keepsSecret(t, token, unknown)
  })
})

t.test('how it is written', async t => {
  const tenant = await startTenant(t)
  const localTenant = tenant.profile
  const token = await tenant.mint('wrong-audience')

  t.test('at a terminal in colour, unless declined; piped plain', async t => {
    t.match((await run([token], { localTenant, isTTY: true })).out, '\u001b[31m')
    t.notMatch((await run([token], { localTenant, isTTY: true, env: { NO_COLOR: '1' } })).out, '\u001b')
    t.notMatch((await run([token], { localTenant })).out, '\u001b')
  })

  t.test('--json: the same for machines', async t => {
    const { report } = await explain(t, tenant, token)
    t.match(report, {
      issuers: [String, String],
      offline: false,
      accepted: false,
      refusal: {
        code: 'wrong_audience',
        status: 401,
        about: 'aud',
        received: String,
        expected: String,
        fix: String,
      },
      caller: { kind: 'user', verified: false, scopes: ['Data.Read'] },
      routes: [
        { route: 'GET /secure-data', admitted: false },
        { route: 'GET /whoami', admitted: false },
      ],
      notes: [],
    })
    t.notOk('claims' in report.caller)
    const failed = report.checks.find(({ outcome }: { outcome: string }) => outcome === 'failed')
    t.match(failed, { check: 'audience', about: 'aud', received: String, expected: String })
  })

  t.test('values: cut, dates readable, nothing made up', async t => {
    t.equal(showValue('x'.repeat(500)).length, 161)
    t.equal(showValue([]), 'none')
    t.equal(showValue({ any: ['a'] }), '{"any":["a"]}')
    t.equal(showValue(undefined), 'nothing')
    t.equal(showDate('soon', 0), 'soon')
    t.equal(showDate(1e300, 0), '1e+300')
    t.equal(showDate(60, 0), '1970-01-01T00:01:00Z, in 60 s')
    t.same([90, 600, 7300, 400_000].map(showDuration), ['90 s', '10 min', '2 h', '5 days'])
    t.same(
      Object.keys(SHOWN).filter(check => !CHECKS.includes(check)),
      [],
      'no check was renamed',
    )
  })

  t.test('help: on stdout', async t => {
    t.match(await run(['--help']), { code: 0, out: /^Usage: npm run -s token -- explain/, err: '' })
  })
})

t.test('the configuration, without a token', async t => {
  const tenant = await startTenant(t)
  const { profile } = tenant
  const failing = async (world: World) => {
    const { code, out } = await run(['--json'], world)
    const { checks, accepted } = JSON.parse(out)
    t.equal(code, accepted ? 0 : 1)
    return checks.filter(({ outcome }: { outcome: string }) => outcome === 'failed')
  }

  t.test('good: every line passed', async t => {
    const { code, out } = await run([], { localTenant: profile })
    t.equal(code, 0)
    t.match(
      out,
      /✓ reachable +answered 200\n +✓ issuer equal[\s\S]*✓ keys usable +3 keys[\s\S]*✓ clock[\s\S]*✓ audience/,
    )
    t.match(
      out,
      /Who may call\n +✓ tenants +one tenant: [-0-9a-f]{36}\n +✓ clients +any that has a permission/,
    )
    t.match(out, /The configuration can work/)
  })

  t.test('a tenant that is not there: where its id stands', async t => {
    const entra = await startEntraIssuer(t, { tenant: PARTNER, audience: GUID, key: createKey('RS256') })
    const env = { AZURE_AUTHORITY_HOST: entra.origin, AZURE_TENANT_ID: GUID, AZURE_CLIENT_ID: GUID }
    const [failed] = await failing({ env })
    t.match(failed, { check: 'reachable', found: 'answered 404', fix: /Overview > Tenant ID/ })
    const { out } = await run([], { env })
    t.match(out, /· issuer equal +not reached\n +· keys usable +not reached/)
  })

  t.test('an issuer that can not be reached: why, and what to look at', async t => {
    const env = { ISSUERS: 'http://127.0.0.1:9', AUDIENCE: 'api://orders' }
    t.match(await failing({ env }), [{ check: 'reachable', found: /ECONNREFUSED/, fix: /HTTPS_PROXY/ }])
    tenant.goDown()
    t.match((await failing({ localTenant: profile }))[0], { check: 'reachable', fix: /npm run dev/ })
    const gone = { AZURE_AUTHORITY_HOST: 'http://127.0.0.1:9', AZURE_TENANT_ID: GUID, AZURE_CLIENT_ID: GUID }
    t.match((await failing({ env: gone }))[0], { check: 'reachable', fix: /Check AZURE_AUTHORITY_HOST/ })
    const token = tenant.issue()
    const told = await explain(t, tenant, token)
    t.match(told.out, /503 keys_unavailable[\s\S]*The issuer can't be asked for its keys: /)
    tenant.comeUp()
  })

  t.test('a document that names another issuer, and a set without keys', async t => {
    tenant.answer('discovery', 'lying-issuer')
    const [lying] = await failing({ localTenant: profile })
    t.match(lying, { check: 'issuer equal', fix: /another authority answers here/ })
    tenant.answer('all', 'ok')
    tenant.answer('keys', 'empty-set')
    const [empty] = await failing({ localTenant: profile })
    t.match(empty, { check: 'keys usable', found: /publishes no usable key/ })
    tenant.answer('all', 'ok')
    const server = await serveDocuments(t)
    const issuer = `${server.origin}/`
    server.documents.set('/.well-known/openid-configuration', {
      issuer: server.origin,
      jwks_uri: `${issuer}keys`,
    })
    const [slash] = await failing({ env: { ISSUERS: issuer, AUDIENCE: 'x' } })
    t.match(slash, {
      check: 'issuer equal',
      fix: `Write the issuer in ISSUERS exactly as its document states it: ${server.origin}.`,
    })
    const [missing] = await failing({ env: { ISSUERS: `${issuer}realm`, AUDIENCE: 'x' } })
    t.match(missing, { check: 'reachable', fix: /An issuer has its discovery document at/ })
    server.documents.set('/.well-known/openid-configuration', '<!doctype html>')
    t.match((await failing({ env: { ISSUERS: issuer, AUDIENCE: 'x' } }))[0], { check: 'issuer equal' })
  })

  t.test('keys that are not used: named', async t => {
    const issuer = await startIssuer(t, {
      keys: [createKey('RS256')],
      published: [createKey('RS256').jwk, { kty: 'oct', k: 'c2VjcmV0', kid: 'shared' }],
      audience: 'x',
    })
    const { out } = await run([], { env: { ISSUERS: issuer.issuer, AUDIENCE: 'x' } })
    t.match(out, /keys usable +1 key; not used: shared: /)
  })

  t.test('a clock that is off: by how much', async t => {
    const now = () => Date.now() - 600_000
    t.match(await failing({ localTenant: profile, now }), [
      { check: 'clock', found: /clock is 10 min behind the issuer's \(60 s are forgiven\)/, fix: /NTP/ },
      { check: 'clock' },
    ])
  })

  t.test(
    'documents through a cache, or without a date, or without end: no clock is read from them',
    async t => {
      let answer = (response: ServerResponse): unknown => response.setHeader('age', '60')
      const server = createServer((_, response) => {
        answer(response)
        response.end(JSON.stringify({ issuer: origin, jwks_uri: 'http://127.0.0.1:9/keys' }))
      })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      t.teardown(() => server.close())
      const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const env = { ISSUERS: origin, AUDIENCE: 'x' }
      t.match(
        (await run([], { env })).out,
        /✗ keys usable .*could not be reached: fetch failed: bad port[\s\S]*· clock +not reached/,
      )
      answer = response => {
        response.sendDate = false
      }
      t.match((await run([], { env })).out, /· clock +not reached/)
      answer = response => response.write(' '.repeat(600_000))
      t.match((await failing({ env }))[0], { check: 'reachable', found: /more than 524288 bytes/ })
    },
  )

  t.test('v1 switched off by the authority: no failure', async t => {
    const entra = await startEntraIssuer(t, { tenant: PARTNER, audience: GUID, key: createKey('RS256') })
    entra.documents.delete(`/${PARTNER}/.well-known/openid-configuration`)
    const env = { AZURE_AUTHORITY_HOST: entra.origin, AZURE_TENANT_ID: PARTNER, AZURE_CLIENT_ID: GUID }
    const { code, out } = await run([], { env })
    t.equal(code, 0)
    t.match(out, /answered 404: this form of token is off/)
  })

  t.test('audiences that no token can have: which to add', async t => {
    const env = (AUDIENCE: string) => ({ env: { ...trusting(tenant), AUDIENCE }, localTenant: profile })
    t.match(await failing(env('api://orders')), [
      { check: 'audience', fix: /v2 tokens always carry the Appl/ },
    ])
    const unnamed = { ...trusting(tenant), AZURE_CLIENT_ID: '', AUDIENCE: 'api://orders' }
    t.match(await failing({ env: unnamed, localTenant: profile }), [
      { check: 'audience', fix: /add it to AUDIENCE/ },
    ])
    t.match(await failing(env(GUID)), [
      { check: 'audience', fix: /v1 tokens mostly carry the Application ID URI/ },
    ])
    const graph = await failing(env('https://graph.microsoft.com'))
    t.match(graph[0], { check: 'audience', fix: /Microsoft Graph is not this API/ })
    t.match((await failing(env(`api://a b,${GUID}`)))[0], { fix: /holds a space/ })
  })

  t.test('many tenants, listed clients: who may call', async t => {
    const env = { ...trusting(tenant), AZURE_TENANT_ID: 'organizations', ALLOWED_CLIENTS: GUID }
    const listed = await run([], { localTenant: profile, env: { ...env, ALLOWED_TENANTS: PARTNER } })
    t.equal(listed.code, 0)
    t.match(listed.out, new RegExp(`organizations, these only: ${PARTNER}\\n.*clients +${GUID}`))
    const any = await run([], { localTenant: profile, env: { ...env, ALLOWED_TENANTS: '*' } })
    t.match(any.out, /organizations, any tenant \(ALLOWED_TENANTS=\*\)/)
  })

  t.test('variables that are wrong, or none: exit code 78, all at once', async t => {
    const { code, out, err } = await run([], { env: { AZURE_TENANT_ID: 'common', PORT: 'x' } })
    t.equal(code, 78)
    t.equal(out, '')
    t.match(err, /PORT[\s\S]*ALLOWED_TENANTS[\s\S]*AUDIENCE/)
    t.match(await run([]), { code: 78, err: /no local tenant is running here: start it with `npm run dev`/ })
  })
})

t.test('the process', async t => {
  const tenant = await startTenant(t)
  const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(AZURE|TOKEN|ISSUERS|AUDIENCE)/.test(name),
  )
  const spawnExplain = async (words: string[], cwd: string, env: object, stdin = '') => {
    const child = spawn(process.execPath, [...process.execArgv, main, 'token', 'explain', ...words], {
      cwd,
      env: { ...Object.fromEntries(inherited), ...env },
    })
    child.stdin.end(stdin)
    const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
    return { code, out }
  }

  t.test('token into explain, by a pipe', async t => {
    const cwd = t.testdir({ '.local-tenant': { 'profile.json': JSON.stringify(tenant.profile) } })
    const { code, out } = await spawnExplain(['-'], cwd, {}, await tenant.mint('expired'))
    t.equal(code, 1)
    t.match(out, /401 expired: The token has expired\.\n +fix: Expired 60 min ago/)
  })

  // As a process of its own: on Node 20 a failed TLS verification keeps a process from exiting by itself.
  t.test('a certificate that nobody vouches for: named, and where to trust it', async t => {
    const env = { ...trusting(tenant), LOCAL_TENANT_STATE: '/nonexistent' }
    const { code, out } = await spawnExplain([], t.testdir(), env)
    t.equal(code, 1)
    t.match(out, /✗ reachable +(SELF_SIGNED_CERT|UNABLE_TO)_[A-Z_]+: .*\n +fix .*NODE_EXTRA_CA_CERTS/)
  })
})

t.test('a fault of our own: not taken for an answer', async t => {
  const open = () => Promise.reject(new Error('a fault'))
  const io = { env: {}, stdout: {} } as unknown as Io
  await t.rejects(runExplain([], io, open), { message: 'a fault' })
})

t.test('docs/codes: a page for every reason, and what it shows is what the server does', async t => {
  const files = (await readdir(PAGES)).filter(name => name !== 'README.md')
  t.same(files.sort(), CODES.map(code => `${code}.md`).sort())
  const index = await readFile(new URL('README.md', PAGES), 'utf8')
  for (const code of CODES) {
    const url = new URL(`${code}.md`, PAGES)
    const page = await readFile(url, 'utf8')
    if (process.env.UPDATE_CODE_PAGES) await writeFile(url, withExample(page, exampleOf(code)))
    else t.equal(exampleIn(page), exampleOf(code), code)
    t.ok(page.startsWith(`# \`${code}\`\n`))
    t.match(page, /## How to fix it\n\n- \S/)
    t.match(index, `(${code}.md)`)
  }
  for (const code of FIXED_CODES) t.ok(CODES.includes(code))
})

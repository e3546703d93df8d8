/** Decides whether a sign-in that is too weak is refused in the words of its issuer, and what a client can do with them. */
import { setTimeout as pause } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import { Agent } from 'undici'
import { readClaims } from '../src/cli/claims.ts'
import { runToken } from '../src/cli/token.ts'
import type { StepUp } from '../src/errors.ts'
import { createAnswerProblem } from '../src/http/problem.ts'
import protectedResource, { Denied, type ProtectedResourceOptions, type RouteAccess } from '../src/index.ts'
import { readClaimsRequest } from '../src/local-tenant/claims-request.ts'
import { type Access, readAccess } from '../src/token/access.ts'
import { findPolicyProblems } from '../src/token/declared.ts'
import type { JsonObject } from '../src/token/jws.ts'
import { findAcrsProblems, judgeStrength, type Strength, type StrengthTerms } from '../src/token/step-up.ts'
import { startTenant } from './helpers/api.ts'
import { parseBearer } from './helpers/challenge.ts'
import { createKey, startIssuer } from './helpers/issuer.ts'
import { type Wire, wireTo } from './helpers/tenant.ts'

const METADATA = 'https://api.example.com/.well-known/oauth-protected-resource'
const C1 = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
const NOW_SECONDS = 1_800_000_000
const TENANT = '11111111-2222-3333-4444-555555555555'
const OTHER = '99999999-2222-3333-4444-555555555555'

const tenant = await startTenant(t)
const { profile } = tenant
const dispatcher = new Agent({ connect: { ca: profile.ca } })
t.teardown(() => dispatcher.destroy())
const key = createKey('RS256')
const issuer = await startIssuer(t, { keys: [key], audience: 'api' })
const scopeOf = (name: string): string => `api://${profile.api.clientId}/${name}`

const OPTIONS: ProtectedResourceOptions = {
  azureTenantId: profile.tenantId,
  azureClientId: profile.api.clientId,
  azureAuthorityHost: profile.authority,
  audience: [profile.api.clientId, 'api'],
  issuers: [issuer.issuer],
  publicUrl: 'https://api.example.com',
  acrs: { [profile.tenantId]: { transfer: 'c1' } },
  dispatcher,
}

const ROUTES = {
  '/transfer': { scope: 'Data.Read', authenticationContext: 'transfer' },
  '/c1': { scope: 'Other.Read', authenticationContext: 'c1' },
  '/gold': { scope: 'Data.Read', acr: ['gold', 'silver'] },
  '/recent': { scope: 'Data.Read', maxAgeSeconds: 300 },
  '/both': { scope: ['Other.Read', 'Data.Read'], acr: 'gold', maxAgeSeconds: 300 },
  '/editors': { scope: 'Other.Read', userRole: 'Editor', acr: 'gold' },
  '/either': { scope: 'Data.Read', role: 'Data.Read.All', acr: 'gold', authenticationContext: 'c1' },
} as const satisfies Record<string, RouteAccess>

async function startOwn(t: Test): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(protectedResource, OPTIONS)
  for (const [url, access] of Object.entries(ROUTES)) {
    app.get(url, { config: { access } }, async () => ({ done: true }))
  }
  app.get('/revoked', { config: { access: { scope: 'Data.Read' } } }, async () => {
    const claims = JSON.stringify({ access_token: { nbf: { essential: true, value: '1604106651' } } })
    throw new Denied({ code: 'revoked', stepUp: { claims } })
  })
  await app.ready()
  while (app.protectedResource.keys().some(({ state }) => state === 'missing')) await pause(5)
  return app
}

const app = await startOwn(t)
const ask = async (url: keyof typeof ROUTES | '/revoked', token?: string) => {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const answer = await app.inject({ url, headers })
  const challenge = answer.headers['www-authenticate']
  const body = answer.json() as Record<string, unknown>
  return {
    status: answer.statusCode,
    body,
    challenge,
    params: challenge === undefined ? {} : parseBearer(String(challenge)),
  }
}
const cp1 = { xms_cc: ['cp1'] }

t.test(
  'ENTRA-21, ENTRA-23: a context that the token lacks: one Bearer challenge, as Entra documents it',
  async t => {
    const { status, body, challenge, params } = await ask('/transfer', tenant.issue({ claims: cp1 }))
    const { authority } = profile
    t.equal(status, 401)
    const documented = `Bearer realm="", authorization_uri="${authority}/common/oauth2/authorize", error="insufficient_claims", claims="${Buffer.from(C1).toString('base64')}"`
    t.equal(
      challenge,
      `${documented}, resource_metadata="${METADATA}"`,
      'each parameter once, and no second error',
    )
    t.equal(Buffer.from(params.claims!, 'base64').toString(), C1, 'minified')
    t.strictSame(body, {
      status: 401,
      title: 'Unauthorized',
      detail: 'This operation needs a stronger sign-in.',
      code: 'insufficient_authentication',
      error: 'insufficient_claims',
    })
    for (const acrs of [['c1'], ['c2', 'c1']]) {
      t.equal((await ask('/transfer', tenant.issue({ claims: { acrs } }))).status, 200)
    }
    for (const acrs of [['c10'], ['C1'], [], 'c1', [['c1']]]) {
      t.equal((await ask('/transfer', tenant.issue({ claims: { acrs, ...cp1 } }))).status, 401, String(acrs))
    }
    const v1 = tenant.issue({ version: 1, claims: { aud: profile.api.clientId, ...cp1 } })
    t.equal((await ask('/transfer', v1)).params.error, 'insufficient_claims', 'v1 tokens as well')
  },
)

t.test('ENTRA-22: a client that can not handle a challenge: 403, without one', async t => {
  for (const xms_cc of [undefined, [], 'cp2', ['cp11', 'xcp1'], [7], { cp1: true }, 7]) {
    const { status, body, params } = await ask('/transfer', tenant.issue({ claims: { xms_cc } }))
    t.match([status, body], [403, { code: 'insufficient_authentication', error: undefined }], String(xms_cc))
    t.strictSame(params, { realm: 'protected-resource', resource_metadata: METADATA })
  }
  for (const xms_cc of ['cp1', 'CP1', ['CP1'], ['x', 'Cp1'], 'x cp1']) {
    t.equal((await ask('/transfer', tenant.issue({ claims: { xms_cc } }))).status, 401, String(xms_cc))
  }
})

t.test(
  'C-11: context and scope lacking: the context first, with the scope in the same challenge',
  async t => {
    const both = await ask('/c1', tenant.issue({ claims: cp1 }))
    const scope = scopeOf('Other.Read')
    t.match([both.status, both.params], [401, { error: 'insufficient_claims', scope }])
    t.strictSame(both.body.scope, scope)
    const scopeOnly = await ask('/c1', tenant.issue({ claims: { acrs: ['c1'], ...cp1 } }))
    t.match([scopeOnly.status, scopeOnly.params], [403, { error: 'insufficient_scope', scope }])
    const contextOnly = await ask('/c1', tenant.issue({ scopes: ['Other.Read'], claims: cp1 }))
    t.equal(contextOnly.status, 401)
    t.notOk('scope' in contextOnly.params || 'scope' in contextOnly.body)
    const incapable = await ask('/c1', tenant.issue())
    t.match(
      [incapable.status, incapable.body],
      [403, { code: 'insufficient_authentication', scope: undefined }],
    )
  },
)

t.test('ENTRA-24: a handler that knows of a revocation: a claims challenge of its own', async t => {
  const { status, body, params } = await ask('/revoked', tenant.issue())
  t.match([status, body], [401, { code: 'revoked', error: 'insufficient_claims' }])
  t.equal(
    Buffer.from(params.claims!, 'base64').toString(),
    '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}',
  )
  const long = tenant.issue({ claims: { exp: Math.floor(Date.now() / 1000) + 28 * 3600, acrs: ['c1'] } })
  t.equal((await ask('/transfer', long)).status, 200, 'a token of 28 hours')
})

t.test(
  'ENTRA-25: the challenge names the requestable scope, the token is matched by the short one',
  async t => {
    const { params } = await ask('/c1', tenant.issue({ scopes: ['Other'], claims: cp1 }))
    t.equal(params.scope, scopeOf('Other.Read'))
    const requestable = tenant.issue({ scopes: [scopeOf('Other.Read')], claims: { acrs: ['c1'] } })
    t.equal((await ask('/c1', requestable)).status, 403)
    const short = tenant.issue({ scopes: ['Other.Read'], claims: { acrs: ['c1'] } })
    t.equal((await ask('/c1', short)).status, 200)
  },
)

const ERROR = 'insufficient_user_authentication'
const expected = (more: object) => ({
  realm: 'protected-resource',
  resource_metadata: METADATA,
  error: ERROR,
  error_description: 'This operation needs a stronger sign-in.',
  ...more,
})
const seconds = () => Math.floor(Date.now() / 1000)

t.test('STEPUP-1, STEPUP-5: an acr that is not on the list: 401, the preferred one first', async t => {
  for (const acr of ['gold', 'silver']) {
    t.equal((await ask('/gold', issuer.issue({ claims: { acr } }))).status, 200, acr)
  }
  for (const acr of [undefined, 'bronze', 'platinum', 'GOLD', 'gold silver', '', 'gol', ['gold'], 2]) {
    const { status, body, params } = await ask('/gold', issuer.issue({ claims: { acr } }))
    t.match([status, body], [401, { code: 'insufficient_authentication', error: ERROR }], String(acr))
    t.strictSame(params, expected({ acr_values: 'gold silver' }))
    t.notOk('scope' in body)
  }
})

t.test('STEPUP-2: a sign-in that is too old, or of no known time: 401 with max_age', async t => {
  for (const auth_time of [seconds() - 10, seconds() - 200, seconds() + 30]) {
    t.equal((await ask('/recent', issuer.issue({ claims: { auth_time } }))).status, 200)
  }
  for (const auth_time of [
    undefined,
    seconds() - 400,
    seconds() + 120,
    String(seconds()),
    null,
    [seconds()],
  ]) {
    const { status, params } = await ask('/recent', issuer.issue({ claims: { auth_time } }))
    t.equal(status, 401, String(auth_time))
    t.strictSame(params, expected({ max_age: '300' }))
  }
})

t.test('STEPUP-3, C-11: several lacking: one challenge with all of it', async t => {
  const old = seconds() - 400
  const scope = `${scopeOf('Other.Read')} ${scopeOf('Data.Read')}`
  const rows: readonly (readonly [JsonObject, object])[] = [
    [{}, expected({ acr_values: 'gold', max_age: '300', scope })],
    [{ acr: 'gold', auth_time: old }, expected({ max_age: '300', scope })],
    [{ auth_time: seconds() }, expected({ acr_values: 'gold', scope })],
    [{ scope: 'Data.Read Other.Read' }, expected({ acr_values: 'gold', max_age: '300' })],
  ]
  for (const [claims, params] of rows) {
    const answer = await ask('/both', issuer.issue({ claims }))
    t.equal(answer.status, 401)
    t.strictSame(answer.params, params, JSON.stringify(claims))
    t.strictSame(answer.body.scope, answer.params.scope)
  }
  const strong = { acr: 'gold', auth_time: seconds() }
  const weak = await ask('/both', issuer.issue({ claims: strong }))
  t.match([weak.status, weak.params], [403, { error: 'insufficient_scope', scope }], 'the scope alone')
  const good = issuer.issue({ claims: { ...strong, scope: 'Data.Read Other.Read' } })
  t.equal((await ask('/both', good)).status, 200)
})

t.test('STEPUP-4: nothing is said of strength until the token has passed every other check', async t => {
  const tokens = {
    'no token': undefined,
    expired: issuer.issue({ claims: { exp: 1, iat: 0 } }),
    'wrong audience': issuer.issue({ claims: { aud: 'x' } }),
    'wrong signature': `${issuer.issue().slice(0, -8)}AAAAAAAA`,
    'expired at Entra': await tenant.mint('expired', { claims: cp1 }),
    'no permission': issuer.issue({ claims: { scope: '' } }),
    'no role': issuer.issue(),
    'wrong kind': tenant.issue({ app: 'daemon', claims: cp1 }),
  }
  for (const [title, token] of Object.entries(tokens)) {
    const { status, body, params } = await ask('/editors', token)
    const names = ['acr_values', 'max_age', 'claims', 'authorization_uri']
    t.notOk(
      names.some(name => name in params),
      title,
    )
    t.not(body.code, 'insufficient_authentication', title)
    t.ok([401, 403].includes(status))
  }
  t.match((await ask('/editors', issuer.issue())).body, { code: 'insufficient_role' }, 'role first (403)')
  const editor = await ask('/editors', issuer.issue({ claims: { roles: ['Editor'] } }))
  t.match(
    [editor.status, editor.params],
    [401, { error: ERROR, scope: scopeOf('Other.Read') }],
    'then strength',
  )
})

t.test('a dialect for each issuer (C-11): what the other one asks for is never demanded of it', async t => {
  const weak = [tenant.issue({ claims: cp1 }), issuer.issue()] as const
  t.strictSame(Object.keys((await ask('/either', weak[0])).params).sort(), [
    'authorization_uri',
    'claims',
    'error',
    'realm',
    'resource_metadata',
  ])
  t.strictSame((await ask('/either', weak[1])).params, expected({ acr_values: 'gold' }))
  t.equal((await ask('/either', tenant.issue({ claims: { acrs: ['c1'] } }))).status, 200)
  t.equal((await ask('/either', issuer.issue({ claims: { acr: 'gold' } }))).status, 200)
  t.equal(
    (await ask('/either', tenant.issue({ app: 'daemon' }))).status,
    200,
    'an application signs nobody in',
  )
  for (const [url, token] of [
    ['/gold', tenant.issue({ claims: cp1 })],
    ['/recent', tenant.issue({ claims: cp1 })],
    ['/transfer', issuer.issue({ claims: { acrs: ['c1'], xms_cc: ['cp1'] } })],
    ['/c1', issuer.issue({ claims: { acrs: ['c1'], ...cp1 } })],
  ] as const) {
    const { status, body, params } = await ask(url, token)
    t.match([status, body], [403, { code: 'insufficient_authentication' }], url)
    t.strictSame(Object.keys(params), ['realm', 'resource_metadata'])
  }
  t.equal((await ask('/gold', tenant.issue({ claims: { acr: 'gold' } }))).status, 200)
  t.equal((await ask('/recent', tenant.issue({ claims: { auth_time: seconds() } }))).status, 200)
})

const TERMS: StrengthTerms = {
  acrs: { [TENANT]: { transfer: 'c1' }, [OTHER]: { transfer: 'c2' } },
  isEntra: iss => iss === 'entra',
  now: () => NOW_SECONDS * 1000,
  toleranceSeconds: 60,
}

t.test(
  'names of contexts (ENTRA-23): by tenant; one that is not mapped is refused, never guessed',
  async t => {
    const caller = (tid: string | undefined, acrs: string[]): Access =>
      readAccess('entra', { iss: 'entra', exp: 1, sub: 's', scp: 'x', tid, acrs, xms_cc: 'cp1' })
    const judge = (context: string, who: Access) =>
      judgeStrength({ authenticationContext: context }, who, TERMS)
    t.equal(judge('transfer', caller(TENANT, ['c1'])), undefined)
    t.equal(judge('transfer', caller(OTHER, ['c2'])), undefined)
    t.match(judge('transfer', caller(OTHER, ['c1']))?.stepUp?.claims, /"value":"c2"/)
    t.equal(judge('c1', caller(undefined, ['c1'])), undefined, 'an id needs no map')
    for (const who of [
      caller('x', ['transfer']),
      caller(undefined, ['undefined']),
      caller('__proto__', ['c1']),
    ]) {
      const refusal = judge('transfer', who)
      t.match(refusal, { code: 'insufficient_authentication', about: 'acrs' })
      t.notOk(refusal?.stepUp, 'nobody knows what to ask for')
    }
    t.ok(judge('toString', caller(TENANT, ['c1'])))

    const boot = (context: string, tenants: readonly string[] | '*') =>
      findPolicyProblems(
        'GET /x',
        { scope: 'x', authenticationContext: context },
        { acrs: TERMS.acrs, tenants },
      )
    for (const tenants of ['*', [TENANT], [TENANT, OTHER]] as const)
      t.strictSame(boot('transfer', tenants), [])
    t.strictSame(boot('c7', [TENANT]), [])
    const third = OTHER.replaceAll('9', '8')
    t.match(boot('transfer', [TENANT, third]), [{ found: new RegExp(third) }])
    t.match(boot('other', '*'), [{ found: /for no tenant/ }])
    t.match(boot('other', []), [{ found: /for no tenant/ }])
    for (const acrs of [
      'x',
      null,
      [],
      { x: { a: 'c1' } },
      { [TENANT.toUpperCase().replace('1', 'A')]: {} },
    ]) {
      t.match(findAcrsProblems(acrs), [{ name: 'option acrs' }], JSON.stringify(acrs))
    }
    for (const names of [
      'x',
      null,
      { a: 'c0' },
      { a: 'c100' },
      { a: 7 },
      { c1: 'c2' },
      { '': 'c1' },
      { a: 'c01' },
    ]) {
      t.match(findAcrsProblems({ [TENANT]: names }), [{ name: 'option acrs' }], JSON.stringify(names))
    }
    t.strictSame([findAcrsProblems(undefined), findAcrsProblems(TERMS.acrs)], [[], []])
  },
)

t.test('the age of a sign-in, to the second: max_age itself is recent, a second more is not', async t => {
  const judge = (auth_time: unknown, wanted: Strength) =>
    judgeStrength(
      wanted,
      readAccess('rfc9068', { iss: 'i', exp: 1, sub: 's', client_id: 'c', auth_time }),
      TERMS,
    )
  t.equal(judge(NOW_SECONDS - 300, { maxAgeSeconds: 300 }), undefined)
  t.match(judge(NOW_SECONDS - 301, { maxAgeSeconds: 300 })?.stepUp, { maxAgeSeconds: 300 })
  t.equal(judge(NOW_SECONDS, { maxAgeSeconds: 0 }), undefined)
  t.match(judge(NOW_SECONDS - 1, { maxAgeSeconds: 0 })?.stepUp, { maxAgeSeconds: 0 })
  t.equal(judge(NOW_SECONDS + 60, { maxAgeSeconds: 300 }), undefined, 'within the tolerance')
  t.ok(judge(NOW_SECONDS + 61, { maxAgeSeconds: 300 }), 'from the future')
  for (const odd of [Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]) {
    t.ok(judge(odd, { maxAgeSeconds: 300 }), String(odd))
  }
})

t.test(
  'the writer of challenges: keeps the grammar whatever a handler makes up, and remembers no end of it',
  async t => {
    const settings = { realm: 'r', resourceMetadata: METADATA, scopePrefix: '' }
    const write = (stepUp: StepUp, authority?: string) =>
      createAnswerProblem({ ...settings, authority })({ code: 'revoked', stepUp })
    const made = write({ acrValues: ['ok', 'a"b', 'a b', 'x\r\ny'], maxAgeSeconds: 0 })
    t.match(parseBearer(made.headers['www-authenticate']!), { acr_values: 'ok', max_age: '0', error: ERROR })
    const both = write({ claims: C1, acrValues: ['gold'], maxAgeSeconds: 1 }, 'https://login.example')
    t.strictSame(Object.keys(parseBearer(both.headers['www-authenticate']!)).sort(), [
      'authorization_uri',
      'claims',
      'error',
      'realm',
      'resource_metadata',
    ])
    const homeless = write({ claims: C1, acrValues: ['gold'] })
    t.match(parseBearer(homeless.headers['www-authenticate']!), {
      error: 'invalid_token',
      acr_values: undefined,
    })
    const answerProblem = createAnswerProblem(settings)
    const first = answerProblem({ code: 'expired' })
    t.equal(answerProblem({ code: 'expired' }), first, 'built once')
    const rare = (maxAgeSeconds: number) => answerProblem({ code: 'revoked', stepUp: { maxAgeSeconds } })
    const zero = rare(0)
    t.equal(rare(0), zero, 'built once, too')
    for (let value = 1; value < 1500; value++) rare(value)
    t.not(rare(0), zero, 'and let go when there are too many')
    t.equal(answerProblem({ code: 'expired' }), first, 'which pushes no usual one out')
    const api = createAnswerProblem({ ...settings, authority: 'https://login.example' })
    const stepUps: StepUp[] = [
      { maxAgeSeconds: 1 },
      { maxAgeSeconds: 2 },
      { acrValues: ['1'] },
      { claims: C1 },
      { claims: '{"a":"???>>>~~"}' },
    ]
    const written = stepUps.map(stepUp => api({ code: 'revoked', stepUp }).headers['www-authenticate']!)
    t.equal(new Set(written).size, stepUps.length, 'never one for the other')
    t.match(parseBearer(written.at(-1)!).claims, /^(?=.*[+/]).+=$/, 'base64, not base64url')
  },
)

t.test('the local tenant: honours a claims request', async t => {
  const wire: Wire = wireTo(profile)
  t.teardown(() => wire.close())
  const tokens = `${profile.authority}/${profile.tenantId}/oauth2/v2.0/token`
  const pages = `${profile.pages}/${profile.tenantId}/oauth2/v2.0/authorize`
  const client_id = profile.publicClient.clientId
  const redirect_uri = 'http://localhost:1/'
  const scope = `${scopeOf('Data.Read')} openid offline_access`
  const xms = '{"access_token":{"xms_cc":{"values":["cp1"]}}}'
  const merged =
    '{"access_token":{"acrs":{"essential":true,"value":"c1"},"xms_cc":{"values":["CP1"]}},"id_token":{}}'
  const signIn = async (claims: Record<string, string>) => {
    const form = { client_id, redirect_uri, scope, response_type: 'code', person: 'ada', ...claims }
    const answer = await wire.post(pages, form)
    return new URL(answer.headers.get('location')!).searchParams
  }
  const redeem = async (form: Record<string, string>) => {
    const answer = await wire.post(tokens, { client_id, scope, redirect_uri, ...form })
    return (await answer.json()) as Record<string, string>
  }
  const code = async (claims: Record<string, string>) =>
    redeem({ grant_type: 'authorization_code', code: (await signIn(claims)).get('code')!, ...claims })
  const claimsOf = ({ access_token }: Record<string, string>) => decodeJwt(access_token!)

  const plain = await code({})
  t.notOk('acrs' in claimsOf(plain) || 'xms_cc' in claimsOf(plain), 'nothing asked, nothing given')
  const capable = claimsOf(await code({ claims: xms }))
  t.match([capable.xms_cc, capable.acrs], [['cp1'], undefined])
  const stepped = await code({ claims: merged })
  t.match(claimsOf(stepped), { acrs: ['c1'], xms_cc: ['CP1'] })
  const refreshed = (of: Record<string, string>, claims?: string) =>
    redeem({ grant_type: 'refresh_token', refresh_token: of.refresh_token!, ...(claims && { claims }) })
  t.match(claimsOf(await refreshed(stepped)), { acrs: ['c1'] }, 'the sign-in stays as strong as it was')
  t.match(claimsOf(await refreshed(stepped, merged)), { acrs: ['c1'] })
  t.match(await refreshed(plain, merged), {
    error: 'interaction_required',
    suberror: 'basic_action',
    error_codes: [50076],
  })
  t.match(claimsOf(await refreshed(plain, xms)), { xms_cc: ['cp1'], acrs: undefined })
  const late = redeem({
    grant_type: 'authorization_code',
    code: (await signIn({})).get('code')!,
    claims: merged,
  })
  t.match(await late, { error: 'interaction_required' }, 'a sign-in that was not asked for it')
  t.match((await signIn({ claims: '[' })).get('error'), 'invalid_request')
  const asked = { client_id, redirect_uri, scope, response_type: 'code', claims: '[' }
  const unreadable = await wire.fetch(`${pages}?${new URLSearchParams(asked)}`)
  t.match(unreadable.headers.get('location'), /error=invalid_request/, 'before anybody is asked to sign in')

  const page = await (
    await wire.fetch(
      `${pages}?${new URLSearchParams({ client_id, redirect_uri, scope, response_type: 'code', claims: C1 })}`,
    )
  ).text()
  t.match(page, /name="claims" value="[^"]*acrs/, 'the page carries it along')

  const device = await wire.post(tokens.replace('/token', '/devicecode'), {
    client_id,
    scope,
    claims: merged,
  })
  const { device_code, user_code } = (await device.json()) as Record<string, string>
  await wire.post(`${profile.pages}/devicelogin`, { user_code: user_code!, person: 'ada' })
  t.match(claimsOf(await redeem({ grant_type: 'device_code', device_code: device_code!, claims: merged })), {
    acrs: ['c1'],
  })

  const { clientId, clientSecret } = profile.daemon
  const daemon = await wire.post(tokens, {
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret!,
    scope: scopeOf('.default'),
    claims: merged,
  })
  t.match(claimsOf((await daemon.json()) as Record<string, string>), { xms_cc: ['CP1'], acrs: undefined })

  t.strictSame(readClaimsRequest('{"access_token":{"acrs":{"values":["c1","c2","x"]},"xms_cc":null}}'), {
    acrs: ['c1', 'c2'],
    capabilities: [],
  })
  for (const text of ['null', '7', '[]', '{']) t.throws(() => readClaimsRequest(text), /claims parameter/)
})

t.test('--claims: JSON, the base64 of a challenge, or the whole of it', async t => {
  const base64 = Buffer.from(C1).toString('base64')
  const header = `Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize", error="insufficient_claims", claims="${base64}", resource_metadata="${METADATA}"`
  const good = [C1, ` ${C1}\n`, base64, base64.replaceAll('=', ''), header, `WWW-Authenticate: ${header}`]
  for (const given of [...good, `claims="${base64}"`, `Bearer claims=${base64}, error=x`]) {
    t.equal(readClaims(given), ['{', ' '].includes(given[0]!) ? given.trim() : C1, given)
  }
  const lists = ['[]', 'null', '7'].map(json => Buffer.from(json).toString('base64'))
  const bad = [
    ...lists,
    '',
    '{',
    '[]',
    '7',
    'null',
    'eyJ',
    'Bearer realm="x"',
    'claims="!"',
    `xclaims="${base64}"`,
  ]
  for (const given of bad) t.equal(readClaims(given), undefined, given)
})

t.test('end to end: refused, signed in again as the challenge says, admitted', async t => {
  const cwd = t.testdir()
  const acquire = async (...args: string[]) => {
    const texts = { out: '', err: '' }
    const code = await runToken(args, {
      env: {},
      stdin: (async function* () {})(),
      cwd,
      home: cwd,
      platform: 'linux',
      localTenant: profile,
      stdout: { write: text => (texts.out += text) },
      stderr: { write: text => (texts.err += text) },
    })
    t.equal(code, 0, texts.err)
    return texts.out.trim()
  }
  const first = await acquire('interactive', '--as', 'ada')
  t.match(decodeJwt(first), { xms_cc: ['cp1'] }, 'the command says that it can handle challenges')
  const refused = await ask('/transfer', first)
  t.match([refused.status, refused.params], [401, { error: 'insufficient_claims' }])
  const second = await acquire('interactive', '--as', 'ada', '--claims', String(refused.challenge))
  t.match(decodeJwt(second), { acrs: ['c1'], xms_cc: ['cp1'] })
  t.equal((await ask('/transfer', second)).status, 200)
  const third = await acquire('--as', 'ada', '--claims', refused.params.claims!)
  t.equal((await ask('/transfer', third)).status, 200, 'without another sign-in')
})

/** Decides whether a route's access admits exactly the callers that it names: users, applications, their clients and groups. */
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import type { Code } from '../src/errors.ts'
import protectedResource, { Misconfigured, type Policy, type RouteAccess } from '../src/index.ts'
import { type Access, readAccess } from '../src/token/access.ts'
import { findPolicyProblems } from '../src/token/declared.ts'
import { findImpliesProblems, readImplied, withImplied } from '../src/token/implied.ts'
import type { JsonObject } from '../src/token/jws.ts'
import { enforce, kindsOf, type Terms } from '../src/token/policy.ts'
import { pluginOptions, startApi, startTenant } from './helpers/api.ts'
import { parseBearer } from './helpers/challenge.ts'

const BASE = { exp: 1, sub: 's', iss: 'https://entra.example' }
const TERMS: Terms = {
  allowedClients: [],
  implied: new Map(),
  acrs: {},
  isEntra: issuer => issuer === BASE.iss,
  now: () => 1_800_000_000_000,
  toleranceSeconds: 60,
}

const user = (claims: JsonObject = {}) =>
  readAccess('entra', { ...BASE, azp: 'portal', idtyp: 'user', scp: 'Data.Read', ...claims })
const application = (claims: JsonObject = {}) =>
  readAccess('entra', { ...BASE, azp: 'daemon', idtyp: 'app', roles: ['Data.Read.All'], ...claims })
/** RFC 9068: a service account whose `sub` is not its client. */
const undecided = readAccess('rfc9068', {
  ...BASE,
  iss: 'https://other.example',
  client_id: 'c',
  scope: 'Data.Read',
  roles: ['Data.Read.All', 'Editor'],
  groups: ['g1'],
  gty: 'client-credentials',
})

type Row = readonly [title: string, access: 'any' | Policy, caller: Access, code?: Code]

function judge(t: Test, rows: readonly Row[], terms: Partial<Terms> = {}): void {
  for (const [title, access, caller, code] of rows) {
    t.equal(enforce(access, caller, { ...TERMS, ...terms })?.code, code, title)
  }
}

const tenant = await startTenant(t)
const { profile } = tenant
const OPTIONS = pluginOptions(t, tenant)

t.test('a user and an application (ENTRA-13 to ENTRA-16): each by its own door', async t => {
  const editor = user({ roles: ['Editor'] })
  judge(t, [
    ['scope: a user with it', { scope: 'Data.Read' }, user()],
    ['scope: one that merely begins alike', { scope: 'Data' }, user(), 'insufficient_scope'],
    ['scope: another case', { scope: 'data.read' }, user(), 'insufficient_scope'],
    ['scope: an application', { scope: 'Data.Read' }, application(), 'wrong_caller_kind'],
    [
      'scope: an application with a role of that name',
      { scope: 'X' },
      application({ roles: ['X'] }),
      'wrong_caller_kind',
    ],
    ['role: an application with it', { role: 'Data.Read.All' }, application()],
    ['role: an application without it', { role: 'Data.Write.All' }, application(), 'insufficient_role'],
    [
      'role: a user with a role of that name',
      { role: 'Data.Read.All' },
      user({ roles: ['Data.Read.All'] }),
      'wrong_caller_kind',
    ],
    ['userRole: a user with it', { userRole: 'Editor' }, editor],
    ['userRole: a user without it', { userRole: 'Admin' }, editor, 'insufficient_role'],
    [
      'userRole: an application with a permission of that name',
      { userRole: 'Editor' },
      application({ roles: ['Editor'] }),
      'wrong_caller_kind',
    ],
    [
      'both doors: the role of a user is not the permission of an application',
      { userRole: 'Admin', role: 'Editor' },
      editor,
      'insufficient_role',
    ],
    [
      'both doors: the permission of an application is not the role of a user',
      { userRole: 'Editor', role: 'Admin' },
      application({ roles: ['Editor'] }),
      'insufficient_role',
    ],
    ['scope and userRole: both', { scope: 'Data.Read', userRole: 'Editor' }, editor],
    ['scope and userRole: the role alone', { scope: 'X', userRole: 'Editor' }, editor, 'insufficient_scope'],
    [
      'scope and userRole: the scope alone',
      { scope: 'Data.Read', userRole: 'Admin' },
      editor,
      'insufficient_role',
    ],
    ['all of a list', { userRole: ['Editor', 'Admin'] }, editor, 'insufficient_role'],
    ['any of a list', { userRole: { any: ['Editor', 'Admin'] } }, editor],
  ])
})

t.test('kind: it opens one door without a permission of its own, and keeps the other shut', async t => {
  judge(t, [
    ['user: a user', { kind: 'user' }, user({ scp: 'Whatever' })],
    ['user: a user with a role only', { kind: 'user' }, user({ scp: undefined, roles: ['x'] })],
    ['user: an application', { kind: 'user' }, application(), 'wrong_caller_kind'],
    ['application: an application', { kind: 'application' }, application()],
    ['application: a user', { kind: 'application' }, user(), 'wrong_caller_kind'],
    ['user, and a scope: still asked for', { kind: 'user', scope: 'X' }, user(), 'insufficient_scope'],
    [
      'application, and a role: still asked for',
      { kind: 'application', role: 'X' },
      application(),
      'insufficient_role',
    ],
    [
      'user: nobody without any permission (ENTRA-15)',
      { kind: 'user' },
      user({ scp: undefined }),
      'no_permissions',
    ],
    [
      'application: nobody without any permission (ENTRA-15)',
      { kind: 'application' },
      application({ roles: undefined }),
      'no_permissions',
    ],
    ['user: whoever can not be decided', { kind: 'user' }, undecided, 'wrong_caller_kind'],
    ['application: whoever can not be decided', { kind: 'application' }, undecided, 'wrong_caller_kind'],
    [
      'both doors: whoever can not be decided finds neither',
      { scope: 'Data.Read', role: 'Data.Read.All' },
      undecided,
      'wrong_caller_kind',
    ],
    ['any: whoever can not be decided is still a caller', 'any', undecided],
  ])
  const doors: readonly (readonly [Policy, string])[] = [
    [{ scope: 'a' }, 'user'],
    [{ userRole: 'a' }, 'user'],
    [{ groups: 'a' }, 'user'],
    [{ kind: 'user' }, 'user'],
    [{ role: 'a' }, 'application'],
    [{ kind: 'application' }, 'application'],
    [{ groups: 'a', role: 'a' }, 'user application'],
    [{ clients: 'a' }, ''],
    [{ acr: 'a', maxAgeSeconds: 1, authenticationContext: 'c1', authorizationDetails: 'a' }, ''],
  ]
  for (const [policy, kinds] of doors) t.equal(kindsOf(policy).join(' '), kinds, JSON.stringify(policy))
})

t.test('groups (ENTRA-20): of users, and never taken for none when the token leaves them out', async t => {
  const member = user({ groups: ['g1', 'g2'] })
  const overage = {
    _claim_names: { groups: 'src1' },
    _claim_sources: { src1: { endpoint: 'https://graph.windows.net/x/getMemberObjects' } },
  }
  judge(t, [
    ['a member', { groups: 'g1' }, member],
    ['a member of all', { groups: ['g1', 'g2'] }, member],
    ['a member of one of all', { groups: ['g1', 'g3'] }, member, 'insufficient_group'],
    ['a member of any', { groups: { any: ['g3', 'g2'] } }, member],
    ['no member', { groups: 'g3' }, member, 'insufficient_group'],
    ['a part of a name', { groups: 'g' }, member, 'insufficient_group'],
    ['no groups', { groups: 'g1' }, user(), 'insufficient_group'],
    ['too many: named elsewhere', { groups: 'g1' }, user(overage), 'groups_undetermined'],
    ['too many: and yet some', { groups: 'g1' }, user({ ...overage, groups: ['g1'] }), 'groups_undetermined'],
    ['too many: hasgroups', { groups: 'g1' }, user({ hasgroups: true }), 'groups_undetermined'],
    ['hasgroups as text', { groups: 'g1' }, user({ hasgroups: 'true' }), 'groups_undetermined'],
    ['hasgroups false', { groups: 'g1' }, user({ hasgroups: false, groups: ['g1'] })],
    ['groups that are a text', { groups: 'g1' }, user({ groups: 'g1' }), 'groups_undetermined'],
    ['groups that are no texts', { groups: 'g1' }, user({ groups: ['g1', 7] }), 'groups_undetermined'],
    ['other claims elsewhere', { groups: 'g1' }, user({ _claim_names: { x: 's' }, groups: ['g1'] })],
    ['_claim_names null', { groups: 'g1' }, user({ _claim_names: null, groups: ['g1'] })],
    ['wids are no groups', { groups: 'g1' }, user({ wids: ['g1'] }), 'insufficient_group'],
    [
      'alone: an application is turned away',
      { groups: 'g1' },
      application({ groups: ['g1'] }),
      'wrong_caller_kind',
    ],
    [
      'alone: a member without a permission',
      { groups: 'g1' },
      user({ scp: undefined, groups: ['g1'] }),
      'no_permissions',
    ],
    ['beside scope: both', { scope: 'X', groups: 'g1' }, member, 'insufficient_scope'],
    ['beside scope: the group first', { scope: 'X', groups: 'g3' }, member, 'insufficient_group'],
    [
      'beside role: an application is not asked for groups',
      { groups: 'g1', role: 'Data.Read.All' },
      application(),
    ],
    ['a route without groups does not care', { scope: 'Data.Read' }, user(overage)],
  ])
})

t.test('clients (ENTRA-17): of a route and of the server, they only ever narrow', async t => {
  const byId: Policy = { kind: 'application', clients: 'daemon' }
  judge(t, [
    ['a user by that client', { scope: 'Data.Read', clients: 'portal' }, user()],
    ['one of a list', { scope: 'Data.Read', clients: ['other', 'portal'] }, user()],
    ['one of any', { scope: 'Data.Read', clients: { any: ['other', 'portal'] } }, user()],
    ['another client', { scope: 'Data.Read', clients: 'other' }, user(), 'client_not_allowed'],
    ['another case', { scope: 'Data.Read', clients: 'Portal' }, user(), 'client_not_allowed'],
    [
      'a caller without a client',
      { scope: 'Data.Read', clients: 'portal' },
      user({ azp: undefined }),
      'client_not_allowed',
    ],
    ['the client, but not the scope', { scope: 'X', clients: 'portal' }, user(), 'insufficient_scope'],
    [
      'the client goes before the permission',
      { scope: 'X', clients: 'other' },
      user({ scp: undefined }),
      'client_not_allowed',
    ],
    ['an application by id, with idtyp', byId, application()],
    [
      'an application by id, by lack of scp only',
      byId,
      application({ idtyp: undefined }),
      'wrong_caller_kind',
    ],
    [
      'an application by id and role, by lack of scp only',
      { role: 'Data.Read.All', clients: 'daemon' },
      application({ idtyp: undefined }),
    ],
    ['an application, by lack of scp only', { kind: 'application' }, application({ idtyp: undefined })],
    [
      'an application of another issuer by id: its sub says it',
      { kind: 'application', clients: 's' },
      readAccess('rfc9068', { ...BASE, iss: 'https://other.example', client_id: 's', roles: ['x'] }),
    ],
  ])
  judge(
    t,
    [
      ['the server names it', 'any', user()],
      ['the server names others', 'any', application(), 'client_not_allowed'],
      ['the route alone is not enough', byId, application(), 'client_not_allowed'],
      ['the server alone is not enough', { kind: 'user', clients: 'daemon' }, user(), 'client_not_allowed'],
      ['it grants nothing', { scope: 'X' }, user(), 'insufficient_scope'],
    ],
    { allowedClients: ['portal'] },
  )
})

t.test('implied scopes (C-16, MCP-5): by the table and over any number of steps, else exactly', async t => {
  const implies = { 'Files.All': ['Files.Write'], 'Files.Write': ['Files.Read', 'Files.List'] }
  const implied = readImplied(implies)
  t.strictSame(withImplied(['Files.All'], implied), ['Files.All', 'Files.Write', 'Files.Read', 'Files.List'])
  t.strictSame(withImplied(['a'], readImplied({ a: ['toString'] })), ['a', 'toString'])
  const all = user({ scp: 'Files.All' })
  const read = user({ scp: 'Files.Read' })
  const rows: Row[] = [
    ['one step', { scope: 'Files.Read' }, user({ scp: 'Files.Write' })],
    ['two steps', { scope: ['Files.Read', 'Files.All'] }, all],
    ['not backwards', { scope: 'Files.Write' }, read, 'insufficient_scope'],
    ['not by prefix', { scope: 'Files' }, all, 'insufficient_scope'],
    ['not for roles', { userRole: 'Files.Read' }, user({ roles: ['Files.Write'] }), 'insufficient_role'],
    ['not for what only inherits', { scope: 'x' }, user({ scp: 'constructor' }), 'insufficient_scope'],
  ]
  judge(t, rows, { implied })
  judge(t, [['without a table', { scope: 'Files.Read' }, all, 'insufficient_scope']])

  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{ a: ['a'] }, /a → a/],
    [{ x: ['a'], a: ['b'], b: ['c'], c: ['a'] }, /a → b → c → a/],
    [{ a: 'b' }, /"b"/],
    [{ a: [] }, /\[\]/],
    [{ a: ['b c'] }, /b c/],
    [{ 'a b': ['c'] }, /\["c"\]/],
    [{ a: [7] }, /7/],
    [[['a']], /a/],
    ['a', /a/],
    [null, /null/],
  ]
  for (const [table, found] of wrong) {
    t.match(findImpliesProblems(table), [{ name: /^option implies/, found }], JSON.stringify(table))
  }
  const diamond = { a: ['b', 'c'], b: ['d'], c: ['d'] }
  t.strictSame(
    [findImpliesProblems(undefined), findImpliesProblems(diamond)],
    [[], []],
    'a diamond is no circle',
  )
})

t.test('authorization_details (ASVS-3): of a type that the route does not enforce, refused', async t => {
  const detailed = (details: unknown) => user({ authorization_details: details })
  const pays: Policy = { scope: 'Data.Read', authorizationDetails: ['pay', 'read'] }
  judge(t, [
    ['known', pays, detailed([{ type: 'pay' }, { type: 'read' }])],
    ['one unknown', pays, detailed([{ type: 'pay' }, { type: 'x' }]), 'no_permissions'],
    ['a route that knows none', { scope: 'Data.Read' }, detailed([{ type: 'pay' }]), 'no_permissions'],
    ['any', 'any', detailed([{ type: 'pay' }]), 'no_permissions'],
    ['no type', pays, detailed([{}]), 'no_permissions'],
    ['null', pays, detailed([null]), 'no_permissions'],
    ['no list', pays, detailed({ type: 'pay' }), 'no_permissions'],
    ['empty', { scope: 'Data.Read' }, detailed([])],
  ])
})

t.test('a declaration that can not be enforced: every wrong member is named', async t => {
  const wrong: readonly (readonly [access: unknown, names: readonly string[]])[] = [
    [{}, ['']],
    [{ clients: 'a' }, ['']],
    [{ acr: 'a', maxAgeSeconds: 1 }, ['']],
    [{ authenticationContext: 'c1' }, ['']],
    [{ authorizationDetails: 'a' }, ['']],
    [{ scope: '', roles: 'x', kind: 'device', groups: [] }, [', scope', ', roles', ', kind', ', groups']],
    [{ scope: 'a', clients: [''], userRole: 'a b' }, [', clients', ', userRole']],
    [{ scope: 'a', groups: undefined }, [', groups']],
    [
      { scope: 'a', acr: 'a b', maxAgeSeconds: -1, authenticationContext: '' },
      [', acr', ', maxAgeSeconds', ', authenticationContext'],
    ],
    [{ scope: 'a', maxAgeSeconds: 1.5 }, [', maxAgeSeconds']],
    [{ scope: 'a', maxAgeSeconds: '300' }, [', maxAgeSeconds']],
    [{ scope: 'a', maxAgeSeconds: Number.POSITIVE_INFINITY }, [', maxAgeSeconds']],
    [{ scope: 'a', authorizationDetails: {} }, [', authorizationDetails']],
    [{ scope: 'a', toString: 'x' }, [', toString']],
    [{ kind: 'application', scope: 'a', groups: 'g', userRole: 'r' }, [', scope', ', userRole', ', groups']],
    [{ kind: 'user', role: 'a' }, [', role']],
    [
      { role: 'a', acr: 'a', maxAgeSeconds: 1, authenticationContext: 'c1' },
      [', acr', ', maxAgeSeconds', ', authenticationContext'],
    ],
    [{ scope: 'a', authenticationContext: 'transfer' }, [', authenticationContext']],
  ]
  for (const [access, names] of wrong) {
    const problems = findPolicyProblems('GET /x', access)
    t.strictSame(
      problems.map(({ name }) => name),
      names.map(name => `access of GET /x${name}`),
      JSON.stringify(access),
    )
    t.ok(problems.every(problem => Object.values(problem).every(text => typeof text === 'string')))
  }
  const good: readonly RouteAccess[] = [
    { kind: 'user' },
    { kind: 'application', clients: ['a', 'b'] },
    { groups: 'All people/Staff' },
    { kind: 'user', scope: 'a', userRole: 'b', groups: ['c'], clients: { any: ['d'] } },
    { scope: 'a', acr: ['x', 'y'], maxAgeSeconds: 0, authenticationContext: 'c99' },
    { role: 'a', scope: 'b', authenticationContext: 'c1', authorizationDetails: ['x'] },
  ]
  for (const access of good) t.strictSame(findPolicyProblems('GET /x', access), [], JSON.stringify(access))
})

t.test('options that can not be enforced: the plugin does not start, and names them all', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const error = await app
    .register(protectedResource, { publicUrl: 'x', implies: { a: ['a'] }, acrs: { x: {} } })
    .then(
      () => undefined,
      (cause: unknown) => cause,
    )
  const names = (error as Misconfigured).problems.map(({ name }) => name)
  for (const name of ['option publicUrl', 'option implies', 'option acrs']) t.ok(names.includes(name), name)
  const alone = Fastify()
  t.teardown(() => alone.close())
  await t.rejects(
    async () => alone.register(protectedResource, { ...OPTIONS, implies: { a: ['a'] } }),
    Misconfigured,
  )
})

/** Routes that are guarded by every member, and the server that has them. */
const ROUTES = {
  '/scope': { scope: 'Files.Read' },
  '/editors': { scope: 'Files.Read', userRole: 'Editor' },
  '/staff': { groups: 'staff' },
  '/people': { kind: 'user' },
  '/daemons': { kind: 'application' },
  '/portal': { kind: 'user', clients: 'portal' },
} as const satisfies Record<string, RouteAccess>

t.test('over HTTP: status, code and challenge of each refusal', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(protectedResource, { ...OPTIONS, implies: { 'Files.Write': ['Files.Read'] } })
  for (const [url, access] of Object.entries(ROUTES)) {
    app.get(url, { config: { access } }, async ({ access }) => access.scopes)
  }
  await app.ready()
  while (app.protectedResource.keys().some(({ state }) => state === 'missing')) {
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  const ask = (url: keyof typeof ROUTES, token: string) =>
    app.inject({ url, headers: { authorization: `Bearer ${token}` } })
  const writer = tenant.issue({ scopes: ['Files.Write'] })
  const allowed = await ask('/scope', writer)
  t.match([allowed.statusCode, allowed.json()], [200, ['Files.Write']], 'the handler sees what the token has')

  const realm = 'protected-resource'
  const resource_metadata = 'https://api.example.com/.well-known/oauth-protected-resource'
  const plain = { realm, resource_metadata }
  const scope = `api://${profile.api.clientId}/Files.Read`
  const refusals: readonly (readonly [keyof typeof ROUTES, string, Code, Record<string, unknown>])[] = [
    [
      '/scope',
      tenant.issue(),
      'insufficient_scope',
      { ...plain, scope, error: 'insufficient_scope', error_description: String },
    ],
    [
      '/editors',
      writer,
      'insufficient_role',
      { ...plain, error: 'insufficient_scope', error_description: String },
    ],
    ['/staff', tenant.issue({ claims: { groups: ['others'] } }), 'insufficient_group', plain],
    ['/staff', await tenant.mint('overage'), 'groups_undetermined', plain],
    ['/people', tenant.issue({ app: 'daemon' }), 'wrong_caller_kind', plain],
    ['/daemons', tenant.issue(), 'wrong_caller_kind', plain],
    ['/portal', tenant.issue(), 'client_not_allowed', plain],
    [
      '/people',
      tenant.issue({ claims: { authorization_details: [{ type: 'x' }] } }),
      'no_permissions',
      plain,
    ],
  ]
  for (const [url, token, code, params] of refusals) {
    const answer = await ask(url, token)
    t.match(answer.json(), { status: 403, code }, `${url} ${code}`)
    t.equal(answer.statusCode, 403)
    const sent = parseBearer(String(answer.headers['www-authenticate']))
    t.strictSame(Object.keys(sent).sort(), Object.keys(params).sort(), `C-10: ${code}`)
    t.match(sent, params)
    t.strictSame([answer.json().error, answer.json().scope], [sent.error, sent.scope])
  }
  t.equal((await ask('/staff', tenant.issue({ claims: { groups: ['staff'] } }))).statusCode, 200)
  t.equal(
    (await ask('/editors', tenant.issue({ scopes: ['Files.Read'], roles: ['Editor'] }))).statusCode,
    200,
  )
})

t.test('the description: a sentence and the security of every member', async t => {
  const described: readonly (readonly [Policy, string, readonly object[]])[] = [
    [
      { kind: 'user' },
      'Asks for a user with any permission; an application is turned away.',
      [{ entra: [] }],
    ],
    [
      { kind: 'application', clients: ['x', 'y'] },
      'Asks for an application with any permission; a user is turned away. Only one of the clients `x`, `y` may call.',
      [{ entraApplication: [`api://${profile.api.clientId}/.default`], bearer: [] }],
    ],
    [
      { userRole: 'Editor', groups: ['g', 'h'], role: 'R' },
      'Asks for a user with the app role `Editor` and all of the groups `g`, `h`, or an application with the application permission `R`.',
      [{ entra: [] }, { entraApplication: [`api://${profile.api.clientId}/.default`], bearer: ['R'] }],
    ],
    [
      { scope: 'A', acr: ['gold', 'silver'], maxAgeSeconds: 300, clients: 'x' },
      'Asks for a user with the scope `A`; an application is turned away. A user must have signed in at the level `gold` or `silver`, not longer than 300 seconds ago. Only the client `x` may call.',
      [{ entra: [`api://${profile.api.clientId}/A`] }],
    ],
    [
      { scope: 'A', authenticationContext: 'c1', acr: 'gold' },
      'Asks for a user with the scope `A`; an application is turned away. A user must have signed in for the authentication context `c1` or at the level `gold`.',
      [{ entra: [`api://${profile.api.clientId}/A`] }],
    ],
  ]
  const api = await startApi(t, {
    tenant,
    waitForKeys: false,
    routes: app => {
      for (const [at, [access]] of described.entries()) {
        app.get(`/policy/${at}`, { config: { access } }, async () => ({ ok: true }))
      }
    },
  })
  const { paths } = (await api.get('/openapi.json')).json
  for (const [at, [access, says, security]] of described.entries()) {
    const { get } = paths[`/policy/${at}`]
    t.strictSame([get.description, get.security], [says, security], JSON.stringify(access))
  }
})

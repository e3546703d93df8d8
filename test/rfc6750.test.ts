/** RFC 6750, RFC 9110 and RFC 9457 over the wire: every answer of the bearer scheme, to the last parameter. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { Agent } from 'undici'
import { readConfig } from '../src/config.ts'
import { type Code, Denied, Misconfigured, Unavailable } from '../src/errors.ts'
import { createClientErrorHandler } from '../src/http/answers.ts'
import { createLogger } from '../src/http/logger.ts'
import { createAnswerProblem, MEANINGS } from '../src/http/problem.ts'
import { metadataAddress, protect } from '../src/http/protect.ts'
import { findPolicyProblems } from '../src/token/declared.ts'
import { readTrust } from '../src/token/trust.ts'
import { type Answer, startApi, startTenant, trusting } from './helpers/api.ts'
import { parseBearer, parseChallenges } from './helpers/challenge.ts'
import { ask, readAnswers, type Seen, speak } from './helpers/raw.ts'

const METADATA = 'https://api.example.com/.well-known/oauth-protected-resource'
const MEGABYTE = 1024 * 1024

const tenant = await startTenant(t)
const clientId = tenant.profile.api.clientId
const scopeOf = (...names: string[]): string => names.map(name => `api://${clientId}/${name}`).join(' ')
const failing = { armed: false }
const reached: string[] = []
const hidden = { hide: true }

/** What a handler may throw at the server, by the last part of the path. */
const THROWN: Readonly<Record<string, () => unknown>> = {
  null: () => null,
  undefined: () => undefined,
  text: () => 'Traceback: hunter2',
  error: () => new TypeError('hunter2 is not a function'),
  'error-503': () => Object.assign(new Error('hunter2'), { statusCode: 503 }),
  'error-401': () => Object.assign(new Error('hunter2'), { statusCode: 401 }),
  'error-403': () => Object.assign(new Error('hunter2'), { statusCode: 403 }),
  'error-418': () => Object.assign(new Error('hunter2'), { statusCode: 418 }),
  'error-499': () => Object.assign(new Error('hunter2'), { statusCode: 499 }),
  denied: () => new Denied({ code: 'revoked', received: 'hunter2', expected: 'hunter2' }),
  unavailable: () =>
    new Unavailable('hunter2', { code: 'downstream_throttled', received: 'hunter2', retryAfterSeconds: 7 }),
}

const api = await startApi(t, {
  tenant,
  world: {
    clock: {
      now: () => {
        if (failing.armed) throw new Error('hunter2: the clock has stopped')
        return Date.now()
      },
      after: (delayMs, action) => {
        const timer = setTimeout(action, delayMs).unref()
        return () => clearTimeout(timer)
      },
    },
  },
  routes: app => {
    app.addContentTypeParser('text/slow', (_request, _payload, done) => done(null, 'read'))
    app.post('/orders', { config: { access: { scope: 'Data.Read' } }, schema: hidden }, async request => {
      reached.push('/orders')
      return { read: typeof request.body }
    })
    app.get(
      '/all',
      { config: { access: { scope: ['Data.Read', 'Data.Write'] } }, schema: hidden },
      async () => ({}),
    )
    app.get(
      '/either',
      { config: { access: { scope: { any: ['Data.Write', 'Data.Own'] } } }, schema: hidden },
      async () => ({}),
    )
    app.get('/people', { config: { access: { scope: 'Data.Read' } }, schema: hidden }, async () => {
      reached.push('/people')
      return {}
    })
    app.get('/daemons', { config: { access: { role: 'Data.Read.All' } }, schema: hidden }, async () => ({}))
    app.get<{ Params: { what: string } }>(
      '/throws/:what',
      { config: { access: { scope: 'Data.Read' } }, schema: hidden },
      async request => {
        throw THROWN[request.params.what]!()
      },
    )
  },
})
const good = tenant.issue()

interface Expected {
  readonly status: number
  readonly code: Code
  /** Parameters of the challenge beside realm and resource_metadata; none without one. */
  readonly params?: Readonly<Record<string, string>>
}

const R0 = (scope?: string): Expected => ({
  status: 401,
  code: 'no_credentials',
  params: scope === undefined ? {} : { scope },
})
const failed = (status: number, code: Code, error: string, more: Record<string, string> = {}): Expected => ({
  status,
  code,
  params: { ...more, error, error_description: MEANINGS[code].detail },
})
const R400 = failed(400, 'malformed_credentials', 'invalid_request')
const R401 = (code: Code): Expected => failed(401, code, 'invalid_token')
const R403s = (...scopes: string[]): Expected =>
  failed(403, 'insufficient_scope', 'insufficient_scope', { scope: scopeOf(...scopes) })
const R403 = (code: Code): Expected => ({ status: 403, code, params: {} })
const unchallenged = (status: number, code: Code): Expected => ({ status, code })

/** The whole answer: status, every parameter of the challenge, every member of the document, and the constants. */
function check(t: Test, answer: Seen | Answer, { status, code, params }: Expected, title: string): void {
  const { headers } = answer
  const challenge = headers.get('www-authenticate')
  t.strictSame(
    {
      status: answer.status,
      type: headers.get('content-type')?.split(';')[0],
      store: headers.get('cache-control'),
      sniff: headers.get('x-content-type-options'),
      challenge: challenge === null ? undefined : parseBearer(challenge),
      body: JSON.parse(answer.text),
    },
    {
      status,
      type: 'application/problem+json',
      store: 'no-store',
      sniff: 'nosniff',
      challenge: params && { realm: 'protected-resource', resource_metadata: METADATA, ...params },
      body: {
        status,
        title: STATUS_CODES[status] ?? 'Error',
        detail: MEANINGS[code].detail,
        code,
        ...(params?.error !== undefined && { error: params.error }),
        ...(params?.scope !== undefined && { scope: params.scope }),
      },
    },
    title,
  )
}

t.test('BEARER-1, HTTP-6: a good token: 200, not to be stored', async t => {
  const answer = await api.get('/secure-data', good)
  t.match(answer, {
    status: 200,
    json: { message: 'Hello Ada Lovelace, this is protected data.' },
    challenge: null,
  })
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
})

t.test('BEARER-2: the scheme in any case, and more than one space: 200', async t => {
  for (const scheme of ['bearer', 'BEARER', 'bEaReR', 'Bearer  ', 'Bearer     ']) {
    t.equal((await ask(api.url, '/secure-data', [`Authorization: ${scheme} ${good}`])).status, 200, scheme)
  }
})

t.test(
  'BEARER-3 to BEARER-6: no token, or a scheme that is not ours: R0, the same answer for all',
  async t => {
    const none = await ask(api.url, '/secure-data')
    check(t, none, R0(scopeOf('Data.Read')), 'no Authorization')
    t.equal(
      none.headers.get('www-authenticate'),
      `Bearer realm="protected-resource", resource_metadata="${METADATA}", scope="${scopeOf('Data.Read')}"`,
    )
    for (const value of [
      'Basic eDp5',
      'DPoP x',
      'Negotiate',
      'Token x',
      'BearerX y',
      'Digest a="b", c="d"',
      '',
      '"',
      ', Bearer x',
      good,
    ]) {
      const answer = await ask(api.url, '/secure-data', [`Authorization: ${value}`])
      check(t, answer, R0(scopeOf('Data.Read')), value.slice(0, 20) || 'an empty value')
      t.equal(answer.text, none.text)
    }
  },
)

t.test('BEARER-7: a token that is not accepted: R401', async t => {
  check(t, await api.get('/secure-data', 'x'), R401('malformed_token'), 'malformed')
  check(t, await api.get('/secure-data', await tenant.mint('expired')), R401('expired'), 'expired')
  check(
    t,
    await api.get('/secure-data', await tenant.mint('foreign-key')),
    R401('invalid_signature'),
    'foreign',
  )
  check(t, await api.get('/throws/denied', good), R401('revoked'), 'revoked, said by a handler')
})

t.test('BEARER-8, C-1: Bearer without exactly one token68: R400', async t => {
  for (const rest of [
    '',
    ' ',
    ' a b',
    ' a,b',
    ' a, b',
    ' "x"',
    ' a=b',
    ' =',
    ' é',
    ' {}',
    '\ta',
    ':a',
    ',',
    '=x',
    ' a;b',
    ` ${good} x`,
    ' realm="x"',
  ]) {
    check(
      t,
      await ask(api.url, '/secure-data', [`Authorization: Bearer${rest}`]),
      R400,
      `Bearer${rest}`.slice(0, 20),
    )
  }
})

t.test(
  'BEARER-9, BEARER-10: a scope is missing: R403s, with all scopes that the operation needs',
  async t => {
    const bob = tenant.issue({ person: 'bob' })
    check(t, await api.get('/secure-data', bob), R403s('Data.Read'), 'one scope')
    check(t, await api.get('/all', bob), R403s('Data.Read', 'Data.Write'), 'both scopes missing')
    check(
      t,
      await api.get('/all', good),
      R403s('Data.Read', 'Data.Write'),
      'one of two missing: both are named',
    )
    check(t, await api.get('/either', good), R403s('Data.Write', 'Data.Own'), 'either of two')
    check(t, await api.get('/all'), R0(scopeOf('Data.Read', 'Data.Write')), 'without a token: both too')
  },
)

t.test('C-10, ENTRA-14, ENTRA-15: what no scope can mend: 403 without scope', async t => {
  const daemon = { app: 'daemon' as const }
  const other = failed(403, 'insufficient_role', 'insufficient_scope')
  check(
    t,
    await api.get('/secure-data', tenant.issue({ ...daemon, roles: ['Other'] })),
    other,
    'a role is missing',
  )
  check(
    t,
    await api.get('/people', tenant.issue(daemon)),
    R403('wrong_caller_kind'),
    'an application where people go',
  )
  check(t, await api.get('/daemons', good), R403('wrong_caller_kind'), 'a person where applications go')
  check(t, await api.get('/daemons'), R0(), 'no scope to ask for')
  const nobody = tenant.issue({ app: 'daemonWithoutRole' })
  check(t, await api.get('/secure-data', nobody), R403('no_permissions'), 'neither scope nor role')
  check(
    t,
    await api.get('/whoami', nobody),
    R403('no_permissions'),
    'neither scope nor role, where any caller goes',
  )
})

t.test('BEARER-13, BEARER-14, BEARER-16: a token in query, form or cookie is not read', async t => {
  check(t, await api.get(`/secure-data?access_token=${good}`), R0(scopeOf('Data.Read')), 'BEARER-13: query')
  const form = {
    method: 'POST',
    body: new URLSearchParams({ access_token: good }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  }
  check(t, await api.get('/orders', undefined, form), R0(scopeOf('Data.Read')), 'BEARER-14: form')
  const cookie = { headers: { cookie: `access_token=${good}` } }
  check(t, await api.get('/secure-data', undefined, cookie), R0(scopeOf('Data.Read')), 'BEARER-16: cookie')
  t.equal((await api.get(`/secure-data?access_token=${good}`, good)).status, 200, 'C-2: the header decides')
  check(
    t,
    await api.get(`/secure-data?access_token=${good}`, 'x'),
    R401('malformed_token'),
    'C-2: the header decides',
  )
  t.strictSame((await api.get('/.well-known/oauth-protected-resource')).json.bearer_methods_supported, [
    'header',
  ])
})

t.test('BEARER-15: two Authorization lines: R400, whatever stands in them', async t => {
  const token = `Authorization: Bearer ${good}`
  for (const lines of [
    [token, token],
    [token, 'Authorization: Bearer x'],
    ['AUTHORIZATION: Basic eDp5', token],
    [token, 'authorization:'],
  ]) {
    check(t, await ask(api.url, '/secure-data', lines), R400, lines.map(line => line.slice(0, 22)).join(', '))
  }
})

t.test('BEARER-17: plain http beyond this machine: refuses to start', async t => {
  const env = trusting(tenant)
  for (const more of [
    { HOST: '0.0.0.0' },
    { HOST: '::' },
    { HOST: '10.0.0.1', PUBLIC_URL: 'http://api.example.com' },
    { PUBLIC_URL: 'http://api.example.com' },
  ]) {
    t.throws(
      () => readConfig({ ...env, ...more }),
      { name: 'Misconfigured', message: /PUBLIC_URL/ },
      JSON.stringify(more),
    )
  }
  t.doesNotThrow(() => readConfig({ ...env, HOST: '0.0.0.0', PUBLIC_URL: 'https://api.example.com' }))
})

t.test(
  'BEARER-11, HTTP-1, HTTP-2, HTTP-3: every 401 and 403 has one challenge on one line, each name once',
  async t => {
    for (const target of ['/secure-data', '/whoami', '/nothing', '/all', '/docs/../whoami']) {
      for (const line of [
        'x: y',
        'Authorization: Bearer',
        'Authorization: Bearer x',
        `Authorization: Bearer ${tenant.issue({ person: 'bob' })}`,
      ]) {
        const bytes = await speak(
          api.url,
          `GET ${target} HTTP/1.1\r\nhost: api\r\n${line}\r\nconnection: close\r\n\r\n`,
        )
        const { status, headers } = readAnswers(bytes)[0]!
        if (![400, 401, 403].includes(status)) continue
        t.equal(bytes.match(/^www-authenticate:/gim)?.length, 1, `${target} ${line.slice(0, 25)}: ${status}`)
        t.equal(parseChallenges(headers.get('www-authenticate')!).length, 1)
      }
    }
  },
)

t.test('HTTP-1: an error that carries a status of its own: 401 and 403 are challenged too', async t => {
  check(t, await api.get('/throws/error-401', good), { status: 401, code: 'bad_request', params: {} }, '401')
  check(t, await api.get('/throws/error-403', good), { status: 403, code: 'bad_request', params: {} }, '403')
  check(t, await api.get('/throws/error-418', good), unchallenged(418, 'bad_request'), '418')
  check(
    t,
    await api.get('/throws/error-499', good),
    unchallenged(499, 'bad_request'),
    'a status without a phrase',
  )
})

t.test('HTTP-4: HEAD answers what GET answers, without the body', async t => {
  const bob = tenant.issue({ person: 'bob' })
  for (const [target, token] of [
    ['/secure-data'],
    ['/secure-data', good],
    ['/secure-data', bob],
    ['/secure-data', 'x'],
    ['/secure-data', 'a b'],
    ['/nothing'],
    ['/nothing', good],
    ['/livez'],
    ['/%zz'],
  ] as const) {
    const lines = token === undefined ? [] : [`Authorization: Bearer ${token}`]
    const [head, get] = [await ask(api.url, target, lines, 'HEAD'), await ask(api.url, target, lines)]
    for (const { headers } of [head, get])
      for (const name of ['date', 'ratelimit-remaining', 'ratelimit-reset']) headers.delete(name)
    t.strictSame(
      { ...head, headers: [...head.headers] },
      { status: get.status, headers: [...get.headers], text: '' },
      `${target} ${get.status}`,
    )
  }
})

t.test('HTTP-5: a wrong method: 405 with Allow, but not before the guard', async t => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PURGE', 'PROPFIND']) {
    check(t, await ask(api.url, '/secure-data', [], method), R0(), `${method} without a token`)
    check(
      t,
      await ask(api.url, '/secure-data', ['Authorization: Bearer x'], method),
      R401('malformed_token'),
      `${method} with a bad one`,
    )
    const answer = await ask(api.url, '/secure-data', [`Authorization: Bearer ${good}`], method)
    check(t, answer, unchallenged(405, 'method_not_allowed'), `${method} with a good one`)
    t.equal(answer.headers.get('allow'), 'GET, HEAD')
  }
  const open = await ask(api.url, '/livez', [], 'DELETE')
  check(t, open, unchallenged(405, 'method_not_allowed'), 'a public path has nothing to hide')
  t.equal(open.headers.get('allow'), 'GET, HEAD')
  t.equal((await ask(api.url, '/orders', [`Authorization: Bearer ${good}`])).headers.get('allow'), 'POST')
})

t.test('HTTP-8: an unknown path: R0 without a token, 404 with one', async t => {
  for (const target of [
    '/nothing',
    '/secure-data/',
    '/SECURE-DATA',
    '//',
    '/nothing?access_token=x',
    '/docs/nothing/at/all',
    '*',
  ]) {
    check(t, await ask(api.url, target), R0(), `${target} without a token`)
    check(
      t,
      await ask(api.url, target, [`Authorization: Bearer ${good}`]),
      unchallenged(404, 'not_found'),
      `${target} with one`,
    )
  }
  check(t, await api.get('/nothing', 'x'), R401('malformed_token'), 'with a bad one')
  check(
    t,
    await api.get('/nothing', tenant.issue({ app: 'daemonWithoutRole' })),
    R403('no_permissions'),
    'of nobody',
  )
})

t.test('HTTP-6: what is refused may not be stored, what is public may', async t => {
  const control = async (path: string, token?: string) =>
    (await api.get(path, token)).headers.get('cache-control')
  for (const path of ['/secure-data', '/nothing', '/whoami']) {
    t.equal(await control(path), 'no-store')
    t.equal(await control(path, good), 'no-store')
  }
  t.equal(await control('/.well-known/oauth-protected-resource'), 'max-age=3600')
})

t.test('HTTP-7, C-15: keys that cannot be had: R503, no statement about the token', async t => {
  const down = await startTenant(t)
  const token = down.issue()
  const env = trusting(down)
  down.goDown()
  const lonely = await startApi(t, { tenant: down, env, waitForKeys: false })
  const answer = await lonely.get('/secure-data', token)
  check(t, answer, unchallenged(503, 'keys_unavailable'), 'no key was ever had')
  t.match(answer.headers.get('retry-after'), /^[1-9][0-9]*$/)
  check(
    t,
    await lonely.get('/secure-data'),
    { ...R0(), params: { scope: `api://${down.profile.api.clientId}/Data.Read` } },
    'no token: R0',
  )
  check(t, await lonely.get('/secure-data', 'x'), R401('malformed_token'), 'what can be decided is decided')
  const busy = await api.get('/throws/unavailable', good)
  check(t, busy, unchallenged(503, 'downstream_throttled'), 'said by a handler')
  t.equal(busy.headers.get('retry-after'), '7')
})

t.test('HTTP-13: a body is not read before the token is: R0, not 400, 413 or 415', async t => {
  const big = '{'.repeat(MEGABYTE)
  for (const [type, body] of [
    ['application/json', big],
    ['application/json', ''],
    ['text/csv', big],
    ['', 'x'],
    ['application/json', `${big}${big}`],
  ] as const) {
    const init = { method: 'POST', body, headers: type === '' ? {} : { 'content-type': type } }
    check(t, await api.get('/orders', undefined, init), R0(scopeOf('Data.Read')), `${type} ${body.length}`)
    check(
      t,
      await api.get('/orders', 'x', init),
      R401('malformed_token'),
      `${type} ${body.length}, bad token`,
    )
  }
  t.strictSame(reached, [])
})

t.test('HTTP-9: with a good token a bad body is answered for what it is', async t => {
  const post = (type: string, body: string, path = '/orders') =>
    api.get(path, good, { method: 'POST', body, headers: { 'content-type': type } })
  check(t, await post('application/json', '{'), unchallenged(400, 'bad_request'), 'no JSON')
  check(t, await post('application/json', ''), unchallenged(400, 'bad_request'), 'empty')
  check(
    t,
    await post('application/json', '{"__proto__":{"a":1}}'),
    unchallenged(400, 'bad_request'),
    'a prototype',
  )
  check(
    t,
    await post('application/json', '{"constructor":{"prototype":{}}}'),
    unchallenged(400, 'bad_request'),
    'a constructor',
  )
  check(t, await post('text/csv', 'a,b'), unchallenged(415, 'bad_request'), 'an unknown type')
  check(t, await post('x', 'a'), unchallenged(415, 'bad_request'), 'no type at all')
  check(
    t,
    await post('application/json', JSON.stringify('x'.repeat(MEGABYTE))),
    unchallenged(413, 'bad_request'),
    'too long',
  )
  t.strictSame(reached, [])
  t.equal((await post('application/json', '{}')).status, 200)
})

t.test('HTTP-14: the guard fails: 500, and the handler never runs', async t => {
  reached.length = 0
  failing.armed = true
  try {
    check(t, await api.get('/people', good), unchallenged(500, 'internal_error'), 'at once')
    const unknown = await tenant.mint('unknown-kid')
    check(t, await api.get('/people', unknown), unchallenged(500, 'internal_error'), 'later')
    check(t, await api.get('/nothing', good), unchallenged(500, 'internal_error'), 'where there is no route')
    check(t, await api.get('/people'), R0(scopeOf('Data.Read')), 'who needs no clock is answered')
  } finally {
    failing.armed = false
  }
  t.strictSame(reached, [])
  t.equal((await api.get('/people', good)).status, 200, 'and it recovers')
})

t.test('HTTP-11: whatever a handler throws: 500 without a word of it', async t => {
  for (const what of ['null', 'undefined', 'text', 'error', 'error-503']) {
    check(t, await api.get(`/throws/${what}`, good), unchallenged(500, 'internal_error'), what)
  }
  for (const what of Object.keys(THROWN)) {
    const { text, headers } = await api.get(`/throws/${what}`, good)
    t.notMatch(text + JSON.stringify([...headers]), /hunter2|Cannot read|TypeError/, what)
  }
})

t.test('BCP-16: forwarding headers of a peer that is not trusted change nothing', async t => {
  const spoofed = {
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-port': '1',
    forwarded: 'for=127.0.0.1;host=evil.example;proto=http',
    host: 'evil.example',
  }
  const lines = Object.entries(spoofed).map(([name, value]) => `${name}: ${value}`)
  for (const target of [
    '/secure-data',
    '/.well-known/oauth-protected-resource',
    '/nothing',
    '/openapi.json',
  ]) {
    const bytes = await speak(
      api.url,
      [`GET ${target} HTTP/1.1`, ...lines, 'connection: close', '', ''].join('\r\n'),
    )
    const [answer] = readAnswers(bytes)
    const usual = await ask(api.url, target)
    t.equal(answer!.text, usual.text, target)
    t.equal(answer!.headers.get('www-authenticate'), usual.headers.get('www-authenticate'))
    t.notMatch(bytes, /evil/)
  }
})

t.test('HTTP-12: no CORS unless it is configured; a preflight gets no more than anybody', async t => {
  const lines = [
    'Origin: https://evil.example',
    'Access-Control-Request-Method: GET',
    'Access-Control-Request-Headers: authorization',
  ]
  const preflight = await ask(api.url, '/secure-data', lines, 'OPTIONS')
  check(t, preflight, R0(), 'preflight')
  const names = [
    ...preflight.headers.keys(),
    ...(await api.get('/secure-data', good, { headers: { origin: 'https://evil.example' } })).headers.keys(),
  ]
  t.notOk(names.some(name => name.startsWith('access-control-')))
  t.equal(
    (await api.get('/.well-known/oauth-protected-resource')).headers.get('access-control-allow-origin'),
    '*',
    'PRM-7',
  )
})

t.test('design, headers: HSTS behind TLS only, and one more server with other settings', async t => {
  t.equal((await api.get('/secure-data')).headers.get('strict-transport-security'), 'max-age=31536000')
  t.equal((await api.get('/livez')).headers.get('strict-transport-security'), 'max-age=31536000')
  const plain = await startApi(t, {
    tenant,
    env: {
      PUBLIC_URL: 'http://127.0.0.1:3000/base/',
      SCOPE_PREFIX: 'https://api.example.com/',
      ALLOWED_CLIENTS: '00000000-0000-0000-0000-000000000001',
    },
  })
  const none = await plain.get('/secure-data')
  t.equal(none.headers.get('strict-transport-security'), null)
  t.strictSame(parseBearer(none.challenge!), {
    realm: 'protected-resource',
    resource_metadata: 'http://127.0.0.1:3000/.well-known/oauth-protected-resource/base',
    scope: 'https://api.example.com/Data.Read',
  })
  const unlisted = await plain.get('/secure-data', good)
  t.match(unlisted, { status: 403, json: { code: 'client_not_allowed' } }, 'ENTRA-17: R403')
  t.strictSame(Object.keys(parseBearer(unlisted.challenge!)), ['realm', 'resource_metadata'])
})

t.test('requests that node can not read: problem documents, and the next connection works', async t => {
  const refused = async (bytes: string, status: number, title: string): Promise<void> => {
    const answers = readAnswers(await speak(api.url, bytes))
    t.equal(answers.length, 1, title)
    check(t, answers[0]!, unchallenged(status, 'bad_request'), title)
  }
  const head = 'GET /secure-data HTTP/1.1\r\nhost: api\r\n'
  await refused(`${head}x: ${'a'.repeat(40_000)}\r\n\r\n`, 431, 'more than 32 KiB of headers')
  await refused(`${head}${'x-header: a\r\n'.repeat(9000)}\r\n`, 431, 'very many headers')
  await refused(`GET /${'a'.repeat(40_000)} HTTP/1.1\r\nhost: api\r\n\r\n`, 431, 'a very long target')
  await refused('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400, 'a TLS hello')
  await refused('garbage\r\n\r\n', 400, 'garbage')
  await refused('\0\0\0\0\r\n\r\n', 400, 'zeros')
  await refused('GET  HTTP/1.1\r\n\r\n', 400, 'no target')
  await refused('GET / HTTP/9.9\r\n\r\n', 400, 'an unknown version')
  await refused('get / HTTP/1.1\r\nhost: api\r\n\r\n', 400, 'a method in lower case')
  await refused('BREW / HTTP/1.1\r\nhost: api\r\n\r\n', 400, 'a method that nobody knows')
  await refused(`${head}authorization: Bearer a\0b\r\n\r\n`, 400, 'a NUL in a header')
  await refused(`${head}authorization : Bearer ${good}\r\n\r\n`, 400, 'a space before the colon')
  await refused(
    `${head}authorization: Bearer ${good.slice(0, 50)}\r\n ${good.slice(50)}\r\n\r\n`,
    400,
    'a folded header',
  )
  await refused(`${head}no colon\r\n\r\n`, 400, 'a line without a colon')
  await refused(`${head}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400, 'two lengths')
  await refused(`${head}content-length: 1\r\ncontent-length: 2\r\n\r\nx`, 400, 'two different lengths')
  await refused(`${head}content-length: -1\r\n\r\n`, 400, 'a negative length')
  await refused(`GET /%zz HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n`, 400, 'a target that is no URL')
  await refused(
    `GET /%ff HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n`,
    400,
    'a target that is no UTF-8',
  )
  await refused(
    `GET /throws/${'a'.repeat(2000)} HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n`,
    414,
    'a long parameter',
  )
  t.equal((await api.get('/secure-data', good)).status, 200)
  const roomy = await ask(api.url, '/secure-data', [
    `Authorization: Bearer ${good}`,
    `x: ${'a'.repeat(30_000 - good.length)}`,
  ])
  t.equal(roomy.status, 200, 'less than 32 KiB of headers')
})

t.test('pipelined requests: each has its own answer, in order', async t => {
  const line = (target: string, token: string): string =>
    `GET ${target} HTTP/1.1\r\nhost: api\r\n${token}\r\n`
  const authorization = `authorization: Bearer ${good}\r\n`
  const bytes = [
    line('/secure-data', authorization),
    line('/secure-data', ''),
    line('/whoami', authorization),
    line('/nothing', authorization),
    line('/secure-data', 'authorization: Bearer a b\r\n'),
    line('/secure-data', `connection: close\r\n${authorization}`),
  ].join('')
  const answers = readAnswers(await speak(api.url, bytes))
  t.strictSame(
    answers.map(({ status }) => status),
    [200, 401, 200, 404, 400, 200],
    'no identity goes over to the next',
  )
  check(t, answers[1]!, R0(scopeOf('Data.Read')), 'the second has no token')
})

t.test('what node reports of a connection: 408 when it is slow, silence when it is gone', async t => {
  const answerProblem = () => createAnswerProblem({ realm: 'r', resourceMetadata: METADATA, scopePrefix: '' })
  const handle = createClientErrorHandler(answerProblem, () => createLogger('silent'))
  const spoken = (code: string | undefined, writable = true): string => {
    const said: string[] = []
    const socket = { writable, end: (text: string) => said.push(text), destroy: () => said.push('destroyed') }
    handle(
      Object.assign(new Error('hunter2'), code === undefined ? {} : { code }),
      socket as unknown as Socket,
    )
    return said.join('')
  }
  check(t, readAnswers(spoken('ERR_HTTP_REQUEST_TIMEOUT'))[0]!, unchallenged(408, 'bad_request'), 'slow')
  check(t, readAnswers(spoken('HPE_INVALID_CONSTANT'))[0]!, unchallenged(400, 'bad_request'), 'garbled')
  check(t, readAnswers(spoken(undefined))[0]!, unchallenged(400, 'bad_request'), 'without a code')
  t.equal(spoken('ECONNRESET'), 'destroyed')
  t.equal(spoken('HPE_INVALID_CONSTANT', false), 'destroyed')
})

t.test(
  'BEARER-12: a configured text that a challenge can not hold: does not start; every other: arrives whole',
  async t => {
    const text = fc.oneof(
      { weight: 6, arbitrary: fc.stringMatching(/^[!#-[\]-~]{1,8}$/) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('a"b', 'a\\b', 'a\r\nb', 'é', '', ' ', 'a b', '\u007f', 'a\tb'),
      },
    )
    const names = fc.oneof(
      text,
      fc.array(text, { maxLength: 3 }),
      fc.record({ any: fc.array(text, { maxLength: 3 }) }),
    )
    const settings = { issuers: ['https://issuer.example'], audience: ['x'] }
    let clean = 0
    fc.assert(
      fc.property(names, text, text, text, (scope, scopePrefix, path, realm) => {
        const access = { scope }
        const trust = readTrust(
          { ...settings, scopePrefix, publicUrl: `https://api.example.com/${path}` },
          name => name,
        )
        if (!('others' in trust) || findPolicyProblems('GET /', access).length > 0) return
        const resourceMetadata = metadataAddress(trust.publicUrl)
        try {
          const answerProblem = createAnswerProblem({ realm, resourceMetadata, scopePrefix })
          for (const code of ['no_credentials', 'insufficient_scope', 'expired'] as const) {
            const answer = answerProblem({ code }, access)
            const params = parseBearer(answer.headers['www-authenticate']!)
            const list = typeof scope === 'string' ? [scope] : 'any' in scope ? scope.any : scope
            const wanted = code === 'expired' ? undefined : list.map(name => scopePrefix + name).join(' ')
            if (params.realm !== realm || params.scope !== wanted) throw new Error('not whole')
            if (JSON.parse(answer.body).scope !== wanted) throw new Error('not mirrored')
          }
          clean++
        } catch (error) {
          if (!(error instanceof Misconfigured)) throw error
        }
      }),
      { numRuns: 3000, seed: 6750 },
    )
    t.ok(clean > 200, `${clean} of them are clean`)
  },
)

t.test(
  'BEARER-12: a realm, a scope or a prefix that breaks out of its quotes: the plugin does not start',
  async t => {
    const options = {
      issuers: ['https://issuer.example'],
      audience: ['x'],
      publicUrl: 'https://api.example.com',
    }
    const dispatcher = new Agent()
    t.teardown(() => dispatcher.destroy())
    const start = async (more: object, scope = 'Data.Read'): Promise<void> => {
      const app = Fastify()
      try {
        await app.register(protect, { ...options, ...more, dispatcher })
        app.get('/', { config: { access: { scope } } }, async () => '')
        await app.ready()
      } finally {
        await app.close()
      }
    }
    for (const odd of [
      '"',
      'a", error="x',
      '\\',
      'a\r\nset-cookie: a=b',
      '\n',
      'é',
      '\u0000',
      '\u007f',
      '日本',
    ]) {
      await t.rejects(start({ realm: odd }), Misconfigured, `realm ${JSON.stringify(odd)}`)
      await t.rejects(start({ scopePrefix: odd }), Misconfigured, `prefix ${JSON.stringify(odd)}`)
      await t.rejects(
        start({ publicUrl: `https://api.example.com/${odd}` }),
        Misconfigured,
        `address ${JSON.stringify(odd)}`,
      )
      await t.rejects(start({}, odd), Misconfigured, `scope ${JSON.stringify(odd)}`)
    }
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(protect, { ...options, dispatcher, realm: "Orders, the API's = (v2); <a>" })
    app.get('/', { config: { access: { scope: "a,b='c'" } } }, async () => '')
    const answer = await app.inject('/')
    t.strictSame(parseBearer(String(answer.headers['www-authenticate'])), {
      realm: "Orders, the API's = (v2); <a>",
      resource_metadata: METADATA,
      scope: "a,b='c'",
    })
  },
)

t.test('HTTP-10: each code has one constant text that a challenge can hold', async t => {
  for (const [code, { status, error, detail }] of Object.entries(MEANINGS)) {
    t.match(detail, /^[\x20\x21\x23-\x5b\x5d-\x7e]+\.$/, code)
    t.equal(error === 'invalid_token', status === 401 && error !== undefined, `ATJWT-5: ${code}`)
    t.equal(error === 'invalid_request', status === 400 && error !== undefined)
    t.ok(error !== 'insufficient_scope' || status === 403)
  }
})

t.test('the parser of challenges: refuses what RFC 9110 and RFC 6750 do not allow', async t => {
  for (const bad of [
    '',
    'Bearer',
    'Bearer ',
    'Bearer x',
    'Bearer realm',
    'Bearer realm=x',
    'Bearer realm="x',
    'Bearer realm="x" scope="y"',
    'Bearer realm="a", Realm="b"',
    'Bearer realm="a"b"',
    'Bearer scope=""',
    'Bearer scope=" a"',
    'Bearer scope="a  b"',
    'Bearer error="é"',
    'Bearer error="a\\"b"',
    'Bearer realm="a"; scope="b"',
    ' Bearer realm="a"',
  ]) {
    t.throws(() => parseChallenges(bad), SyntaxError, bad)
  }
  t.strictSame(parseChallenges('Bearer realm="a, b=\\"c\\"", scope="d e", DPoP algs="ES256"'), [
    { scheme: 'Bearer', params: { realm: 'a, b="c"', scope: 'd e' } },
    { scheme: 'DPoP', params: { algs: 'ES256' } },
  ])
})

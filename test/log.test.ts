/** The log: one line a request that says who, what and why, and never a credential, wherever somebody put it. */
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Denied, Unavailable } from '../src/errors.ts'
import { showPath } from '../src/http/log.ts'
import { openOutput } from '../src/http/log-output.ts'
import { createLogger } from '../src/http/logger.ts'
import { type Line, startApi } from './helpers/api.ts'
import { ask, speak } from './helpers/raw.ts'

const SECRET_NAMES = [
  'authorization',
  'dpop',
  'cookie',
  'set-cookie',
  'access_token',
  'id_token',
  'refresh_token',
  'client_secret',
  'client_assertion',
  'assertion',
  'password',
]
/** A token that is nobody's. */
const TOKEN = `${Buffer.from('{"alg":"RS256","typ":"JWT"}').toString('base64url')}.${Buffer.from('{"sub":"somebody"}').toString('base64url')}.c2lnbmF0dXJl`
const MAX_SHOWN_CHARACTERS = 256

const THROWN: Readonly<Record<string, (token: string) => unknown>> = {
  error: token => new Error(`could not use ${token}`),
  denied: token => new Denied({ code: 'revoked', about: 'jti', received: token, expected: `not ${token}` }),
  unavailable: token =>
    new Unavailable(`no answer for ${token}`, { code: 'downstream_unavailable', received: token }),
  axios: token => Object.assign(new Error('401'), { config: { authorization: `Bearer ${token}` } }),
}

const api = await startApi(t, {
  routes: app => {
    const route = { config: { access: { scope: 'Data.Read' } }, schema: { hide: true } }
    app.post('/orders', route, async () => ({}))
    app.get<{ Params: { id: string } }>('/orders/:id', route, async () => ({}))
    app.get<{ Params: { what: string } }>('/throws/:what', route, async request => {
      throw THROWN[request.params.what]!(request.headers.authorization!.slice('Bearer '.length))
    })
  },
})
const { tenant, lines } = api
const { tenantId, publicClient, api: audience, daemon } = tenant.profile
const good = tenant.issue()
const issuer = `${tenant.profile.authority}/${tenantId}/v2.0`

/** A logger, and the text that it has written. */
function capture(level = 'trace') {
  const written: string[] = []
  const log = createLogger(level, { write: (text: string) => void written.push(text) })
  return { log, written, lines: (): Line[] => written.map(text => JSON.parse(text) as Line) }
}

t.test('createLogger: a secret by its name, at the top and one or two levels down: redacted', async t => {
  const { log, written, lines } = capture()
  for (const name of SECRET_NAMES) {
    for (const value of ['hunter2', ['hunter2'], { value: 'hunter2' }, 42_424_242]) {
      written.length = 0
      log.info({ [name]: value, kept: 'yes' })
      log.info({ headers: { [name]: value, kept: 'yes' } })
      log.info({ req: { headers: { [name]: value, kept: 'yes' } } })
      log.info({ list: [{ [name]: value }], kept: 'yes' })
      t.notMatch(written.join(''), /hunter2|42424242/, `${name}: ${JSON.stringify(value)}`)
      t.strictSame(
        lines().map(line => JSON.stringify(line).match(/\[redacted\]/g)?.length),
        [1, 1, 1, 1],
      )
      t.equal(written.join('').match(/"kept":"yes"/g)?.length, 4, 'its neighbours are kept')
    }
  }
})

t.test('createLogger: the caller keeps the object that it logged', async t => {
  const { log } = capture()
  const headers = { authorization: 'Bearer x', host: 'api' }
  log.info({ headers })
  t.strictSame(headers, { authorization: 'Bearer x', host: 'api' })
})

t.test('createLogger: text of the shape of a token, anywhere: replaced, and the rest is kept', async t => {
  const { log, written, lines } = capture()
  const deep = { a: { b: { c: { d: { e: [TOKEN, { f: `x ${TOKEN} y` }] } } } } }
  const cause = new Error(`inner ${TOKEN}`)
  const error = Object.assign(new Error(`refused: ${TOKEN}`, { cause }), {
    config: { url: `?access_token=${TOKEN}` },
  })
  log.info({ value: TOKEN })
  log.info(deep)
  log.info(`said ${TOKEN}, twice ${TOKEN}`)
  log.info('said %s and %o', TOKEN, { TOKEN })
  log.info({ [TOKEN]: 1 })
  log.error(error)
  log.error({ err: error, url: `/callback?access_token=${TOKEN}&state=1` })
  log.child({ from: TOKEN }).info('child')
  log.info({ raw: `{"access_token":"${TOKEN}"}`, form: `a=1&assertion=${TOKEN}&b=2` })
  log.info({ rawHeaders: ['Authorization', `Bearer ${TOKEN}`] })
  log.info({
    unsigned: `${TOKEN.split('.').slice(0, 2).join('.')}.`,
    halves: TOKEN.split('.').slice(0, 2).join('.'),
  })
  const parts = TOKEN.split('.')
  for (const text of written) {
    t.notOk(
      parts.slice(1).some(part => text.includes(part)),
      text.slice(0, 100),
    )
    t.match(text, /\[token\]/)
    t.equal(text.indexOf('\n'), text.length - 1, 'one line')
  }
  t.equal(lines()[2]!.msg, 'said [token], twice [token]')
  t.match(lines()[6], { url: '/callback?access_token=[token]&state=1' })
})

t.test('createLogger: any token behind anything that is no letter or digit: replaced', async t => {
  const { log, written } = capture()
  const part = fc.stringMatching(/^[A-Za-z0-9_-]{12,60}$/)
  const before = fc.constantFrom(
    '',
    ' ',
    '=',
    '"',
    '/',
    ':',
    ',',
    '(',
    '[',
    '.',
    '+',
    '?',
    '&',
    "'",
    '<',
    '\u2028',
    'é',
    '😀',
  )
  const property = fc.property(before, part, part, part, before, (left, header, claims, signature, right) => {
    written.length = 0
    log.info({ text: `${left}ey${header}.${claims}.${signature}${right}`, kept: 'yes' })
    const line = JSON.parse(written[0]!) as Line
    return line.kept === 'yes' && !written[0]!.includes(claims) && !written[0]!.includes(signature)
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 300, seed: 1 }))
})

t.test('createLogger: what only begins like a token is kept', async t => {
  const { log, lines } = capture()
  const harmless = [
    'eyes.closed',
    'key.value',
    'eyJ',
    'hey.you.there',
    'a.b.c',
    '1.2.3',
    'eyewitness accounts. They differ.',
  ]
  for (const text of harmless) log.info({ text })
  t.strictSame(
    lines().map(({ text }) => text),
    harmless,
  )
})

t.test('createLogger: levels', async t => {
  const names = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
  for (const level of [...names, 'silent' as const]) {
    const { log, lines } = capture(level)
    for (const name of names) log[name](name)
    const from = level === 'silent' ? names.length : names.indexOf(level)
    t.strictSame(
      lines().map(({ msg }) => msg),
      names.slice(from),
      level,
    )
  }
  const { log, lines } = capture()
  log.info({ event: 'x' })
  t.strictSame(Object.keys(lines()[0]!), ['level', 'time', 'event'], 'neither process id nor host name')
})

/** A pipe that nobody reads yet, and what has come through it so far when somebody does. */
function openPipe(t: Test) {
  const path = join(t.testdir(), 'pipe')
  execFileSync('mkfifo', [path])
  // Both ends, so that opening does not wait for somebody.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  t.teardown(() => closeSync(fd))
  const chunk = Buffer.alloc(1 << 20)
  return { fd, read: () => chunk.toString('utf8', 0, readSync(fd, chunk)) }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

t.test(
  'openOutput: the lines of one turn are written together, in their order; a fatal one at once',
  async t => {
    const { fd, read } = openPipe(t)
    const log = createLogger('info', openOutput(fd))
    log.info('one')
    log.info('two')
    t.throws(read, { code: 'EAGAIN' }, 'nothing before the end of the turn')
    await turn()
    t.match(read(), /"one".*\n.*"two".*\n$/)
    log.info('three')
    log.fatal('four')
    t.match(read(), /"three".*\n.*"four".*\n$/)
    log.info('five')
    log.flush()
    t.match(read(), /"five"/)
    await turn()
    t.throws(read, { code: 'EAGAIN' }, 'and once only')
  },
)

t.test(
  'openOutput: a full disk ends neither the process nor the request, not even for a fatal line',
  async t => {
    const full = openSync('/dev/full', 'w')
    t.teardown(() => closeSync(full))
    const log = createLogger('info', openOutput(full))
    for (let i = 0; i < 3; i++) {
      log.info({ i })
      await turn()
    }
    log.fatal({ event: 'crashed' })
    t.pass('it came back')
  },
)

t.test(
  'openOutput: a reader that stops reading is not waited for; it gets the rest when it reads on',
  async t => {
    const { fd, read } = openPipe(t)
    const log = createLogger('info', openOutput(fd))
    const lines = 100
    for (let i = 0; i < lines; i++) log.info({ i, filling: 'x'.repeat(1000) })
    await turn()
    let text = read()
    t.ok(text.length < lines * 1000, `the pipe was full after ${text.length} bytes`)
    log.info({ i: lines })
    await turn()
    text += read()
    const numbers = text
      .trimEnd()
      .split('\n')
      .map(line => (JSON.parse(line) as Line).i)
    t.strictSame(
      numbers,
      Array.from({ length: lines + 1 }, (_, i) => i),
      'no line is lost or mixed up',
    )
  },
)

t.test('openOutput: what nobody reads is kept up to a bound, as whole lines', async t => {
  const { fd, read } = openPipe(t)
  const log = createLogger('info', openOutput(fd))
  for (let i = 0; i < 1000; i++) log.info({ i, filling: 'x'.repeat(1000) })
  await turn()
  let text = read()
  log.info('again')
  await turn()
  text += read()
  t.ok(text.length < 2 * 64 * 1024 + 1000, `${text.length} bytes`)
  const kept = text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Line)
  t.strictSame(
    kept.slice(0, -1).map(({ i }) => i),
    kept.slice(0, -1).map((_, i) => i),
  )
  t.equal(kept.at(-1)?.msg, 'again')
})

t.test('showPath: without query and fragment, and not endless', async t => {
  t.equal(showPath('/a?access_token=x'), '/a')
  t.equal(showPath('/a#access_token=x'), '/a')
  t.equal(showPath('/a?b#c?d'), '/a')
  t.equal(showPath('/a'), '/a')
  t.equal(showPath('?x'), '')
  t.equal(showPath(`/${'a'.repeat(1000)}`).length, MAX_SHOWN_CHARACTERS)
})

/** The lines of requests that were written meanwhile; an answer may be here before its line is. */
async function linesOf(request: () => Promise<unknown>): Promise<Line[]> {
  const from = lines.length
  await request()
  const found = () => lines.slice(from).filter(({ event }) => event === 'answered' || event === 'refused')
  for (let turns = 0; found().length === 0 && turns < 100; turns++) await new Promise(setImmediate)
  return found()
}

/** One request's only line. */
async function lineOf(t: Test, request: () => Promise<unknown>): Promise<Line> {
  const found = await linesOf(request)
  t.equal(found.length, 1, 'one line')
  return found[0]!
}

t.test('one line an answered request: method, route, status, time, and who called', async t => {
  const user = await lineOf(t, () => api.get('/secure-data', good))
  t.match(user, {
    level: 30,
    reqId: String,
    event: 'answered',
    method: 'GET',
    route: '/secure-data',
    status: 200,
    ms: Number,
    kind: 'user',
    issuer,
    tenant: tenantId,
    client: publicClient.clientId,
  })
  t.strictSame([user.code, user.received, user.expected], [undefined, undefined, undefined])
  const application = await lineOf(t, () => api.get('/whoami', tenant.issue({ app: 'daemon' })))
  t.match(application, { event: 'answered', route: '/whoami', kind: 'application', client: daemon.clientId })
  t.match(
    await lineOf(t, () => api.get('/orders/42', good)),
    { route: '/orders/:id', status: 200 },
    'the pattern',
  )
  const head = await lineOf(t, () => api.get('/secure-data', good, { method: 'HEAD' }))
  t.match(head, { method: 'HEAD', route: '/secure-data', status: 200 })
  const open = await lineOf(t, () => api.get('/.well-known/oauth-protected-resource'))
  t.match(open, { event: 'answered', status: 200 })
  t.strictSame([open.kind, open.tenant, open.client], [undefined, undefined, undefined], 'nobody was asked')
  t.notMatch(JSON.stringify([user, application]), /Lovelace|ada@/, 'ENTRA-18: no name of a person')
})

t.test('a flood of unknown key ids: a line more only for those that cause a fetch', async t => {
  const before = lines.length
  for (let i = 0; i < 5; i++) await api.get('/secure-data', tenant.issue({ header: { kid: `made-up-${i}` } }))
  const since = lines.slice(before)
  const events = since.filter(({ event }) => event === 'unknown_key')
  t.strictSame([...new Set(events.map(({ level, coolingDown }) => `${level} ${coolingDown}`))].sort(), [
    '20 true',
    '30 false',
  ])
  t.equal(since.filter(({ event, code }) => event === 'refused' && code === 'unknown_key').length, 5)
})

t.test('health checks leave no line', async t => {
  for (const path of ['/livez', '/readyz']) t.strictSame(await linesOf(() => api.get(path)), [], path)
})

t.test('one line a refusal: the code, and received and expected side by side', async t => {
  const { kid } = JSON.parse(Buffer.from(good.split('.')[0]!, 'base64url').toString()) as { kid: string }
  const elsewhere = 'https://issuer.example'
  const table: readonly (readonly [make: () => string | Promise<string>, line: object])[] = [
    [() => 'x', { status: 401, code: 'malformed_token', about: 'token', received: 'no compact JWS' }],
    [
      () => 'x'.repeat(16_385),
      { code: 'malformed_token', about: 'size', received: '16385 characters', expected: 'at most 16384' },
    ],
    [
      () => tenant.issue({ header: { crit: ['exp', 'b64'] } }),
      { code: 'malformed_token', about: 'crit', received: 'exp b64' },
    ],
    [
      () => tenant.mint('alg-none'),
      { code: 'unsupported_algorithm', about: 'alg', received: 'none', expected: /RS256/ },
    ],
    [
      () => tenant.issue({ header: { typ: 'pop' } }),
      { code: 'wrong_token_type', about: 'typ', received: 'pop', expected: ['jwt', 'at+jwt'] },
    ],
    [
      () => tenant.issue({ header: { kid: 'who?' } }),
      { code: 'unknown_key', about: 'kid', received: 'who?' },
    ],
    [() => tenant.mint('foreign-key'), { code: 'invalid_signature', about: 'signature' }],
    [
      () => tenant.issue({ claims: { iss: elsewhere } }),
      { code: 'untrusted_issuer', about: 'iss', received: elsewhere },
    ],
    [
      () => tenant.mint('wrong-tenant'),
      { code: 'tenant_not_allowed', received: tenant.partnerTenantId, expected: tenantId },
    ],
    [
      () => tenant.issue({ claims: { aud: 'orders' } }),
      { code: 'wrong_audience', about: 'aud', received: 'orders', expected: [audience.clientId] },
    ],
    [
      () => tenant.issue({ claims: { exp: 1 } }),
      { code: 'expired', about: 'exp', received: 1, expected: /^later than \d+/ },
    ],
    [
      () => tenant.issue({ claims: { nbf: 1e12 } }),
      { code: 'not_yet_valid', about: 'nbf', received: 1e12, expected: /^not later than \d+/ },
    ],
    [
      () => tenant.issue({ claims: { exp: 'x' } }),
      { code: 'malformed_claim', about: 'exp', received: 'string', expected: /number/ },
    ],
    [() => tenant.mint('no-exp'), { code: 'missing_claim', about: 'exp' }],
    [
      () => tenant.mint('wrong-version'),
      { code: 'wrong_token_version', about: 'ver', received: '3.0', expected: '2.0' },
    ],
    [() => tenant.mint('id-token'), { code: 'id_token' }],
    [() => tenant.mint('bound'), { code: 'sender_constrained', about: 'cnf', received: 'jkt' }],
    [
      () => tenant.issue({ person: 'bob' }),
      {
        status: 403,
        code: 'insufficient_scope',
        about: 'scp',
        received: ['Profile.Read'],
        expected: 'Data.Read',
      },
    ],
    [
      () => tenant.issue({ app: 'daemon', roles: ['Other'] }),
      {
        status: 403,
        code: 'insufficient_role',
        about: 'roles',
        received: ['Other'],
        expected: 'Data.Read.All',
      },
    ],
    [() => tenant.issue({ app: 'daemonWithoutRole' }), { status: 403, code: 'no_permissions' }],
  ]
  for (const [make, expected] of table) {
    const token = await make()
    const line = await lineOf(t, () => api.get('/secure-data', token))
    t.match(
      line,
      { level: 30, event: 'refused', method: 'GET', route: '/secure-data', ms: Number, ...expected },
      String(line.code),
    )
    t.equal(line.kind, undefined, 'a refused caller is nobody')
  }
  const unknown = await lineOf(t, () => api.get('/secure-data', tenant.issue({ header: { kid: 'who?' } })))
  t.ok((unknown.expected as string[]).includes(kid), 'the ids that are published')
  t.match(await lineOf(t, () => api.get('/secure-data')), { status: 401, code: 'no_credentials' })
  t.match(await lineOf(t, () => api.get('/secure-data', 'a b')), {
    status: 400,
    code: 'malformed_credentials',
    about: 'authorization',
  })
  t.match(await lineOf(t, () => api.get('/nothing', good)), {
    status: 404,
    code: 'not_found',
    route: '/nothing',
    kind: 'user',
  })
  const method = {
    status: 405,
    code: 'method_not_allowed',
    received: 'DELETE',
    expected: ['GET', 'HEAD'],
    kind: 'user',
  }
  t.match(await lineOf(t, () => api.get('/secure-data', good, { method: 'DELETE' })), method)
})

t.test('a hostile value: cut, on one line, and never a line of its own', async t => {
  const line = (claims: object, header: object = {}) =>
    lineOf(t, () => api.get('/secure-data', tenant.issue({ claims: { ...claims }, header: { ...header } })))
  const long = await line({ aud: 'x'.repeat(5000) })
  t.equal(String(long.received).length, MAX_SHOWN_CHARACTERS)
  const many = await line({ aud: Array.from({ length: 500 }, () => 'x') })
  t.equal((many.received as unknown[]).length, 20)
  const kid = await line({}, { kid: `\u001b[31m\r\n{"level":60}${'k'.repeat(5000)}` })
  t.match(String(kid.received), /^[\x20-\x7e]{64}$/)
  const broken = await line({ iss: 'https://x\r\n{"level":60,"event":"forged"}\u2028\u0000' })
  t.equal(broken.code, 'untrusted_issuer')
  t.notOk(lines.some(({ level, event }) => level === 60 || event === 'forged'))
})

t.test(
  'levels: a failure of ours is an error and a warning, an outage a warning, a refusal information',
  async t => {
    const from = lines.length
    t.match(await lineOf(t, () => api.get('/throws/error', good)), {
      level: 40,
      status: 500,
      code: 'internal_error',
    })
    t.match(
      lines.slice(from).find(({ event }) => event === 'failed'),
      { level: 50, err: { message: 'could not use [token]', stack: String } },
      'the operator has message and stack',
    )
    t.match(await lineOf(t, () => api.get('/throws/unavailable', good)), { level: 40, status: 503 })
    t.match(await lineOf(t, () => api.get('/throws/denied', good)), {
      level: 30,
      status: 401,
      received: '[token]',
    })
  },
)

t.test('BEARER-13: no line holds a query or a fragment', async t => {
  const query = '?access_token=hunter2&code=hunter2#hunter2'
  const targets = [
    '/secure-data',
    '/nothing',
    '/whoami',
    '/livez',
    '/orders',
    '/orders/1',
    '/docs',
    '/openapi.json',
    '/%zz',
    `/orders/${'a'.repeat(150)}`,
    '/.well-known/oauth-protected-resource',
  ]
  for (const target of targets) {
    for (const token of [[], [`authorization: Bearer ${good}`], ['authorization: Bearer x']]) {
      await linesOf(() => ask(api.url, target + query, token))
    }
  }
  for (const method of ['HEAD', 'DELETE', 'OPTIONS'])
    await linesOf(() => ask(api.url, `/secure-data${query}`, [], method))
  t.strictSame(
    lines.filter(line => JSON.stringify(line).includes('hunter2')),
    [],
  )
})

t.test('BCP-14: a token wherever it can be put: in no line', async t => {
  const from = lines.length
  const bad = await tenant.mint('tampered')
  const daemon = tenant.issue({ app: 'daemon', version: 1 })
  const post = (type: string, body: string, token?: string) =>
    api.get('/orders', token, { method: 'POST', body, headers: { 'content-type': type } })
  for (const token of [good, bad, daemon, tenant.issue({ person: 'bob' }), await tenant.mint('graph')]) {
    await api.get('/secure-data', token)
    await api.get('/secure-data', token, { method: 'DELETE' })
    await api.get(`/secure-data?access_token=${token}`, token)
    await api.get(`/${token}`, token)
    await api.get(`/${token}/${token}`)
    await api.get(`/orders/${token.slice(0, 99)}`, token)
    await api.get(`/orders/${token}`, token)
    await api.get(`/%zz/${token}`, token)
    await post('application/json', `{"access_token":"${token}"`, token)
    await post('application/json', token, token)
    await post('application/x-www-form-urlencoded', `access_token=${token}`)
    await post(`text/x; token=${token}`, 'x', token)
    await post(token, 'x', token)
    for (const what of Object.keys(THROWN)) await api.get(`/throws/${what}`, good)
    for (const line of [
      `Cookie: access_token=${token}`,
      `DPoP: ${token}`,
      `Referer: https://app.example/#access_token=${token}`,
      `User-Agent: ${token}`,
      `X-Request-Id: ${token}`,
      `Request-Id: ${token}`,
      `Host: ${token}`,
      `Authorization: Basic ${Buffer.from(`x:${token}`).toString('base64')}`,
      `Authorization: Bearer ${token} ${token}`,
      `Authorization: Bearer ${token}\r\nAuthorization: Bearer ${token}`,
      `Authorization: Bearer ${token}=`,
    ]) {
      await ask(api.url, '/secure-data', [line])
    }
    await speak(api.url, `GET /secure-data HTTP/1.1\r\nhost: a\r\n${token}\r\n\r\n`)
    await speak(api.url, `${token}\r\n\r\n`)
    const [header, claims, signature] = token.split('.') as [string, string, string]
    const written = lines.slice(from).map(line => JSON.stringify(line))
    t.ok(written.length > 20)
    for (const part of [claims, signature]) {
      t.strictSame(
        written.filter(text => text.includes(part.slice(0, 24)) || text.includes(part.slice(-24))),
        [],
      )
    }
    t.strictSame(
      written.filter(text => text.includes(header)),
      [],
    )
  }
})

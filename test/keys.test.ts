/** The parts that key sources are made of, each alone. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Agent } from 'undici'
import { writePrivateFile } from '../src/private-file.ts'
import { type TrustedIssuer, trustEntra, trustRfc9068 } from '../src/token/issuers.ts'
import { createBudget, joinBudgets } from '../src/token/keys/budget.ts'
import { systemClock } from '../src/token/keys/clock.ts'
import { createKeyCounters, KEY_COUNTER_NAMES } from '../src/token/keys/counters.ts'
import { mayServeKeys } from '../src/token/keys/exchange.ts'
import { createKeyFetch, type KeySet } from '../src/token/keys/fetch.ts'
import { createLastGood } from '../src/token/keys/last-good.ts'
import { refreshDelayMs, retryDelayMs } from '../src/token/keys/schedule.ts'
import { createKeySource } from '../src/token/keys/source.ts'
import { createUnknownKids } from '../src/token/keys/unknown-kids.ts'
import { createFakeClock, HOUR } from './helpers/clock.ts'

const RSA = {
  kty: 'RSA',
  e: 'AQAB',
  n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
}

interface Answer {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** An issuer whose two answers a test decides. */
async function issuerThat(t: Test, answers: (base: string) => { discovery?: Answer; keys?: Answer }) {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(request.url ?? '')
    const { discovery, keys } = answers(base)
    const isDiscovery = request.url?.startsWith('/.well-known/') === true
    const good = isDiscovery ? { issuer: base, jwks_uri: `${base}/keys` } : { keys: [{ ...RSA, kid: 'k' }] }
    const { status = 200, headers = {}, body = JSON.stringify(good) } = (isDiscovery ? discovery : keys) ?? {}
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const dispatcher = new Agent()
  t.teardown(async () => {
    await dispatcher.destroy()
    server.close()
  })
  const issuer = trustRfc9068({ issuer: base, audiences: ['x'], tokenType: 'at+jwt' })
  const fetchKeySet = createKeyFetch({ issuer, dispatcher, clock: systemClock })
  return { base, seen, issuer, fetchKeySet, dispatcher }
}

t.test('a key fetch that goes well: the whole set, with what the answer says of its freshness', async t => {
  const { fetchKeySet, base, seen } = await issuerThat(t, () => ({
    keys: { headers: { 'cache-control': 'public, max-age=600', 'content-encoding': 'identity' } },
  }))
  t.match(await fetchKeySet(), { issuer: base, keys: [{ kid: 'k', alg: 'RS256' }], maxAgeSeconds: 600 })
  t.strictSame(seen, ['/.well-known/openid-configuration', '/keys'])
})

t.test('a key fetch that goes wrong: says at which address, and what', async t => {
  const json = (value: unknown): Answer => ({ body: JSON.stringify(value) })
  const rows: readonly (readonly [
    string,
    (base: string) => { discovery?: Answer; keys?: Answer },
    RegExp,
  ])[] = [
    ['a status', () => ({ discovery: { status: 404 } }), /openid-configuration answered 404/],
    ['a redirect', () => ({ keys: { status: 302, headers: { location: '/else' } } }), /keys answered 302/],
    ['an array', () => ({ discovery: json([]) }), /openid-configuration did not answer with a JSON object/],
    ['no JSON', () => ({ keys: { body: '<html>' } }), /keys did not answer with a JSON object/],
    [
      'an encoding',
      () => ({ keys: { headers: { 'content-encoding': 'gzip' } } }),
      /encoding that was not asked for/,
    ],
    ['too much', () => ({ keys: { body: ' '.repeat(600_000) } }), /more than 524288 bytes/],
    ['no jwks_uri', base => ({ discovery: json({ issuer: base }) }), /names no jwks_uri/],
    [
      'a jwks_uri that is none',
      base => ({ discovery: json({ issuer: base, jwks_uri: 'keys' }) }),
      /names no jwks_uri/,
    ],
    [
      'a jwks_uri that is no text',
      base => ({ discovery: json({ issuer: base, jwks_uri: 7 }) }),
      /names no jwks_uri/,
    ],
    [
      'a jwks_uri of a private host',
      base => ({ discovery: json({ issuer: base, jwks_uri: 'http://10.0.0.1/' }) }),
      /is not allowed/,
    ],
    [
      'a jwks_uri with a fragment',
      base => ({ discovery: json({ issuer: base, jwks_uri: `${base}/keys#x` }) }),
      /is not the jwks_uri/,
    ],
    [
      'an issuer that is no text',
      () => ({ discovery: json({ issuer: 7, jwks_uri: 'x' }) }),
      /names another issuer/,
    ],
    ['no keys', () => ({ keys: json({}) }), /publishes no usable key/],
    ['too many keys', () => ({ keys: json({ keys: Array(1001).fill(0) }) }), /publishes 1001 keys/],
  ]
  for (const [what, answers, message] of rows) {
    const { fetchKeySet } = await issuerThat(t, answers)
    await t.rejects(fetchKeySet(), { message }, what)
  }
})

t.test('a second key with the same id and algorithm: the first is used, the second ignored', async t => {
  const { fetchKeySet } = await issuerThat(t, () => ({
    keys: {
      body: JSON.stringify({ keys: [{ ...RSA, kid: 'k' }, { ...RSA, kid: 'k' }, 7, { ...RSA }, { ...RSA }] }),
    },
  }))
  t.match(await fetchKeySet(), {
    keys: { length: 2 },
    ignored: [{ reason: 'a second key with the same kid' }, { reason: 'no object' }, { kid: undefined }],
  })
})

t.test(
  'where keys may be (JWKS-3): the issuer’s origin, https on a public host, loopback for loopback',
  async t => {
    const rows: readonly (readonly [string, string, boolean])[] = [
      ['https://keys.example/k', 'https://issuer.example', true],
      ['https://issuer.example:8443/k', 'https://issuer.example:8443', true],
      ['https://10.0.0.1/k', 'https://10.0.0.1', true],
      ['https://10.0.0.1/k', 'https://issuer.example', false],
      ['https://[fd00::1]/k', 'https://issuer.example', false],
      ['http://keys.example/k', 'https://issuer.example', false],
      ['https://u:p@keys.example/k', 'https://issuer.example', false],
      ['https://:p@keys.example/k', 'https://issuer.example', false],
      ['https://localhost/k', 'https://issuer.example', false],
      ['http://127.0.0.1:9/k', 'https://localhost:8', true],
      ['https://127.0.0.1:9/k', 'http://localhost:8', true],
      ['ftp://127.0.0.1:9/k', 'http://localhost:8', false],
      ['https://keys.example/k', 'http://127.0.0.1:8', true],
    ]
    for (const [keys, metadata, allowed] of rows) {
      t.equal(mayServeKeys(new URL(keys), new URL(metadata)), allowed, `${keys} for ${metadata}`)
    }
  },
)

t.test(
  'the schedule (C-7): one hour give or take, shortened by max-age to five minutes at least',
  async t => {
    t.equal(refreshDelayMs(undefined, 0.5), HOUR)
    t.equal(refreshDelayMs(undefined, 0), 0.9 * HOUR)
    t.ok(refreshDelayMs(undefined, 0.999) < 1.1 * HOUR)
    t.equal(refreshDelayMs(86_400, 0.5), HOUR)
    t.equal(refreshDelayMs(600, 0.5), 600_000)
    t.equal(refreshDelayMs(0, 0.5), 300_000)
    t.equal(retryDelayMs(1, 0), 500)
    t.equal(retryDelayMs(1, 1), 1000)
    t.equal(retryDelayMs(4, 1), 8000)
    t.equal(retryDelayMs(1000, 1), 300_000)
  },
)

t.test('a budget: a burst, one more each window, and a clock that goes back earns nothing', async t => {
  let now = 0
  const clock = { ...systemClock, now: () => now }
  const budget = joinBudgets([createBudget(2, 1000, clock), createBudget(3, 10_000, clock)])
  const take = (): boolean => {
    const has = budget.has()
    if (has) budget.spend()
    return has
  }
  t.strictSame([take(), take(), take()], [true, true, false])
  now = 1000
  t.strictSame([take(), take()], [true, false])
  now = 500
  t.equal(take(), false)
  now = 9000
  t.equal(take(), false, 'the shared one is empty')
  now = 11_000
  t.equal(take(), true)
})

t.test('unknown ids: remembered for a window, in a bounded memory', async t => {
  let now = 0
  const kids = createUnknownKids(1000, { ...systemClock, now: () => now })
  kids.add('a')
  t.ok(kids.has('a'))
  t.notOk(kids.has('b'))
  now = 1000
  t.notOk(kids.has('a'))
  for (let i = 0; i < 1001; i++) kids.add(String(i))
  t.notOk(kids.has('0'), 'the oldest made room')
  t.ok(kids.has('1000'))
  kids.add('x'.repeat(16_000))
  t.ok(kids.has('x'.repeat(16_000)), 'as long as a token may be')
  t.notOk(kids.has('x'.repeat(15_999)))
})

const empty: KeySet = {
  issuer: 'x',
  cloud: undefined,
  keys: [],
  ignored: [],
  fetchedAt: 0,
  maxAgeSeconds: undefined,
}

t.test('the last good set: since when there is one, and since when there is none', async t => {
  let now = 5
  const lastGood = createLastGood(HOUR, { ...systemClock, now: () => now })
  t.equal(lastGood.since(), 5)
  t.equal(lastGood.select('k', 'RS256'), undefined)
  now = 10
  lastGood.replace({ ...empty, fetchedAt: 10 })
  t.equal(lastGood.since(), 10)
  now = 10 + 2 * HOUR
  t.equal(lastGood.current(), undefined)
  t.equal(lastGood.since(), 10 + HOUR)
})

t.test('contradictory settings: refused where the parts are composed', async t => {
  const [issuer] = trustEntra({
    authority: 'https://login.microsoftonline.com',
    tenant: '11111111-2222-3333-4444-555555555555',
    allowedTenants: [],
    versions: ['2.0'],
    audiences: { '1.0': ['x'], '2.0': ['x'] },
  }).issuers
  const options = {
    issuer: issuer as TrustedIssuer,
    fetchKeySet: async () => empty,
    clock: createFakeClock(),
    random: () => 0.5,
    sharedBudget: createBudget(1, 1, systemClock),
    onEvent: () => {},
  }
  t.throws(() => createKeySource({ ...options, maxStaleMs: HOUR - 1 }), { name: 'RangeError' })
  t.doesNotThrow(() => createKeySource({ ...options, maxStaleMs: HOUR }))
})

t.test(
  'a token without a key id while an issuer can not be asked (C-5): nobody can tell, and nothing is asked',
  async t => {
    let fetches = 0
    const source = createKeySource({
      issuer: trustRfc9068({ issuer: 'https://issuer.example', audiences: ['x'], tokenType: 'at+jwt' }),
      fetchKeySet: async () => {
        fetches++
        throw new Error('down')
      },
      clock: createFakeClock(),
      random: () => 0.5,
      maxStaleMs: HOUR,
      sharedBudget: createBudget(1, 1, systemClock),
      onEvent: () => {},
    })
    t.match(await source.find(undefined, 'RS256'), { code: 'keys_unavailable' })
    t.equal(fetches, 0)
  },
)

t.test('two unknown ids that wait for the same fetch: one more fetch for both, paid for once', async t => {
  let fetches = 0
  const clock = createFakeClock()
  const budget = createBudget(2, 1000, systemClock)
  const source = createKeySource({
    issuer: trustRfc9068({ issuer: 'https://issuer.example', audiences: ['x'], tokenType: 'at+jwt' }),
    fetchKeySet: async () => {
      fetches++
      return { ...empty, fetchedAt: clock.now() }
    },
    clock,
    random: () => 0.5,
    maxStaleMs: HOUR,
    sharedBudget: budget,
    onEvent: () => {},
  })
  source.start()
  const verdicts = await Promise.all(['one', 'two'].map(kid => source.find(kid, 'RS256')))
  t.match(verdicts, [{ code: 'unknown_key' }, { code: 'unknown_key' }])
  t.equal(fetches, 2, 'the first of the issuer, and one for both')
  t.ok(budget.has(), 'one of two is left')
  t.match(source.find('one', 'RS256'), { code: 'unknown_key', received: 'one' }, 'at once from here on')
  source.stop()
})

t.test('counters: fixed names, one set for each issuer', async t => {
  const { count, read } = createKeyCounters()
  count({
    event: 'keys_refreshed',
    issuer: 'a',
    reason: 'start',
    set: empty,
    added: ['x', 'y'],
    withdrawn: ['z'],
  })
  count({
    event: 'keys_refresh_failed',
    issuer: 'a',
    reason: 'background',
    failure: 'x',
    retryInMs: 1,
    usable: true,
  })
  count({ event: 'unknown_key', issuer: 'b', kid: 'x', coolingDown: true })
  count({ event: 'unknown_key', issuer: 'b', kid: 'x', coolingDown: false })
  count({ event: 'keys_restored', issuer: 'b', keys: 1, ageSeconds: 1 })
  count({ event: 'keys_cache_unusable', failure: 'x' })
  t.strictSame([...read().keys()], ['a', 'b'])
  t.strictSame(
    KEY_COUNTER_NAMES.map(name => read().get('a')?.[name]),
    [1, 1, 2, 1, 0, 0],
  )
  t.strictSame(
    KEY_COUNTER_NAMES.map(name => read().get('b')?.[name]),
    [0, 0, 0, 0, 2, 1],
  )
})

t.test('a private file that can not be written: nothing is left behind', async t => {
  const folder = t.testdir({ taken: {} })
  await t.rejects(writePrivateFile(join(folder, 'taken'), 'x'))
  const { readdirSync } = await import('node:fs')
  t.strictSame(readdirSync(folder), ['taken'])
})

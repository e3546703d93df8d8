/** Browsers and limits: which pages may read answers, who has called too often, and what a Redis that fails may not break. */
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { type Environment, readConfig } from '../src/config.ts'
import type { Misconfigured } from '../src/errors.ts'
import { type Answer, type Api, type ApiOptions, startApi, startTenant } from './helpers/api.ts'
import { createFakeClock } from './helpers/clock.ts'
import { noRedis, PASSWORD, type RedisServer, startPretendedRedis, startRedis } from './helpers/redis.ts'

const tenant = await startTenant(t)
const ada = tenant.issue({ person: 'ada' })
const bob = tenant.issue({ person: 'bob' })
const daemon = tenant.issue({ app: 'daemon' })

const start = (t: Test, env: Environment, options: ApiOptions = {}): Promise<Api> =>
  startApi(t, { tenant, env, ...options })

/** What an answer says of the limit. */
const limitOf = ({ status, headers }: Answer) => ({
  status,
  limit: headers.get('ratelimit-limit'),
  left: headers.get('ratelimit-remaining'),
})

async function statuses(api: Api, times: number, token?: string, init?: RequestInit): Promise<number[]> {
  const found: number[] = []
  for (let time = 0; time < times; time++) found.push((await api.get('/secure-data', token, init)).status)
  return found
}

async function until(happened: () => unknown): Promise<void> {
  while (!happened()) await new Promise(resolve => setTimeout(resolve, 5))
}

t.test('the variables', async t => {
  const ids = { AZURE_TENANT_ID: '11111111-2222-3333-4444-555555555555', AZURE_CLIENT_ID: 'id' }
  const problemsOf = (env: Environment) => {
    try {
      readConfig({ ...ids, ...env })
      return []
    } catch (error) {
      return (error as Misconfigured).problems
    }
  }
  const good: readonly Environment[] = [
    { CORS_ORIGINS: 'https://app.example.com, https://app.example.com:8443,http://localhost:5173' },
    { RATE_LIMIT_MAX: '0' },
    { RATE_LIMIT_MAX: '1000000', REDIS_URL: 'redis://localhost' },
    { REDIS_URL: 'rediss://user:secret@redis.example.com:6380/1' },
  ]
  for (const env of good) t.strictSame(problemsOf(env), [], JSON.stringify(env))
  const origins = ['*', 'null', 'app.example.com', 'https://app.example.com/', 'https://App.example.com']
  const bad: readonly Environment[] = [
    ...[...origins, 'https://app.example.com:443', 'http://app.example.com', 'https://*.example.com/x'].map(
      CORS_ORIGINS => ({ CORS_ORIGINS }),
    ),
    ...['-1', '1.5', 'many'].map(RATE_LIMIT_MAX => ({ RATE_LIMIT_MAX })),
    ...['localhost:6379', 'secret', 'http://:secret@redis'].map(REDIS_URL => ({ REDIS_URL })),
  ]
  for (const env of bad) {
    const [name, value] = Object.entries(env)[0]!
    const problems = problemsOf(env)
    t.strictSame(
      problems.map(problem => problem.name),
      [name],
      `${name}=${value}`,
    )
    t.ok(problems[0]?.example && problems[0].expected)
    t.notMatch(problems[0]?.found, /secret/, 'a password is not repeated')
    t.strictSame(problemsOf({ [name]: problems[0]!.example }), [], 'the example would do')
  }
})

t.test('pages of other origins', async t => {
  const origin = 'https://app.example.com'
  const preflight = {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'authorization',
    },
  }

  t.test(
    'no origin is configured: nothing is said of origins, and a preflight is a request like others',
    async t => {
      const api = await start(t, {})
      const answer = await api.get('/secure-data', ada, { headers: { origin } })
      t.equal(answer.status, 200)
      t.notOk(answer.headers.get('access-control-allow-origin') ?? answer.headers.get('vary'))
      t.equal((await api.get('/secure-data', undefined, preflight)).status, 401)
    },
  )

  const api = await start(t, { CORS_ORIGINS: `http://localhost:5173,${origin}` })
  const from = (origin: string) => ({ headers: { origin } })

  t.test('a page of a configured origin reads every answer, and why it was refused (HTTP-12)', async t => {
    const asked: readonly (readonly [string, string | undefined, number])[] = [
      ['/secure-data', ada, 200],
      ['/secure-data', undefined, 401],
      ['/secure-data', bob, 403],
      ['/nothing', ada, 404],
      ['/openapi.json', undefined, 200],
    ]
    for (const [path, token, status] of asked) {
      const { headers, ...answer } = await api.get(path, token, from(origin))
      t.equal(answer.status, status, path)
      t.equal(headers.get('access-control-allow-origin'), origin)
      t.match(headers.get('vary'), /\bOrigin\b/)
      t.equal(headers.get('access-control-allow-credentials'), null, 'cookies are never allowed')
      const exposed = headers.get('access-control-expose-headers')!.split(', ')
      t.strictSame(exposed.slice(0, 2), ['WWW-Authenticate', 'Retry-After'])
    }
  })

  t.test('a page of any other origin reads nothing but the metadata, which is for everybody', async t => {
    for (const stranger of [
      'https://evil.example',
      `${origin}.evil.example`,
      'null',
      'http://app.example.com',
    ]) {
      const answer = await api.get('/secure-data', ada, from(stranger))
      t.match(answer, { status: 200 })
      t.equal(answer.headers.get('access-control-allow-origin'), null, stranger)
    }
    const metadata = await api.get(
      '/.well-known/oauth-protected-resource',
      undefined,
      from('https://evil.example'),
    )
    t.equal(metadata.headers.get('access-control-allow-origin'), '*')
  })

  t.test('a preflight is answered without a token, and says what the path supports', async t => {
    const { status, headers } = await api.get('/secure-data?x=1', undefined, preflight)
    t.equal(status, 204)
    t.equal(headers.get('access-control-allow-origin'), origin)
    t.equal(headers.get('access-control-allow-methods'), 'GET, HEAD')
    t.equal(headers.get('access-control-allow-headers'), 'authorization')
    t.equal(headers.get('access-control-max-age'), '600')
    t.equal(headers.get('x-content-type-options'), 'nosniff')

    const stranger = { ...preflight, headers: { ...preflight.headers, origin: 'https://evil.example' } }
    t.equal(
      (await api.get('/secure-data', undefined, stranger)).headers.get('access-control-allow-origin'),
      null,
    )
  })

  t.test('an OPTIONS that is no preflight: guarded like every other method', async t => {
    t.match(await api.get('/secure-data', undefined, { method: 'OPTIONS', ...from(origin) }), { status: 401 })
    const wrong = await api.get('/secure-data', ada, { method: 'OPTIONS' })
    t.match(wrong, { status: 405, json: { code: 'method_not_allowed' } })
    t.equal(wrong.headers.get('allow'), 'GET, HEAD')
    t.match(
      await api.get('/nothing', ada, { method: 'OPTIONS' }),
      { status: 404 },
      'no path has got a method',
    )
  })
})

t.test('counted in memory', async t => {
  t.test('a caller beyond the limit: 429 with the standard headers until the minute is over', async t => {
    let now = Date.now()
    t.intercept(Date, 'now', { value: () => now })
    const api = await start(t, { RATE_LIMIT_MAX: '2' })
    t.strictSame(limitOf(await api.get('/secure-data', ada)), { status: 200, limit: '2', left: '1' })
    const renewed = tenant.issue({ person: 'ada' })
    t.strictSame(
      limitOf(await api.get('/whoami', renewed)),
      { status: 200, limit: '2', left: '0' },
      'whichever token',
    )

    now += 20_500
    const refused = await api.get('/secure-data', ada)
    t.strictSame(limitOf(refused), { status: 429, limit: '2', left: '0' })
    t.equal(refused.headers.get('ratelimit-reset'), '40')
    t.equal(refused.headers.get('retry-after'), '40')
    t.equal(refused.challenge, null, 'another token would not mend it')
    t.match(refused.json, { status: 429, title: 'Too Many Requests', code: 'rate_limited' })
    t.match(api.refusals().at(-1), { code: 'rate_limited', about: 'caller', expected: '2 requests a minute' })

    t.match(await api.get('/whoami', daemon), { status: 200 }, 'nobody else is touched')
    now += 40_000
    t.strictSame(limitOf(await api.get('/secure-data', ada)), { status: 200, limit: '2', left: '1' })
  })

  t.test(
    'a good token without the permission: counts against its caller, whoever shares the address',
    async t => {
      const api = await start(t, { RATE_LIMIT_MAX: '2' })
      t.strictSame(await statuses(api, 3, bob), [403, 403, 429])
      t.strictSame(await statuses(api, 1), [401])
      t.strictSame(await statuses(api, 1, ada), [200])
    },
  )

  t.test('an application is counted for each of its clients, a user once', async t => {
    const api = await start(t, { RATE_LIMIT_MAX: '1' })
    t.strictSame(await statuses(api, 2, daemon), [200, 429])
    t.strictSame(await statuses(api, 1, tenant.issue({ app: 'daemon', claims: { azp: 'other' } })), [200])
    t.strictSame(await statuses(api, 1, ada), [200])
    t.strictSame(await statuses(api, 1, tenant.issue({ person: 'ada', claims: { azp: 'other' } })), [429])
  })

  t.test('a flood of refusals from an address: 429 there, and no verified caller at it notices', async t => {
    const api = await start(t, { RATE_LIMIT_MAX: '20' })
    const cut = ada.slice(0, -8)
    const kinds = [undefined, cut, 'x'].flatMap(token => Array<string | undefined>(20).fill(token))
    const flood = await Promise.all(kinds.map(token => api.get('/secure-data', token)))
    t.equal(flood.filter(({ status }) => status === 401).length, 20)
    t.equal(flood.filter(({ status }) => status === 429).length, 40)
    t.match(
      api.refusals().find(({ code }) => code === 'rate_limited'),
      { about: 'address', received: '127.0.0.1' },
    )
    t.strictSame(limitOf(await api.get('/secure-data', ada)), { status: 200, limit: '20', left: '19' })
  })

  t.test('what is public, and what is our own fault: counted against nobody', async t => {
    const api = await start(t, { RATE_LIMIT_MAX: '1' })
    for (const path of [
      '/livez',
      '/readyz',
      '/docs/',
      '/openapi.json',
      '/.well-known/oauth-protected-resource',
    ]) {
      for (let time = 0; time < 3; time++) {
        t.strictSame(limitOf(await api.get(path)), { status: 200, limit: null, left: null }, path)
      }
    }
    const deaf = await start(
      t,
      { RATE_LIMIT_MAX: '1', AZURE_AUTHORITY_HOST: 'http://127.0.0.1:9' },
      { waitForKeys: false },
    )
    const claims = { iss: `http://127.0.0.1:9/${tenant.profile.tenantId}/v2.0` }
    const unjudged = tenant.issue({ person: 'ada', claims })
    t.strictSame(await statuses(deaf, 3, unjudged), [503, 503, 503])
  })

  t.test('an address is the peer; a forwarding header counts only from a trusted proxy', async t => {
    const forwarded = (address: string) => ({ headers: { 'x-forwarded-for': address } })
    const direct = await start(t, { RATE_LIMIT_MAX: '1' })
    t.strictSame(await statuses(direct, 1, undefined, forwarded('192.0.2.1')), [401])
    t.strictSame(await statuses(direct, 1, undefined, forwarded('192.0.2.2')), [429], 'made up')

    const behind = await start(t, { RATE_LIMIT_MAX: '1', TRUST_PROXY: '127.0.0.1' })
    t.strictSame(await statuses(behind, 1, undefined, forwarded('192.0.2.1')), [401])
    t.strictSame(await statuses(behind, 1, undefined, forwarded('192.0.2.2')), [401])
    t.strictSame(await statuses(behind, 1, undefined, forwarded('203.0.113.9, 192.0.2.2')), [429])
    t.strictSame(await statuses(behind, 1, undefined, forwarded('2001:db8::1')), [401])
    t.strictSame(
      await statuses(behind, 1, undefined, forwarded('2001:db8::2')),
      [429],
      'one network, one customer',
    )
  })

  t.test('RATE_LIMIT_MAX=0: nobody is counted, and the description does not speak of it', async t => {
    const api = await start(t, { RATE_LIMIT_MAX: '0' })
    t.strictSame(limitOf(await api.get('/secure-data', ada)), { status: 200, limit: null, left: null })
    t.notMatch((await api.get('/openapi.yaml')).text, /TooManyRequests|RateLimit-/)
    const { json } = await (await start(t, {})).get('/openapi.json')
    t.ok(json.paths['/secure-data'].get.responses['429'] && !json.paths['/livez'].get.responses['429'])
  })
})

const sharing = ({ lines }: Api) => lines.filter(({ event }) => /^limits_/.test(String(event)))

t.test('a Redis that answers, falls silent, fails and recovers: told in one line each way', async t => {
  const redis = await startPretendedRedis(t)
  const clock = createFakeClock()
  const api = await start(t, { RATE_LIMIT_MAX: '3', REDIS_URL: redis.url }, { world: { clock } })
  await until(() => sharing(api).length > 0)
  redis.answer = '*2\r\n:3\r\n:1500'
  t.strictSame(limitOf(await api.get('/secure-data', ada)), { status: 200, limit: '3', left: '0' })
  redis.answer = '*2\r\n:4\r\n:1500'
  t.equal((await api.get('/secure-data', ada)).headers.get('retry-after'), '2')
  redis.answer = undefined
  t.strictSame(
    limitOf(await api.get('/secure-data', ada)),
    { status: 200, limit: '3', left: '2' },
    'its own count',
  )
  redis.answer = '-OOM command not allowed'
  t.strictSame(
    limitOf(await api.get('/secure-data', ada)),
    { status: 200, limit: '3', left: '1' },
    'left alone',
  )
  await clock.advance(5000)
  t.strictSame(
    limitOf(await api.get('/secure-data', ada)),
    { status: 200, limit: '3', left: '0' },
    'asked in vain',
  )
  redis.answer = '*2\r\n:1\r\n:1500'
  await clock.advance(5000)
  t.strictSame(limitOf(await api.get('/secure-data', ada)), { status: 200, limit: '3', left: '2' }, 'asked')
  t.match(sharing(api), [
    { event: 'limits_shared' },
    { event: 'limits_not_shared', reason: /timed out/ },
    { event: 'limits_shared' },
  ])
})

t.test('counted together, in a Redis', { skip: noRedis }, async t => {
  /** An instance that has found the Redis. */
  const join = async (t: Test, { url }: RedisServer, options: ApiOptions = {}): Promise<Api> => {
    const api = await start(t, { RATE_LIMIT_MAX: '3', REDIS_URL: url }, options)
    await until(() => sharing(api).length > 0)
    return api
  }
  t.test('two instances share the count; what is stored names nobody', async t => {
    const redis = await startRedis(t)
    const [one, two] = [await join(t, redis), await join(t, redis)]
    t.strictSame(limitOf(await one.get('/secure-data', ada)), { status: 200, limit: '3', left: '2' })
    t.strictSame(limitOf(await two.get('/secure-data', ada)), { status: 200, limit: '3', left: '1' })
    t.strictSame(limitOf(await one.get('/secure-data', ada)), { status: 200, limit: '3', left: '0' })
    const refused = await two.get('/secure-data', ada)
    t.strictSame(limitOf(refused), { status: 429, limit: '3', left: '0' })
    t.match(refused.headers.get('retry-after'), /^([1-9]|[1-5]\d|60)$/)
    t.strictSame(await statuses(two, 1), [401])

    const client = new Redis(redis.url)
    t.teardown(() => client.disconnect())
    const keys = await client.keys('*')
    t.equal(keys.length, 2, 'a caller and an address')
    for (const key of keys) t.match(key, /^protected-resource:limit:[\w-]{43}$/)
    for (const key of keys) t.ok((await client.pttl(key)) > 0, 'gone in a minute')
  })

  t.test(
    'the Redis hangs: each instance counts for itself, asks again after a while, and says so once',
    async t => {
      const redis = await startRedis(t)
      const clock = createFakeClock()
      const api = await join(t, redis, { world: { clock } })
      t.strictSame(limitOf(await api.get('/secure-data', ada)), { status: 200, limit: '3', left: '2' })
      redis.freeze()
      const during = await Promise.all(Array.from({ length: 20 }, () => api.get('/secure-data', ada)))
      t.equal(during.filter(({ status }) => status === 200).length, 3, 'counted by the instance alone')
      t.equal(during.filter(({ status }) => status === 429).length, 17)
      t.match(await api.get('/secure-data', daemon), { status: 200 })
      await clock.advance(5000)
      t.match(await api.get('/secure-data', daemon), { status: 200 }, 'asked once more, in vain')
      t.match(sharing(api), [{ event: 'limits_shared' }, { event: 'limits_not_shared', reason: /timed out/ }])

      redis.thaw()
      await clock.advance(5000)
      t.match(await api.get('/secure-data', bob), { status: 403 }, 'and now it answers')
      t.match(sharing(api).slice(2), [{ event: 'limits_shared' }])
      t.equal(sharing(api).length, 3)
    },
  )

  t.test('the Redis dies in the middle, and comes back: no request goes without its answer', async t => {
    const redis = await startRedis(t)
    const api = await join(t, redis)
    const answers = Array.from({ length: 30 }, () => api.get('/whoami', daemon))
    await redis.kill()
    answers.push(...Array.from({ length: 30 }, () => api.get('/whoami', daemon)))
    for (const { status } of await Promise.all(answers))
      t.ok(status === 200 || status === 429, String(status))
    await until(() => sharing(api).length > 1)
    t.match(await api.get('/secure-data', ada), { status: 200 })
    await redis.start()
    await until(() => sharing(api).length > 2)
    t.match(
      sharing(api).map(({ event }) => event),
      ['limits_shared', 'limits_not_shared', 'limits_shared'],
    )
  })

  t.test('the password is wrong: the API answers, and no line has the password', async t => {
    const redis = await startRedis(t)
    const wrong = 'battery-staple'
    const api = await start(t, { RATE_LIMIT_MAX: '3', REDIS_URL: redis.url.replace(PASSWORD, wrong) })
    t.match(await api.get('/secure-data', ada), { status: 200 })
    await until(() => sharing(api).length > 0)
    t.match(sharing(api), [{ event: 'limits_not_shared', reason: /WRONGPASS/ }])
    t.notMatch(JSON.stringify(api.lines), new RegExp(`${wrong}|${PASSWORD}`))
  })
})

t.test('a Redis that is not there: said once, and everything works', async t => {
  const api = await start(t, { RATE_LIMIT_MAX: '3', REDIS_URL: 'redis://:secret@127.0.0.1:9' })
  await until(() => api.lines.some(({ event }) => event === 'limits_not_shared'))
  t.strictSame(await statuses(api, 4, ada), [200, 200, 200, 429])
  t.equal(api.lines.filter(({ event }) => event === 'limits_not_shared').length, 1)
  t.notMatch(JSON.stringify(api.lines), /secret/)
})

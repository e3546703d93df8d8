/** Keys that outlive their issuer: rotation, withdrawal, floods and outages, over the wire under a controlled clock. */
import { readFileSync, writeFileSync } from 'node:fs'
import { chmod, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FaultMode } from '../src/local-tenant/faults.ts'
import type { LocalTenant } from '../src/local-tenant/tenant.ts'
import { START_DELAY_MS } from '../src/token/keys/schedule.ts'
import { type Api, type ApiOptions, startApi, startTenant } from './helpers/api.ts'
import { createFakeClock, type FakeClock, HOUR, MINUTE } from './helpers/clock.ts'

const V2_KEYS = /\/discovery\/v2\.0\/keys/

interface Scene {
  readonly api: Api
  readonly clock: FakeClock
  readonly tenant: LocalTenant
  /** Key set requests for v2 tokens since the last call. */
  readonly fetches: () => number
}

/** Random of one half: no jitter, so that the times in the tests are exact. */
const random = () => 0.5

async function play(t: Test, options: ApiOptions & { clock?: FakeClock } = {}): Promise<Scene> {
  const clock = options.clock ?? createFakeClock()
  const tenant = options.tenant ?? (await startTenant(t, { now: clock.now }))
  const api = await startApi(t, { ...options, tenant, world: { clock, random } })
  const fetches = (): number => {
    const count = tenant.requests.filter(({ url }) => V2_KEYS.test(url)).length
    tenant.requests.length = 0
    return count
  }
  fetches()
  return { api, clock, tenant, fetches }
}

const events = (api: Api, name: string) => api.lines.filter(({ event }) => event === name)
const ask = async (api: Api, token: string) => {
  const { status, json } = await api.get('/secure-data', token)
  return json?.code === undefined ? status : `${status} ${json.code}`
}

t.test(
  'JWKS-10, JWKS-17: an outage of 24 hours with steady traffic: 200 all along, ready all along',
  async t => {
    const { api, clock, tenant } = await play(t)
    tenant.goDown()
    for (let minutes = 0; minutes < 24 * 60 - 30; minutes += 30) {
      await clock.advance(30 * MINUTE)
      const answer = await ask(api, tenant.issue())
      if (answer !== 200) t.fail(`after ${minutes + 30} minutes: ${answer}`)
    }
    t.equal((await api.get('/readyz')).status, 200)
    t.ok(events(api, 'keys_refresh_failed').length > 100, 'each failed refresh is logged')
    t.match(events(api, 'keys_refresh_failed').at(-1), { usable: true })

    await t.test('JWKS-11: past the longest staleness: 503 with Retry-After, and not ready', async t => {
      await clock.advance(2 * HOUR)
      const answer = await api.get('/secure-data', tenant.issue())
      t.match(answer, { status: 503, json: { code: 'keys_unavailable' }, challenge: null })
      t.match(answer.headers.get('retry-after'), /^[1-9]\d*$/)
      t.match(await api.get('/readyz'), { status: 503, json: { status: 'waiting' } })
      t.equal((await api.get('/livez')).status, 200)
      t.equal(await ask(api, 'x.y.z'), '401 malformed_token', 'what is decidable stays decided')
    })

    await t.test('recovery: 200 again without a restart, after at most one back-off', async t => {
      tenant.comeUp()
      await clock.advance(5 * MINUTE)
      t.equal(await ask(api, tenant.issue()), 200)
      t.equal((await api.get('/readyz')).status, 200)
    })
  },
)

t.test('JWKS-10: an outage in which nobody calls for 20 hours: the first call is 200', async t => {
  const { api, clock, tenant } = await play(t)
  tenant.goDown()
  await clock.advance(20 * HOUR)
  t.equal(await ask(api, tenant.issue()), 200)
})

t.test('KEYS_MAX_STALE_HOURS=1: an outage of two hours: 503', async t => {
  const { api, clock, tenant } = await play(t, { env: { KEYS_MAX_STALE_HOURS: '1' } })
  tenant.goDown()
  await clock.advance(2 * HOUR)
  t.equal(await ask(api, tenant.issue()), '503 keys_unavailable')
})

const FAULTS: readonly FaultMode[] = [
  'http500',
  'html',
  'not-json',
  'slow-drip',
  'redirect',
  'huge',
  'empty-set',
]

t.test(
  'JWKS-1, JWKS-3, JWKS-4: an issuer that answers nonsense: the last good keys stay in force',
  async t => {
    const { api, clock, tenant } = await play(t)
    for (const fault of FAULTS) {
      tenant.answer('keys', fault)
      const before = events(api, 'keys_refresh_failed').length
      await clock.advance(HOUR + 5500)
      t.ok(events(api, 'keys_refresh_failed').length > before, `${fault}: a failed refresh`)
      t.equal(await ask(api, tenant.issue()), 200, `${fault}: known keys verify`)
      const unknown = clock.advanceUntil(ask(api, await tenant.mint('unknown-kid')))
      t.equal(await unknown, '503 keys_unavailable', `${fault}: nobody can tell`)
      tenant.answer('all', 'ok')
      await clock.advance(6 * MINUTE)
      t.equal(await ask(api, await tenant.mint('unknown-kid')), '401 unknown_key', `${fault}: over`)
    }
  },
)

t.test('JWKS-1: a discovery document that names another issuer: not used, not ready, 503', async t => {
  const clock = createFakeClock()
  const tenant = await startTenant(t, { now: clock.now })
  tenant.answer('discovery', 'lying-issuer')
  const { api } = await play(t, { tenant, clock, waitForKeys: false })
  await clock.advance(MINUTE)
  t.match(await api.get('/readyz'), {
    status: 503,
    json: { issuers: [{ state: 'missing' }, { state: 'missing' }] },
  })
  t.equal(await ask(api, tenant.issue()), '503 keys_unavailable')
  t.match(events(api, 'keys_refresh_failed')[0], { failure: /names another issuer/, usable: false })
  tenant.answer('all', 'ok')
  await clock.advance(6 * MINUTE)
  t.equal(await ask(api, tenant.issue()), 200)
})

t.test(
  'JWKS-17: a start during an outage: listens at once, alive, not ready with the reason, then recovers',
  async t => {
    const clock = createFakeClock()
    const tenant = await startTenant(t, { now: clock.now })
    tenant.goDown()
    const { api } = await play(t, { tenant, clock, waitForKeys: false })
    t.equal((await api.get('/livez')).status, 200)
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(api, tenant.issue())))
    t.strictSame([...new Set(answers)], ['503 keys_unavailable'])
    const { json } = await api.get('/readyz')
    t.match(json, {
      status: 'waiting',
      issuers: [{ state: 'missing', since: new Date(clock.now()).toISOString() }, {}],
    })
    t.ok(events(api, 'keys_refresh_failed').length <= 6, 'the start, two forced ones, for each version')
    tenant.comeUp()
    await clock.advance(30_000)
    t.equal(await ask(api, tenant.issue()), 200)
  },
)

t.test('JWKS-9: 200 callers of a cold server: one fetch', async t => {
  const clock = createFakeClock()
  const tenant = await startTenant(t, { now: clock.now })
  const { api, fetches } = await play(t, { tenant, clock, waitForKeys: false })
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask(api, tenant.issue())))
  t.strictSame([...new Set(answers)], [200])
  t.ok(fetches() <= 1)
})

t.test(
  'a made-up key id while the first fetch is under way: waits for it, then for one of its own',
  async t => {
    const clock = createFakeClock()
    const tenant = await startTenant(t, { now: clock.now })
    const { api } = await play(t, { tenant, clock, waitForKeys: false })
    t.equal(await ask(api, await tenant.mint('unknown-kid')), '401 unknown_key')
    t.match(events(api, 'keys_refreshed').at(-1), { reason: 'forced' })
  },
)

t.test('JWKS-6, C-7: a quiet day: one refresh an hour', async t => {
  const { clock, fetches } = await play(t)
  await clock.advance(24 * HOUR - MINUTE)
  t.equal(fetches(), 23)
})

t.test('JWKS-7: a new key is published, then signs: its first token is 200', async t => {
  const { api, tenant, fetches } = await play(t)
  await tenant.rotate()
  t.equal(await ask(api, tenant.issue()), 200)
  t.equal(fetches(), 1)
  t.match(events(api, 'keys_refreshed').at(-1), { reason: 'forced', added: [/.+/] })
})

t.test('a key signs before it is published: refused, then 200 after at most one window', async t => {
  const { api, clock, tenant } = await play(t)
  const kid = await tenant.rotate({ publish: false })
  t.equal(await ask(api, tenant.issue()), '401 unknown_key')
  await tenant.publish(kid)
  t.equal(await ask(api, tenant.issue()), '401 unknown_key', 'the id was just shown to be unknown')
  await clock.advance(5 * MINUTE + 1)
  t.equal(await ask(api, tenant.issue()), 200)
})

t.test('JWKS-13: a withdrawn key: refused from the next refresh on', async t => {
  const { api, clock, tenant } = await play(t)
  const old = tenant.issue()
  t.equal(await ask(api, old), 200)
  const kid = JSON.parse(Buffer.from(old.split('.')[0]!, 'base64url').toString()).kid as string
  await tenant.rotate()
  await tenant.retire(kid)
  await clock.advance(30 * MINUTE)
  t.equal(await ask(api, tenant.issue()), 200)
  t.equal(await ask(api, old), '401 unknown_key', 'the forced refresh of the new key has replaced the set')
  t.match(events(api, 'keys_refreshed').at(-2), { withdrawn: [kid] })
})

t.test('JWKS-8, JWKS-12: 1000 tokens with made-up key ids: two fetches, then one a window', async t => {
  const { api, clock, tenant, fetches } = await play(t)
  const flood = async (count: number): Promise<string[]> => {
    const tokens = await Promise.all(Array.from({ length: count }, () => tenant.mint('unknown-kid')))
    const answers: (string | number)[] = []
    for (const token of tokens) answers.push(await ask(api, token))
    return [...new Set(answers.map(String))]
  }
  t.strictSame(await flood(1000), ['401 unknown_key'])
  t.equal(fetches(), 2)
  await clock.advance(5 * MINUTE + 1)
  t.strictSame(await flood(100), ['401 unknown_key'])
  t.equal(fetches(), 1)
  t.equal(await ask(api, tenant.issue()), 200, 'good keys are untouched')
  const { profile } = tenant
  const name = `${profile.authority}/${profile.tenantId}/v2.0`
  t.match(api.app.protectedResource.keyCounters().get(name), {
    protected_resource_key_refreshes_total: 4,
    protected_resource_keys_added_total: 3,
    protected_resource_unknown_key_ids_total: 1100,
    protected_resource_key_refresh_cool_downs_total: 1097,
  })

  await t.test('during an outage: the same budget, 503 for itself only', async t => {
    tenant.goDown()
    await clock.advance(5 * MINUTE + 1)
    t.strictSame(await flood(100), ['401 unknown_key', '503 keys_unavailable'].slice(1))
    t.equal(await ask(api, tenant.issue()), 200)
    t.ok(events(api, 'keys_refresh_failed').filter(({ reason }) => reason === 'forced').length <= 1)
  })
})

t.test('JWKS-14: a background refresh that hangs: nobody waits for it', async t => {
  const { api, clock, tenant } = await play(t)
  tenant.answer('keys', 'slow-drip')
  const advancing = clock.advance(HOUR)
  await clock.fetching()
  t.equal(await ask(api, tenant.issue()), 200)
  await advancing
  t.equal(await ask(api, tenant.issue()), 200)
})

t.test('JWKS-18: a server that closes while a fetch hangs: the timers are gone', async t => {
  const clock = createFakeClock()
  const tenant = await startTenant(t, { now: clock.now })
  tenant.answer('all', 'slow-drip')
  const { api } = await play(t, { tenant, clock, waitForKeys: false })
  await api.app.close()
  await clock.advance(0)
  t.equal(clock.waiting(), 0)
})

t.test('10,000 tenants behind one configuration: the authority’s two key sets serve them all', async t => {
  const env = { AZURE_TENANT_ID: 'common', ALLOWED_TENANTS: '*', RATE_LIMIT_MAX: '0' }
  const { api, clock, tenant } = await play(t, { env })
  const timers = clock.waiting()
  const good = tenant.issue()
  const [head, body, signature] = good.split('.') as [string, string, string]
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as { iss: string; tid: string }
  const seen = new Set<number>()
  for (let i = 0; i < 10_000; i++) {
    const tid = `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`
    const moved = JSON.stringify({ ...claims, tid, iss: claims.iss.replace(claims.tid, tid) })
    const token = `${head}.${Buffer.from(moved).toString('base64url')}.${signature}`
    const { statusCode } = await api.app.inject({
      url: '/whoami',
      headers: { authorization: `Bearer ${token}` },
    })
    seen.add(statusCode)
  }
  t.strictSame([...seen], [401], 'nobody signed these')
  t.equal(await ask(api, good), 200)
  t.equal(clock.waiting(), timers, 'no timer for a tenant')
  t.equal(tenant.requests.length, 0, 'no fetch for a tenant')
  t.match(api.app.protectedResource.keys(), [{ state: 'usable', ageSeconds: 0 }, { state: 'usable' }])
  await clock.advance(HOUR / 2)
  t.match(api.app.protectedResource.keys(), [{ ageSeconds: 1800 }, { ageSeconds: 1800 }])
})

t.test('KEYS_CACHE_FILE: a restart', async t => {
  const clock = createFakeClock()
  const tenant = await startTenant(t, { now: clock.now })
  const options = { tenant, clock, env: { KEYS_CACHE_FILE: join(t.testdir({}), 'keys.json') } }
  await (await play(t, options)).api.app.close()
  const restart = async (t: Test) => {
    const scene = await play(t, { ...options, waitForKeys: false })
    return {
      ...scene,
      starts: () => events(scene.api, 'keys_refreshed').filter(({ reason }) => reason === 'start'),
    }
  }

  await t.test('answers with the kept keys first, and asks for new ones a moment later', async t => {
    const { api, fetches, starts } = await restart(t)
    t.equal(await ask(api, tenant.issue()), 200)
    t.equal((await api.get('/readyz')).status, 200)
    t.equal(fetches(), 0)
    await clock.advance(START_DELAY_MS)
    t.equal(fetches(), 1)
    t.equal(starts().length, 2, 'one of each issuer')
    await clock.advance(MINUTE)
    t.equal(fetches(), 0, 'once')
  })

  await t.test('stopped before that moment has come: nothing is asked', async t => {
    const { api, fetches } = await restart(t)
    await api.app.close()
    await clock.advance(MINUTE)
    t.equal(fetches(), 0)
  })

  await t.test('a new key before that moment has come: asked for at once, at no cost', async t => {
    const { api, fetches, starts } = await restart(t)
    await tenant.rotate()
    t.equal(await ask(api, tenant.issue()), 200)
    t.equal(fetches(), 1)
    t.match(starts(), [{ added: [String] }])
    t.strictSame(events(api, 'unknown_key'), [], 'nothing of the budget is spent')
    await clock.advance(MINUTE)
    t.equal(fetches(), 0, 'once')
    t.equal(starts().length, 2)
  })
})

t.test('KEYS_CACHE_FILE', async t => {
  const folder = t.testdir({})
  const file = join(folder, 'keys.json')
  const clock = createFakeClock()
  const tenant = await startTenant(t, { now: clock.now })
  const env = { KEYS_CACHE_FILE: file }
  const first = await play(t, { tenant, clock, env })
  await first.api.app.close()
  const good = readFileSync(file, 'utf8')
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.notMatch(good, /"d"|PRIVATE/)
  tenant.goDown()

  const restart = async (t: Test) => {
    const { api } = await play(t, { tenant, clock, env, waitForKeys: false })
    await clock.advance(0)
    return api
  }

  await t.test('a restart during the outage: 200 and ready at once', async t => {
    await clock.advance(3 * HOUR)
    const api = await restart(t)
    t.equal(await ask(api, tenant.issue()), 200)
    t.equal((await api.get('/readyz')).status, 200)
    t.match(events(api, 'keys_restored')[0], { ageSeconds: 3 * 3600 })
  })

  const edited = (change: (entry: Record<string, unknown>) => void): string => {
    const content = JSON.parse(good) as { issuers: Record<string, Record<string, unknown>> }
    for (const entry of Object.values(content.issuers)) change(entry)
    return JSON.stringify(content)
  }
  const damaged: Record<string, string> = {
    'cut off': good.slice(0, 200),
    'no JSON object': '[]',
    foreign: '{"keys":[]}',
    'without keys': edited(entry => {
      entry.keys = []
    }),
    'with an entry that is no object': JSON.stringify({
      ...JSON.parse(good),
      issuers: Object.fromEntries(Object.keys(JSON.parse(good).issuers).map(name => [name, 7])),
    }),
    'of another issuer': edited(entry => {
      entry.issuer = 'https://login.evil.example/v2.0'
    }),
    'with a fetch time in the future': edited(entry => {
      entry.fetchedAt = clock.now() + HOUR
    }),
    'with no fetch time': edited(entry => {
      entry.fetchedAt = 'yesterday'
    }),
    'with weak keys': edited(entry => {
      entry.keys = [{ kty: 'oct', k: 'c2VjcmV0', kid: 'x' }]
    }),
  }
  for (const [what, content] of Object.entries(damaged)) {
    await t.test(`a file ${what}: reported, ignored, 503`, async t => {
      writeFileSync(file, content)
      const api = await restart(t)
      t.equal(await ask(api, tenant.issue()), '503 keys_unavailable')
      t.ok(events(api, 'keys_cache_unusable').length > 0)
    })
  }

  await t.test('a file without the name of a cloud: used', async t => {
    const content = edited(entry => {
      delete entry.cloud
    })
    writeFileSync(file, content)
    t.equal(await ask(await restart(t), tenant.issue()), 200)
  })

  await t.test('a file that others may write: reported, ignored', async t => {
    writeFileSync(file, good)
    await chmod(file, 0o666)
    const api = await restart(t)
    t.equal(await ask(api, tenant.issue()), '503 keys_unavailable')
    t.match(events(api, 'keys_cache_unusable')[0], { failure: /others may write/ })
    await chmod(file, 0o600)
  })

  await t.test('a file that is too large: reported, ignored', async t => {
    await writeFile(file, ' '.repeat(17 * 1024 * 1024))
    const api = await restart(t)
    t.match(events(api, 'keys_cache_unusable')[0], { failure: /larger than/ })
  })

  await t.test(
    'age counts from the original fetch: 24 hours after it, 503 in spite of the restart',
    async t => {
      writeFileSync(file, good)
      const api = await restart(t)
      t.equal(await ask(api, tenant.issue()), 200)
      await clock.advance(22 * HOUR)
      t.equal(await ask(api, tenant.issue()), '503 keys_unavailable')
    },
  )

  await t.test('a folder that is not there: reported, the server runs', async t => {
    tenant.comeUp()
    const { api } = await play(t, {
      tenant,
      clock,
      env: { KEYS_CACHE_FILE: join(folder, 'no', 'keys.json') },
    })
    await clock.advance(0)
    t.equal(await ask(api, tenant.issue()), 200)
    t.match(events(api, 'keys_cache_unusable')[0], { failure: /ENOENT/ })
  })
})

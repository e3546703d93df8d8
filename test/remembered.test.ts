/** Decides whether a token that is remembered is judged as if it were not: for random histories, and rule by rule; and whether new tokens are checked in their order. */
import fc from 'fast-check'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import protectedResource from '../src/index.ts'
import type { Access } from '../src/token/access.ts'
import { createBatch } from '../src/token/batch.ts'
import type { Candidate } from '../src/token/claims.ts'
import type { TrustedIssuer } from '../src/token/issuers.ts'
import type { KeySet } from '../src/token/keys/fetch.ts'
import { createRememberedTokens } from '../src/token/remembered.ts'
import { createFakeClock, type FakeClock, HOUR, MINUTE } from './helpers/clock.ts'
import { createKey, startIssuer, type TestIssuer, type TestKey } from './helpers/issuer.ts'

const AUDIENCE = 'api://orders'
const ROUTES = ['/orders', '/reports', '/anything'] as const

/** A server that remembers this many tokens. */
async function serve(t: Test, issuer: TestIssuer, clock: FakeClock, rememberedTokens: number | undefined) {
  const app = Fastify()
  await app.register(protectedResource, {
    issuers: [issuer.issuer],
    audience: [AUDIENCE],
    publicUrl: 'https://api.example.com',
    clock,
    random: () => 0.5,
    ...(rememberedTokens !== undefined && { rememberedTokens }),
  })
  app.get('/orders', { config: { access: { scope: 'Data.Read' } } }, async () => ({}))
  app.get(
    '/reports',
    { config: { access: { scope: 'Reports.Read', clients: ['client-1'] } } },
    async () => ({}),
  )
  app.get('/anything', { config: { access: 'any' } }, async ({ access }) => access.claims)
  await app.ready()
  t.teardown(() => app.close())
  return async (url: string, token: string): Promise<unknown> => {
    const { statusCode, body, headers } = await app.inject({
      url,
      headers: { authorization: `Bearer ${token}` },
    })
    return { statusCode, body: JSON.parse(body), challenge: headers['www-authenticate'] }
  }
}

/** What may happen next; numbers choose among what there is. */
type Step =
  | {
      readonly do: 'new'
      readonly key: number
      readonly claims: Readonly<Record<string, unknown>>
      readonly lifeSeconds: number
      readonly route: number
    }
  | { readonly do: 'repeat'; readonly token: number; readonly route: number }
  | { readonly do: 'tamper'; readonly token: number; readonly part: number; readonly route: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'rotate' }
  | { readonly do: 'replace'; readonly token: number; readonly route: number }

const number = fc.nat({ max: 50 })
const route = fc.nat({ max: ROUTES.length - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('new' as const),
      key: number,
      route,
      lifeSeconds: fc.constantFrom(30, 300, 3600),
      claims: fc.constantFrom(
        {},
        {},
        { scope: 'Reports.Read' },
        { scope: 'Data.Read Reports.Read', client_id: 'client-2' },
        // Another sender's: bound to a key, so that no bearer may use it.
        { cnf: { jkt: 'x' } },
        { aud: 'api://other' },
      ),
    }),
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('repeat' as const), token: number, route }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('tamper' as const),
      token: number,
      part: fc.nat({ max: 2 }),
      route,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1000, MINUTE, 5 * MINUTE, 6 * MINUTE, HOUR + MINUTE),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rotate' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('replace' as const), token: number, route }) },
)

/** Another character in the middle of one part: base64url still, and no token of anybody. */
function tamper(token: string, part: number): string {
  const parts = token.split('.')
  const text = parts[part]!
  const middle = text.length >> 1
  parts[part] = `${text.slice(0, middle)}${text[middle] === 'A' ? 'B' : 'A'}${text.slice(middle + 1)}`
  return parts.join('.')
}

t.test('random histories: many remembered, one, and none decide alike', async t => {
  const clock = createFakeClock()
  let names = 0
  const nextKey = (): TestKey => createKey('ES256', `key-${names++}`)
  const admitted = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async steps => {
      const keys = [nextKey(), nextKey()]
      const [first, second] = keys as [TestKey, TestKey]
      await t.test('a history', async t => {
        const issuer = await startIssuer(t, { keys: [first, second], audience: AUDIENCE, now: clock.now })
        const servers = await Promise.all([undefined, 1, 0].map(many => serve(t, issuer, clock, many)))
        await clock.advance(0)
        let published = [...keys]
        const publish = (next: TestKey[]): void => {
          published = next
          issuer.publish(next.map(({ jwk }) => jwk))
        }
        const add = (): TestKey => {
          const key = nextKey()
          keys.push(key)
          return key
        }
        const tokens: string[] = []
        const signers = new Map<string, TestKey>()
        const ask = async (token: string, route: number): Promise<void> => {
          const url = ROUTES[route]!
          const [many, one, none] = await Promise.all(servers.map(get => get(url, token)))
          t.strictSame([many, one], [none, none], url)
          if ((none as { statusCode: number }).statusCode === 200) admitted.add(token)
        }
        for (const one of steps) {
          if (one.do === 'new') {
            const exp = Math.floor(clock.now() / 1000) + one.lifeSeconds
            const key = keys[one.key % keys.length]!
            const token = issuer.issue({ key, claims: { exp, ...one.claims } })
            tokens.push(token)
            signers.set(token, key)
            await ask(token, one.route)
          } else if (one.do === 'wait') await clock.advance(one.ms)
          else if (one.do === 'rotate') publish([...published, add()])
          else if (one.do === 'replace') {
            const token = tokens[one.token % tokens.length] ?? ''
            const fresh = add()
            publish([...published.filter(key => key !== signers.get(token)), fresh])
            // Its first token, though it is for somebody else, makes the servers fetch: they learn which key is gone.
            await ask(issuer.issue({ key: fresh, claims: { aud: 'api://other' } }), one.route)
            await ask(token, one.route)
          } else if (tokens.length > 0) {
            const token = tokens[one.token % tokens.length]!
            await ask(one.do === 'repeat' ? token : tamper(token, one.part), one.route)
          }
        }
      })
    }),
    { numRuns: 25 },
  )
  t.ok(admitted.size > 25, 'and many were admitted')
})

const ISSUER = { name: 'https://issuer.example' } as TrustedIssuer
const OTHER = { name: 'https://other.example' } as TrustedIssuer
const setOf = (): KeySet => ({ keys: [] }) as unknown as KeySet

function remember(maxTokens = 10) {
  const clock = createFakeClock()
  const inForce = new Map<TrustedIssuer, KeySet>([
    [ISSUER, setOf()],
    [OTHER, setOf()],
  ])
  const memory = createRememberedTokens({
    maxTokens,
    currentSet: issuer => inForce.get(issuer),
    clock,
    toleranceSeconds: 60,
  })
  const keep = (token: string, issuer = ISSUER, over: object = {}): Access => {
    const access = {
      subject: token,
      claims: { exp: Math.floor(clock.now() / 1000) + 3600, ...over },
    } as unknown as Access
    memory.keep(token, { issuer, set: inForce.get(issuer) } as Candidate, access)
    return access
  }
  return { ...memory, keep, clock, inForce }
}

t.test('what is remembered: the answer for this very text, and for no other', async t => {
  const { keep, recall } = remember()
  const signature = 's'.repeat(86)
  const access = keep(`e30.e30.${signature}`)
  t.equal(recall(`e30.e30.${signature}`), access)
  t.equal(recall(`e30.e31.${signature}`), undefined, 'the same signature under other claims')
  t.equal(recall(signature), undefined)
  t.equal(recall(''), undefined)
})

t.test('five minutes, and no longer; the clock is asked every time', async t => {
  const { keep, recall, clock } = remember()
  const access = keep('token')
  await clock.advance(5 * MINUTE)
  t.equal(recall('token'), access)
  await clock.advance(1)
  t.equal(recall('token'), undefined)
  keep('short', ISSUER, { exp: Math.floor(clock.now() / 1000) + 30 })
  await clock.advance(MINUTE)
  t.match(recall('short'), { subject: 'short' }, 'forgiven for as long as anywhere')
  await clock.advance(30_000)
  t.match(recall('short'), { code: 'expired' })
  keep('early', ISSUER, { nbf: clock.now() / 1000 + 61 })
  t.match(recall('early'), { code: 'not_yet_valid' }, 'of a clock that was set back')
})

t.test(
  'a key set that is fetched again: its tokens stay remembered; with a key withdrawn, none is',
  async t => {
    const clock = createFakeClock()
    const [first, second] = [createKey('ES256', 'first'), createKey('ES256', 'second')]
    const issuer = await startIssuer(t, { keys: [first, second], audience: AUDIENCE, now: clock.now })
    const app = Fastify()
    const options = { issuers: [issuer.issuer], audience: [AUDIENCE], publicUrl: 'https://api.example.com' }
    await app.register(protectedResource, { ...options, clock, random: () => 0.5 })
    app.get('/', { config: { access: 'any' } }, async () => ({}))
    await app.ready()
    t.teardown(() => app.close())
    const { authenticate, keys } = app.protectedResource
    await clock.advance(0)
    const token = issuer.issue({ key: first })
    const verdict = await authenticate(token)
    t.match(verdict, { issuer: issuer.issuer })
    t.equal(authenticate(token), verdict, 'the very object, and no promise: no signature was checked')

    // Others' made-up key ids make the server fetch; so does its own refresh.
    issuer.publish([second.jwk, first.jwk])
    const fetches = (): number => issuer.requests.filter(path => path === '/keys').length
    const before = fetches()
    t.match(await authenticate(issuer.issue({ key: createKey('ES256', 'made-up') })), { code: 'unknown_key' })
    t.equal(fetches(), before + 1)
    t.equal(keys()[0]?.ageSeconds, 0)
    t.equal(authenticate(token), verdict)

    await clock.advance(5 * MINUTE)
    issuer.publish([second.jwk])
    t.match(await authenticate(issuer.issue({ key: createKey('ES256', 'another') })), { code: 'unknown_key' })
    t.match(await authenticate(token), { code: 'unknown_key' })
  },
)

t.test('another key set of its issuer: forgotten at once, those of another issuer are not', async t => {
  const { keep, recall, inForce } = remember()
  keep('one')
  const other = keep('other', OTHER)
  inForce.set(ISSUER, setOf())
  t.equal(recall('one'), undefined)
  t.equal(recall('other'), other)
  inForce.delete(OTHER)
  t.equal(recall('other'), undefined, 'nor is anything good without keys')
  const two = keep('two')
  t.equal(recall('two'), two)
  t.equal(recall('one'), undefined)
})

t.test('its bounds: so many entries, so many bytes; the least used goes', async t => {
  const { keep, recall } = remember(2)
  keep('a')
  keep('b')
  recall('a')
  keep('c')
  t.strictSame(
    ['a', 'b', 'c'].map(token => recall(token) !== undefined),
    [true, false, true],
  )
  const large = remember(12_000)
  const tokens = Array.from(
    { length: 2500 },
    (_, i) => `${'x'.repeat(16_000)}.${String(i).padStart(43, '0')}`,
  )
  for (const token of tokens) large.keep(token)
  const kept = tokens.filter(token => large.recall(token) !== undefined).length
  t.equal(kept, Math.floor((12_000 * 2800) / (16_044 + 1500)), 'of tokens as long as they may be')
})

t.test('none: nothing is remembered', async t => {
  const { keep, recall } = remember(0)
  keep('a')
  t.equal(recall('a'), undefined)
})

t.test('a number of tokens that is none: the application does not start, and both are named', async t => {
  for (const wrong of [-1, 1.5, Number.NaN, '100' as unknown as number]) {
    const app = Fastify()
    t.teardown(() => app.close())
    const options = { issuers: ['https://issuer.example'], audience: ['x'], publicUrl: 'https://api.example' }
    const started = async () =>
      app.register(protectedResource, { ...options, rememberedTokens: wrong, downstreamTokens: wrong })
    await t.rejects(started, {
      name: 'Misconfigured',
      message: /option rememberedTokens[\s\S]*option downstreamTokens/,
    })
  }
  const app = Fastify()
  t.teardown(() => app.close())
  const options = { issuers: ['https://issuer.example'], audience: ['x'], publicUrl: 'https://api.example' }
  const started = async () => app.register(protectedResource, { ...options, downstreamTokens: 0 })
  await t.rejects(started, { message: /option downstreamTokens: .*0/ })
})

t.test('a batch: in the order of the calls, a few at a time, one failure its own', async t => {
  const turns: (() => void)[] = []
  const done: number[] = []
  const run = createBatch(
    (item: number) => {
      done.push(item)
      if (item === 3) throw new Error('three')
      return item % 2 === 0 ? item : Promise.resolve(item)
    },
    turn => void turns.push(turn),
  )
  const results = Array.from({ length: 70 }, (_, item) => run(item).catch((error: Error) => error.message))
  t.strictSame([done.length, turns.length], [0, 1], 'nothing before the end of the turn')
  const sizes: number[] = []
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
    const before = done.length
    turn()
    sizes.push(done.length - before)
  }
  t.strictSame(sizes, [32, 32, 6])
  t.strictSame(
    await Promise.all(results),
    Array.from({ length: 70 }, (_, item) => (item === 3 ? 'three' : item)),
  )
  void run(70)
  t.equal(turns.length, 1, 'and again')
})

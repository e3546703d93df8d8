/** Decides whether the examples do what they are there to show: each runs against a real server and a real local tenant, and the backend through its faults. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { type BackendOptions, createBackendClient } from '../examples/backend-client.ts'
import type { LocalTenant } from '../src/local-tenant/tenant.ts'
import { startApi, startTenant } from './helpers/api.ts'
import { createFakeClock, HOUR, MINUTE } from './helpers/clock.ts'
import { wireTo } from './helpers/tenant.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const example = (name: string): string => join(ROOT, 'examples', name)
const has = (program: string) =>
  promisify(execFile)(program, ['--version']).then(
    () => true,
    () => false,
  )

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a program beside the tenant, whose profile lies where `npm run dev` would put it. */
async function start(
  program: string,
  args: string[],
  cwd: string,
  env: Record<string, string>,
): Promise<Outcome> {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env } })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code, out, err }
}

const node = (name: string, cwd: string, env: Record<string, string>) =>
  start(process.execPath, [...process.execArgv, example(name)], cwd, env)

t.test('the generated types: those of openapi.yaml', async t => {
  const tool = join(ROOT, 'node_modules/.bin/openapi-typescript')
  const { code, out } = await start(tool, ['openapi.yaml'], ROOT, { NODE_OPTIONS: '' })
  t.equal(code, 0)
  const same = out === readFileSync(example('api-types.ts'), 'utf8')
  t.ok(
    same,
    same ? 'no drift' : 'run `npx openapi-typescript openapi.yaml -o examples/api-types.ts`, and commit it',
  )
})

t.test('the page: names every example, and says how each is run', async t => {
  const page = readFileSync(example('README.md'), 'utf8')
  for (const file of readdirSync(example(''))) {
    if (file !== 'README.md') t.ok(page.includes(`[${file}](${file})`), file)
  }
  for (const [, path] of page.matchAll(/`[^`]*?(examples\/[\w.-]+)[^`]*`/g))
    t.ok(readFileSync(join(ROOT, path!)))
})

t.test('beside a server', async t => {
  const api = await startApi(t)
  const { profile } = api.tenant
  const state = { 'profile.json': JSON.stringify({ ...profile, apiUrl: api.url }), 'ca.pem': profile.ca }
  const main = join(ROOT, 'src/cli/main.ts')
  // `npm run -s token -- …` in a checkout; here the same sources, without a build.
  const command = [process.execPath, ...process.execArgv, main].map(word => `'${word}'`).join(' ')
  const npm = `#!/bin/sh\nshift 4\nexec ${command} token "$@"\n`
  const cwd = t.testdir({ '.local-tenant': state, bin: { npm } })
  chmodSync(join(cwd, 'bin/npm'), 0o755)

  t.test('typed-client: the greeting, and a refusal in its own words', async t => {
    const call = (TOKEN: string) => node('typed-client.ts', cwd, { API_URL: api.url, TOKEN })
    t.match(await call(api.tenant.issue()), { code: 0, out: 'Hello Ada Lovelace, this is protected data.\n' })
    const bob = await call(api.tenant.issue({ person: 'bob' }))
    t.match(bob, { code: 1, out: '', err: /^403 insufficient_scope: The token lacks a scope/ })
  })

  t.test('backend: the daemon is greeted', async t => {
    const env = { NODE_EXTRA_CA_CERTS: join(cwd, '.local-tenant/ca.pem') }
    const { code, out, err } = await node('backend.ts', cwd, env)
    t.equal(err, '')
    t.match({ code, out }, { code: 0, out: `200 {"message":"Hello ${profile.daemon.clientId}` })
  })

  t.test('call.sh: curl with a token that is no argument', { skip: !(await has('curl')) }, async t => {
    const env = { PATH: `${join(cwd, 'bin')}:${process.env.PATH}`, API_URL: api.url }
    const ada = await start(example('call.sh'), ['--as', 'ada'], cwd, env)
    t.match(ada, { code: 0, out: '{"message":"Hello Ada Lovelace, this is protected data."}' })
    const bob = await start(example('call.sh'), ['--as', 'bob'], cwd, env)
    t.match(bob, { out: /"code":"insufficient_scope"/, err: /403/ })
    t.not(bob.code, 0)
    t.not((await start(example('call.sh'), ['--as', 'eve'], cwd, env)).code, 0, 'no token, no call')
  })

  t.test('requests.http: every request is answered as its line says', async t => {
    const source = readFileSync(example('requests.http'), 'utf8')
    const variables: Record<string, string> = {}
    for (const [, name, value] of source.matchAll(/^@(\w+) = (.*)$/gm)) variables[name!] = value!
    t.same(variables, { api: 'http://127.0.0.1:3000', token: '{{$processEnv TOKEN}}' })
    const fill = (line: string) => line.replace('{{api}}', api.url).replace('{{token}}', api.tenant.issue())
    const requests = source.split(/^### /m).slice(1)
    t.equal(requests.length, 4)
    for (const request of requests) {
      const [title, first, ...rest] = request.trim().split('\n').map(fill)
      const [method, url] = first!.split(' ')
      const headers = rest.map((line): [string, string] => line.split(/: (.*)/, 2) as [string, string])
      const response = await fetch(url!, { method: method!, headers })
      t.match(title, new RegExp(`: ${response.status}\\b`), title!)
    }
  })
})

/** A backend as the example builds it, with an eye on what it asks for. */
function backendOf(t: Test, { profile }: LocalTenant, more: Partial<BackendOptions> = {}) {
  const wire = wireTo(profile)
  t.teardown(() => wire.close())
  const tokenUrl = `${profile.authority}/${profile.tenantId}/oauth2/v2.0/token`
  const seen = { tokens: 0, calls: 0, waitsMs: [] as number[] }
  const get = createBackendClient({
    tokenUrl,
    clientId: profile.daemon.clientId,
    clientSecret: profile.daemon.clientSecret!,
    scope: `api://${profile.api.clientId}/.default`,
    random: () => 0.5,
    ...more,
    fetch: ((url: string, init: object) => {
      seen[url === tokenUrl ? 'tokens' : 'calls']++
      return wire.fetch(url, init)
    }) as unknown as typeof fetch,
    sleep: async ms => {
      seen.waitsMs.push(ms)
      await more.sleep?.(ms)
    },
  })
  return { get, seen }
}

t.test('the backend client', async t => {
  t.test('one token for all calls, until shortly before it expires', async t => {
    const clock = createFakeClock()
    const tenant = await startTenant(t, { now: clock.now })
    const api = await startApi(t, { tenant, world: { clock } })
    const { get, seen } = backendOf(t, tenant, { now: clock.now })
    const url = `${api.url}/secure-data`
    const answers = await Promise.all(Array.from({ length: 10 }, () => get(url)))
    t.ok(answers.every(({ status }) => status === 200))
    await clock.advance(54 * MINUTE)
    t.equal((await get(url)).status, 200)
    t.match(seen, { tokens: 1, calls: 11 })
    await clock.advance(HOUR)
    t.equal((await get(url)).status, 200)
    t.match(seen, { tokens: 2, calls: 12 })
  })

  t.test('a token that has expired unnoticed: exactly one new one, however many calls', async t => {
    const clock = createFakeClock()
    const tenant = await startTenant(t, { now: clock.now })
    const api = await startApi(t, { tenant, world: { clock } })
    const stopped = clock.now()
    const { get, seen } = backendOf(t, tenant, { now: () => stopped })
    const url = `${api.url}/secure-data`
    t.equal((await get(url)).status, 200)
    await clock.advance(2 * HOUR)
    const answers = await Promise.all(Array.from({ length: 5 }, () => get(url)))
    t.same(
      answers.map(({ status }) => status),
      [200, 200, 200, 200, 200],
    )
    t.match(seen, { tokens: 2, calls: 11, waitsMs: [] })
  })

  t.test('a new token that is refused too: no third one', async t => {
    const tenant = await startTenant(t)
    const api = await startApi(t, { tenant, env: { AUDIENCE: 'https://another.example' } })
    const { get, seen } = backendOf(t, tenant)
    const answer = await get(`${api.url}/secure-data`)
    t.match([answer.status, await answer.json()], [401, { code: 'wrong_audience' }])
    t.match(seen, { tokens: 2, calls: 2, waitsMs: [] })
  })

  t.test(
    'the issuer down once: 503, waited out as Retry-After says, then 200 with the same token',
    async t => {
      const clock = createFakeClock()
      const tenant = await startTenant(t, { now: clock.now })
      tenant.answer('all', 'http500')
      const api = await startApi(t, { tenant, world: { clock }, waitForKeys: false })
      const { get, seen } = backendOf(t, tenant, {
        now: clock.now,
        sleep: async ms => {
          tenant.answer('all', 'ok')
          await clock.advance(ms)
        },
      })
      t.equal((await get(`${api.url}/secure-data`)).status, 200)
      t.match(seen, { tokens: 1, calls: 2 })
      t.equal(seen.waitsMs.length, 1)
      t.ok(seen.waitsMs[0]! >= 1000, 'not sooner than asked')
    },
  )

  t.test('403: neither a new token nor a second try', async t => {
    const tenant = await startTenant(t)
    const api = await startApi(t, { tenant })
    const { clientId, clientSecret } = tenant.profile.daemonWithoutRole
    const { get, seen } = backendOf(t, tenant, { clientId, clientSecret: clientSecret! })
    t.equal((await get(`${api.url}/secure-data`)).status, 403)
    t.match(seen, { tokens: 1, calls: 1, waitsMs: [] })
  })

  t.test(
    'a token endpoint that throttles: waited out; one that refuses: said, without the secret',
    async t => {
      const tenant = await startTenant(t)
      const api = await startApi(t, { tenant })
      tenant.service('tokens', 'throttled', 7)
      const { get, seen } = backendOf(t, tenant, { sleep: async () => tenant.service('tokens', 'ok') })
      t.equal((await get(`${api.url}/secure-data`)).status, 200)
      t.same(seen.waitsMs, [7500])
      const poor = backendOf(t, tenant, { clientSecret: 'wrong~secret' })
      const error = await poor.get(`${api.url}/secure-data`).catch((cause: Error) => cause)
      t.match(error, { message: /^no token: https:\S+ answered 401$/ })
      t.equal(poor.seen.tokens, 1)
    },
  )

  t.test('an outage that lasts: the waits are capped, grow where none is named, and end', async t => {
    const waits = async (retryAfter?: string) => {
      const waitsMs: number[] = []
      const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter }
      const get = createBackendClient({
        tokenUrl: 'https://login.example/token',
        clientId: 'id',
        clientSecret: 'secret',
        scope: 'scope',
        random: () => 0,
        sleep: async ms => waitsMs.push(ms),
        fetch: async url =>
          `${url}`.endsWith('/token')
            ? Response.json({ access_token: 'x', expires_in: 3600 })
            : new Response(null, { status: 503, headers }),
      })
      t.equal((await get('https://api.example/')).status, 503)
      return waitsMs
    }
    t.same(await waits('3600'), [60_000, 60_000, 60_000])
    t.same(await waits(), [2000, 4000, 8000])
    t.same(await waits('Wed, 21 Oct 2026 07:28:00 GMT'), [2000, 4000, 8000])
  })
})

/** Decides whether `npm start` holds as a process: it refuses to start by saying everything that is wrong, guards for real, and ends with grace. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { startLocalTenant } from '../src/local-tenant/tenant.ts'
import { compose, createKey, signerOf, startEntraIssuer, type TestKey } from './helpers/issuer.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TENANT = '6f1d6a2e-0f0b-4a4e-9d6e-0c6b5c1f2a31'
const CLIENT = '2b8c1c53-5c0f-4a0b-8f39-1f1f6f0d7e11'
const AUDIENCE = 'https://api.example.com'
const KEY = createKey('RS256')

/** Generous on a busy machine, and far below what a person would wait. */
const PROMPT_MS = 5000

// Below the repository, so that the built files find node_modules; away from dist, which others may be building.
const FOLDER = t.testdir({ empty: {} })
const DIST = join(FOLDER, 'dist')
const EMPTY = join(FOLDER, 'empty')
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')
// As `npm run build` does it.
const BUILD = [
  [process.execPath, TSC, '-p', ROOT, '--outDir', DIST, '--noCheck'],
  ['npm', 'run', '-s', 'bundle', '--', `--outdir=${DIST}`],
]
for (const command of BUILD) {
  await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', ...command], { cwd: ROOT })
}

/** A server process and what it has said. */
interface Served {
  readonly child: ChildProcess
  readonly said: () => { readonly out: string; readonly err: string }
  /** Resolves with the first match in what is written to stdout; rejects when the process ends first. */
  readonly hear: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>
}

/** Starts the built server with these variables and no others. */
function serve(
  t: Test,
  env: Record<string, string>,
  cwd: string = EMPTY,
  stdout: 'pipe' | number = 'pipe',
): Served {
  const { PATH = '' } = process.env
  const child = spawn(process.execPath, [join(DIST, 'server.js')], {
    cwd,
    env: { PATH, ...env },
    stdio: ['ignore', stdout, 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const said = { out: '', err: '' }
  const listeners = new Set<() => void>()
  const take = (name: 'out' | 'err') => (chunk: Buffer) => {
    said[name] += chunk
    for (const listener of listeners) listener()
  }
  child.stdout?.on('data', take('out'))
  child.stderr?.on('data', take('err'))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...said }))
  return {
    child,
    said: () => said,
    ended,
    hear: pattern =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(said.out)
          if (found === null) return
          listeners.delete(look)
          resolve(found)
        }
        listeners.add(look)
        look()
        ended.then(({ code, err }) => reject(new Error(`ended with ${code} before ${pattern}: ${err}`)))
      }),
  }
}

/** Waits until it listens. */
async function listening(served: Served): Promise<string> {
  return (await served.hear(/"event":"listening","url":"([^"]+)"/))[1]!
}

async function get(url: string, token?: string) {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(url, { headers })
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server sent
  return { status: response.status, headers: response.headers, json: (await response.json()) as any }
}

/** A port that was free a moment ago, for a server that can't say which it got. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** What a connection to the port comes to. */
function knock(port: number): Promise<string> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve('open')
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

/** An issuer of RFC 9068 tokens that can be made to hang. */
async function startSlowIssuer(t: Test) {
  let keys: readonly TestKey[] = [KEY]
  let gate: Promise<void> | undefined
  let open = (): void => {}
  let arrived = (): void => {}
  const server = createServer(async (request, response) => {
    arrived()
    await gate
    const document = request.url?.endsWith('/keys')
      ? { keys: keys.map(({ jwk }) => jwk) }
      : { issuer, jwks_uri: `${issuer}/keys` }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(document))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    env: { ISSUERS: issuer, AUDIENCE, PORT: '0' },
    publish: (published: readonly TestKey[]) => {
      keys = published
    },
    /** From now on requests wait. */
    hold: () => {
      gate = new Promise(resolve => {
        open = resolve
      })
    },
    release: () => open(),
    /** Resolves when the next request has come. */
    asked: () =>
      new Promise<void>(resolve => {
        arrived = resolve
      }),
    issue: (key: TestKey) => {
      const iat = Math.floor(Date.now() / 1000)
      const times = { iat, exp: iat + 300, jti: randomUUID() }
      const claims = { iss: issuer, aud: AUDIENCE, sub: 'user-1', client_id: 'client-1', ...times }
      const header = { typ: 'at+jwt', alg: key.alg, kid: key.kid }
      return compose(header, { ...claims, scope: 'Data.Read' }, signerOf(key.alg, key.privateKey))
    },
  }
}

t.test('nothing set: exit code 78, every missing variable at once, and where to go instead', async t => {
  const start = Date.now()
  const { code, out, err } = await serve(t, {}).ended
  t.equal(code, 78)
  t.ok(Date.now() - start < PROMPT_MS, 'promptly')
  t.equal(out, '')
  for (const line of [/^2 configuration problems:$/m, /^ {2}AZURE_TENANT_ID: found nothing/m])
    t.match(err, line)
  t.match(err, /^ {2}AUDIENCE: found nothing, and no application id/m)
  t.match(err, /npm run dev\n$/)
})

t.test('many variables wrong: all of them at once', async t => {
  const wrong = {
    AZURE_TENANT_ID: 'contoso',
    AZURE_AUTHORITY_HOST: 'http://login.example.com',
    ALLOWED_TENANTS: 'fabrikam',
    ISSUERS: 'http://issuer.example.com,,x',
    ISSUERS_TOKEN_TYP: 'at-jwt',
    TOKEN_VERSIONS: '3.0',
    CLOCK_TOLERANCE_SECONDS: '301',
    KEYS_MAX_STALE_HOURS: '0',
    SCOPE_PREFIX: 'api://"/',
    HOST: '0.0.0.0',
    PORT: '65536',
    LOG_LEVEL: 'loud',
    TRUST_PROXY: '1',
    HTTP_PROXY: 'socks://proxy',
  }
  const { code, err } = await serve(t, wrong).ended
  t.equal(code, 78)
  const { HOST: _, ...named } = wrong
  for (const name of [...Object.keys(named), 'AUDIENCE', 'PUBLIC_URL']) {
    t.match(err, new RegExp(`^ {2}${name}: found .+; expected .+; for example .+$`, 'm'), name)
  }
})

t.test('a password in a variable that is wrong: it is named, the password is not', async t => {
  const secret = 'hunter2-hunter2'
  const ids = { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: CLIENT }
  const variables = ['HTTPS_PROXY', 'AZURE_AUTHORITY_HOST', 'ISSUERS', 'PUBLIC_URL']
  const runs = variables.map(async name => {
    const scheme = name === 'HTTPS_PROXY' ? 'socks5' : 'https'
    const { code, out, err } = await serve(t, { ...ids, [name]: `${scheme}://bob:${secret}@host.example` })
      .ended
    t.equal(code, 78, name)
    t.match(err, new RegExp(`^ {2}${name}: `, 'm'))
    t.notOk(`${out}${err}`.includes(secret), `${name} is not repeated`)
  })
  await Promise.all(runs)
})

t.test('HOST beyond loopback without PUBLIC_URL: refused; with an https one: it listens', async t => {
  const env = { ISSUERS: 'http://127.0.0.1:9', AUDIENCE, HOST: '0.0.0.0', PORT: '0' }
  const { code, err } = await serve(t, env).ended
  t.equal(code, 78)
  t.match(
    err,
    /^1 configuration problem:\n {2}PUBLIC_URL: found nothing, with HOST=0\.0\.0\.0; expected the https/,
  )
  const plain = await serve(t, { ...env, PUBLIC_URL: 'http://api.example.com' }).ended
  t.match(plain.err, /PUBLIC_URL: found "http:/)

  const served = serve(t, { ...env, PUBLIC_URL: 'https://api.example.com' })
  const url = await listening(served)
  const alive = await get(`http://127.0.0.1:${new URL(url).port}/livez`)
  t.match(alive, { status: 200, json: { status: 'alive' } })
  t.ok(alive.headers.get('strict-transport-security'))
})

t.test('a busy port: exit code 1, and the message names it', async t => {
  const squatter = createServer()
  await new Promise<void>(resolve => squatter.listen(0, '127.0.0.1', resolve))
  t.teardown(() => squatter.close())
  const { port } = squatter.address() as AddressInfo
  const env = { ISSUERS: 'http://127.0.0.1:9', AUDIENCE, PORT: String(port) }
  const { code, err } = await serve(t, env).ended
  t.equal(code, 1)
  t.match(err, new RegExp(`EADDRINUSE.* 127\\.0\\.0\\.1:${port}`))
  t.notMatch(err, /\n {4}at /, 'no stack')
})

t.test('.env in the working folder: it is read, and the environment wins', async t => {
  const issuer = await startEntraIssuer(t, { tenant: TENANT, audience: CLIENT, key: KEY })
  const cwd = t.testdir({
    '.env': [
      `AZURE_AUTHORITY_HOST=${issuer.origin}`,
      `AZURE_TENANT_ID=${TENANT}`,
      `AZURE_CLIENT_ID="${CLIENT}"`,
      'PORT=0',
      'LOG_LEVEL=loud',
    ].join('\n'),
  })
  const { code, err } = await serve(t, {}, cwd).ended
  t.equal(code, 78)
  t.match(err, /^1 configuration problem:\n {2}LOG_LEVEL: found "loud"/)

  const served = serve(t, { LOG_LEVEL: 'info' }, cwd)
  const url = await listening(served)
  await served.hear(/"keys_refreshed"/)
  t.match(await get(`${url}/secure-data`, issuer.issue()), { status: 200 })
})

t.test('an Entra-shaped issuer on plain http at loopback: it guards for real', async t => {
  const issuer = await startEntraIssuer(t, { tenant: TENANT, audience: CLIENT, key: KEY })
  const env = { AZURE_AUTHORITY_HOST: issuer.origin, AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: CLIENT }
  const served = serve(t, { ...env, AZURE_CLIENT_SECRET: 's3cret', PORT: '0' })
  const url = await listening(served)
  t.match(served.said().out, '"onBehalfOf":"off, the authority is plain http"')
  t.notMatch(served.said().out, 's3cret')
  await served.hear(/"keys_refreshed".*\n(.*\n)*.*"keys_refreshed"/)

  t.match(await get(`${url}/readyz`), { status: 200, json: { status: 'ready' } })
  const none = await get(`${url}/secure-data`)
  t.match(none, { status: 401, json: { code: 'no_credentials', scope: `api://${CLIENT}/Data.Read` } })
  t.ok(none.headers.get('www-authenticate')?.includes(`${url.replace(/:\d+$/, ':')}`), 'its own address')

  const hello = { message: 'Hello Ada Lovelace, this is protected data.' }
  for (const version of [1, 2] as const) {
    t.match(await get(`${url}/secure-data`, issuer.issue({ version })), { status: 200, json: hello })
  }
  const refused = {
    expired: issuer.issue({ claims: { exp: 1 } }),
    wrong_audience: issuer.issue({ claims: { aud: randomUUID() } }),
    tenant_not_allowed: issuer.issue({ tenant: randomUUID() }),
    insufficient_scope: issuer.issue({ claims: { scp: 'Profile.Read' } }),
    invalid_signature: issuer.issue({ key: createKey('RS256') }),
    unknown_key: issuer.issue({ key: createKey('RS256', 'new') }),
  }
  for (const [code, token] of Object.entries(refused)) {
    t.match(await get(`${url}/secure-data`, token), { json: { code } }, code)
    const { out } = served.said()
    t.notOk(out.includes(token.split('.')[2]!), 'the log has no token')
  }
  t.match(served.said(), {
    err: '',
    out: /"code":"expired","about":"exp","received":1,"expected":"later than/,
  })
})

t.test('SIGTERM while a request waits: it is answered, nobody else comes in, exit code 0', async t => {
  const fresh = createKey('ES256', 'fresh')
  const runs = [false, true].map(async keepAlive => {
    const issuer = await startSlowIssuer(t)
    const served = serve(t, issuer.env)
    const url = await listening(served)
    await served.hear(/"keys_refreshed"/)

    issuer.publish([KEY, fresh])
    issuer.hold()
    const asked = issuer.asked()
    const agent = new Agent({ keepAlive })
    t.teardown(() => agent.destroy())
    const headers = { authorization: `Bearer ${issuer.issue(fresh)}` }
    const answer = once(request(`${url}/secure-data`, { agent, headers }).end(), 'response')
    await asked
    served.child.kill('SIGTERM')
    let outcome = ''
    for (const start = Date.now(); outcome !== 'ECONNREFUSED' && Date.now() - start < PROMPT_MS; ) {
      outcome = await knock(Number(new URL(url).port))
    }
    t.equal(outcome, 'ECONNREFUSED', 'a new connection is refused while the old one waits')
    t.equal(served.child.exitCode, null, 'and the process lives on')
    issuer.release()
    const [response] = (await answer) as [IncomingMessage]
    t.equal(response.statusCode, 200)
    t.match(await text(response), /"message":"Hello/)
    // An answer that leaves its connection open keeps the server until the grace is over.
    t.match(await served.ended, { code: 0, err: '' }, `client that keeps connections: ${keepAlive}`)
  })
  await Promise.all(runs)
})

t.test('SIGTERM and SIGINT while the issuer hangs: the process ends promptly, with 0', async t => {
  const ends = (['SIGTERM', 'SIGINT'] as const).map(async signal => {
    const issuer = await startSlowIssuer(t)
    issuer.hold()
    const asked = issuer.asked()
    const served = serve(t, issuer.env)
    const url = await listening(served)
    await asked
    t.match(await get(`${url}/livez`), { status: 200 }, 'alive without keys')
    t.match(await get(`${url}/readyz`), { status: 503, json: { status: 'waiting' } })
    const start = Date.now()
    served.child.kill(signal)
    t.match(await served.ended, { code: 0, err: '' }, signal)
    // Key requests have a deadline of 5 seconds and requests a grace of 10: neither is waited for.
    t.ok(Date.now() - start < 3000, `${signal}: ${Date.now() - start} ms`)
  })
  await Promise.all(ends)
})

t.test('the log cannot be written: requests are answered, and SIGTERM ends the process with 0', async t => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const runs = (['its disk is full', 'its reader has gone'] as const).map(async trouble => {
    const issuer = await startSlowIssuer(t)
    const gone = trouble === 'its reader has gone'
    const port = String(await freePort())
    const served = serve(t, { ...issuer.env, PORT: port }, EMPTY, gone ? 'pipe' : full)
    if (gone) {
      await listening(served)
      served.child.stdout?.destroy()
    }
    const url = `http://127.0.0.1:${port}`
    while ((await knock(Number(port))) !== 'open');
    for (let status = 503; status !== 200; ) ({ status } = await get(`${url}/readyz`))
    t.match(await get(`${url}/secure-data`, issuer.issue(KEY)), { status: 200 }, trouble)
    t.match(await get(`${url}/secure-data`, 'junk'), { status: 401 }, trouble)
    served.child.kill('SIGTERM')
    t.match(await served.ended, { code: 0, err: '' }, trouble)
  })
  await Promise.all(runs)
})

// JWKS-2. In a process of its own, because a failed TLS verification keeps Node 20 from exiting by itself.
t.test('an https issuer whose certificate nobody trusts: never ready, 503, and the log says why', async t => {
  const stateFolder = t.testdir()
  const tenant = await startLocalTenant({ port: 0, stateFolder })
  t.teardown(() => tenant.close())
  const { authority, tenantId, api } = tenant.profile
  const ids = { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: api.clientId }
  const env = { AZURE_AUTHORITY_HOST: authority, ...ids, PORT: '0' }
  const token = tenant.issue({ person: 'ada' })

  const distrusting = serve(t, env)
  const url = await listening(distrusting)
  await distrusting.hear(/"keys_refresh_failed".*certificate/)
  t.match(await get(`${url}/livez`), { status: 200 })
  t.match(await get(`${url}/readyz`), { status: 503, json: { issuers: [{ state: 'missing' }] } })
  const refused = await get(`${url}/secure-data`, token)
  t.match(refused, { status: 503, json: { status: 503, code: 'keys_unavailable' } })
  t.match(refused.headers.get('retry-after'), /^[1-9]\d*$/)
  t.equal(refused.headers.get('www-authenticate'), null, 'nothing is said against the token')
  t.equal(tenant.requests.length, 0, 'no request got through')
  distrusting.child.kill('SIGTERM')
  t.match(await distrusting.ended, { code: 0 })

  const trusting = serve(t, { ...env, NODE_EXTRA_CA_CERTS: join(stateFolder, 'ca.pem') })
  const trusted = await listening(trusting)
  await trusting.hear(/"keys_refreshed".*\n(.*\n)*.*"keys_refreshed"/)
  t.match(await get(`${trusted}/readyz`), { status: 200 }, 'with NODE_EXTRA_CA_CERTS it is ready')
  t.match(await get(`${trusted}/secure-data`, token), { json: { message: /Ada Lovelace/ } })
})

/** Asks the built application once, before its clock moves on: the status, and the modules that it took. */
const ASK_ONCE = `
import { createRequire } from 'node:module'
import { buildApp } from '${pathToFileURL(join(DIST, 'app.js'))}'
import { readConfig } from '${pathToFileURL(join(DIST, 'config.js'))}'
const [env, token] = JSON.parse(process.argv[1])
const app = await buildApp(readConfig(env), { clock: { now: Date.now, after: () => () => {} } })
const { statusCode } = await app.inject({ url: '/secure-data', headers: { authorization: 'Bearer ' + token } })
await app.close()
console.log(JSON.stringify({ statusCode, modules: Object.keys(createRequire('/').cache) }))
`
const UNNEEDED =
  /node_modules\/(pino|undici|get-jwks|jwk-to-pem|yaml|ioredis|@fastify\/(swagger|swagger-ui|helmet|static|cors|rate-limit))\//

t.test('KEYS_CACHE_FILE: a restart while the issuer is down still works', async t => {
  const issuer = await startEntraIssuer(t, { tenant: TENANT, audience: CLIENT, key: KEY })
  const env = {
    AZURE_AUTHORITY_HOST: issuer.origin,
    AZURE_TENANT_ID: TENANT,
    AZURE_CLIENT_ID: CLIENT,
    TOKEN_VERSIONS: '2.0',
    KEYS_CACHE_FILE: join(t.testdir(), 'keys.json'),
    PORT: '0',
  }
  const first = serve(t, env)
  await listening(first)
  await first.hear(/"keys_refreshed"/)
  first.child.kill('SIGTERM')
  t.match(await first.ended, { code: 0 })

  issuer.documents.clear()
  await t.test('and takes nothing for its first answer that it does not need', async t => {
    const asked = JSON.stringify([{ ...env, RATE_LIMIT_MAX: '0', LOG_LEVEL: 'silent' }, issuer.issue()])
    const told = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', ASK_ONCE, asked],
      { env: {} },
    )
    const { statusCode, modules } = JSON.parse(told.stdout) as { statusCode: number; modules: string[] }
    t.equal(statusCode, 200)
    t.ok(modules.some(path => path.includes('node_modules/@fastify/jwt/')))
    t.strictSame(
      modules.filter(path => UNNEEDED.test(path)),
      [],
    )
  })

  const second = serve(t, env)
  const url = await listening(second)
  await second.hear(/"keys_refresh_failed"/)
  t.match(second.said().out, /"keys_restored"/)
  t.match(await get(`${url}/secure-data`, issuer.issue()), { status: 200 })
})

t.test('a quiet start: V8 does not forget the shape of a tick', async t => {
  const issuer = await startSlowIssuer(t)
  const preload = pathToFileURL(join(ROOT, 'test/helpers/living-ticks.js')).href
  const served = serve(t, { ...issuer.env, NODE_OPTIONS: `--import=${preload}` })
  await listening(served)
  served.child.kill('SIGWINCH')
  const [, living, made] = await served.hear(/living ticks: (\d+) of (\d+)/)
  t.equal(living, '1', 'the one that is kept on purpose')
  t.ok(Number(made) > 10)
})

t.test('built into one file: what is loaded later is found', async t => {
  const issuer = await startSlowIssuer(t)
  const served = serve(t, { ...issuer.env, CORS_ORIGINS: 'https://app.example', RATE_LIMIT_MAX: '10' })
  const origin = await listening(served)
  for (const path of ['/docs', '/docs/page/main.js', '/openapi.yaml']) {
    t.equal((await fetch(origin + path)).status, 200, path)
  }
  const text = await readFile(join(DIST, 'server.js'), 'utf8')
  t.notMatch(text, /from "\.\/token\//, 'its own files stand in it')
})

/** The process entries, run from their sources: how they start, fail, crash and end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TENANT = '6f1d6a2e-0f0b-4a4e-9d6e-0c6b5c1f2a31'
const DEAD = { AZURE_AUTHORITY_HOST: 'http://127.0.0.1:9', AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: TENANT }

/** Loaded before an entry: throws when it is told to. */
const CRASH = `process.on('SIGWINCH', () => setImmediate(() => { throw new Error('a bug') }))`
/** Loaded before an entry: the API's port can not be had, and not because it is busy. */
const NO_PORT = `import net from 'node:net'
const { listen } = net.Server.prototype
net.Server.prototype.listen = function (options, ...rest) {
  if (options?.port === 45999) throw Object.assign(new Error('not permitted'), { code: 'EPERM' })
  return listen.call(this, options, ...rest)
}`

interface Run {
  readonly child: ChildProcess
  readonly said: () => string
  readonly hear: (pattern: RegExp) => Promise<void>
  readonly ended: Promise<number | null>
}

/** Starts an entry with these variables beside those that count its lines. */
function start(
  t: Test,
  entry: string,
  cwd: string,
  env: Record<string, string>,
  preload: string[] = [],
): Run {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(AZURE|TOKEN|PORT|HOST|LOCAL_TENANT)/.test(name),
  )
  const imports = preload.flatMap(code => ['--import', `data:text/javascript,${encodeURIComponent(code)}`])
  const child = spawn(process.execPath, [...process.execArgv, ...imports, join(ROOT, 'src', entry)], {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
  })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      said += chunk
      for (const listener of listeners) listener()
    })
  }
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return {
    child,
    ended,
    said: () => said,
    hear: pattern =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(said)) resolve()
        }
        listeners.add(look)
        look()
        ended.then(code => reject(new Error(`ended with ${code} before ${pattern}: ${said}`)))
      }),
  }
}

async function occupy(t: Test): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('server: listens with what .env says, and ends with grace', async t => {
  const cwd = t.testdir({ '.env': 'PORT=0\n' })
  const server = start(t, 'server.ts', cwd, DEAD)
  await server.hear(/"event":"listening"/)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
})

t.test('server: a bug that nobody caught is logged, and the process ends with 1', async t => {
  const server = start(t, 'server.ts', t.testdir(), { ...DEAD, PORT: '0' }, [CRASH])
  await server.hear(/"event":"listening"/)
  server.child.kill('SIGWINCH')
  t.equal(await server.ended, 1)
  t.match(server.said(), /"event":"crashed"[^\n]*a bug/)
})

t.test('server: a busy port ends it with 1, and without advice that does not fit', async t => {
  const port = await occupy(t)
  const server = start(t, 'server.ts', t.testdir(), { ...DEAD, PORT: String(port) })
  t.equal(await server.ended, 1)
  t.match(server.said(), /EADDRINUSE/)
  t.notMatch(server.said(), /npm run dev/)
})

t.test('dev: goes round a busy port, says what it ignores, and refuses a second in its folder', async t => {
  const cwd = t.testdir()
  const port = await occupy(t)
  const env = { PORT: String(port), AZURE_TENANT_ID: TENANT }
  const first = start(t, 'dev.ts', cwd, env)
  await first.hear(/Stop with Ctrl-C/)
  t.match(first.said(), /Ignored here[^\n]*: AZURE_TENANT_ID\n[^\n]*unset AZURE_TENANT_ID/)
  t.notMatch(first.said(), `http://127.0.0.1:${port}/docs`)
  const second = start(t, 'dev.ts', cwd, env)
  t.equal(await second.ended, 1)
  t.match(second.said(), /runs in this folder already/)
  first.child.kill('SIGINT')
  t.equal(await first.ended, 0)
})

t.test('dev: a profile that a crash has left behind does not matter; a crash is logged', async t => {
  const profile = JSON.stringify({ apiUrl: 'http://127.0.0.1:9' })
  const cwd = t.testdir({ '.local-tenant': { 'profile.json': profile } })
  const dev = start(t, 'dev.ts', cwd, { PORT: '0', LOCAL_TENANT_PORT: '0' }, [CRASH])
  await dev.hear(/Stop with Ctrl-C/)
  dev.child.kill('SIGWINCH')
  t.equal(await dev.ended, 1)
  t.match(dev.said(), /"event":"crashed"/)
})

t.test('dev: a wrong setting ends it with 78, another failure with 1', async t => {
  const folder = t.testdir({ one: {}, two: {} })
  const wrong = start(t, 'dev.ts', join(folder, 'one'), { LOCAL_TENANT_PORT: 'https' })
  const failing = start(t, 'dev.ts', join(folder, 'two'), { PORT: '45999', LOCAL_TENANT_PORT: '0' }, [
    NO_PORT,
  ])
  t.equal(await wrong.ended, 78)
  t.match(wrong.said(), /LOCAL_TENANT_PORT: found "https"; expected a port/)
  t.equal(await failing.ended, 1)
  t.match(failing.said(), /not permitted/)
})

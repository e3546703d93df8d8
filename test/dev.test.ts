/** Decides whether `npm run dev` holds as a process: what it prints works as it stands, beside whatever else runs, and nothing stays behind. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { openState } from '../src/local-tenant/state.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)

// Below the repository, so that the built files find node_modules; away from dist, which others may be building.
const FOLDER = t.testdir()
const DIST = join(FOLDER, 'dist')
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')
await run('env', ['-u', 'NODE_OPTIONS', process.execPath, TSC, '-p', ROOT, '--outDir', DIST, '--noCheck'])

const curl = await run('curl', ['--version']).then(
  () => true,
  () => false,
)
const withCurl = curl ? {} : { skip: 'curl is not installed' }

// Keys and ids, made once: most of a first start is making them.
await openState(join(FOLDER, 'state'))
const STATE = await readFile(join(FOLDER, 'state/state.json'), 'utf8')
const MANIFEST = await readFile(join(ROOT, 'package.json'), 'utf8')

/** What a folder has in which `npm run -s token` works as in a checkout. */
const files = () => ({
  'package.json': MANIFEST,
  dist: t.fixture('symlink', DIST),
  '.local-tenant': { 'state.json': STATE },
})

type Variables = Readonly<Record<string, string>>

const clean = (env: Variables) => ({ PATH: process.env.PATH, HOME: FOLDER, ...env })

/** Starts what `npm run dev` starts; resolves when everything has been printed. */
async function develop(t: Test, cwd: string, env: Variables = {}) {
  const child = spawn(process.execPath, ['dist/dev.js'], {
    cwd,
    env: clean({ LOCAL_TENANT_PORT: '0', ...env }),
  })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  let said = ''
  let log = ''
  child.stdout.on('data', chunk => {
    log += chunk
  })
  const up = new Promise<void>(resolve => {
    child.stderr.on('data', chunk => {
      said += chunk
      if (/Stop with Ctrl-C/.test(said)) resolve()
    })
  })
  const code = await Promise.race([up, ended])
  if (code !== undefined) throw new Error(`ended with ${code}: ${said}`)
  const url = /http:\/\/127\.0\.0\.1:\d+(?=\/docs)/.exec(said)![0]
  const [asApplication, asPerson] = [...said.matchAll(/curl .*/g)].map(([line]) => line)
  return { child, ended, said, log: () => log, url, port: Number(new URL(url).port), asApplication, asPerson }
}

/** Runs a line as somebody who pasted it: none of tap's own hooks reach npm, which they would slow down. */
async function paste(line: string | undefined, cwd: string): Promise<unknown> {
  const { stdout } = await run('env', ['-u', 'NODE_OPTIONS', 'sh', '-c', line!], { cwd, env: clean({}) })
  return JSON.parse(stdout)
}

const profilePath = (cwd: string) => join(cwd, '.local-tenant', 'profile.json')
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
const authorityOf = async (cwd: string) =>
  new URL((JSON.parse(await readFile(profilePath(cwd), 'utf8')) as { authority: string }).authority)

/** A port that somebody else has. */
async function occupy(t: Test): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('what is printed: the description opens, the curl lines work as they stand', withCurl, async t => {
  const cwd = t.testdir(files())
  const { said, url, asApplication, asPerson } = await develop(t, cwd)
  t.match(said, /guarded by the local tenant https:\/\/localhost:\d+\/[0-9a-f-]{36}\n/)
  const docs = await fetch(`${url}/docs`)
  t.match(docs, { status: 200 })
  t.match(await docs.text(), /<title>/)
  const { pages, publicClient } = JSON.parse(await readFile(profilePath(cwd), 'utf8'))
  const facts = await (await fetch(`${url}/docs/page/facts.json`)).json()
  t.match(facts.signIn, { clientId: publicClient.clientId, people: [{ name: 'Ada Lovelace' }] })
  for (const origin of [url, url.replace('127.0.0.1', 'localhost')]) {
    const preflight = await fetch(`${pages}/common/oauth2/v2.0/token`, {
      method: 'OPTIONS',
      headers: { origin },
    })
    t.equal(preflight.status, 204, `the page at ${origin} may sign in`)
  }
  t.match(await paste(asApplication, cwd), { message: /^Hello [0-9a-f-]{36}, this is protected data\.$/ })
  t.match(await paste(asPerson, cwd), { message: 'Hello Ada Lovelace, this is protected data.' })
  for (const handle of ['ada', 'bob', 'gus']) t.match(said, new RegExp(`${handle}: `), `names ${handle}`)
  t.notMatch(said, /Ignored/, 'with nothing to ignore, nothing is said')
})

t.test('a first start: the state folder is for its owner only, and ignored by git', async t => {
  const cwd = t.testdir({ dist: t.fixture('symlink', DIST) })
  await develop(t, cwd)
  const folder = join(cwd, '.local-tenant')
  t.equal(modeOf(folder), '700')
  const made = await readdir(folder)
  t.same(made.sort(), ['ca.pem', 'daemon-cert.pem', 'profile.json', 'state.json'])
  for (const file of made) t.equal(modeOf(join(folder, file)), '600', file)
  t.match(await readFile(join(ROOT, '.gitignore'), 'utf8'), /^\.local-tenant\/$/m)
})

t.test('busy ports: the next free ones, printed, and the token command finds them', withCurl, async t => {
  const [api, tenant] = [await occupy(t), await occupy(t)]
  const cwd = t.testdir(files())
  const env = { PORT: String(api), LOCAL_TENANT_PORT: String(tenant) }
  const { port, said, asPerson } = await develop(t, cwd, env)
  t.ok(port > api && port < api + 50, `${port} is after ${api}`)
  const authority = await authorityOf(cwd)
  t.ok(Number(authority.port) > tenant, `${authority.port} is after ${tenant}`)
  t.ok(said.includes(authority.origin), 'the printed tenant is the one that runs')
  t.match(await paste(asPerson, cwd), { message: /Ada/ })
})

t.test(
  'variables that point elsewhere: ignored and named, and the server keeps to its own tenant',
  async t => {
    const cwd = t.testdir(files())
    const elsewhere = {
      AZURE_TENANT_ID: 'contoso',
      AZURE_CLIENT_ID: 'wrong',
      AZURE_AUTHORITY_HOST: 'https://login.example.com',
      AUDIENCE: 'api://wrong',
      ISSUERS: 'https://issuer.example.com',
      ISSUERS_TOKEN_TYP: 'wrong',
      ALLOWED_TENANTS: 'wrong',
      ALLOWED_CLIENTS: 'nobody',
      TOKEN_VERSIONS: '9',
      SCOPE_PREFIX: 'wrong',
      PUBLIC_URL: 'wrong',
      DOCS_CLIENT_ID: 'wrong',
      HOST: '0.0.0.0',
    }
    const { said, url } = await develop(t, cwd, { ...elsewhere, AZURE_CLIENT_SECRET: '' })
    const named = /^Ignored here, because development has a tenant of its own: (.*)$/m.exec(said)?.[1]
    t.same(named?.split(', ').sort(), Object.keys(elsewhere).sort())
    const [script, token] = ['dist/cli/main.js', 'token']
    const { stdout } = await run(process.execPath, [script, token, '--as', 'ada'], { cwd, env: clean({}) })
    const headers = { authorization: `Bearer ${stdout.trim()}` }
    t.equal((await fetch(`${url}/secure-data`, { headers })).status, 200)
  },
)

t.test('Ctrl-C and SIGTERM: exit code 0, and nobody finds a tenant that is gone', async t => {
  const folder = t.testdir({ SIGINT: files(), SIGTERM: files() })
  const ends = (['SIGINT', 'SIGTERM'] as const).map(async signal => {
    const cwd = join(folder, signal)
    const { child, ended } = await develop(t, cwd)
    t.ok(existsSync(profilePath(cwd)))
    child.kill(signal)
    t.equal(await ended, 0, signal)
    t.notOk(existsSync(profilePath(cwd)), 'no profile')
    t.ok(existsSync(join(cwd, '.local-tenant', 'state.json')), 'keys and ids stay for the next time')
  })
  await Promise.all(ends)
})

t.test(
  'a second one beside the first: in another folder both work, in the same one it says so',
  withCurl,
  async t => {
    const folder = t.testdir({ one: files(), two: files() })
    const [one, two] = [join(folder, 'one'), join(folder, 'two')]
    const base = await occupy(t)
    const env = { PORT: String(base), LOCAL_TENANT_PORT: '0' }
    const first = await develop(t, one, env)
    const second = await develop(t, two, env)
    t.ok(second.port > first.port)
    t.match(await paste(first.asPerson, one), { message: /Ada/ }, 'the first, as printed')
    t.match(await paste(second.asPerson, two), { message: /Ada/ }, 'the second, as printed')

    const third = spawn(process.execPath, ['dist/dev.js'], { cwd: one, env: clean(env) })
    let said = ''
    third.stderr.on('data', chunk => {
      said += chunk
    })
    t.strictSame(await once(third, 'close'), [1, null])
    t.match(said, `runs in this folder already, with the API at http://127.0.0.1:${first.port}`)
    t.match(await paste(first.asPerson, one), { message: /Ada/ }, 'the first goes on')
  },
)

t.test('a setting that is wrong: it is named, and no profile stays behind', async t => {
  const cwd = t.testdir(files())
  const env = clean({ LOCAL_TENANT_PORT: '0', CLOCK_TOLERANCE_SECONDS: '301' })
  const child = spawn(process.execPath, ['dist/dev.js'], { cwd, env })
  let said = ''
  child.stderr.on('data', chunk => {
    said += chunk
  })
  const [code] = await once(child, 'close')
  t.equal(code, 78)
  t.match(said, /CLOCK_TOLERANCE_SECONDS: found 301; expected a whole number from 0 to 300/)
  t.notOk(existsSync(profilePath(cwd)), 'no profile')
})

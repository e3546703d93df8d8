/** Decides whether README.md is true: its commands run and give the printed answers, its tables are those of the code, its links lead somewhere. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { readConfig } from '../src/config.ts'
import { CODES } from '../src/errors.ts'
import { MEANINGS } from '../src/http/problem.ts'
import { FAULT_MODES } from '../src/local-tenant/faults.ts'
import { MINT_KINDS } from '../src/local-tenant/mint.ts'
import { PEOPLE } from '../src/local-tenant/people.ts'
import { tabulateSwitches } from '../src/local-tenant/switch-table.ts'
import type { Switches } from '../src/local-tenant/switches.ts'
import { readTrust, type Trust } from '../src/token/trust.ts'
import { createKey, startEntraIssuer } from './helpers/issuer.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const README = read('README.md')
const run = promisify(execFile)

/** A fenced block: `sh tenant` has the language `sh` and the mark `tenant`. */
interface Fence {
  readonly language: string
  readonly mark: string
  readonly body: string
}

const FENCES: readonly Fence[] = [...README.matchAll(/^```(\S+) ?(\S*)\n(.*?)\n```$/gms)].map(
  ([, language, mark, body]) => ({ language: language!, mark: mark!, body: body! }),
)

/** What a block of commands needs that is not here, by its mark. */
const NEEDS: Readonly<Record<string, string>> = {
  suite: 'it is what runs this test',
  tenant: 'a real tenant or issuer',
  docker: 'a container engine; .ci/container does it',
}

/** The part below a heading, to the next one of its rank or a higher one. */
function section(title: string): string {
  const [, marks = '', rest = ''] = new RegExp(`^(#+) ${title}\n(.*)`, 'ms').exec(README) ?? []
  return rest.split(new RegExp(`^#{1,${marks.length}} `, 'm'))[0]!
}

/** The cells of every table row, heads and rulers left out. */
function rows(text: string): string[][] {
  return [...text.matchAll(/^\| (.*) \|$/gm)]
    .map(([, row]) => row!.split(' | ').map(cell => cell.trim()))
    .filter(([first]) => first?.startsWith('`'))
}

const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)

/** Puts a placeholder wherever two runs differ. */
const normalize = (text: string): string =>
  text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>')
    .replace(/(localhost|127\.0\.0\.1):\d+/g, '$1:<port>')
    .replace(/"subject":"[\w-]{43}"/, '"subject":"<subject>"')
    .replace(/"expiresAt":\d+/, '"expiresAt":0')
    .replace(/^( +✓ published key +)\S+$/gm, '$1<kid>')
    .replace(/^( +subject +)\S+$/gm, '$1<subject>')
    .replace(/\d{4}-\d\d-\d\dT[\d:]+Z, (in \d+ min|\d+ (s|min) ago)/g, '<date>')

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

/** A copy of what a checkout has, below the repository, so that its packages are found; and the environment of a shell in it. */
async function checkout(t: Test) {
  const [api, tenant] = [await freePort(), await freePort()]
  const { stdout: npm } = await run('sh', ['-c', 'command -v npm'])
  const folder = t.testdir({
    'package.json': read('package.json'),
    'tsconfig.json': read('tsconfig.json'),
    // The pasted lines say port 3000; curl is told where that is, so that the lines stay as they are.
    '.curlrc': `connect-to = "127.0.0.1:3000:127.0.0.1:${api}"\n`,
    bin: { npm: `#!/bin/sh\n[ "$1" = ci ] && exit 0\nexec ${npm.trim()} "$@"\n` },
  })
  await cp(join(ROOT, 'src'), join(folder, 'src'), { recursive: true })
  await run('chmod', ['+x', join(folder, 'bin/npm')])
  const env = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    HOME: folder,
    CURL_HOME: folder,
    NO_UPDATE_NOTIFIER: '1',
    PORT: String(api),
    LOCAL_TENANT_PORT: String(tenant),
  }
  return { folder, env }
}

/** Arguments that start a shell without tap's own hooks, which would slow npm down. */
const shell = (script: string): string[] => ['-u', 'NODE_OPTIONS', 'sh', '-c', script]

/** Resolves with what a process has said once that has the pattern. */
function hear(child: ChildProcess, pattern: RegExp): Promise<string> {
  let said = ''
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      said += chunk
      if (pattern.test(said)) resolve(said)
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    child.once('close', code => reject(new Error(`ended with ${code}: ${said}`)))
  })
}

const curl = await run('curl', ['--version']).then(
  () => true,
  () => false,
)

t.test('every block says what it is: run here, or what it needs', async t => {
  for (const { language, mark, body } of FENCES) {
    const name = body.split('\n', 1)[0]!
    if (language !== 'sh') {
      t.ok(
        ['json', 'json manifest', 'http', 'text', 'js plugin', 'js calling-on'].includes(
          `${language} ${mark}`.trim(),
        ),
        name,
      )
      continue
    }
    await t.resolves(run('sh', ['-n', '-c', body]), `is shell: ${name}`)
    if (mark in NEEDS) t.comment(`not run, needs ${NEEDS[mark]}: ${name}`)
    else t.ok(['', 'dev'].includes(mark), `is run: ${name}`)
  }
})

t.test('a checkout', { skip: curl ? false : 'curl is not installed' }, async t => {
  const { folder, env } = await checkout(t)
  const [start] = FENCES.filter(({ mark }) => mark === 'dev')
  // A group of its own: Ctrl-C reaches npm and what it started alike.
  const dev = spawn('env', shell(start!.body), { cwd: folder, env, detached: true })
  const ended = once(dev, 'close')
  t.teardown(async () => {
    if (dev.exitCode === null) process.kill(-dev.pid!, 'SIGINT')
    await ended
  })
  const said = normalize(await hear(dev, /Stop with Ctrl-C/))

  t.test('the first command: it prints what the page says', async t => {
    const shown = FENCES[FENCES.indexOf(start!) + 1]!
    t.equal(shown.language, 'text')
    for (const line of normalize(shown.body).split('\n')) t.ok(said.includes(line), line)
  })

  for (const [index, { language, mark, body }] of FENCES.entries()) {
    if (language !== 'sh' || mark !== '') continue
    const next = FENCES[index + 1]
    await t.test(`${body.split('\n').at(-1)}: the printed answer`, async t => {
      const { stdout } = await run('env', shell(`set -e\n${body}`), { cwd: folder, env })
      if (next?.language === 'json') {
        t.same(JSON.parse(normalize(stdout)), JSON.parse(normalize(next.body)))
      } else if (next?.language === 'http') {
        const lines = normalize(stdout).split(/\r?\n/)
        const wanted = normalize(next.body).split('\n')
        t.same(
          lines.filter(line => wanted.includes(line)),
          wanted,
        )
      } else if (next?.language === 'text') {
        t.same(normalize(stdout).trimEnd().split('\n'), normalize(next.body).split('\n'))
      } else t.not(stdout, '')
    })
  }

  t.test('the plugin examples: they are typed, the first runs and guards', async t => {
    const { body } = FENCES.find(({ mark }) => mark === 'plugin')!
    t.ok(body.split('\n').length <= 18, 'it is short')
    await writeFile(join(folder, 'example.ts'), body)
    await writeFile(join(folder, 'example.mjs'), body)
    await writeFile(join(folder, 'second.ts'), FENCES.find(({ mark }) => mark === 'calling-on')!.body)
    const options = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--skipLibCheck',
      '--types',
      'node',
    ]
    const target = ['--module', 'NodeNext', '--target', 'ES2023', '--ignoreConfig', 'example.ts', 'second.ts']
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const check = ['-u', 'NODE_OPTIONS', process.execPath, tsc, ...options, ...target]
    await t.resolves(run('env', check, { cwd: folder }), 'it is typed')

    const [tenant, audience] = [
      '6f1d6a2e-0f0b-4a4e-9d6e-0c6b5c1f2a31',
      '2b8c1c53-5c0f-4a0b-8f39-1f1f6f0d7e11',
    ]
    const issuer = await startEntraIssuer(t, { tenant, audience, key: createKey('RS256') })
    const ids = { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: audience, AZURE_AUTHORITY_HOST: issuer.origin }
    const child = spawn(process.execPath, ['example.mjs'], {
      cwd: folder,
      env: { ...env, ...ids, PORT: '0' },
    })
    t.teardown(() => child.kill())
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(await hear(child, /listening at http:\/\/127/))!
    const get = async (path: string, token?: string) => {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const response = await fetch(url + path, { headers })
      return { status: response.status, json: await response.json() }
    }
    t.match(await get('/health'), { status: 200, json: { ok: true } })
    t.match(await get('/orders'), { status: 401, json: { code: 'no_credentials' } })
    const scopes = ['Data.Read']
    t.match(await get('/orders', issuer.issue()), { status: 200, json: { kind: 'user', scopes } })
    const poor = issuer.issue({ claims: { scp: 'Profile.Read' } })
    t.match(await get('/orders', poor), { status: 403, json: { code: 'insufficient_scope' } })
    t.match(await get('/.well-known/oauth-protected-resource'), { status: 200 })
  })
})

t.test('variables: the tables have those that the code reads, with their defaults', async t => {
  const configuration = section('Configuration')
  const [server, others] = configuration.split('Read by the token command only')
  const names = (text: string) => rows(text).flatMap(([first]) => quoted(first!))
  const source = read('src/config.ts')
  const readByServer = [...source.matchAll(/\b(?:text|names|number|list)\('([A-Z_]+)'\)|env\.([A-Z_]+)/g)]
  t.same(names(server!).sort(), [...new Set(readByServer.map(([, a, b]) => a ?? b!))].sort())

  const elsewhere = await readdir(join(ROOT, 'src/cli'))
  const texts = ['src/dev.ts', ...elsewhere.map(file => `src/cli/${file}`)].map(read).join('\n')
  const readElsewhere = [...texts.matchAll(/env\.([A-Z_]+)|readGuid\(env, '([A-Z_]+)'/g)].map(
    ([, a, b]) => a ?? b!,
  )
  const documented = names(configuration)
  t.same(
    names(others!).filter(name => !readElsewhere.includes(name)),
    [],
    'none is made up',
  )
  t.same(
    [...new Set(readElsewhere)].filter(name => !documented.includes(name)),
    [],
    'none is left out',
  )

  const example = [...read('.env.example').matchAll(/^#?([A-Z_]+)=/gm)].map(([, name]) => name!)
  t.same(
    example.filter(name => !documented.includes(name)),
    [],
    '.env.example knows no other',
  )
  t.same(
    names(server!).filter(name => !example.includes(name)),
    [],
    '.env.example has them all',
  )

  const ids = { AZURE_TENANT_ID: '6f1d6a2e-0f0b-4a4e-9d6e-0c6b5c1f2a31', AZURE_CLIENT_ID: 'id' }
  const config = readConfig(ids)
  const trust = readTrust(config.trust, name => name) as Trust
  const defaults = {
    AZURE_AUTHORITY_HOST: trust.entra?.authority,
    TOKEN_VERSIONS: [...(trust.entra?.versions ?? [])].sort().join(),
    HOST: config.host,
    PORT: String(config.port),
    LOG_LEVEL: config.logLevel,
    GRAPH_URL: config.downstream.graphUrl,
    CLOCK_TOLERANCE_SECONDS: String(trust.toleranceSeconds),
    KEYS_MAX_STALE_HOURS: String(trust.keysMaxStaleMs / 3_600_000),
    SCOPE_PREFIX: trust.scopePrefix.replace('id', '<AZURE_CLIENT_ID>'),
  }
  for (const [name, value] of Object.entries(defaults)) {
    const row = rows(configuration).find(([first]) => first === `\`${name}\``)
    t.equal(row?.at(-1), `\`${value}\``, name)
  }
})

t.test('plugin options without a variable: the ones that say so themselves', async t => {
  const files = ['http/protect', 'http/protect-terms', 'token/trust', 'downstream/downstream', 'index']
  const sources = files.map(file => read(`src/${file}.ts`)).join('\n')
  const comment = /\/\*\*((?:(?!\*\/).)*)\*\/\s+readonly (\w+)\?:/gs
  const own = [...sources.matchAll(comment)].filter(([, text]) => text!.includes('Plugin option only'))
  const [, listed = ''] = /^Plugin option only: (.*)\.$/m.exec(README) ?? []
  t.same(quoted(listed).sort(), own.map(([, , name]) => name!).sort())
})

t.test('refusals: every code once, its status and meaning those of the code', async t => {
  const refusals = section('Refusals')
  const table = rows(refusals)
  for (const [code, status, meaning, remedy] of table) {
    const known = MEANINGS[code!.slice(1, -1) as (typeof CODES)[number]]
    t.same([Number(status), meaning], [known?.status, known?.detail], code!)
    t.ok(remedy, 'and what to do')
  }
  const [, reserved = ''] = /set aside and given by no route of this release: (.*)\.$/m.exec(refusals) ?? []
  const given = table.map(([code]) => code!.slice(1, -1))
  t.same([...given, ...quoted(reserved)].sort(), [...CODES].sort())

  const files = await readdir(join(ROOT, 'src'), { recursive: true })
  const says = files.filter(
    file => file.endsWith('.ts') && !/^(errors|http.problem|local-tenant.*|cli.*)\.ts$/.test(file),
  )
  const text = says.map(file => read(join('src', file))).join('\n')
  t.same(
    quoted(reserved).filter(code => text.includes(`'${code}'`)),
    [],
    'what is set aside is used nowhere',
  )
  t.same(
    given.filter(code => !text.includes(`'${code}'`)),
    [],
    'and the rest somewhere',
  )
})

t.test('endpoints: those of the description, and the pages that describe it', async t => {
  const routes = rows(section('Endpoints')).flatMap(([first]) => quoted(first!))
  const { paths } = parse(read('openapi.yaml')) as { paths: Record<string, Record<string, unknown>> }
  const described = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).map(method => `${method.toUpperCase()} ${path}`),
  )
  const pages = ['GET /docs', 'GET /openapi.json', 'GET /openapi.yaml']
  t.same(routes.sort(), [...described, ...pages].sort())
})

t.test('the local tenant: people, switches, modes and kinds are the ones it has', async t => {
  const development = section('Development')
  const people = rows(development).filter(([, about]) => PEOPLE.some(person => person.about === about))
  t.same(
    people,
    PEOPLE.map(({ handle, about }) => [`\`${handle}\``, about]),
  )
  const list = (after: string) => quoted(new RegExp(`${after}: ([^.]*)\\.`).exec(development)?.[1] ?? '')
  t.same(list('Modes of `answer`'), [...FAULT_MODES])
  t.same(list('Kinds of `mint`'), [...MINT_KINDS])
  const named = quoted(rows(development).flat().join(' '))
  for (const name of tabulateSwitches({} as Switches).keys()) t.ok(named.includes(name), name)
})

t.test('the manifest lines: JSON, with the permissions that the route asks for', async t => {
  const { body } = FENCES.find(({ mark }) => mark === 'manifest')!
  t.match(JSON.parse(body), {
    api: { requestedAccessTokenVersion: 2, oauth2PermissionScopes: [{ value: 'Data.Read' }] },
    appRoles: [{ value: 'Data.Read.All', allowedMemberTypes: ['Application'] }],
    optionalClaims: { accessToken: [{ name: 'idtyp' }] },
  })
  t.match(read('src/http/routes/secure-data.ts'), /scope: 'Data\.Read', role: 'Data\.Read\.All'/)
  const commands = section('The same with `az`')
  const { api, appRoles } = JSON.parse(body)
  t.ok(commands.includes(`${appRoles[0].id}=Role ${api.oauth2PermissionScopes[0].id}=Scope`), 'the same ids')
})

t.test('links and paths: each leads to something', async t => {
  for (const page of ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']) {
    for (const [, target] of (await readFile(join(ROOT, page), 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https:/.test(target!)) continue
      t.ok(existsSync(join(ROOT, target!.split('#')[0]!)), `${page}: ${target}`)
    }
  }
  for (const [, path] of section('Layout').matchAll(/^((?:src|test|bench)\/\S*) /gm)) {
    t.ok(existsSync(join(ROOT, path!)), path!)
  }
  t.match(README, /<!-- keys:begin -->\n[\s\S]+\n<!-- keys:end -->/, 'a place for figures')
})

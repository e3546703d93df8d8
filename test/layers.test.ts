/** Decides whether every file of src stands in its row of the house, and sees only what its row may see. */
import { readdir, readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import t from 'tap'
import ts from 'typescript'

/** One place in the house. */
interface Place {
  readonly row: number
  /** A path below src without its ending, or the beginning of one with `*` at its end. */
  readonly file: string
  /** The places of the same row that it sees, itself included only when it is written here. */
  readonly beside?: readonly string[]
  /** The ending of its files; default `.ts`. */
  readonly language?: string
  /** The places of the same row that it may start with `import()`, and only so. */
  readonly starts?: readonly string[]
}

/** The table of design and CONTRIBUTING.md: a file sees every row above its own, and what stands in `beside`. */
const HOUSE: readonly Place[] = [
  { row: 0, file: 'errors' },
  { row: 0, file: 'private-file' },
  { row: 0, file: 'first-use' },
  { row: 0, file: 'connections', beside: ['first-use'] },
  { row: 0, file: 'certificate', beside: ['errors'] },
  // What a browser runs: JavaScript that is served as it is, and sees itself only.
  { row: 0, file: 'http/page/browser/*', beside: ['http/page/browser/*'], language: '.js' },

  { row: 1, file: 'token/credential' },
  { row: 1, file: 'token/jws', beside: ['token/credential'] },
  { row: 1, file: 'token/count' },
  { row: 1, file: 'token/clouds' },
  { row: 1, file: 'token/trusted-issuer', beside: ['token/jws', 'token/clouds'] },
  { row: 1, file: 'token/entra', beside: ['token/clouds', 'token/trusted-issuer'] },
  { row: 1, file: 'token/b2c', beside: ['token/jws', 'token/clouds', 'token/trusted-issuer'] },
  {
    row: 1,
    file: 'token/issuers',
    beside: [
      'token/credential',
      'token/jws',
      'token/clouds',
      'token/trusted-issuer',
      'token/entra',
      'token/b2c',
    ],
  },
  { row: 1, file: 'token/trust-microsoft', beside: ['token/issuers'] },
  { row: 1, file: 'token/trust', beside: ['token/issuers', 'token/trust-microsoft'] },
  { row: 1, file: 'token/own-credential', beside: ['token/issuers', 'token/trust'] },
  {
    row: 1,
    file: 'token/keys/*',
    beside: ['token/credential', 'token/jws', 'token/issuers', 'token/keys/*'],
  },
  { row: 1, file: 'token/access', beside: ['token/credential', 'token/jws', 'token/issuers'] },
  { row: 1, file: 'token/names' },
  { row: 1, file: 'token/implied', beside: ['token/names'] },
  {
    row: 1,
    file: 'token/step-up',
    beside: ['token/jws', 'token/issuers', 'token/access', 'token/names'],
  },
  {
    row: 1,
    file: 'token/policy',
    beside: ['token/access', 'token/names', 'token/implied', 'token/step-up'],
  },
  { row: 1, file: 'token/declared', beside: ['token/names', 'token/step-up', 'token/policy'] },

  { row: 2, file: 'token/claims' },
  { row: 2, file: 'token/batch' },
  { row: 2, file: 'token/remembered', beside: ['token/claims'] },
  { row: 2, file: 'token/authenticate', beside: ['token/claims', 'token/remembered'] },

  { row: 3, file: 'http/problem' },
  { row: 3, file: 'http/verify', beside: ['http/problem'] },
  { row: 3, file: 'http/log-output' },
  { row: 3, file: 'http/logger', beside: ['http/log-output'] },
  { row: 3, file: 'http/log', beside: ['http/problem', 'http/verify'] },
  { row: 3, file: 'config-*' },
  { row: 3, file: 'config', beside: ['config-*'] },

  { row: 4, file: 'http/protect*', beside: ['http/protect*'] },
  { row: 4, file: 'http/answers', beside: ['http/protect*'] },
  { row: 4, file: 'http/limit*', beside: ['http/protect*', 'http/limit*'] },
  { row: 4, file: 'http/cors' },

  { row: 5, file: 'downstream/*', beside: ['downstream/*'] },

  { row: 6, file: 'http/routes/*', beside: ['http/routes/*', 'http/description*', 'http/page/*'] },
  { row: 6, file: 'http/page/*', beside: ['http/page/*'] },
  { row: 6, file: 'http/description*', beside: ['http/routes/*', 'http/description*'] },

  { row: 7, file: 'app' },
  { row: 7, file: 'local-tenant/*', beside: ['local-tenant/*'] },
  { row: 7, file: 'cli/*', beside: ['cli/*'] },

  { row: 8, file: 'tick-shape' },
  { row: 8, file: 'server', beside: ['tick-shape'] },
  { row: 8, file: 'dev' },
  { row: 8, file: 'openapi' },
  { row: 8, file: 'index' },
  { row: 8, file: 'cli/explain-server' },
  { row: 8, file: 'cli/main', starts: ['server', 'dev', 'cli/explain-server'] },
]

const LAST_ROW = 8

/** The packages that a folder never imports; the folder's name says why in CONTRIBUTING.md. */
const BARRED: readonly { folder: string; packages: RegExp }[] = [
  { folder: 'token/', packages: /^(fastify$|fastify[-/]|@fastify\/|(node:)?https?$|(node:)?http2$)/ },
  { folder: 'http/', packages: /^(jose$|jose\/|@azure\/msal-)/ },
]

/** One name that a file imports, re-exports, loads or augments. */
interface Import {
  readonly name: string
  /** True for `import()` of a value. */
  readonly dynamic: boolean
}

/** What a file says of its neighbours. */
interface Reading {
  readonly imports: readonly Import[]
  /** Text of the `import()` and `require()` calls whose argument is computed. */
  readonly computed: readonly string[]
  readonly usesProcess: boolean
}

/** Reads one file with the compiler's own parser, so that comments and strings are never mistaken for code. */
function read(path: string, source: string): Reading {
  const imports: Import[] = []
  const computed: string[] = []
  let usesProcess = false
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.ES2023)
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      if (ts.isStringLiteral(node.moduleSpecifier))
        imports.push({ name: node.moduleSpecifier.text, dynamic: false })
    } else if (ts.isModuleDeclaration(node) && ts.isStringLiteral(node.name)) {
      imports.push({ name: node.name.text, dynamic: false })
    } else if (ts.isExternalModuleReference(node) && ts.isStringLiteral(node.expression)) {
      imports.push({ name: node.expression.text, dynamic: false })
    } else if (ts.isImportTypeNode(node)) {
      const { argument } = node
      if (ts.isLiteralTypeNode(argument) && ts.isStringLiteral(argument.literal)) {
        imports.push({ name: argument.literal.text, dynamic: false })
      }
    } else if (ts.isCallExpression(node)) {
      const dynamic = node.expression.kind === ts.SyntaxKind.ImportKeyword
      if (dynamic || (ts.isIdentifier(node.expression) && node.expression.text === 'require')) {
        const [argument] = node.arguments
        if (argument && ts.isStringLiteralLike(argument)) imports.push({ name: argument.text, dynamic })
        else computed.push(node.getText(file))
      }
    } else if (ts.isIdentifier(node)) {
      usesProcess ||= node.text === 'process'
    } else if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
      usesProcess ||= node.argumentExpression.text === 'process'
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  usesProcess ||= imports.some(one => /^(node:)?process$/.test(one.name))
  return { imports, computed, usesProcess }
}

/** Tells whether `file` (a path below src, without its ending) belongs to the place named `pattern`. */
function matches(pattern: string, file: string): boolean {
  return pattern.endsWith('*') ? file.startsWith(pattern.slice(0, -1)) : file === pattern
}

/** Finds the place of a file: the one that names most of it. */
function placeOf(path: string): Place | undefined {
  const file = path.replace(/\.[jt]s$/, '')
  const named = HOUSE.filter(place => matches(place.file, file)).sort((a, b) => b.file.length - a.file.length)
  return named[0]
}

/** Finds which file of src a specifier means; undefined for a package. */
function target(from: string, name: string): string | undefined {
  if (name === 'protected-resource') return 'index.ts'
  if (!name.startsWith('.')) return undefined
  const to = posix.join(posix.dirname(from), name)
  return from.endsWith('.js') ? to : to.replace(/\.js$/, '.ts')
}

/** Says what is wrong with one import of one file, or nothing. */
function faultOf(
  path: string,
  place: Place,
  { name, dynamic }: Import,
  files: ReadonlySet<string>,
): string | undefined {
  const to = target(path, name)
  if (to === undefined) {
    const barred = BARRED.find(rule => path.startsWith(rule.folder) && rule.packages.test(name))
    return barred && `${path} imports ${name}: ${barred.folder} never does`
  }
  if (!files.has(to)) return `${path} imports ${name}: there is no such file in src`
  const there = placeOf(to)
  if (!there) return undefined // reported once, by the file itself
  if (there.file === 'config' && place.file !== 'app' && place.row !== LAST_ROW) {
    return `${path} imports ${to}: only app and row ${LAST_ROW} see config`
  }
  if (there.row < place.row) return undefined
  if (there.row > place.row) return `${path} imports ${to}: row ${there.row} is below its row ${place.row}`
  if (place.beside?.includes(there.file)) return undefined
  if (place.starts?.includes(there.file)) {
    return dynamic ? undefined : `${path} imports ${to}: it may start it with import() only`
  }
  return `${path} imports ${to}: it stands beside it in row ${place.row}`
}

/** Names circles of imports, each once and beginning at its first file by name; none is named only when there is none. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found = new Set<string>()
  const done = new Set<string>()
  const walk = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at >= 0) {
      const circle = trail.slice(at)
      const first = circle.indexOf([...circle].sort()[0]!)
      const turned = [...circle.slice(first), ...circle.slice(0, first)]
      found.add(`circle: ${[...turned, turned[0]].join(' → ')}`)
      return
    }
    if (done.has(path)) return
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path])
    done.add(path)
  }
  for (const path of [...graph.keys()].sort()) walk(path, [])
  return [...found]
}

/**
 * Checks a house.
 *
 * @param house path below src (with `/` and ending) → source text
 * @returns one sentence per fault, each opening with the name of the file; empty when the house stands
 */
function check(house: ReadonlyMap<string, string>): string[] {
  const faults: string[] = []
  const files = new Set(house.keys())
  const graph = new Map<string, string[]>()
  for (const [path, source] of house) {
    const place = placeOf(path)
    if (!place || !path.endsWith(place.language ?? '.ts')) {
      faults.push(
        `${path} belongs to no row: add it to the table in test/layers.test.ts and in CONTRIBUTING.md`,
      )
      continue
    }
    if (!/^(#![^\n]*\n)?\s*\/\*\*(?!\/)[^a-z]*[a-z][\s\S]*?\*\//i.test(source)) {
      faults.push(`${path} does not open with a doc comment that says what it decides`)
    }
    const { imports, computed, usesProcess } = read(path, source)
    for (const one of imports) {
      const fault = faultOf(path, place, one, files)
      if (fault) faults.push(fault)
    }
    for (const text of computed)
      faults.push(`${path} loads a computed name, which nothing can check: ${text}`)
    if (usesProcess && place.row !== LAST_ROW) {
      faults.push(`${path} names process: only row ${LAST_ROW} does; take the value as an argument`)
    }
    const neighbours = imports.map(one => target(path, one.name)).filter(to => to !== undefined)
    graph.set(
      path,
      neighbours.filter(to => files.has(to)),
    )
  }
  return [...new Set([...faults, ...circles(graph)])]
}

/** Builds a made-up house; every file gets its doc comment. */
function build(files: Record<string, string>): Map<string, string> {
  return new Map(Object.entries(files).map(([path, code]) => [path, `/** Decides one thing. */\n${code}`]))
}

t.test('the house of this project stands', async t => {
  const root = new URL('../src/', import.meta.url)
  const house = new Map<string, string>()
  for (const found of await readdir(root, { recursive: true })) {
    const path = found.replaceAll('\\', '/')
    if (/\.[cm]?[jt]sx?$/.test(path)) house.set(path, await readFile(new URL(path, root), 'utf8'))
  }
  t.ok(house.has('errors.ts'), 'the files of src were found')
  t.ok(
    [...house].some(([path, source]) =>
      read(path, source).imports.some(one => target(path, one.name) === 'errors.ts'),
    ),
    'and their imports were read',
  )
  t.same(check(house), [])
})

t.test('CONTRIBUTING.md: its table has every place in its row', async t => {
  const lines = (await readFile(new URL('../CONTRIBUTING.md', import.meta.url), 'utf8')).split('\n')
  for (const { row, file } of HOUSE) {
    const line = lines.find(text => text.startsWith(`| ${row} |`)) ?? ''
    t.ok(line.includes(`\`${file}\``), `row ${row} has ${file}`)
  }
})

t.test('a house in order: no fault', async t => {
  const house = build({
    'errors.ts': 'export const one = 1',
    'token/credential.ts': "import { one } from '../errors.ts'",
    'token/jws.ts': "export * from './credential.ts'",
    'token/issuers.ts': "import './jws.ts'",
    'token/trust.ts': "import './issuers.ts'",
    'token/keys/store.ts': "import { createHash } from 'node:crypto'\nimport '../issuers.ts'",
    'token/keys/budget.ts': "import type { Store } from './store.ts'",
    'token/access.ts': "import './issuers.ts'",
    'token/policy.ts': "import './access.ts'",
    'token/claims.ts':
      "import './policy.ts'\n// process.env and import 'fastify' in a comment are no use of them",
    'token/authenticate.ts': "import './claims.ts'\nexport const text = 'process.env'",
    'http/problem.ts': "import '../token/policy.ts'",
    'http/verify.ts': "import './problem.ts'\nimport fastify from 'fastify'",
    'http/log.ts': "import './verify.ts'",
    'config.ts': "import './errors.ts'",
    'http/protect.ts': "import './verify.ts'\nimport './protect-boot.ts'",
    'http/answers.ts': "import './protect.ts'\nimport './problem.ts'",
    'http/protect-boot.ts': "import { IncomingMessage } from 'node:http'",
    'downstream/graph.ts': "import '@azure/msal-node'\nimport '../http/protect.ts'",
    'http/description.ts': "import './protect.ts'",
    'http/page/style.ts': '',
    'http/page/browser/main.js': "import { add } from './panel.js'",
    'http/page/browser/panel.js': 'export const add = () => {}',
    'http/routes/whoami.ts': "import '../page/style.ts'\nimport '../protect.ts'\nimport '../description.ts'",
    'app.ts': "import './config.ts'\nimport './http/routes/whoami.ts'",
    'local-tenant/keys.ts': "import { generateKeyPair } from 'jose'",
    'local-tenant/pages/sign-in.ts': "import '../keys.ts'",
    'cli/explain.ts': "import '../token/authenticate.ts'",
    'server.ts': "import './app.ts'\nimport './config.ts'\nprocess.exit(1)",
    'dev.ts': "import './local-tenant/keys.ts'",
    'openapi.ts': "import './app.ts'",
    'index.ts': "export { protect } from './http/protect.ts'",
  })
  house.set(
    'cli/main.ts',
    "#!/usr/bin/env node\n/** Decides which command runs. */\nimport './explain.ts'\nawait import('../server.ts')\nprocess.exit()",
  )
  t.same(check(house), [])
})

/** Every rule, broken once: the house, and the one fault that it must be told. */
const broken: Record<string, { house: Record<string, string>; fault: RegExp }> = {
  'a row below': {
    house: { 'token/policy.ts': "import { a } from '../http/problem.ts'", 'http/problem.ts': '' },
    fault: /^token\/policy\.ts imports http\/problem\.ts: row 3 is below/,
  },
  'a row below, by a type': {
    house: { 'token/claims.ts': "import type { A } from '../http/protect.ts'", 'http/protect.ts': '' },
    fault: /^token\/claims\.ts imports http\/protect\.ts: row 4 is below/,
  },
  'a row below, by export from': {
    house: { 'http/verify.ts': "export { a } from './routes/me.ts'", 'http/routes/me.ts': '' },
    fault: /^http\/verify\.ts imports http\/routes\/me\.ts: row 6 is below/,
  },
  'a row below, by import()': {
    house: { 'http/protect.ts': "const a = await import('../app.ts')", 'app.ts': '' },
    fault: /^http\/protect\.ts imports app\.ts: row 7 is below/,
  },
  'a row below, by import() in a type': {
    house: { 'errors.ts': "export type A = import('./token/access.ts').Access", 'token/access.ts': '' },
    fault: /^errors\.ts imports token\/access\.ts: row 1 is below/,
  },
  'a row below, by require': {
    house: { 'errors.ts': "const a = require('./config.js')", 'config.ts': '' },
    fault: /^errors\.ts imports config\.ts: only app and row 8 see config/,
  },
  'a row below, by import = require': {
    house: { 'errors.ts': "import a = require('./token/jws.ts')", 'token/jws.ts': '' },
    fault: /^errors\.ts imports token\/jws\.ts: row 1 is below/,
  },
  'a row below, by augmenting it': {
    house: { 'errors.ts': "export {}\ndeclare module './token/jws.ts' {}", 'token/jws.ts': '' },
    fault: /^errors\.ts imports token\/jws\.ts: row 1 is below/,
  },
  'a row below, by the name of the package': {
    house: { 'app.ts': "import plugin from 'protected-resource'", 'index.ts': '' },
    fault: /^app\.ts imports index\.ts: row 8 is below/,
  },
  'the order within row 1: credential before jws': {
    house: { 'token/credential.ts': "import './jws.ts'", 'token/jws.ts': '' },
    fault: /^token\/credential\.ts imports token\/jws\.ts: it stands beside/,
  },
  'the order within row 1: issuers before keys': {
    house: { 'token/issuers.ts': "import './keys/store.ts'", 'token/keys/store.ts': '' },
    fault: /^token\/issuers\.ts imports token\/keys\/store\.ts: it stands beside/,
  },
  'the order within row 1: issuers before trust': {
    house: { 'token/issuers.ts': "import './trust.ts'", 'token/trust.ts': '' },
    fault: /^token\/issuers\.ts imports token\/trust\.ts: it stands beside/,
  },
  'the order within row 1: keys know no access': {
    house: { 'token/keys/store.ts': "import '../access.ts'", 'token/access.ts': '' },
    fault: /^token\/keys\/store\.ts imports token\/access\.ts: it stands beside/,
  },
  'the order within row 1: access before policy': {
    house: { 'token/access.ts': "import './policy.ts'", 'token/policy.ts': '' },
    fault: /^token\/access\.ts imports token\/policy\.ts: it stands beside/,
  },
  'the order within row 2': {
    house: { 'token/claims.ts': "import './authenticate.ts'", 'token/authenticate.ts': '' },
    fault: /^token\/claims\.ts imports token\/authenticate\.ts: it stands beside/,
  },
  'the order within row 3: problem before verify': {
    house: { 'http/problem.ts': "import './verify.ts'", 'http/verify.ts': '' },
    fault: /^http\/problem\.ts imports http\/verify\.ts: it stands beside/,
  },
  'the order within row 3: verify before log': {
    house: { 'http/verify.ts': "import './log.ts'", 'http/log.ts': '' },
    fault: /^http\/verify\.ts imports http\/log\.ts: it stands beside/,
  },
  'the order within row 4: protect before answers': {
    house: { 'http/protect.ts': "import './answers.ts'", 'http/answers.ts': '' },
    fault: /^http\/protect\.ts imports http\/answers\.ts: it stands beside/,
  },
  'another folder of the same row': {
    house: { 'config.ts': "import './http/problem.ts'", 'http/problem.ts': '' },
    fault: /^config\.ts imports http\/problem\.ts: it stands beside/,
  },
  'app and the local tenant': {
    house: { 'app.ts': "import './local-tenant/keys.ts'", 'local-tenant/keys.ts': '' },
    fault: /^app\.ts imports local-tenant\/keys\.ts: it stands beside/,
  },
  'the command line and app': {
    house: { 'cli/explain.ts': "import '../app.ts'", 'app.ts': '' },
    fault: /^cli\/explain\.ts imports app\.ts: it stands beside/,
  },
  'the local tenant and the command line': {
    house: { 'local-tenant/keys.ts': "import '../cli/explain.ts'", 'cli/explain.ts': '' },
    fault: /^local-tenant\/keys\.ts imports cli\/explain\.ts: it stands beside/,
  },
  'the command line and its own entry': {
    house: { 'cli/explain.ts': "import './main.ts'", 'cli/main.ts': '' },
    fault: /^cli\/explain\.ts imports cli\/main\.ts: row 8 is below/,
  },
  'two process entries': {
    house: { 'dev.ts': "await import('./server.ts')", 'server.ts': '' },
    fault: /^dev\.ts imports server\.ts: it stands beside/,
  },
  'cli/main loading the server at once': {
    house: { 'cli/main.ts': "import '../server.ts'", 'server.ts': '' },
    fault: /^cli\/main\.ts imports server\.ts: it may start it with import\(\) only/,
  },
  'cli/main starting what is not its to start': {
    house: { 'cli/main.ts': "await import('../openapi.ts')", 'openapi.ts': '' },
    fault: /^cli\/main\.ts imports openapi\.ts: it stands beside/,
  },
  'config seen by a route': {
    house: { 'http/routes/me.ts': "import type { Config } from '../../config.ts'", 'config.ts': '' },
    fault: /^http\/routes\/me\.ts imports config\.ts: only app and row 8 see config/,
  },
  'config seen by the command line': {
    house: { 'cli/explain.ts': "import { load } from '../config.ts'", 'config.ts': '' },
    fault: /^cli\/explain\.ts imports config\.ts: only app and row 8 see config/,
  },
  'token/ and fastify': {
    house: { 'token/access.ts': "import type { FastifyRequest } from 'fastify'" },
    fault: /^token\/access\.ts imports fastify: token\/ never does/,
  },
  'token/ and a plugin of fastify': {
    house: { 'token/keys/fetch.ts': "import jwt from '@fastify/jwt'" },
    fault: /^token\/keys\/fetch\.ts imports @fastify\/jwt: token\/ never does/,
  },
  'token/ augmenting fastify': {
    house: { 'token/access.ts': "export {}\ndeclare module 'fastify' {}" },
    fault: /^token\/access\.ts imports fastify: token\/ never does/,
  },
  'token/ and node:http': {
    house: { 'token/credential.ts': "import type { IncomingHttpHeaders } from 'node:http'" },
    fault: /^token\/credential\.ts imports node:http: token\/ never does/,
  },
  'token/ and https': {
    house: { 'token/keys/fetch.ts': "const { get } = await import('https')" },
    fault: /^token\/keys\/fetch\.ts imports https: token\/ never does/,
  },
  'token/ and process': {
    house: { 'token/issuers.ts': 'export const host = process.env.AZURE_AUTHORITY_HOST' },
    fault: /^token\/issuers\.ts names process: only row 8 does/,
  },
  'http/ and jose': {
    house: { 'http/verify.ts': "import { jwtVerify } from 'jose'" },
    fault: /^http\/verify\.ts imports jose: http\/ never does/,
  },
  'http/ and msal': {
    house: { 'http/routes/me.ts': "import type { Configuration } from '@azure/msal-node'" },
    fault: /^http\/routes\/me\.ts imports @azure\/msal-node: http\/ never does/,
  },
  'process in a template, above row 8': {
    house: { 'app.ts': 'export const text = `$' + '{process.version}`' },
    fault: /^app\.ts names process/,
  },
  'process by import, above row 8': {
    house: { 'config.ts': "import { env } from 'node:process'" },
    fault: /^config\.ts names process/,
  },
  'process by globalThis, above row 8': {
    house: { 'local-tenant/tls.ts': "export const env = globalThis['process'].env" },
    fault: /^local-tenant\/tls\.ts names process/,
  },
  'a file that has no row': {
    house: { 'http/utils.ts': '' },
    fault: /^http\/utils\.ts belongs to no row: add it to the table/,
  },
  'a file in another language': {
    house: { 'cli/tool.mjs': '' },
    fault: /^cli\/tool\.mjs belongs to no row: add it to the table/,
  },
  'TypeScript where a browser reads': {
    house: { 'http/page/browser/main.ts': '' },
    fault: /^http\/page\/browser\/main\.ts belongs to no row: add it to the table/,
  },
  "a browser's script and the server": {
    house: { 'http/page/browser/main.js': "import '../style.ts'", 'http/page/style.ts': '' },
    fault: /^http\/page\/browser\/main\.js imports http\/page\/style\.ts: row 6 is below/,
  },
  'a file that is not there': {
    house: { 'app.ts': "import pack from '../package.json'" },
    fault: /^app\.ts imports \.\.\/package\.json: there is no such file/,
  },
  'a computed name': {
    house: { 'cli/main.ts': 'await import(`../$' + '{name}.ts`)' },
    fault: /^cli\/main\.ts loads a computed name, which nothing can check: import\(/,
  },
  'a circle of two': {
    house: {
      'token/keys/a.ts': "import type { B } from './b.ts'",
      'token/keys/b.ts': "import { a } from './a.ts'",
    },
    fault: /^circle: token\/keys\/a\.ts → token\/keys\/b\.ts → token\/keys\/a\.ts$/,
  },
  'a circle of three, entered from outside': {
    house: {
      'downstream/a.ts': "import './d.ts'",
      'downstream/b.ts': "import './c.ts'",
      'downstream/c.ts': "import './d.ts'",
      'downstream/d.ts': "import './b.ts'",
    },
    fault: /^circle: downstream\/b\.ts → downstream\/c\.ts → downstream\/d\.ts → downstream\/b\.ts$/,
  },
  'a file that imports itself': {
    house: { 'local-tenant/a.ts': "export * from './a.ts'" },
    fault: /^circle: local-tenant\/a\.ts → local-tenant\/a\.ts$/,
  },
}

for (const [rule, { house, fault }] of Object.entries(broken)) {
  t.test(`${rule}: refused by name`, async t => {
    const faults = check(build(house))
    t.equal(faults.length, 1, `one fault: ${faults.join(' | ')}`)
    t.match(faults[0], fault)
  })
}

for (const [what, source] of Object.entries({
  'no comment': 'export const a = 1',
  'a plain comment': '/* Decides. */\nexport const a = 1',
  'a line comment': '// Decides.\nexport const a = 1',
  'an empty doc comment': '/** */\nexport const a = 1',
  'a comment after the imports': "import 'node:fs'\n/** Decides. */",
  'a shebang alone': '#!/usr/bin/env node\nexport const a = 1',
})) {
  t.test(`a file that opens with ${what}: refused by name`, async t => {
    t.same(check(new Map([['errors.ts', source]])), [
      'errors.ts does not open with a doc comment that says what it decides',
    ])
  })
}

/** The API description: it is what the routes say, it is what the server does, and people and programs can use it. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import Ajv2020 from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import openapiTS, { astToString } from 'openapi-typescript'
import t from 'tap'
import ts from 'typescript'
import { parse } from 'yaml'
import { MEANINGS } from '../src/http/problem.ts'
import type { RouteAccess } from '../src/token/policy.ts'
import { startApi } from './helpers/api.ts'
import { createCheckAnswer } from './helpers/contract.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

interface Media {
  readonly schema: Record<string, unknown>
  readonly example?: unknown
  readonly examples?: Record<string, { value: unknown }>
}
interface Response {
  readonly $ref?: string
  readonly description: string
  readonly headers?: Record<string, { $ref?: string; required?: boolean; schema: object; example?: unknown }>
  readonly content?: Record<string, Media>
}
interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly description: string
  readonly tags?: string[]
  readonly security: Record<string, string[]>[]
  readonly responses: Record<string, Response>
}
interface Document {
  readonly openapi: string
  readonly servers: { url: string }[]
  readonly tags: { name: string }[]
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: {
    readonly schemas: Record<string, object>
    readonly headers: NonNullable<Response['headers']>
    readonly responses: Record<string, Response>
    readonly securitySchemes: Record<
      string,
      {
        flows?: {
          authorizationCode?: { authorizationUrl: string; tokenUrl: string; scopes: object }
          clientCredentials?: { tokenUrl: string; scopes: object }
        }
      }
    >
  }
}

/** Runs a program to its end. */
function run(file: string, args: string[], cwd = ROOT): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve => {
    const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
    execFile(file, args, { cwd, env, maxBuffer: 1e7 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    )
  })
}

const operationsOf = (document: Document): [string, string, Operation][] =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, string, Operation] => [path, method, operation]),
  )

function resolved(document: Document, response: Response): Response {
  const name = response.$ref?.replace('#/components/responses/', '')
  return name === undefined ? response : document.components.responses[name]!
}

t.test('the committed openapi.yaml', async t => {
  const committed = await readFile(join(ROOT, 'openapi.yaml'), 'utf8')
  const document = parse(committed) as Document

  t.test('is exactly what the routes generate', async t => {
    const cwd = t.testdir()
    const script = join(ROOT, 'src/openapi.ts')
    const { code, err } = await run(process.execPath, [...process.execArgv, script], cwd)
    t.equal(code, 0, err)
    const generated = await readFile(join(cwd, 'openapi.yaml'), 'utf8')
    const same = committed === generated
    t.ok(
      same,
      same ? 'no drift' : 'openapi.yaml has drifted from the routes: `npm run openapi` and commit it',
    )
    if (!same) t.equal(committed, generated)
  })

  t.test('passes the recommended rules of redocly without an error or a warning', async t => {
    const redocly = join(ROOT, 'node_modules/.bin/redocly')
    const { out } = await run(redocly, ['lint', 'openapi.yaml', '--extends=recommended', '--format=json'])
    const { totals, problems } = JSON.parse(out.slice(out.indexOf('{'))) as Record<string, unknown>
    t.same(problems, [])
    t.match(totals, { errors: 0, warnings: 0, ignored: 0 })
  })

  t.test('has the operations that the API promises, each with a name, a tag and a summary', async t => {
    const operations = operationsOf(document)
    t.same(
      operations.map(([path, method]) => `${method} ${path}`).sort(),
      [
        'get /.well-known/oauth-protected-resource',
        'get /livez',
        'get /me',
        'get /readyz',
        'get /secure-data',
        'get /whoami',
      ],
      'no page, no HEAD, no helper',
    )
    const tags = document.tags.map(({ name }) => name)
    for (const [path, , { operationId, summary, tags: own = [] }] of operations) {
      t.ok(operationId && summary, path)
      t.ok(own.length === 1 && tags.includes(own[0]!), `${path} has one of the described tags`)
    }
    const names = operations.map(([, , { operationId }]) => operationId)
    t.equal(new Set(names).size, names.length)
  })

  t.test('says nothing twice: no description or example of a response stands in its schema', async t => {
    t.notMatch(committed, /[&*]a\d/, 'no anchors')
    for (const [path, , { responses }] of operationsOf(document)) {
      for (const response of Object.values(responses)) {
        const { content = {}, description } = resolved(document, response)
        t.ok(description.length > 5 && description !== 'Default Response', `${path}: ${description}`)
        for (const { schema } of Object.values(content)) {
          t.strictSame([schema.example, schema.description], [undefined, undefined], path)
        }
      }
    }
  })

  t.test('shows an example of every answer, and each one is valid', async t => {
    const ajv = new Ajv2020.default({ strict: false, allErrors: true })
    addFormats.default(ajv)
    ajv.addSchema({ ...document, $id: 'openapi.json' })
    const validate = (schema: Record<string, unknown>, value: unknown): string | null => {
      const absolute = schema.$ref === undefined ? schema : { $ref: `openapi.json${schema.$ref}` }
      return ajv.validate(absolute, value) ? null : ajv.errorsText()
    }
    let seen = 0
    for (const [path, , { responses }] of operationsOf(document)) {
      for (const [status, response] of Object.entries(responses)) {
        const { content = {}, headers = {} } = resolved(document, response)
        for (const [type, { schema, example, examples = {} }] of Object.entries(content)) {
          const values = [
            ...(example === undefined ? [] : [example]),
            ...Object.values(examples).map(({ value }) => value),
          ]
          t.ok(values.length > 0, `${path} ${status} has an example`)
          for (const value of values) {
            seen++
            t.equal(validate(schema, value), null, `${path} ${status}`)
            if (type === 'application/problem+json' && status !== 'default') {
              t.equal(String((value as { status: number }).status), status)
            }
          }
        }
        for (const header of Object.values(headers)) {
          const name = header.$ref?.replace('#/components/headers/', '')
          const { schema, example } = name === undefined ? header : document.components.headers[name]!
          t.equal(validate(schema as Record<string, unknown>, example), null, `${path} ${status} header`)
        }
      }
    }
    t.ok(seen > 20, `${seen} examples`)
  })
})

t.test('the served description', async t => {
  const api = await startApi(t)
  const { profile } = api.tenant

  t.test('JSON and YAML: the same document, open to everybody, with the real values', async t => {
    const json = await api.get('/openapi.json')
    const yaml = await api.get('/openapi.yaml')
    t.match(json, { status: 200 })
    t.match(json.headers.get('content-type'), /^application\/json\b/)
    t.match(yaml, { status: 200 })
    t.match(yaml.headers.get('content-type'), /^application\/yaml\b/)
    t.same(parse(yaml.text), json.json)

    const document = json.json as Document
    t.equal(document.openapi, '3.1.0')
    t.same(document.servers, [{ url: 'https://api.example.com' }])
    const { entra, entraApplication } = document.components.securitySchemes
    const endpoint = `${profile.authority}/${profile.tenantId}/oauth2/v2.0`
    t.same(entra!.flows!.authorizationCode, {
      authorizationUrl: `${endpoint}/authorize`,
      tokenUrl: `${endpoint}/token`,
      scopes: { [`api://${profile.api.clientId}/Data.Read`]: 'Data.Read, on behalf of the signed-in user' },
    })
    t.same(entraApplication!.flows!.clientCredentials, {
      tokenUrl: `${endpoint}/token`,
      scopes: {
        [`api://${profile.api.clientId}/.default`]:
          'every application permission that an administrator has granted',
      },
    })
    const { no_credentials } =
      document.components.responses.Unauthorized!.content!['application/problem+json']!.examples!
    t.match(no_credentials!.value, { scope: `api://${profile.api.clientId}/Data.Read` })
    t.notMatch(json.text, /x-access/, 'nothing of the generator is left')
  })

  t.test('what an example shows is what the server sends', async t => {
    const document = (await api.get('/openapi.json')).json as Document
    const shown = (name: string, code: string) =>
      document.components.responses[name]!.content!['application/problem+json']!.examples![code]!.value
    t.same((await api.get('/secure-data')).json, shown('Unauthorized', 'no_credentials'))
    const bob = await api.get('/secure-data', api.tenant.issue({ person: 'bob' }))
    t.same(bob.json, shown('Forbidden', 'insufficient_scope'))
    t.equal(bob.challenge, document.components.headers['WWW-Authenticate']!.example)
    const expired = await api.get('/secure-data', await api.tenant.mint('expired'))
    t.same(expired.json, shown('Unauthorized', 'expired'))
    const metadata = await api.get('/.well-known/oauth-protected-resource')
    const { responses } = document.paths['/.well-known/oauth-protected-resource']!.get!
    t.same(metadata.json, responses['200']!.content!['application/json']!.example)
  })

  t.test('every reason has an example, at the status that it is answered with', async t => {
    const document = (await api.get('/openapi.json')).json as Document
    const { responses } = document.paths['/secure-data']!.get!
    const shown = Object.entries(responses).flatMap(([status, response]) =>
      Object.keys(resolved(document, response).content?.['application/problem+json']?.examples ?? {}).map(
        code => [code, status],
      ),
    )
    const statuses = Object.keys(responses)
    t.same(
      Object.fromEntries(shown),
      Object.fromEntries(
        Object.entries(MEANINGS).map(([code, { status }]) => [
          code,
          statuses.includes(String(status)) ? String(status) : 'default',
        ]),
      ),
    )
    t.equal(shown.length, Object.keys(MEANINGS).length, 'and one each')
  })

  t.test('a server without Entra: tokens are the only way in', async t => {
    const other = await startApi(t, {
      tenant: api.tenant,
      waitForKeys: false,
      env: {
        AZURE_TENANT_ID: '',
        ISSUERS: 'http://127.0.0.1:9',
        AUDIENCE: 'orders',
        SCOPE_PREFIX: 'orders/',
      },
    })
    const document = (await other.get('/openapi.json')).json as Document
    t.same(Object.keys(document.components.securitySchemes), ['bearer'])
    t.same(document.paths['/secure-data']!.get!.security, [
      { bearer: ['orders/Data.Read'] },
      { bearer: ['Data.Read.All'] },
    ])
    t.same(document.paths['/whoami']!.get!.security, [{ bearer: [] }])
  })

  t.test('a server with Entra and another issuer: users may bring a token of either', async t => {
    const both = await startApi(t, {
      tenant: api.tenant,
      waitForKeys: false,
      env: { ISSUERS: 'http://127.0.0.1:9', SCOPE_PREFIX: 'orders/' },
    })
    const document = (await both.get('/openapi.json')).json as Document
    t.same(document.paths['/secure-data']!.get!.security, [
      { entra: ['orders/Data.Read'] },
      { bearer: ['orders/Data.Read'] },
      { entraApplication: ['orders/.default'], bearer: ['Data.Read.All'] },
      { bearer: ['Data.Read.All'] },
    ])
    t.same(document.paths['/whoami']!.get!.security, [{ entra: [] }, { bearer: [] }])
  })
})

/** Routes of every kind: what they ask for, and what must be said of it. `P/` stands for the scope prefix. */
const POLICIES: readonly { access: RouteAccess; security: Record<string, string[]>[]; says: string }[] = [
  { access: 'public', security: [], says: 'Open to everybody; no token is asked for.' },
  {
    access: 'any',
    security: [{ entra: [] }, { bearer: [] }],
    says: 'Asks for an accepted token that carries at least one permission.',
  },
  {
    access: { scope: 'A' },
    security: [{ entra: ['P/A'] }],
    says: 'Asks for a user with the scope `A`; an application is turned away.',
  },
  {
    access: { role: 'R' },
    security: [{ entraApplication: ['P/.default'], bearer: ['R'] }],
    says: 'Asks for an application with the application permission `R`; a user is turned away.',
  },
  {
    access: { scope: ['A', 'B'], role: { any: ['R', 'S'] } },
    security: [
      { entra: ['P/A', 'P/B'] },
      { entraApplication: ['P/.default'], bearer: ['R'] },
      { entraApplication: ['P/.default'], bearer: ['S'] },
    ],
    says: 'Asks for a user with all of the scopes `A`, `B`, or an application with one of the application permissions `R`, `S`.',
  },
  {
    access: { scope: { any: ['A', 'B'] }, role: ['R', 'S'] },
    security: [
      { entra: ['P/A'] },
      { entra: ['P/B'] },
      { entraApplication: ['P/.default'], bearer: ['R', 'S'] },
    ],
    says: 'Asks for a user with one of the scopes `A`, `B`, or an application with all of the application permissions `R`, `S`.',
  },
]

t.test('every route is described as it is guarded', async t => {
  const api = await startApi(t, {
    routes: app => {
      for (const [at, { access }] of POLICIES.entries()) {
        app.get(`/policy/${at}`, { config: { access } }, async () => ({ ok: true }))
      }
      app.get('/hidden', { config: { access: 'any' }, schema: { hide: true } }, async () => ({ ok: true }))
    },
  })
  const document = (await api.get('/openapi.json')).json as Document
  const prefix = `api://${api.tenant.profile.api.clientId}/`

  const PUBLIC = ['200', '400', 'default']
  const GUARDED = ['200', '400', '401', '403', '429', '503', 'default']
  for (const [at, { access, security, says }] of POLICIES.entries()) {
    t.test(`${JSON.stringify(access)}: security, refusals and a sentence follow from it`, async t => {
      const operation = document.paths[`/policy/${at}`]!.get!
      const expected = security.map(entry =>
        Object.fromEntries(
          Object.entries(entry).map(([name, list]) => [name, list.map(one => one.replace('P/', prefix))]),
        ),
      )
      t.same(operation.security, expected)
      t.equal(operation.description, says)
      t.same(Object.keys(operation.responses), access === 'public' ? PUBLIC : GUARDED)
      const headers = (status: string) => resolved(document, operation.responses[status]!).headers ?? {}
      if (access === 'public') return
      const challenge = { $ref: '#/components/headers/WWW-Authenticate' }
      t.same([headers('401'), headers('403')], Array(2).fill({ 'WWW-Authenticate': challenge }))
      t.ok(document.components.headers['WWW-Authenticate']!.required)
      t.notOk(headers('400')['WWW-Authenticate']!.required, 'an unreadable body has no challenge')
      t.same(headers('503'), { 'Retry-After': { $ref: '#/components/headers/Retry-After' } })
    })
  }

  t.test('every scope that an operation asks for can be asked for at the sign-in', async t => {
    const { scopes } = document.components.securitySchemes.entra!.flows!.authorizationCode!
    t.same(Object.keys(scopes).sort(), [`${prefix}A`, `${prefix}B`, `${prefix}Data.Read`])
  })

  t.test('a hidden route: not described', async t => {
    t.notHas(document.paths, { '/hidden': {} })
    t.match(await api.get('/hidden'), { status: 401 }, 'and guarded all the same')
  })

  t.test('who is admitted: exactly those whom the security of the description admits', async t => {
    const permissions = (names: string[]) => [[], ...names.map(one => [one]), names]
    const callers = [
      ...permissions(['A', 'B']).map(scopes => ({
        scheme: 'entra',
        holds: scopes.map(scope => prefix + scope),
        token: api.tenant.issue({ person: 'ada', scopes: [...scopes, 'Other'] }),
      })),
      ...permissions(['R', 'S']).map(roles => ({
        scheme: 'bearer',
        holds: roles,
        token: api.tenant.issue({ app: 'daemon', roles: [...roles, 'Other'] }),
      })),
      // Decision 4: a role of a user is no permission of an application.
      {
        scheme: 'entra',
        holds: [],
        token: api.tenant.issue({ person: 'ada', scopes: ['Other'], roles: ['R', 'S'] }),
      },
    ]
    for (const at of POLICIES.keys()) {
      const { security } = document.paths[`/policy/${at}`]!.get!
      for (const { scheme, holds, token } of callers) {
        const admitted =
          security.length === 0 || security.some(entry => entry[scheme]?.every(name => holds.includes(name)))
        const { status } = await api.get(`/policy/${at}`, token)
        t.equal(status, admitted ? 200 : 403, `/policy/${at}: ${scheme} with ${holds.join(' ')}`)
      }
      const { status } = await api.get(`/policy/${at}`)
      t.equal(status, security.length === 0 ? 200 : 401, `/policy/${at} without a token`)
    }
  })

  t.test('the contract check of the test suite: it sees what is not described', async t => {
    const check = await createCheckAnswer(api.app)
    const body = { status: 401, title: 'Unauthorized', detail: 'x', code: 'expired', error: 'invalid_token' }
    const headers = {
      'content-type': 'application/problem+json',
      'www-authenticate': 'Bearer realm="x", error="invalid_token"',
    }
    const good = { method: 'GET', path: '/policy/1', status: 401, headers, body: JSON.stringify(body) }
    const changed = (change: object) => ({ ...good, body: JSON.stringify({ ...body, ...change }) })
    check(good)
    t.throws(() => check({ ...good, status: 418, headers: { 'content-type': 'text/html' } }), /described as/)
    t.throws(() => check({ ...good, path: '/policy/0' }), /401 is not described/)
    t.throws(() => check({ ...good, status: 204 }), /204 is not described/)
    t.throws(
      () => check({ ...good, headers: { ...headers, 'www-authenticate': undefined } }),
      /lacks the header/,
    )
    t.throws(
      () => check({ ...good, headers: { ...headers, 'www-authenticate': 'Basic' } }),
      /WWW-Authenticate/,
    )
    t.throws(() => check({ ...good, headers: { ...headers, 'content-type': 'text/html' } }), /described as/)
    t.throws(() => check(changed({ code: 'made_up' })), /allowed values/)
    t.throws(() => check(changed({ status: 403 })), /document says 403/)
    t.throws(() => check(changed({ code: 'insufficient_scope' })), /answered 403/)
    t.throws(() => check(changed({ error: 'invalid_request' })), /error is invalid_token in the challenge/)
    t.throws(() => check(changed({ stack: 'x' })), /additional properties/)
  })
})

/** A program as somebody would write it against this API, from nothing but the description. */
const CLIENT = `
import createClient from 'openapi-fetch'
import type { components, paths } from './api.ts'

type Problem = components['schemas']['Problem']

export async function ask(baseUrl: string, token?: string): Promise<{ status: number; message?: string; problem?: Problem }> {
  const client = createClient<paths>({ baseUrl })
  const headers: Record<string, string> = token === undefined ? {} : { authorization: \`Bearer \${token}\` }
  const { data, error, response } = await client.GET('/secure-data', { headers })
  const status: number = response.status
  if (error !== undefined) {
    const problem: Problem = error
    const isNew: boolean = error.code === 'no_credentials' || error.error === 'insufficient_scope'
    return { status, problem, ...(isNew && {}) }
  }
  const message: string = data.message
  return { status, message }
}

export async function neverCalled(baseUrl: string): Promise<unknown> {
  const client = createClient<paths>({ baseUrl })
  // @ts-expect-error there is no such path
  await client.GET('/secure-date')
  // @ts-expect-error the path has no such method
  await client.POST('/secure-data')
  const { data, error } = await client.GET('/secure-data')
  // @ts-expect-error the greeting has no such member
  data?.greeting
  // @ts-expect-error the list of codes is closed
  return error?.code === 'made_up'
}
`

/** Compiles a program as strictly as this project itself. */
function complaintsOf(files: string[]): string[] {
  const program = ts.createProgram(files, {
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    allowImportingTsExtensions: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
    noEmit: true,
  })
  return ts
    .getPreEmitDiagnostics(program)
    .map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    )
}

interface Asked {
  readonly status: number
  readonly message?: string
  readonly problem?: Record<string, unknown>
}

t.test(
  'a typed client made from the description: it compiles, and the server answers as its types say',
  async t => {
    const api = await startApi(t)
    const { json } = await api.get('/openapi.json')
    const types = astToString(await openapiTS(json))
    const folder = t.testdir({ 'api.ts': types, 'client.ts': CLIENT })
    t.same(complaintsOf([join(folder, 'client.ts')]), [])

    const { outputText } = ts.transpileModule(CLIENT, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
    })
    const file = join(folder, 'client.mjs')
    await writeFile(file, outputText)
    const { ask } = (await import(pathToFileURL(file).href)) as {
      ask: (baseUrl: string, token?: string) => Promise<Asked>
    }
    t.same(await ask(api.url, api.tenant.issue({ person: 'ada' })), {
      status: 200,
      message: 'Hello Ada Lovelace, this is protected data.',
    })
    t.match(await ask(api.url), { status: 401, problem: { status: 401, code: 'no_credentials' } })
    t.match(await ask(api.url, await api.tenant.mint('expired')), {
      status: 401,
      problem: { code: 'expired', error: 'invalid_token' },
    })
    t.match(await ask(api.url, api.tenant.issue({ person: 'bob' })), {
      status: 403,
      problem: { code: 'insufficient_scope', scope: `api://${api.tenant.profile.api.clientId}/Data.Read` },
    })
  },
)

/** A second opinion: prism, a validating proxy in front of the real server, holds every answer against the description. */
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import type { Code } from '../src/errors.ts'
import type { MintKind } from '../src/local-tenant/mint.ts'
import { type Api, startApi, startTenant } from './helpers/api.ts'
import { freePort } from './helpers/redis.ts'

/** The command; .ci/run names it, since prism needs another Node than ours and is no dependency. */
const { PRISM } = process.env

/** Requests go through as they are: the server is to judge them, and prism its answers. */
const OPTIONS = ['--errors', '--validate-request=false', '--cors=false', '--host=127.0.0.1']

// biome-ignore lint/suspicious/noExplicitAny: a description is changed here in every part
type Description = any

/**
 * The description as prism is given it. It would answer in the server's stead where a token is lacking, or a path or
 * a method is not described; so what the introduction says of those in words is put beside the operations. HEAD is
 * left to the other tests: prism reads a body wherever the content type is JSON.
 */
function readied({ security: _, ...description }: Description): Description {
  const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
  const allow = { required: true, schema: { type: 'string', pattern: '^[A-Z]+(, [A-Z]+)*$' } }
  const undescribed = (operationId: string, responses: object) => ({
    operationId,
    responses: { 401: { $ref: '#/components/responses/Unauthorized' }, ...responses },
  })
  const wrongMethod = { 405: { description: 'Wrong method.', headers: { Allow: allow }, content: problem } }
  const paths: Description = {
    '/nothing': { get: undescribed('nothing', { 404: { description: 'Nothing.', content: problem } }) },
    '/openapi.json': {
      get: {
        operationId: 'json',
        responses: {
          200: {
            description: 'This.',
            content: { 'application/json': { schema: { type: 'object', required: ['openapi'] } } },
          },
        },
      },
    },
  }
  for (const [path, { get }] of Object.entries<Description>(description.paths)) {
    const { security: _, ...operation } = get
    paths[path] = {
      get: operation,
      delete: undescribed(`delete ${path}`, wrongMethod),
    }
  }
  return { ...description, paths }
}

/** Puts prism in front of a server; its address, to be asked in place of the server's. */
async function startPrism(t: Test, { url }: Api, description: Description): Promise<string> {
  const file = join(t.testdir(), 'openapi.json')
  await writeFile(file, JSON.stringify(description))
  const port = await freePort()
  const child = spawn(PRISM!, ['proxy', file, url, ...OPTIONS, `--port=${port}`])
  t.teardown(() => child.kill('SIGKILL'))
  for await (const line of createInterface(child.stdout)) {
    if (!line.includes('Prism is listening')) continue
    child.stdout.resume()
    return `http://127.0.0.1:${port}`
  }
  throw new Error(`${PRISM} does not start`)
}

/** What is asked, and what the server must answer: a status, and the code of a refusal. */
type Case = readonly [
  path: string,
  token: string | undefined,
  status: number,
  code?: Code | undefined,
  init?: RequestInit,
]

/** Asks everything of prism; an answer that it found fault with would be its own, with status 500. */
async function askAll(t: Test, prism: string, cases: readonly Case[]): Promise<void> {
  for (const [path, token, status, code, init = {}] of cases) {
    const headers = new Headers(init.headers)
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    const response = await fetch(prism + path, { ...init, headers })
    const text = await response.text()
    const title = `${init.method ?? 'GET'} ${path} ${code ?? ''}`
    t.equal(response.status, status, `${title}${response.status === status ? '' : `: ${text}`}`)
    if (code !== undefined) t.equal(JSON.parse(text).code, code, title)
  }
}

t.test(
  'prism between client and server',
  { skip: PRISM === undefined && 'PRISM names no prism' },
  async t => {
    const tenant = await startTenant(t)
    const ada = tenant.issue({ person: 'ada' })

    t.test('every answer is what the description says', async t => {
      const api = await startApi(t, {
        tenant,
        env: { ALLOWED_CLIENTS: '' },
        routes: app => {
          const ok = { type: 'object', properties: { ok: { type: 'boolean' } } }
          const accesses = {
            '/applications': { role: 'Data.Read.All' },
            '/groups': { groups: ['66666666-7777-8888-9999-000000000000'] },
            '/clients': { scope: 'Data.Read', clients: ['66666666-7777-8888-9999-000000000000'] },
            '/recent': { scope: 'Data.Read', maxAgeSeconds: 1 },
            '/strong': { scope: 'Data.Read', authenticationContext: 'c1' },
          }
          for (const [path, access] of Object.entries(accesses)) {
            const schema = { operationId: path.slice(1), response: { 200: { description: 'Good.', ...ok } } }
            app.get(path, { config: { access }, schema }, async () => ({ ok: true }))
          }
        },
      })
      const prism = await startPrism(t, api, readied((await api.get('/openapi.json')).json))
      const minted: readonly (readonly [MintKind, number, Code])[] = [
        ['alg-none', 401, 'unsupported_algorithm'],
        ['bound', 401, 'sender_constrained'],
        ['consumer-key', 401, 'key_not_for_issuer'],
        ['expired', 401, 'expired'],
        ['foreign-key', 401, 'invalid_signature'],
        ['graph-plain', 401, 'graph_token'],
        ['id-token', 401, 'id_token'],
        ['no-exp', 401, 'missing_claim'],
        ['no-scope-no-roles', 403, 'no_permissions'],
        ['not-yet-valid', 401, 'not_yet_valid'],
        ['unknown-kid', 401, 'unknown_key'],
        ['wrong-audience', 401, 'wrong_audience'],
        ['wrong-tenant', 401, 'tenant_not_allowed'],
        ['wrong-version', 401, 'wrong_token_version'],
      ]
      const refused = await Promise.all(
        minted.map(
          async ([kind, ...rest]): Promise<Case> => ['/secure-data', await tenant.mint(kind), ...rest],
        ),
      )
      await askAll(t, prism, [
        ['/secure-data', ada, 200],
        ['/secure-data', tenant.issue({ app: 'daemon', version: 1 }), 200],
        ['/whoami', ada, 200],
        ['/livez', undefined, 200],
        ['/readyz', undefined, 200],
        ['/.well-known/oauth-protected-resource', undefined, 200],
        ['/openapi.json', undefined, 200],
        ['/secure-data', undefined, 401, 'no_credentials'],
        ['/secure-data', undefined, 400, 'malformed_credentials', { headers: { authorization: 'Bearer' } }],
        ['/secure-data', 'x', 401, 'malformed_token'],
        ['/secure-data', tenant.issue({ claims: { iss: 'https://evil.example' } }), 401, 'untrusted_issuer'],
        ['/secure-data', tenant.issue({ header: { typ: 'dpop+jwt' } }), 401, 'wrong_token_type'],
        ['/secure-data', tenant.issue({ claims: { scp: 7 } }), 401, 'malformed_claim'],
        ...refused,
        ['/secure-data', tenant.issue({ person: 'bob' }), 403, 'insufficient_scope'],
        [
          '/applications',
          tenant.issue({ app: 'daemon', claims: { roles: ['Other'] } }),
          403,
          'insufficient_role',
        ],
        ['/applications', ada, 403, 'wrong_caller_kind'],
        ['/clients', ada, 403, 'client_not_allowed'],
        ['/groups', ada, 403, 'insufficient_group'],
        ['/groups', await tenant.mint('overage'), 403, 'groups_undetermined'],
        ['/strong', ada, 403, 'insufficient_authentication'],
        ['/strong', tenant.issue({ claims: { xms_cc: ['cp1'] } }), 401, 'insufficient_authentication'],
        ['/nothing', undefined, 401, 'no_credentials'],
        ['/nothing', ada, 404, 'not_found'],
        ['/secure-data', undefined, 401, 'no_credentials', { method: 'DELETE' }],
        ['/secure-data', ada, 405, 'method_not_allowed', { method: 'DELETE' }],
        ['/livez', undefined, 405, 'method_not_allowed', { method: 'DELETE' }],
      ])
    })

    t.test('too many requests; keys that are not there', async t => {
      const busy = await startApi(t, { tenant, env: { RATE_LIMIT_MAX: '1' } })
      await askAll(t, await startPrism(t, busy, readied((await busy.get('/openapi.json')).json)), [
        ['/secure-data', ada, 200],
        ['/secure-data', ada, 429, 'rate_limited'],
      ])
      const env = { AZURE_AUTHORITY_HOST: 'http://127.0.0.1:9' }
      const deaf = await startApi(t, { tenant, env, waitForKeys: false })
      const iss = `${env.AZURE_AUTHORITY_HOST}/${tenant.profile.tenantId}/v2.0`
      await askAll(t, await startPrism(t, deaf, readied((await deaf.get('/openapi.json')).json)), [
        ['/secure-data', tenant.issue({ claims: { iss } }), 503, 'keys_unavailable'],
        ['/readyz', undefined, 503],
      ])
    })

    t.test('a description that asks for one thing more: prism finds the answer that lacks it', async t => {
      const api = await startApi(t, { tenant })
      const changed = readied((await api.get('/openapi.json')).json)
      changed.paths['/livez'].get.responses[200].content['application/json'].schema.required = ['nonsense']
      changed.components.responses.Unauthorized.headers.Nonsense = {
        required: true,
        schema: { type: 'string' },
      }
      changed.components.schemas.Problem.properties.code = { enum: ['no_credentials'] }
      delete changed.paths['/readyz'].get.responses[200]
      delete changed.paths['/readyz'].get.responses.default
      const prism = await startPrism(t, api, changed)
      for (const [path, token, says] of [
        ['/livez', undefined, 'nonsense'],
        ['/secure-data', undefined, 'nonsense'],
        ['/secure-data', tenant.issue({ person: 'bob' }), 'code'],
        ['/readyz', undefined, 'Unable to match the returned status code'],
      ] as const) {
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
        const response = await fetch(prism + path, { headers })
        const { type, validation } = (await response.json()) as Description
        t.match(type, /#VIOLATIONS$/, path)
        t.match(JSON.stringify(validation), new RegExp(says, 'i'))
      }
    })
  },
)

/** Decides what a page of docs/codes shows of an answer and of a log line: what the server's own writers make of one sample a code. */

import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Code, Refusal } from '../../src/errors.ts'
import { logRequest } from '../../src/http/log.ts'
import { createAnswerProblem } from '../../src/http/problem.ts'

const API = '11111111-2222-3333-4444-555555555555'
const TENANT = '66666666-7777-8888-9999-000000000000'
const CLIENT = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
const ISSUER = `https://login.microsoftonline.com/${TENANT}/v2.0`
const KID = 'nOo3ZDrODXEK1jKWhXslHR_KXEg'

/** What is logged beside the code, by an example. */
const SAMPLES: Readonly<Record<Code, Omit<Refusal, 'code'>>> = {
  no_credentials: {},
  malformed_credentials: {
    about: 'authorization',
    received: 'Bearer with something that is no token68',
    expected: 'Bearer, a space and exactly one token',
  },
  malformed_token: {
    about: 'token',
    received: 'no compact JWS',
    expected: 'three base64url parts joined by dots',
  },
  unsupported_algorithm: { about: 'alg', received: 'HS256', expected: ['RS256'] },
  wrong_token_type: { about: 'typ', received: 'JWT', expected: ['at+jwt'] },
  unknown_key: { about: 'kid', received: 'unknown-key', expected: [KID] },
  key_not_for_issuer: {
    about: 'key issuer',
    received: 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0',
    expected: ISSUER,
  },
  invalid_signature: { about: 'signature' },
  untrusted_issuer: { about: 'iss', received: 'https://issuer.example', expected: [ISSUER] },
  tenant_not_allowed: { about: 'iss', received: '99999999-2222-3333-4444-555555555555', expected: TENANT },
  wrong_audience: { about: 'aud', received: 'api://orders', expected: [API] },
  graph_token: { about: 'aud', received: '00000003-0000-0000-c000-000000000000', expected: [API] },
  id_token: { about: 'nonce', expected: 'no such claim' },
  missing_claim: { about: 'exp' },
  malformed_claim: { about: 'exp', received: 'string', expected: 'a finite number of seconds' },
  expired: { about: 'exp', received: 1_795_000_000, expected: 'later than 1795000200' },
  not_yet_valid: { about: 'nbf', received: 1_795_000_200, expected: 'not later than 1795000000' },
  sender_constrained: { about: 'cnf', received: 'jkt', expected: 'a bearer token' },
  invalid_proof: { about: 'htu' },
  insufficient_scope: { about: 'scp', received: ['User.Read'], expected: 'Data.Read' },
  insufficient_role: { about: 'roles', received: ['Data.Write.All'], expected: 'Data.Read.All' },
  no_permissions: {},
  client_not_allowed: { about: 'client', received: CLIENT, expected: [API] },
  groups_undetermined: { about: 'groups' },
  insufficient_group: { about: 'groups', expected: '33333333-2222-3333-4444-555555555555' },
  insufficient_authentication: {
    about: 'acrs',
    expected: 'c1',
    stepUp: { claims: '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}' },
  },
  wrong_caller_kind: { received: 'application', expected: 'user' },
  wrong_token_version: { about: 'ver', received: '1.0', expected: ['2.0'] },
  revoked: {},
  consent_required: {
    about: 'scope',
    received:
      '400 invalid_grant, consent_required, AADSTS65001, correlation id 1e7d3a52-0000-4000-8000-000000000000',
    expected: "an administrator's consent to User.Read",
  },
  interaction_required: {
    about: 'sign-in',
    received: '400 interaction_required, AADSTS50076, correlation id 1e7d3a52-0000-4000-8000-000000000000',
    stepUp: { claims: '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}' },
  },
  keys_unavailable: { about: 'issuer', received: ISSUER, retryAfterSeconds: 12 },
  downstream_unavailable: {
    about: 'AZURE_CLIENT_SECRET',
    received: '401 invalid_client, AADSTS7000215, correlation id 1e7d3a52-0000-4000-8000-000000000000',
    expected: 'the value of the secret, not its id; the portal shows it only once',
  },
  downstream_throttled: {
    about: 'https://graph.microsoft.com/v1.0',
    received: '429',
    retryAfterSeconds: 30,
  },
  not_found: {},
  method_not_allowed: { received: 'POST', expected: ['GET', 'HEAD'] },
  bad_request: { about: 'FST_ERR_BAD_URL', received: '/%' },
  rate_limited: { retryAfterSeconds: 30 },
  overloaded: { retryAfterSeconds: 1 },
  internal_error: {},
}

const answerProblem = createAnswerProblem({
  realm: 'protected-resource',
  resourceMetadata: 'https://api.example.com/.well-known/oauth-protected-resource',
  scopePrefix: `api://${API}/`,
  authority: 'https://login.microsoftonline.com',
})

const title = (name: string): string =>
  name === 'www-authenticate'
    ? 'WWW-Authenticate'
    : name.replace(/(^|-)[a-z]/g, letter => letter.toUpperCase())

/** Codes that a call of another API gives. */
const DOWNSTREAM: readonly Code[] = [
  'consent_required',
  'interaction_required',
  'downstream_unavailable',
  'downstream_throttled',
]

function logLine(refusal: Refusal, status: number): object {
  const url = DOWNSTREAM.includes(refusal.code) ? '/me' : '/secure-data'
  let line = {}
  const keep = (object: object): void => {
    line = object
  }
  const request = {
    method: 'GET',
    url,
    routeOptions: { url },
    log: { info: keep, warn: keep },
  }
  const reply = { statusCode: status, elapsedTime: 0.4 }
  logRequest(request as unknown as FastifyRequest, reply as unknown as FastifyReply, null, refusal)
  return line
}

/** The part of a page that must be what the server does. */
export function exampleOf(code: Code): string {
  const refusal: Refusal = { code, ...SAMPLES[code] }
  const access = { scope: 'Data.Read', role: 'Data.Read.All' }
  const { status, headers, body } = answerProblem(refusal, access)
  const lines = Object.entries(headers).map(([name, value]) => `${title(name)}: ${value}`)
  const text = JSON.stringify(JSON.parse(body), null, 2)
  return `## How it looks

\`\`\`http
HTTP/1.1 ${status} ${STATUS_CODES[status]}
${lines.join('\n')}

${text}
\`\`\`

In the log, with what was received and expected:

\`\`\`json
${JSON.stringify(logLine(refusal, status), null, 2)}
\`\`\`
`
}

const EXAMPLE = /## How it looks\n[\s\S]*?(?=\n## How to fix it\n)/

/** The example that a page has. */
export function exampleIn(page: string): string | undefined {
  return EXAMPLE.exec(page)?.[0]
}

/** The page with another example. */
export function withExample(page: string, example: string): string {
  return page.replace(EXAMPLE, () => example)
}

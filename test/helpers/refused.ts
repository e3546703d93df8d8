/** Decides what every refusal of a token has in common: status, body and challenge agree, and nothing of the token comes back. */
import type { Test } from 'tap'
import type { Code } from '../../src/errors.ts'
import type { Answer, Api } from './api.ts'

/** The statuses that are not 401, as requirements.md has them. */
const STATUS: Partial<Readonly<Record<Code, number>>> = {
  malformed_credentials: 400,
  insufficient_scope: 403,
  insufficient_role: 403,
  no_permissions: 403,
  client_not_allowed: 403,
  wrong_caller_kind: 403,
  keys_unavailable: 503,
}
/** The error codes of RFC 6750 §3.1 by reason; a 401 without an entry is `invalid_token`. */
const ERROR: Partial<Readonly<Record<Code, string>>> = {
  malformed_credentials: 'invalid_request',
  insufficient_scope: 'insufficient_scope',
  insufficient_role: 'insufficient_scope',
}

/** Sends a token and expects exactly one reason. */
export async function refuses(
  t: Test,
  api: Api,
  token: string,
  code: Code,
  path = '/secure-data',
): Promise<Answer> {
  const answer = await api.get(path, token)
  const status = STATUS[code] ?? 401
  const error = ERROR[code] ?? (status === 401 ? 'invalid_token' : undefined)
  t.match(answer, { status, json: { status, code } })
  t.equal(answer.json?.error, error)
  t.match(answer.headers.get('content-type'), /^application\/problem\+json(;|$)/)
  t.equal(answer.headers.get('cache-control'), 'no-store')
  const said = /error="([^"]*)"/.exec(answer.challenge ?? '')?.[1]
  t.equal(said, error, 'the challenge says the same as the body')
  t.equal(answer.challenge !== null, status !== 503)
  t.equal(answer.headers.has('retry-after'), status === 503)
  const parts = token.split('.').filter(part => part.length > 8)
  const whole = answer.text + [...answer.headers].join()
  t.notOk(
    parts.some(part => whole.includes(part)),
    'nothing of the token comes back',
  )
  return answer
}

/** Sends a token and expects it to be good. */
export async function accepts(t: Test, api: Api, token: string, path = '/secure-data'): Promise<Answer> {
  const answer = await api.get(path, token)
  t.equal(answer.status, 200, `${answer.json?.code ?? 'accepted'}`)
  return answer
}

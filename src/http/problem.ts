/** Decides how each reason is answered: status, WWW-Authenticate and problem document. The only place with status numbers. */
import { STATUS_CODES } from 'node:http'
import type { FastifyReply } from 'fastify'
import { LRUCache } from 'lru-cache'
import { type Code, Misconfigured, type Refusal, type StepUp } from '../errors.ts'
import { isChallengeName } from '../token/names.ts'
import { type RouteAccess, scopesOf } from '../token/policy.ts'

/** What a challenge needs to know of this API. */
export interface ProblemSettings {
  readonly realm: string
  /** Absolute address of the RFC 9728 document. */
  readonly resourceMetadata: string
  /** What makes a short scope name requestable (ENTRA-25). */
  readonly scopePrefix: string
  /** Origin of the Entra authority, where claims challenges send the user; none without Entra. */
  readonly authority?: string | undefined
}

/** A complete answer to a request that is turned away. */
export interface ProblemAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The problem document (RFC 9457), serialized. */
  readonly body: string
}

/** Errors of RFC 6750 §3.1, of RFC 9470 §3, and of Entra's claims challenge. */
export const CHALLENGE_ERRORS = [
  'invalid_request',
  'invalid_token',
  'insufficient_scope',
  'insufficient_user_authentication',
  'insufficient_claims',
] as const

interface Meaning {
  readonly status: number
  readonly error?: (typeof CHALLENGE_ERRORS)[number]
  /** Whether the scopes that the operation needs belong into the challenge. */
  readonly scope?: true
  /** Constant for the code, in characters that RFC 6750 §3 allows in `error_description`. */
  readonly detail: string
}

const invalidToken = (detail: string): Meaning => ({ status: 401, error: 'invalid_token', detail })
const forbidden = (detail: string): Meaning => ({ status: 403, detail })

/** One line for each code. RFC 6750 §3.1 for 400, 401 and 403; 503 says nothing about the token. */
export const MEANINGS: Readonly<Record<Code, Meaning>> = {
  no_credentials: { status: 401, scope: true, detail: 'Send an access token: Authorization: Bearer TOKEN.' },
  malformed_credentials: {
    status: 400,
    error: 'invalid_request',
    detail: 'The Authorization header must be Bearer, a space and exactly one token.',
  },
  malformed_token: invalidToken('The token is not a well-formed signed JWT.'),
  unsupported_algorithm: invalidToken('The token is signed with an algorithm that is not accepted.'),
  wrong_token_type: invalidToken('The token is not an access token of the accepted type.'),
  unknown_key: invalidToken('The token is signed with a key that its issuer does not publish.'),
  key_not_for_issuer: invalidToken('The key that signed the token does not belong to its issuer.'),
  invalid_signature: invalidToken('The signature of the token does not verify.'),
  untrusted_issuer: invalidToken('The issuer of the token is not trusted here.'),
  tenant_not_allowed: invalidToken('The tenant of the token is not allowed here.'),
  wrong_audience: invalidToken('The token was issued for another API.'),
  graph_token: invalidToken('The token was issued for Microsoft Graph; ask for a scope of this API.'),
  id_token: invalidToken('This is an ID token; send an access token.'),
  missing_claim: invalidToken('A claim that an access token needs is missing.'),
  malformed_claim: invalidToken('A claim of the token has a form that is not allowed.'),
  expired: invalidToken('The token has expired.'),
  not_yet_valid: invalidToken('The token is not valid yet.'),
  sender_constrained: invalidToken('The token is bound to a key and can not be used as a bearer token.'),
  invalid_proof: invalidToken('The proof of possession is not valid.'),
  wrong_token_version: invalidToken('Tokens of this version are not accepted here.'),
  revoked: invalidToken('The token has been revoked.'),
  insufficient_scope: {
    status: 403,
    error: 'insufficient_scope',
    scope: true,
    detail: 'The token lacks a scope that this operation needs.',
  },
  // C-10: no consent of a user can add an application permission, so no scope is named.
  insufficient_role: {
    status: 403,
    error: 'insufficient_scope',
    detail: 'The application lacks an application permission that this operation needs.',
  },
  no_permissions: forbidden('The token carries neither a scope nor a role.'),
  client_not_allowed: forbidden('The calling application is not allowed here.'),
  groups_undetermined: forbidden('The token does not list the groups of the caller.'),
  insufficient_group: forbidden('The caller is not in a group that this operation needs.'),
  // Where a new sign-in by this client can mend it, the refusal says so, and is answered 401 (STEPUP-1, ENTRA-22).
  insufficient_authentication: forbidden('This operation needs a stronger sign-in.'),
  wrong_caller_kind: forbidden('This operation is not open to this kind of caller.'),
  consent_required: forbidden('An administrator must consent to a permission that this API needs.'),
  interaction_required: forbidden('The user must sign in again before this API can act for them.'),
  keys_unavailable: { status: 503, detail: 'The keys of the issuer are not available; try again.' },
  downstream_unavailable: {
    status: 503,
    detail: 'A service that this operation needs is not available; try again.',
  },
  downstream_throttled: {
    status: 503,
    detail: 'A service that this operation needs is busy; try again later.',
  },
  not_found: { status: 404, detail: 'There is nothing at this path.' },
  method_not_allowed: { status: 405, detail: 'This path does not support the method.' },
  bad_request: { status: 400, detail: 'The request could not be read.' },
  rate_limited: { status: 429, detail: 'Too many requests; try again later.' },
  overloaded: { status: 503, detail: 'The server is busy; try again.' },
  internal_error: { status: 500, detail: 'The server failed; the failure has been logged.' },
}

/** Answers that name a time to try again, and how long when nobody knows better, in seconds. */
const DEFAULT_RETRY_SECONDS = 30

/** The meaning of a refusal; what a new sign-in can mend is a 401 that asks for it, with one error (C-11). */
function meaningOf({ code, stepUp }: Refusal, { authority }: ProblemSettings): Meaning {
  const meaning = MEANINGS[code]
  if (stepUp === undefined || (stepUp.claims !== undefined && authority === undefined)) return meaning
  const error = stepUp.claims === undefined ? 'insufficient_user_authentication' : 'insufficient_claims'
  return { status: 401, error, detail: meaning.detail, ...(stepUp.scope === true && { scope: true }) }
}

/**
 * The challenge of RFC 6750 §3. `scope` and `resource_metadata` come before the error, because clients in use
 * take the first `scope=` that they see, wherever it stands.
 */
function challenge(
  settings: ProblemSettings,
  { error, detail }: Meaning,
  scope: string,
  stepUp: StepUp,
): string {
  const parameters = [`realm="${settings.realm}"`, `resource_metadata="${settings.resourceMetadata}"`]
  if (scope !== '') parameters.push(`scope="${scope}"`)
  if (error !== undefined) parameters.push(`error="${error}"`, `error_description="${detail}"`)
  if (error === 'insufficient_user_authentication') {
    const { acrValues = [], maxAgeSeconds } = stepUp
    // A handler may have made it up: what would end the header is left out.
    const values = acrValues.filter(isChallengeName)
    if (values.length > 0) parameters.push(`acr_values="${values.join(' ')}"`)
    if (maxAgeSeconds !== undefined) parameters.push(`max_age="${maxAgeSeconds}"`)
  }
  return `Bearer ${parameters.join(', ')}`
}

/**
 * Entra's claims challenge (ENTRA-21): its four parameters as documented, an empty realm going with `common`. What
 * RFC 6750 and RFC 9728 add comes behind them, for clients that know it.
 */
function claimsChallenge(
  { authority, resourceMetadata }: ProblemSettings,
  error: string,
  scope: string,
  claims: string,
): string {
  const parameters = [
    'realm=""',
    `authorization_uri="${authority}/common/oauth2/authorize"`,
    `error="${error}"`,
    `claims="${Buffer.from(claims).toString('base64')}"`,
  ]
  if (scope !== '') parameters.push(`scope="${scope}"`)
  parameters.push(`resource_metadata="${resourceMetadata}"`)
  return `Bearer ${parameters.join(', ')}`
}

// RFC 9110 §5.6.4, without the characters that would need a backslash; a line break would end the header.
const QUOTABLE = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

const isChallenged = (status: number, { error }: Meaning): boolean =>
  status === 401 || status === 403 || error !== undefined

const NO_STEP_UP: StepUp = {}
/** Only what handlers make up by themselves could fill it. */
const KEPT_ANSWERS = 1000

/** Writes the answer to every reason; each answer is built once for a route and a reason. */
export type AnswerProblem = (refusal: Refusal, access?: RouteAccess, status?: number) => ProblemAnswer

/** The one writer of problem documents and challenges of an API. Throws Misconfigured when the realm can't be quoted. */
export function createAnswerProblem(settings: ProblemSettings): AnswerProblem {
  if (!QUOTABLE.test(settings.realm)) {
    const found = JSON.stringify(settings.realm)
    const expected = 'printable characters without " and \\'
    throw new Misconfigured([{ name: 'option realm', found, expected, example: 'orders' }])
  }
  const build = (code: Code, meaning: Meaning, scope: string, status: number, stepUp: StepUp) => {
    const { error, detail } = meaning
    const headers: Record<string, string> = {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    }
    if (isChallenged(status, meaning)) {
      headers['www-authenticate'] =
        error === 'insufficient_claims'
          ? claimsChallenge(settings, error, scope, stepUp.claims!)
          : challenge(settings, meaning, scope, stepUp)
    }
    const body = {
      status,
      title: STATUS_CODES[status] ?? 'Error',
      detail,
      code,
      ...(error !== undefined && { error }),
      ...(scope !== '' && { scope }),
    }
    return { status, headers, body: JSON.stringify(body) }
  }

  const scopeOf = ({ scope }: Meaning, access: RouteAccess): string =>
    scope === true
      ? scopesOf(access)
          .map(name => settings.scopePrefix + name)
          .join(' ')
      : ''

  /** Answers that route and code alone decide, which are nearly all: found without putting a name together. */
  const usual = new WeakMap<object, Map<Code, ProblemAnswer>>()
  const anywhere = {}
  const answerUsual = (code: Code, access: RouteAccess): ProblemAnswer => {
    const route = typeof access === 'object' ? access : anywhere
    const known = usual.get(route) ?? new Map<Code, ProblemAnswer>()
    usual.set(route, known)
    const meaning = MEANINGS[code]
    const answer =
      known.get(code) ?? build(code, meaning, scopeOf(meaning, access), meaning.status, NO_STEP_UP)
    known.set(code, answer)
    return answer
  }

  const unusual = new LRUCache<string, ProblemAnswer>({ max: KEPT_ANSWERS })
  const answerUnusual = (
    refusal: Refusal,
    access: RouteAccess,
    status: number | undefined,
  ): ProblemAnswer => {
    const { code, stepUp = NO_STEP_UP } = refusal
    const meaning = meaningOf(refusal, settings)
    const sent = status ?? meaning.status
    const scope = scopeOf(meaning, access)
    const { claims = '', acrValues = [], maxAgeSeconds = '' } = stepUp
    const name = [code, sent, scope, claims, acrValues.join(' '), maxAgeSeconds].join('\n')
    const answer = unusual.get(name) ?? build(code, meaning, scope, sent, stepUp)
    unusual.set(name, answer)
    return answer
  }

  return (refusal, access = 'any', status) => {
    const { code, stepUp, retryAfterSeconds } = refusal
    const answer =
      stepUp === undefined && status === undefined
        ? answerUsual(code, access)
        : answerUnusual(refusal, access, status)
    if (answer.status !== 503 && answer.status !== 429) return answer
    const retryAfter = String(retryAfterSeconds ?? DEFAULT_RETRY_SECONDS)
    return { ...answer, headers: { ...answer.headers, 'retry-after': retryAfter } }
  }
}

const asItIs = (body: string): string => body

/** Sends an answer. */
export function sendProblem(reply: FastifyReply, answer: ProblemAnswer): FastifyReply {
  // With a serializer Fastify adds no charset, which this media type does not have.
  return reply.code(answer.status).headers(answer.headers).serializer(asItIs).send(answer.body)
}

/** Decides what the description says of refusals: which statuses an operation has, the headers and an example of each reason. */
import { CODES, type Code } from '../errors.ts'
import type { RouteAccess } from '../token/policy.ts'
import { type Fields, type Known, ref } from './description-shapes.ts'
import { type AnswerProblem, CHALLENGE_ERRORS, MEANINGS } from './problem.ts'

const CHALLENGE = 'WWW-Authenticate'
const RETRY = 'Retry-After'
/** Headers of the IETF draft on rate limits: what each says, and an example. */
const LIMITS: Readonly<Record<string, readonly [description: string, example: string]>> = {
  'RateLimit-Limit': ['How many a minute are allowed.', '6000'],
  'RateLimit-Remaining': ['How many of them are left in this minute.', '0'],
  'RateLimit-Reset': ['Seconds until the next minute begins.', '30'],
}

interface Refused {
  /** The name of the component. */
  readonly name: string
  /** The key in the answers of an operation. */
  readonly status: string
  /** Which operations answer so. */
  readonly on: readonly ('public' | 'guarded')[]
  readonly description: string
  /** The reasons that are shown; default: every one that is answered with this status. */
  readonly codes?: readonly Code[]
  /** Headers by name: whether they are always there. */
  readonly headers?: Readonly<Record<string, boolean>>
}

/** How operations refuse: one row for each answer. */
const REFUSED: readonly Refused[] = [
  {
    name: 'Unreadable',
    status: '400',
    on: ['public'],
    description: 'The request could not be read.',
    codes: ['bad_request'],
  },
  {
    name: 'BadRequest',
    status: '400',
    on: ['guarded'],
    description:
      'The request could not be read; with a challenge when its Authorization header is the reason.',
    headers: { [CHALLENGE]: false },
  },
  {
    name: 'Unauthorized',
    status: '401',
    on: ['guarded'],
    description:
      'No token, or one that is not accepted, or one of a sign-in that is not strong or recent enough; `code` says why, and the challenge what to ask for.',
    headers: { [CHALLENGE]: true },
  },
  {
    name: 'Forbidden',
    status: '403',
    on: ['guarded'],
    description: 'A good token, but not one that the operation asks for; `code` says what it lacks.',
    headers: { [CHALLENGE]: true },
  },
  {
    name: 'TooManyRequests',
    status: '429',
    on: ['guarded'],
    description:
      'More requests in a minute than one caller may make, or than one address may have refused. Try again.',
    headers: { [RETRY]: true, ...Object.fromEntries(Object.keys(LIMITS).map(name => [name, true])) },
  },
  {
    name: 'Unavailable',
    status: '503',
    on: ['guarded'],
    description:
      'What the answer depends on, such as the keys of the issuer, can not be reached now, which says nothing of the token. Try again.',
    headers: { [RETRY]: true },
  },
  {
    name: 'Failure',
    status: 'default',
    on: ['public', 'guarded'],
    description: 'Whatever else goes wrong.',
  },
]

/** The refusals that an application gives at all. */
const givenBy = ({ isLimited }: Known): readonly Refused[] =>
  REFUSED.filter(({ status }) => isLimited || status !== '429')

/** The reasons for a refusal; what has no row of its own comes under `default`. */
function codesOf({ status, codes }: Refused): readonly Code[] {
  if (codes !== undefined) return codes
  const rows = REFUSED.map(row => row.status)
  return CODES.filter(code => {
    const answered = String(MEANINGS[code].status)
    return (rows.includes(answered) ? answered : 'default') === status
  })
}

const PROBLEM = {
  type: 'object',
  description: 'RFC 9457 problem document.',
  required: ['status', 'title', 'detail', 'code'],
  additionalProperties: false,
  properties: {
    status: { type: 'integer', description: 'The HTTP status.' },
    title: { type: 'string', description: "The status's phrase." },
    detail: { type: 'string', description: 'What the code means; constant for the code.' },
    code: { type: 'string', enum: CODES, description: 'Why, from one closed list that the log uses too.' },
    error: {
      type: 'string',
      enum: CHALLENGE_ERRORS,
      description:
        'The error of the challenge, when it has one: of RFC 6750 §3.1, RFC 9470 §3 or a claims challenge of Entra.',
    },
    scope: { type: 'string', description: 'The scopes of the challenge, when it has them.' },
  },
}

/** The headers of refusals, with the values that `code` is answered with as examples. */
function headersOf(code: Code, access: RouteAccess, answerProblem: AnswerProblem): Record<string, Fields> {
  const sent = answerProblem({ code }, access).headers
  return {
    [CHALLENGE]: {
      description:
        "The challenge (RFC 6750 §3): which scopes to ask for, where the metadata of this API is (RFC 9728), and what was wrong. When a new sign-in can mend it, also what that must bring: `acr_values` and `max_age` (RFC 9470), or Entra's `claims`, a claims request in base64.",
      schema: { type: 'string', pattern: '^Bearer realm="' },
      example: sent['www-authenticate'],
    },
    [RETRY]: {
      description: 'Seconds after which the same request may be sent again (RFC 9110 §10.2.3).',
      schema: { type: 'string', pattern: '^[0-9]+$' },
      example: sent['retry-after'],
    },
  }
}

/** The headers that are always there with the refusals that have them. */
function commonHeaders(access: RouteAccess, { answerProblem, isLimited }: Known): Fields {
  const challenge = headersOf('insufficient_scope', access, answerProblem)[CHALLENGE]
  const retry = headersOf('keys_unavailable', access, answerProblem)[RETRY]
  const schema = { type: 'string', pattern: '^[0-9]+$' }
  const limits = Object.entries(isLimited ? LIMITS : {}).map(([name, [description, example]]) => [
    name,
    { description, schema, example, required: true },
  ])
  return {
    [CHALLENGE]: { ...challenge, required: true },
    [RETRY]: { ...retry, required: true },
    ...Object.fromEntries(limits),
  }
}

/** The examples are written by the writer of the answers, so that they can't differ from them. */
function describeRefused(known: Known, access: RouteAccess, refused: Refused): Fields {
  const codes = codesOf(refused)
  const own = headersOf(codes[0]!, access, known.answerProblem)
  const examples = codes.map(code => {
    const { body } = known.answerProblem({ code }, access)
    return [code, { value: JSON.parse(body) as unknown }] as const
  })
  const shown = Object.entries(refused.headers ?? {}).map(([name, always]) => [
    name,
    always ? ref('headers', name) : own[name],
  ])
  return {
    description: refused.description,
    ...(shown.length > 0 && { headers: Object.fromEntries(shown) }),
    content: {
      'application/problem+json': {
        schema: ref('schemas', 'Problem'),
        examples: Object.fromEntries(examples),
      },
    },
  }
}

/** The refusals of an operation, by status. */
export function refusalsOf(access: RouteAccess, known: Known): [string, Fields][] {
  const kind = access === 'public' ? 'public' : 'guarded'
  return givenBy(known)
    .filter(({ on }) => on.includes(kind))
    .map(({ status, name }) => [status, ref('responses', name)])
}

/** The headers that every answer with a status has. Every 503 of this server says when to try again. */
export function headersOfStatus(status: string): Fields {
  return status === '503' ? { [RETRY]: ref('headers', RETRY) } : {}
}

/**
 * What the refusals of all operations point to.
 * @param access what the examples are about
 */
export function refusalComponents(known: Known, access: RouteAccess): Readonly<Record<string, Fields>> {
  return {
    schemas: { Problem: PROBLEM },
    headers: commonHeaders(access, known),
    responses: Object.fromEntries(givenBy(known).map(one => [one.name, describeRefused(known, access, one)])),
  }
}

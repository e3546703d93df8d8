/** Decides what the API description says of access: security, refusals and a sentence for people are derived from what a route asks for. */
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { CODES, type Code } from '../errors.ts'
import { listed, type Names, ways } from '../token/names.ts'
import { kindsOf, type Policy, type RouteAccess, scopesOf } from '../token/policy.ts'
import { type AnswerProblem, CHALLENGE_ERRORS } from './problem.ts'

/** What the description needs to know of this API. */
export interface DescriptionSettings {
  readonly title: string
  readonly version: string
  readonly publicUrl: string
  /** `<authority>/<tenant>`, when tokens of Entra are accepted. */
  readonly authority: string | undefined
  readonly scopePrefix: string
  /** Whether callers are counted. */
  readonly isLimited: boolean
}

/** The settings, and what only the guarded application itself knows. */
interface Known extends DescriptionSettings {
  readonly answerProblem: AnswerProblem
  /** Whether users may come with tokens of an issuer other than Entra. */
  readonly otherIssuers: boolean
}

type Fields = Readonly<Record<string, unknown>>
type Response = Fields & { description?: string; headers?: Fields; content?: Record<string, Media> }
type Media = Fields & { schema: Fields }
type Operation = Fields & {
  description?: string
  responses: Record<string, Response>
  /** What the route asks for, carried here by the generator. */
  'x-access': RouteAccess
}
type Document = Fields & { paths: Record<string, Record<string, Operation>>; components: Fields }

/** What the generator gives when it makes OpenAPI. */
type Generated = { readonly openapiObject: Document }

const CHALLENGE = 'WWW-Authenticate'
const RETRY = 'Retry-After'
/** Headers of the IETF draft on rate limits: what each says, and an example. */
const LIMITS: Readonly<Record<string, readonly [description: string, example: string]>> = {
  'RateLimit-Limit': ['How many a minute are allowed.', '6000'],
  'RateLimit-Remaining': ['How many of them are left in this minute.', '0'],
  'RateLimit-Reset': ['Seconds until the next minute begins.', '30'],
}

interface Refused {
  readonly description: string
  /** The reasons that are shown; `code` may have others. */
  readonly examples: readonly Code[]
  /** Headers by name: whether they are always there. */
  readonly headers?: Readonly<Record<string, boolean>>
}

/** How operations refuse, by the name of the component. */
const REFUSED: Readonly<Record<string, Refused>> = {
  Unreadable: { description: 'The request could not be read.', examples: ['bad_request'] },
  BadRequest: {
    description:
      'The request could not be read; with a challenge when its Authorization header is the reason.',
    examples: ['malformed_credentials', 'bad_request'],
    headers: { [CHALLENGE]: false },
  },
  Unauthorized: {
    description:
      'No token, or one that is not accepted, or one of a sign-in that is not strong or recent enough; `code` says why, and the challenge what to ask for.',
    examples: ['no_credentials', 'expired', 'wrong_audience'],
    headers: { [CHALLENGE]: true },
  },
  Forbidden: {
    description: 'A good token, but not one that the operation asks for; `code` says what it lacks.',
    examples: ['insufficient_scope', 'insufficient_role', 'no_permissions'],
    headers: { [CHALLENGE]: true },
  },
  TooManyRequests: {
    description:
      'More requests in a minute than one caller may make, or than one address may have refused. Try again.',
    examples: ['rate_limited'],
    headers: { [RETRY]: true, ...Object.fromEntries(Object.keys(LIMITS).map(name => [name, true])) },
  },
  Unavailable: {
    description: 'Whether the token is good can not be decided now; it may well be. Try again.',
    examples: ['keys_unavailable'],
    headers: { [RETRY]: true },
  },
  Failure: { description: 'Whatever else goes wrong.', examples: ['internal_error'] },
}

const PUBLIC_REFUSALS = { 400: 'Unreadable', default: 'Failure' }
const GUARDED_REFUSALS = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  429: 'TooManyRequests',
  503: 'Unavailable',
  default: 'Failure',
}

/** Whether an application refuses in this way at all. */
const isGiven = (name: string, { isLimited }: Known): boolean => isLimited || name !== 'TooManyRequests'

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

const INTRODUCTION = [
  'A protected resource: it accepts OAuth 2.0 access tokens (`Authorization: Bearer TOKEN`, RFC 6750) and issues none.',
  "Every refusal is a problem document (RFC 9457) whose `code` says why; the server's log has the same code, with what was received and what was expected. An unknown path answers 401 without a token and 404 with one, a wrong method 405 with `Allow`.",
]

const ref = (section: string, name: string): Fields => ({ $ref: `#/components/${section}/${name}` })

/** The headers of refusals, with the values that `code` is answered with as examples. */
function headersOf(code: Code, access: RouteAccess, answerProblem: AnswerProblem): Record<string, Fields> {
  const sent = answerProblem({ code }, access).headers
  return {
    [CHALLENGE]: {
      description:
        'The challenge (RFC 6750 §3): which scopes to ask for, where the metadata of this API is (RFC 9728), and what was wrong.',
      schema: { type: 'string', pattern: '^Bearer realm="' },
      example: sent['www-authenticate'],
    },
    [RETRY]: {
      description: 'Seconds after which to try again (RFC 9110 §10.2.3).',
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
  const own = headersOf(refused.examples[0]!, access, known.answerProblem)
  const examples = refused.examples.map(code => {
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

function securitySchemes({ authority, scopePrefix }: Known, scopes: readonly string[]): Fields {
  const bearer = {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description:
      'An access token, however it was obtained. The names at an operation are the permissions that it must carry.',
  }
  if (authority === undefined) return { bearer }
  const authorizationCode = {
    authorizationUrl: `${authority}/oauth2/v2.0/authorize`,
    tokenUrl: `${authority}/oauth2/v2.0/token`,
    scopes: Object.fromEntries(
      scopes.map(scope => [scopePrefix + scope, `${scope}, on behalf of the signed-in user`]),
    ),
  }
  const description = 'Microsoft Entra ID: people sign in, by authorization code with PKCE.'
  return { entra: { type: 'oauth2', description, flows: { authorizationCode } }, bearer }
}

/** Where no name is asked for, none is needed. */
const waysOrNone = (wanted: Names | undefined): string[][] => (wanted === undefined ? [[]] : ways(wanted))

/**
 * A user comes in by scope, an application by role; separate entries are alternatives. Whatever else is asked for
 * has no place in a security requirement, and stands in the words.
 */
function securityOf(access: RouteAccess, { authority, otherIssuers, scopePrefix }: Known): Fields[] {
  if (access === 'public') return []
  const doors = [
    ...(authority !== undefined ? ['entra'] : []),
    ...(authority === undefined || otherIssuers ? ['bearer'] : []),
  ]
  if (access === 'any') return [...new Set([...doors, 'bearer'])].map(door => ({ [door]: [] }))
  const kinds = kindsOf(access)
  const users = kinds.includes('user') ? waysOrNone(access.scope) : []
  const applications = kinds.includes('application') ? waysOrNone(access.role) : []
  return [
    ...doors.flatMap(door => users.map(names => ({ [door]: names.map(name => scopePrefix + name) }))),
    ...applications.map(names => ({ bearer: names })),
  ]
}

function phrase(noun: string, wanted: Names): string {
  const list = ways(wanted)
  const names = list.flat().map(name => `\`${name}\``)
  if (names.length === 1) return `the ${noun} ${names[0]}`
  return `${list.length > 1 ? 'one' : 'all'} of the ${noun}s ${names.join(', ')}`
}

const enumerate = (parts: readonly (string | undefined)[]): string =>
  parts.filter(part => part !== undefined).join(' and ')

function tellUser(policy: Policy): string {
  const { scope, userRole, groups } = policy
  const held = enumerate([
    scope && phrase('scope', scope),
    userRole && phrase('app role', userRole),
    groups && phrase('group', groups),
  ])
  return held === '' ? 'a user with any permission' : `a user with ${held}`
}

/** How a user must have signed in; undefined when any sign-in will do. */
function tellStrength({ acr, maxAgeSeconds, authenticationContext: context }: Policy): string | undefined {
  const isContext = context !== undefined && `for the authentication context \`${context}\``
  const isAcr =
    acr !== undefined &&
    `at the level ${listed(acr)
      .map(value => `\`${value}\``)
      .join(' or ')}`
  const levels = [isContext, isAcr].filter(text => text !== false).join(' or ')
  const age = maxAgeSeconds === undefined ? undefined : `not longer than ${maxAgeSeconds} seconds ago`
  const all = [levels, age].filter(text => text !== undefined && text !== '').join(', ')
  return all === '' ? undefined : `A user must have signed in ${all}.`
}

/** What an operation asks for, in words. */
function tell(access: RouteAccess): string {
  if (access === 'public') return 'Open to everybody; no token is asked for.'
  if (access === 'any') return 'Asks for an accepted token that carries at least one permission.'
  const { role, clients } = access
  const kinds = kindsOf(access)
  const user = kinds.includes('user') ? tellUser(access) : undefined
  const holding = role === undefined ? 'any permission' : phrase('application permission', role)
  const application = kinds.includes('application') ? `an application with ${holding}` : undefined
  const asked =
    user !== undefined && application !== undefined
      ? `Asks for ${user}, or ${application}.`
      : user !== undefined
        ? `Asks for ${user}; an application is turned away.`
        : `Asks for ${application}; a user is turned away.`
  const calling = clients && `Only ${phrase('client', { any: listed(clients) })} may call.`
  return [asked, tellStrength(access), calling].filter(text => text !== undefined).join(' ')
}

/** Fastify has description and example of a response in its schema; OpenAPI wants them beside it. */
function tidyResponse([status, { content, ...response }]: [string, Response]): [string, Response] {
  const media = Object.entries(content ?? {}).map(([type, { schema, ...rest }]) => {
    const { description: _, example, ...shape } = schema
    return [type, { schema: shape, example, ...rest }]
  })
  // Every 503 of this server says when to try again.
  const retried = status === '503' ? { headers: { ...response.headers, [RETRY]: ref('headers', RETRY) } } : {}
  return [status, { ...response, ...retried, ...(content && { content: Object.fromEntries(media) }) }]
}

function describeOperation(operation: Operation, known: Known): Fields {
  const { 'x-access': access, description, responses, ...rest } = operation
  const refusals = Object.entries(access === 'public' ? PUBLIC_REFUSALS : GUARDED_REFUSALS).filter(
    ([, name]) => isGiven(name, known),
  )
  return {
    ...rest,
    description: [description, tell(access)].filter(text => text !== undefined).join('\n\n'),
    security: securityOf(access, known),
    responses: Object.fromEntries([
      ...Object.entries(responses).map(tidyResponse),
      ...refusals.map(([status, name]) => [status, ref('responses', name)] as const),
    ]),
  }
}

/** Adds what `access` decides to every operation of a generated document. */
function describeAccess({ paths, components, ...rest }: Document, known: Known): Fields {
  const operations = Object.values(paths).flatMap(item => Object.values(item))
  const scopes = [...new Set(operations.flatMap(operation => scopesOf(operation['x-access'])))]
  // What the examples of refusals are about.
  const access = { scope: scopes.slice(0, 1) }
  const document = {
    ...rest,
    paths: Object.fromEntries(
      Object.entries(paths).map(([path, item]) => [
        path,
        Object.fromEntries(
          Object.entries(item).map(([method, operation]) => [method, describeOperation(operation, known)]),
        ),
      ]),
    ),
    components: {
      ...components,
      securitySchemes: securitySchemes(known, scopes),
      schemas: { ...(components.schemas as Fields), Problem: PROBLEM },
      headers: commonHeaders(access, known),
      responses: Object.fromEntries(
        Object.entries(REFUSED)
          .filter(([name]) => isGiven(name, known))
          .map(([name, refused]) => [name, describeRefused(known, access, refused)]),
      ),
    },
  }
  // A copy that shares nothing, or YAML would write what is shared as an anchor and its aliases.
  return JSON.parse(JSON.stringify(document)) as Fields
}

/** Registers the generator of the API description; register it after the guard and before the routes that it describes. */
export async function addDescription(app: FastifyInstance, settings: DescriptionSettings): Promise<void> {
  const { answerProblem, trust } = app.protectedResource
  const known = { ...settings, answerProblem, otherIssuers: trust.others.length > 0 }
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: settings.title,
        version: settings.version,
        description: INTRODUCTION.join('\n\n'),
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: settings.publicUrl }],
      tags: [
        { name: 'Data', description: 'What the API protects.' },
        { name: 'Discovery', description: 'What clients learn before they have a token.' },
        { name: 'Operations', description: 'What an orchestrator asks.' },
      ],
    },
    transform: ({ schema, url, route }) => ({
      url,
      schema: { ...(schema as object), 'x-access': route.config?.access } as typeof schema,
    }),
    transformObject: generated => describeAccess((generated as unknown as Generated).openapiObject, known),
  })
}

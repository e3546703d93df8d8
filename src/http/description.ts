/** Decides what the API description says of access: security and the refusals of an operation are derived from its route. */
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { CODES, type Code } from '../errors.ts'
import { type RouteAccess, rolesOf, scopesOf } from '../token/policy.ts'
import { MEANINGS } from './problem.ts'

type Operation = Record<string, unknown> & { responses?: Record<string, unknown>; 'x-access'?: RouteAccess }
type Document = { paths?: Record<string, Record<string, Operation>>; components?: Record<string, unknown> }

/** Which refusals an operation that asks for access can answer with, by component name. */
const REFUSALS: readonly {
  readonly name: string
  readonly status: number
  readonly example: Code
  readonly description: string
  readonly challenged: boolean
}[] = [
  {
    name: 'MalformedCredentials',
    status: 400,
    example: 'malformed_credentials',
    description: 'The request can not be read, for example its Authorization header.',
    challenged: true,
  },
  {
    name: 'Unauthorized',
    status: 401,
    example: 'expired',
    description: 'No token, or one that is not accepted; `code` says why.',
    challenged: true,
  },
  {
    name: 'Forbidden',
    status: 403,
    example: 'insufficient_scope',
    description: 'A good token that does not carry what the operation asks for.',
    challenged: true,
  },
  {
    name: 'Unavailable',
    status: 503,
    example: 'keys_unavailable',
    description: 'Whether the token is good can not be decided now; it may well be.',
    challenged: false,
  },
]

const PROBLEM = {
  type: 'object',
  description: 'RFC 9457 problem document.',
  required: ['status', 'title', 'detail', 'code'],
  additionalProperties: false,
  properties: {
    status: { type: 'integer', description: 'The HTTP status.' },
    title: { type: 'string', description: "The status's phrase." },
    detail: { type: 'string', description: 'What the code means.' },
    code: { type: 'string', enum: CODES, description: 'Why, from one closed list.' },
    error: {
      type: 'string',
      enum: ['invalid_request', 'invalid_token', 'insufficient_scope'],
      description: 'The error of the challenge (RFC 6750 §3.1), when it has one.',
    },
    scope: { type: 'string', description: 'The scopes of the challenge, when it has them.' },
  },
}

function exampleOf(code: Code, status: number): object {
  const { error, detail, scope } = MEANINGS[code]
  const title = REFUSALS.find(refusal => refusal.status === status)!
    .name.replace('MalformedCredentials', 'Bad Request')
    .replace('Unavailable', 'Service Unavailable')
  return {
    status,
    title,
    detail,
    code,
    ...(error && { error }),
    ...(scope && { scope: 'api://66666666-7777-8888-9999-000000000000/Data.Read' }),
  }
}

function components(settings: DescriptionSettings): object {
  const challenge = { $ref: '#/components/headers/WWW-Authenticate' }
  const retry = { $ref: '#/components/headers/Retry-After' }
  return {
    securitySchemes: securitySchemes(settings),
    schemas: { Problem: PROBLEM },
    headers: {
      'WWW-Authenticate': {
        description: 'Challenge of RFC 6750 §3, with `resource_metadata` of RFC 9728.',
        required: true,
        schema: { type: 'string' },
      },
      'Retry-After': {
        description: 'Seconds after which to try again.',
        required: true,
        schema: { type: 'string', pattern: '^[0-9]+$' },
      },
    },
    responses: Object.fromEntries(
      REFUSALS.map(({ name, status, example, description, challenged }) => [
        name,
        {
          description,
          headers: challenged ? { 'WWW-Authenticate': challenge } : { 'Retry-After': retry },
          content: {
            'application/problem+json': {
              schema: { $ref: '#/components/schemas/Problem' },
              example: exampleOf(example, status),
            },
          },
        },
      ]),
    ),
  }
}

/** What the description needs to know of this API. */
export interface DescriptionSettings {
  readonly title: string
  readonly version: string
  readonly publicUrl: string
  /** `<authority>/<tenant>`, when tokens of Entra are accepted. */
  readonly authority: string | undefined
  readonly scopePrefix: string
}

function securitySchemes({ authority, scopePrefix }: DescriptionSettings): object {
  const bearer = {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token. The names listed with an operation are the permissions of an application.',
  }
  if (authority === undefined) return { bearer }
  const endpoints = {
    authorizationUrl: `${authority}/oauth2/v2.0/authorize`,
    tokenUrl: `${authority}/oauth2/v2.0/token`,
  }
  const scopes = { [`${scopePrefix}Data.Read`]: 'Read the data on behalf of the signed-in user.' }
  const entra = {
    type: 'oauth2',
    description: 'Microsoft Entra ID: people by authorization code with PKCE.',
    flows: { authorizationCode: { ...endpoints, scopes } },
  }
  return { entra, bearer }
}

/** A user comes in by scope, an application by role (OpenAPI 3.1: alternatives are separate entries). */
function securityOf(access: RouteAccess, { authority, scopePrefix }: DescriptionSettings): object[] {
  if (access === 'public') return []
  const byScope = scopesOf(access).map(scope => scopePrefix + scope)
  const byRole = rolesOf(access)
  const people = authority === undefined ? { bearer: byScope } : { entra: byScope }
  return [
    ...(access === 'any' || byScope.length > 0 ? [people] : []),
    ...(access === 'any' || byRole.length > 0 ? [{ bearer: byRole }] : []),
  ]
}

/** Adds what `access` decides to every operation of a generated document. */
export function describeAccess<T extends object>(document: T, settings: DescriptionSettings): T {
  const { paths = {}, components: generated = {}, ...rest } = document as Document
  const described = Object.entries(paths).map(([path, item]) => [
    path,
    Object.fromEntries(
      Object.entries(item).map(([method, { 'x-access': access = 'any', ...operation }]) => {
        const refusals = access === 'public' ? [] : REFUSALS
        const responses = {
          ...operation.responses,
          ...Object.fromEntries(
            refusals.map(({ status, name }) => [status, { $ref: `#/components/responses/${name}` }]),
          ),
        }
        return [method, { ...operation, security: securityOf(access, settings), responses }]
      }),
    ),
  ])
  return {
    ...rest,
    paths: Object.fromEntries(described),
    components: { ...generated, ...components(settings) },
  } as unknown as T
}

/** Registers the generator of the API description; register it before the routes that it describes. */
export async function addDescription(app: FastifyInstance, settings: DescriptionSettings): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: settings.title,
        version: settings.version,
        description:
          'A protected resource. Every refusal carries a `code` that says why, in body and log alike.',
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
    transformObject: document =>
      'openapiObject' in document ? describeAccess(document.openapiObject, settings) : document.swaggerObject,
  })
}

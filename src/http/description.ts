/** Decides how the API description is made: what a route asks for becomes security, refusals and a sentence for people. */
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { scopesOf } from '../token/policy.ts'
import { headersOfStatus, refusalComponents, refusalsOf } from './description-refusals.ts'
import { securityOf, securitySchemes } from './description-security.ts'
import { tell } from './description-sentences.ts'
import type {
  DescriptionSettings,
  Document,
  Fields,
  Known,
  Operation,
  Response,
} from './description-shapes.ts'
import type { ProtectedResource } from './protect.ts'

/** What the generator gives when it makes OpenAPI. */
type Generated = { readonly openapiObject: Document }

const INTRODUCTION = [
  'A protected resource: it accepts OAuth 2.0 access tokens (`Authorization: Bearer TOKEN`, RFC 6750) and issues none.',
  "Every refusal is a problem document (RFC 9457) whose `code` says why; the server's log has the same code, with what was received and what was expected. An unknown path answers 401 without a token and 404 with one, a wrong method 405 with `Allow`.",
]

/** Fastify has description and example of a response in its schema; OpenAPI wants them beside it. */
function tidyResponse([status, { content, ...response }]: [string, Response]): [string, Response] {
  const media = Object.entries(content ?? {}).map(([type, { schema, ...rest }]) => {
    const { description: _, example, ...shape } = schema
    return [type, { schema: shape, example, ...rest }]
  })
  const headers = { ...response.headers, ...headersOfStatus(status) }
  return [
    status,
    {
      ...response,
      ...(Object.keys(headers).length > 0 && { headers }),
      ...(content && { content: Object.fromEntries(media) }),
    },
  ]
}

function describeOperation(operation: Operation, known: Known): Fields {
  const { 'x-access': access, description, responses, ...rest } = operation
  return {
    ...rest,
    description: [description, tell(access)].filter(text => text !== undefined).join('\n\n'),
    security: securityOf(access, known),
    responses: Object.fromEntries([
      ...Object.entries(responses).map(tidyResponse),
      ...refusalsOf(access, known),
    ]),
  }
}

/** Adds what `access` decides to every operation of a generated document. */
function describeAccess({ paths, components, ...rest }: Document, known: Known): Fields {
  const operations = Object.values(paths).flatMap(item => Object.values(item))
  const scopes = [...new Set(operations.flatMap(operation => scopesOf(operation['x-access'])))]
  // What the examples of refusals are about.
  const { schemas, ...refusals } = refusalComponents(known, { scope: scopes.slice(0, 1) })
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
      schemas: { ...(components.schemas as Fields), ...schemas },
      ...refusals,
    },
  }
  // A copy that shares nothing, or YAML would write what is shared as an anchor and its aliases.
  return JSON.parse(JSON.stringify(document)) as Fields
}

/**
 * Registers the generator of the API description, before the routes that it describes.
 *
 * @param guarded the application that is described
 */
export async function addDescription(
  app: FastifyInstance,
  { answerProblem, trust }: ProtectedResource,
  settings: DescriptionSettings,
): Promise<void> {
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

/** Decides what clients can learn of this API before they have a token: the protected resource metadata of RFC 9728. */
import type { FastifyInstance } from 'fastify'
import { entraServers } from '../../token/issuers.ts'
import { scopesOf } from '../../token/policy.ts'
import type { Trust } from '../../token/trust.ts'
import { metadataAddress } from '../protect.ts'

/** How long the document may be kept, in seconds (PRM-7). */
const MAX_AGE_SECONDS = 3600

/** The issuers whose tokens are accepted, as clients find them. */
function authorizationServers({ entra, others }: Trust): string[] {
  return [...(entra === undefined ? [] : entraServers(entra)), ...others.map(({ issuer }) => issuer)]
}

/** The document, a member without values left out (RFC 9728 §3.2). */
function metadataOf(trust: Trust, name: string, scopes: readonly string[]): object {
  const supported = scopes.map(scope => trust.scopePrefix + scope)
  return {
    resource: trust.publicUrl,
    resource_name: name,
    authorization_servers: authorizationServers(trust),
    bearer_methods_supported: ['header'],
    ...(supported.length > 0 && { scopes_supported: supported }),
  }
}

/** A path as the router wants it: decoded, and a colon doubled where it begins no parameter. */
function routeOf(address: string): string {
  return decodeURI(new URL(address).pathname).replaceAll(':', '::')
}

/**
 * `GET /.well-known/oauth-protected-resource`, with the path of PUBLIC_URL behind it when it has one (RFC 9728
 * §3.1).
 *
 * @param name how the API calls itself
 */
export function addMetadata(app: FastifyInstance, name: string): void {
  const { trust, routes } = app.protectedResource
  const scopes = () => [...new Set(routes.accesses().flatMap(scopesOf))]
  const text = { type: 'string' }
  const texts = { type: 'array', minItems: 1, items: text }
  app.get(
    routeOf(metadataAddress(trust.publicUrl)),
    {
      config: { access: 'public' },
      schema: {
        operationId: 'getProtectedResourceMetadata',
        summary: 'Protected resource metadata',
        description: 'RFC 9728: which issuers and scopes this API accepts.',
        tags: ['Discovery'],
        response: {
          200: {
            description: 'The metadata of this API.',
            type: 'object',
            required: ['resource', 'authorization_servers', 'bearer_methods_supported'],
            properties: {
              resource: text,
              resource_name: text,
              authorization_servers: texts,
              bearer_methods_supported: texts,
              scopes_supported: texts,
            },
            example: metadataOf(trust, name, scopes()),
          },
        },
      },
    },
    async (_request, reply) => {
      reply.headers({ 'cache-control': `max-age=${MAX_AGE_SECONDS}`, 'access-control-allow-origin': '*' })
      return metadataOf(trust, name, scopes())
    },
  )
}

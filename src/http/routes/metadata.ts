/** Decides what clients can learn of this API before they have a token: the protected resource metadata of RFC 9728. */
import type { FastifyInstance } from 'fastify'
import type { Trust } from '../../token/trust.ts'
import { metadataAddress } from '../protect.ts'

/** How long the document may be kept, in seconds (PRM-7). */
const MAX_AGE_SECONDS = 3600

/** The issuers whose tokens are accepted, as clients find them; Entra's v2 form, which is where its clients ask. */
function authorizationServers({ entra, others }: Trust): string[] {
  const authority = entra === undefined ? [] : [`${entra.authority}/${entra.tenant}/v2.0`]
  return [...authority, ...others.map(({ issuer }) => issuer)]
}

/**
 * `GET /.well-known/oauth-protected-resource`, with the path of PUBLIC_URL behind it when it has one (RFC 9728
 * §3.1).
 *
 * @param scopes short names of the scopes that the routes ask for
 */
export function addMetadata(app: FastifyInstance, name: string, scopes: () => readonly string[]): void {
  const { trust } = app.protectedResource
  const text = { type: 'string' }
  const texts = { type: 'array', minItems: 1, items: text }
  app.get(
    new URL(metadataAddress(trust.publicUrl)).pathname,
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
            example: {
              resource: 'https://api.example.com',
              resource_name: 'protected-resource',
              authorization_servers: [
                'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0',
              ],
              bearer_methods_supported: ['header'],
              scopes_supported: ['api://66666666-7777-8888-9999-000000000000/Data.Read'],
            },
          },
        },
      },
    },
    async (_request, reply) => {
      const supported = scopes().map(scope => trust.scopePrefix + scope)
      reply.headers({ 'cache-control': `max-age=${MAX_AGE_SECONDS}`, 'access-control-allow-origin': '*' })
      return {
        resource: trust.publicUrl,
        resource_name: name,
        authorization_servers: authorizationServers(trust),
        bearer_methods_supported: ['header'],
        // RFC 9728 §3.2: a member without values is left out.
        ...(supported.length > 0 && { scopes_supported: supported }),
      }
    },
  )
}

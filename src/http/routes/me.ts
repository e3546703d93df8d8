/** Decides what a user is told of themselves by Microsoft Graph, which is asked on their behalf. */
import type { FastifyInstance } from 'fastify'
import { callOn } from '../../downstream/call-on.ts'
import { unserved } from '../../downstream/judge-answer.ts'

/** A user as Microsoft Graph describes them by default. */
interface Profile {
  readonly id: string
  readonly displayName: string | null
}

const maybe = { type: ['string', 'null'] }
const NAMES = ['displayName', 'givenName', 'surname', 'userPrincipalName', 'mail', 'jobTitle']
const PLACES = ['officeLocation', 'mobilePhone', 'preferredLanguage']

/** `GET /me`. */
export function addMe(app: FastifyInstance): void {
  // A bare name is Microsoft Graph's, in every cloud.
  const graph = callOn(app, { url: app.downstream.graphUrl, scopes: ['User.Read'] })
  app.get(
    '/me',
    {
      config: { access: { scope: 'Data.Read', kind: 'user' } },
      schema: {
        operationId: 'getMe',
        summary: "The caller's profile",
        description: 'The profile of the user in Microsoft Graph, asked on behalf of the caller.',
        tags: ['Data'],
        response: {
          200: {
            description: 'The profile; null where Microsoft Graph knows nothing.',
            type: 'object',
            required: ['id'],
            additionalProperties: false,
            properties: {
              id: { type: 'string' },
              ...Object.fromEntries([...NAMES, ...PLACES].map(name => [name, maybe])),
              businessPhones: { type: 'array', items: { type: 'string' } },
            },
            example: {
              id: '6b2f4c0e-0000-4000-8000-000000000001',
              displayName: 'Ada Lovelace',
              givenName: 'Ada',
              surname: 'Lovelace',
              userPrincipalName: 'ada@example.com',
              mail: 'ada@example.com',
              jobTitle: null,
              officeLocation: null,
              mobilePhone: null,
              preferredLanguage: null,
              businessPhones: [],
            },
          },
        },
      },
    },
    async request => {
      const profile = await graph.get<Partial<Profile>>(request, '/me')
      if (typeof profile.id === 'string') return profile
      throw unserved(app.downstream.graphUrl, 'an answer that is no profile')
    },
  )
}

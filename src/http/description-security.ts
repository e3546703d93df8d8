/** Decides which security requirements the description derives from what a route asks for. */
import { type Names, ways } from '../token/names.ts'
import { kindsOf, type RouteAccess } from '../token/policy.ts'
import type { Fields, Known } from './description-shapes.ts'

/** What an application asks Entra for: everything that an administrator has granted to it. */
const EVERYTHING = '.default'

/** The ways in which callers of this API get a token. */
export function securitySchemes(
  { authority, pages = authority, scopePrefix }: Known,
  scopes: readonly string[],
): Fields {
  const bearer = {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description:
      'An access token, however it was obtained. The names at an operation are the permissions that it must carry.',
  }
  if (authority === undefined) return { bearer }
  const authorizationCode = {
    authorizationUrl: `${pages}/oauth2/v2.0/authorize`,
    tokenUrl: `${pages}/oauth2/v2.0/token`,
    scopes: Object.fromEntries(
      scopes.map(scope => [scopePrefix + scope, `${scope}, on behalf of the signed-in user`]),
    ),
  }
  const clientCredentials = {
    tokenUrl: `${authority}/oauth2/v2.0/token`,
    scopes: {
      [scopePrefix + EVERYTHING]: 'every application permission that an administrator has granted',
    },
  }
  return {
    entra: {
      type: 'oauth2',
      description: 'Microsoft Entra ID: people sign in, by authorization code with PKCE.',
      flows: { authorizationCode },
    },
    entraApplication: {
      type: 'oauth2',
      description:
        'Microsoft Entra ID: an application gets a token in its own name, by client credentials. Which application permission the token must carry stands at `bearer`, beside it.',
      flows: { clientCredentials },
    },
    bearer,
  }
}

/** Where no name is asked for, none is needed. */
const waysOrNone = (wanted: Names | undefined): string[][] => (wanted === undefined ? [[]] : ways(wanted))

/**
 * A user comes in by scope, an application by role; separate entries are alternatives. Whatever else is asked for
 * has no place in a security requirement, and stands in the words.
 */
export function securityOf(access: RouteAccess, { authority, otherIssuers, scopePrefix }: Known): Fields[] {
  if (access === 'public') return []
  const doors = [
    ...(authority !== undefined ? ['entra'] : []),
    ...(authority === undefined || otherIssuers ? ['bearer'] : []),
  ]
  if (access === 'any') return [...new Set([...doors, 'bearer'])].map(door => ({ [door]: [] }))
  const kinds = kindsOf(access)
  const users = kinds.includes('user') ? waysOrNone(access.scope) : []
  const applications = kinds.includes('application') ? waysOrNone(access.role) : []
  const own = authority !== undefined && { entraApplication: [scopePrefix + EVERYTHING] }
  return [
    ...doors.flatMap(door => users.map(names => ({ [door]: names.map(name => scopePrefix + name) }))),
    ...applications.map(names => ({ ...own, bearer: names })),
    ...(own && otherIssuers ? applications.map(names => ({ bearer: names })) : []),
  ]
}

/** Decides which security requirements the description derives from what a route asks for. */
import { type Names, ways } from '../token/names.ts'
import { kindsOf, type RouteAccess } from '../token/policy.ts'
import type { Fields, Known } from './description-shapes.ts'

/** The ways in which callers of this API get a token. */
export function securitySchemes({ authority, scopePrefix }: Known, scopes: readonly string[]): Fields {
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
  return [
    ...doors.flatMap(door => users.map(names => ({ [door]: names.map(name => scopePrefix + name) }))),
    ...applications.map(names => ({ bearer: names })),
  ]
}

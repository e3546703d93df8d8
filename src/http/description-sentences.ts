/** Decides in which words the description says what an operation asks for. */
import { listed, type Names, ways } from '../token/names.ts'
import { kindsOf, type Policy, type RouteAccess } from '../token/policy.ts'

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
export function tell(access: RouteAccess): string {
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

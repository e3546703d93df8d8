/** Decides what a `scope` parameter asks for, and how much of it a person has agreed to. */

import { Aadsts } from './aadsts.ts'
import type { Directory } from './directory.ts'
import { API_SCOPES, type Person } from './people.ts'

const OIDC_SCOPES = ['openid', 'profile', 'email', 'offline_access']
const GRAPH_URI = 'https://graph.microsoft.com'
const GRAPH_CONSENTS = ['User.Read']

/** A `scope` parameter, understood. */
export interface RequestedScopes {
  readonly resource: 'api' | 'graph'
  /** Scope names of the resource, without its prefix; `.default` stands for everything that was consented to. */
  readonly names: readonly string[]
  /** Those of OpenID Connect that were asked for. */
  readonly oidc: readonly string[]
}

function splitScope(directory: Directory, scope: string): { resource: 'api' | 'graph'; name: string } {
  const slash = scope.lastIndexOf('/')
  const name = scope.slice(slash + 1)
  // The resource may itself end in a slash: `api://id//.default`.
  const resource = scope.slice(0, Math.max(slash, 0)).replace(/\/$/, '')
  const { clientId } = directory.state.applications.api
  if (resource === `api://${clientId}` || resource === clientId) return { resource: 'api', name }
  if (resource === GRAPH_URI || resource === '') return { resource: 'graph', name }
  throw new Aadsts(500011, `Resource: ${resource}.`)
}

function checkName(resource: 'api' | 'graph', name: string): void {
  if (name === '.default') return
  if (resource === 'api' && !API_SCOPES.includes(name))
    throw new Aadsts(70011, `The scope ${name} does not exist.`)
  if (resource === 'graph' && !GRAPH_CONSENTS.includes(name)) throw new Aadsts(65001)
}

/**
 * Reads a `scope` parameter. As at Entra one request is for one resource; a bare name, or none, is Microsoft Graph's.
 * @throws Aadsts 28000, 65001, 70011, 500011
 */
export function readScopes(directory: Directory, scope: string): RequestedScopes {
  const all = scope.split(' ').filter(Boolean)
  if (all.length === 0)
    throw new Aadsts(90014, 'The request body must contain the following parameter: scope.')
  const split = all.filter(one => !OIDC_SCOPES.includes(one)).map(one => splitScope(directory, one))
  const resources = new Set(split.map(one => one.resource))
  if (resources.size > 1) throw new Aadsts(28000)
  for (const { resource, name } of split) checkName(resource, name)
  return {
    resource: split[0]?.resource ?? 'graph',
    names: split.map(one => one.name),
    oidc: all.filter(one => OIDC_SCOPES.includes(one)),
  }
}

/**
 * What a person grants of a request: what they have consented to. A person who has consented to none of it gets
 * what they have consented to instead, so that bob holds a good token that lacks Data.Read.
 */
export function grantScopes({ resource, names }: RequestedScopes, person: Person): string[] {
  const consents = resource === 'api' ? person.consents : GRAPH_CONSENTS
  const granted = consents.filter(one => names.includes(one))
  return granted.length > 0 ? granted : [...consents]
}

/** Granted scopes as the answer of the token endpoint names them. */
export function nameScopes({ state }: Directory, requested: RequestedScopes, granted: string[]): string {
  const prefix = requested.resource === 'api' ? `api://${state.applications.api.clientId}` : GRAPH_URI
  const oidc = requested.oidc.filter(one => one !== 'offline_access')
  return [...granted.map(one => `${prefix}/${one}`), ...(requested.resource === 'graph' ? oidc : [])].join(
    ' ',
  )
}

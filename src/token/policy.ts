/** Decides whether a caller's access is enough for a route: policy as data, and the one function that enforces it. */
import type { Problem, Refusal } from '../errors.ts'
import type { Access } from './access.ts'

/** Names that are asked for: one, all of a list, or any of a list. */
export type Names = string | readonly string[] | { readonly any: readonly string[] }

/**
 * What a route asks for. `scope` is asked of users (delegated permission), `role` of applications (application
 * permission); with both, either kind of caller may come, each by its own door. A kind whose door is missing is
 * turned away.
 */
export interface Policy {
  /** Delegated permission that a user's token must carry, by the short name that stands in `scp` or `scope`. */
  readonly scope?: Names
  /** Application permission that an application's token must carry in `roles`. */
  readonly role?: Names
}

/** What a route declares in `config.access`: nobody is asked, any caller with a permission, or a {@link Policy}. */
export type RouteAccess = 'public' | 'any' | Policy

const MEMBERS = ['scope', 'role'] as const
// RFC 6749 §3.3: the characters of a scope; the same are safe in a challenge (BEARER-12).
const NAME = /^[\x21\x23-\x5b\x5d-\x7e]+$/

function names(wanted: Names): { all: readonly string[] } | { any: readonly string[] } {
  if (typeof wanted === 'string') return { all: [wanted] }
  return 'any' in wanted ? wanted : { all: wanted }
}

function listed(wanted: Names): readonly string[] {
  const list = names(wanted)
  return 'any' in list ? list.any : list.all
}

function holds(held: readonly string[], wanted: Names): boolean {
  const list = names(wanted)
  return 'any' in list
    ? list.any.some(name => held.includes(name))
    : list.all.every(name => held.includes(name))
}

function isNames(value: unknown): boolean {
  const list: unknown =
    typeof value === 'string'
      ? [value]
      : typeof value === 'object' && value !== null && 'any' in value
        ? value.any
        : value
  return (
    Array.isArray(list) && list.length > 0 && list.every(name => typeof name === 'string' && NAME.test(name))
  )
}

/**
 * Says what is wrong with a route's declaration; nothing is right by default (an empty policy would admit
 * everybody, so it is refused).
 *
 * @param route how to name the route to its author, for example `GET /orders`
 */
export function findPolicyProblems(route: string, access: unknown): Problem[] {
  if (access === 'public' || access === 'any') return []
  const expected = "'public', 'any', or { scope, role } with at least one of the two"
  const example = "config: { access: { scope: 'Data.Read', role: 'Data.Read.All' } }"
  const name = `access of ${route}`
  if (access === undefined) return [{ name, found: 'nothing', expected, example }]
  const found = JSON.stringify(access) ?? typeof access
  if (typeof access !== 'object' || access === null || Array.isArray(access)) {
    return [{ name, found, expected, example }]
  }
  const members = Object.entries(access)
  const unknown = members.filter(([member]) => !MEMBERS.some(known => known === member))
  if (members.length === 0 || unknown.length > 0) return [{ name, found, expected, example }]
  return members
    .filter(([, value]) => !isNames(value))
    .map(([member, value]) => ({
      name: `${name}, ${member}`,
      found: JSON.stringify(value) ?? typeof value,
      expected: 'a name, a list of names or { any: […] }, of printable characters without space, " and \\',
      example: "'Data.Read'",
    }))
}

/** The scopes that a caller could ask for to be admitted, by short name; none when no scope would help. */
export function scopesOf(access: RouteAccess): readonly string[] {
  return typeof access === 'object' && access.scope !== undefined ? listed(access.scope) : []
}

/** The application permissions that would admit an application; none when no role would help. */
export function rolesOf(access: RouteAccess): readonly string[] {
  return typeof access === 'object' && access.role !== undefined ? listed(access.role) : []
}

/**
 * Enforces what a route asks for, after the token itself has passed every check.
 *
 * @param allowedClients applications that may call this server at all; empty is any
 * @returns the refusal, or undefined when the caller is admitted
 */
export function enforce(
  access: Exclude<RouteAccess, 'public'>,
  caller: Access,
  allowedClients: readonly string[],
): Refusal | undefined {
  // ENTRA-17: the list only ever restricts.
  if (allowedClients.length > 0 && !(caller.client !== undefined && allowedClients.includes(caller.client))) {
    return { code: 'client_not_allowed', about: 'client', received: caller.client, expected: allowedClients }
  }
  // ENTRA-15: any application of a tenant can get a token for any API of it; one without a permission is nobody.
  if (caller.scopes.length === 0 && caller.roles.length === 0) return { code: 'no_permissions' }
  if (access === 'any') return undefined

  const door = caller.kind === 'user' ? 'scope' : caller.kind === 'application' ? 'role' : undefined
  const wanted = door && access[door]
  if (door === undefined || wanted === undefined) {
    return {
      code: 'wrong_caller_kind',
      received: caller.kind,
      expected:
        access.scope === undefined
          ? 'application'
          : access.role === undefined
            ? 'user'
            : 'user or application',
    }
  }
  const held = door === 'scope' ? caller.scopes : caller.roles
  if (holds(held, wanted)) return undefined
  return {
    code: door === 'scope' ? 'insufficient_scope' : 'insufficient_role',
    about: door === 'scope' ? 'scp' : 'roles',
    received: held,
    expected: wanted,
  }
}

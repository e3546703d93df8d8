/** Decides whether a caller's access is enough for a route: policy as data, and the one function that enforces it. */
import type { Refusal } from '../errors.ts'
import type { Access } from './access.ts'
import { type Implied, withImplied } from './implied.ts'
import { holds, isOneOf, listed, type Names } from './names.ts'
import { judgeStrength, type Strength, type StrengthTerms } from './step-up.ts'

/**
 * What a route asks for.
 *
 * Users and applications come in by doors of their own. `scope`, `userRole` and `groups` open the door for users,
 * who must satisfy all of them that are given; `role` opens the door for applications. `kind` opens the door of one
 * kind without asking a permission of the route's own, and keeps the other shut. Whoever finds no door is turned
 * away (`wrong_caller_kind`), and so is a caller of whom it can't be decided which kind it is.
 *
 * What is asked of users (`scope`, `userRole`, `groups` and the members of {@link Strength}) is never asked of
 * applications, nor `role` of users. `clients` narrows who comes in by either door; it opens none. A policy without
 * a door, or with a member for a kind that has none, refuses to boot.
 */
export interface Policy extends Strength {
  /** Delegated permission that a user's token must carry, by the short name that stands in `scp` or `scope`. */
  readonly scope?: Names
  /** Application permission that an application's token must carry in `roles`. */
  readonly role?: Names
  /** App role that is assigned to the user, in `roles` of a user's token. Alone, it admits users only. */
  readonly userRole?: Names
  /**
   * Groups that the user must be in, by the ids or names that stand in `groups`. Alone, it admits users only. A
   * token that leaves its groups out because they are too many is refused (`groups_undetermined`), and the address
   * that it names for them is never called.
   */
  readonly groups?: Names
  /**
   * Applications that may call (`azp`, `appid` or `client_id`); a caller has one, so a list is any of it. Where it
   * is all that is asked of an application (`kind` without `role`), one of Entra must be known by `idtyp` to be one
   * (ENTRA-17).
   */
  readonly clients?: Names
  /** Admits this kind of caller only; alone, every one of them with at least one permission. */
  readonly kind?: 'user' | 'application'
  /**
   * Types of `authorization_details` (RFC 9396) that the route's handler itself enforces. A token with any other
   * type is refused, because nobody here would heed what it says (ASVS-3). Opens no door.
   */
  readonly authorizationDetails?: Names
}

/** What a route declares in `config.access`: nobody is asked, any caller with a permission, or a {@link Policy}. */
export type RouteAccess = 'public' | 'any' | Policy

/** What enforcement depends on beside the route and the caller; the same for every request. */
export interface Terms extends StrengthTerms {
  /** Applications that may call this server at all; none named is any. */
  readonly allowedClients: readonly string[]
  readonly implied: Implied
}

/** Whether a policy has a door for a kind of caller. */
function isOpenTo(policy: Policy, kind: 'user' | 'application'): boolean {
  if (policy.kind !== undefined) return policy.kind === kind
  if (kind === 'application') return policy.role !== undefined
  return policy.scope !== undefined || policy.userRole !== undefined || policy.groups !== undefined
}

/** The kinds of caller that a policy has a door for. */
export function kindsOf(policy: Policy): readonly ('user' | 'application')[] {
  return (['user', 'application'] as const).filter(kind => isOpenTo(policy, kind))
}

/** The scopes that a caller could ask for to be admitted, by short name; none when no scope would help. */
export function scopesOf(access: RouteAccess): readonly string[] {
  return typeof access === 'object' && access.scope !== undefined ? listed(access.scope) : []
}

/** The application permissions that would admit an application; none when no role would help. */
export function rolesOf(access: RouteAccess): readonly string[] {
  return typeof access === 'object' && access.role !== undefined ? listed(access.role) : []
}

/** ENTRA-17: the lists only ever restrict. */
function checkClient({ client }: Access, wanted: Names | undefined): Refusal | undefined {
  if (wanted === undefined || isOneOf(client, wanted)) return undefined
  return { code: 'client_not_allowed', about: 'client', received: client, expected: listed(wanted) }
}

/** ASVS-3: RFC 9396 details are conditions and rights; of a type that nobody here knows, they can't be kept. */
function checkDetails({ claims }: Access, known: Names | undefined): Refusal | undefined {
  const { authorization_details: details } = claims
  if (details === undefined) return undefined
  const types = Array.isArray(details)
    ? details.map((detail: { type?: unknown } | null) => detail?.type)
    : [details]
  if (types.every(type => known !== undefined && isOneOf(type, known))) return undefined
  return {
    code: 'no_permissions',
    about: 'authorization_details',
    received: types.filter(type => typeof type === 'string'),
    expected: known ?? 'no such claim',
  }
}

/** ENTRA-20: whether the token says that it leaves groups out, or names them in a form that says nothing. */
export function isOverage({ groups, hasgroups, _claim_names: elsewhere }: Access['claims']): boolean {
  const isElsewhere =
    typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, 'groups')
  const isText = (item: unknown): boolean => typeof item === 'string'
  const isUnreadable = groups !== undefined && !(Array.isArray(groups) && groups.every(isText))
  return isElsewhere || isUnreadable || (hasgroups !== undefined && hasgroups !== false)
}

function checkGroups({ claims }: Access, wanted: Names | undefined): Refusal | undefined {
  if (wanted === undefined) return undefined
  if (isOverage(claims)) return { code: 'groups_undetermined', about: 'groups', expected: wanted }
  const held = (claims.groups ?? []) as readonly string[]
  if (holds(held, wanted)) return undefined
  return { code: 'insufficient_group', about: 'groups', received: held, expected: wanted }
}

function checkRole({ roles }: Access, wanted: Names | undefined): Refusal | undefined {
  if (wanted === undefined || holds(roles, wanted)) return undefined
  return { code: 'insufficient_role', about: 'roles', received: roles, expected: wanted }
}

/** The order of checks, step 13 and after: role and group (403), strength (401), scope (403). */
function enforceUser(policy: Policy, caller: Access, terms: Terms): Refusal | undefined {
  const refusal = checkRole(caller, policy.userRole) ?? checkGroups(caller, policy.groups)
  if (refusal !== undefined) return refusal
  const { scope } = policy
  const lacksScope = scope !== undefined && !holds(withImplied(caller.scopes, terms.implied), scope)
  const weak = judgeStrength(policy, caller, terms)
  if (weak !== undefined) {
    const { stepUp } = weak
    return lacksScope && stepUp !== undefined ? { ...weak, stepUp: { ...stepUp, scope: true } } : weak
  }
  if (!lacksScope) return undefined
  return { code: 'insufficient_scope', about: 'scp', received: caller.scopes, expected: scope }
}

function enforceApplication(policy: Policy, caller: Access, terms: Terms): Refusal | undefined {
  const { role, clients } = policy
  const { idtyp } = caller.claims
  // ENTRA-17: rights by client id alone are for what is an application by its own word, not for lack of a scope.
  if (role === undefined && clients !== undefined && terms.isEntra(caller.issuer) && idtyp !== 'app') {
    return { code: 'wrong_caller_kind', about: 'idtyp', received: idtyp, expected: 'app' }
  }
  return checkRole(caller, role)
}

/**
 * Enforces what a route asks for, after the token itself has passed every check.
 *
 * @returns the refusal, or undefined when the caller is admitted
 */
export function enforce(
  access: Exclude<RouteAccess, 'public'>,
  caller: Access,
  terms: Terms,
): Refusal | undefined {
  const policy: Policy = access === 'any' ? {} : access
  const { allowedClients } = terms
  const stranger =
    checkClient(caller, allowedClients.length === 0 ? undefined : allowedClients) ??
    checkClient(caller, policy.clients)
  if (stranger !== undefined) return stranger
  // ENTRA-15: any application of a tenant can get a token for any API of it; one without a permission is nobody.
  if (caller.scopes.length === 0 && caller.roles.length === 0) return { code: 'no_permissions' }
  const unknown = checkDetails(caller, policy.authorizationDetails)
  if (unknown !== undefined || access === 'any') return unknown

  const { kind } = caller
  if (kind === 'unknown' || !isOpenTo(policy, kind)) {
    return { code: 'wrong_caller_kind', received: kind, expected: kindsOf(policy).join(' or ') }
  }
  return kind === 'user' ? enforceUser(policy, caller, terms) : enforceApplication(policy, caller, terms)
}

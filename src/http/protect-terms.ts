/** Decides what every route is enforced with beside its own access: allowed clients, implied scopes, authentication contexts and time. */
import type { Problem } from '../errors.ts'
import type { Surroundings } from '../token/declared.ts'
import { findImpliesProblems, type Implies, readImplied } from '../token/implied.ts'
import { GUID } from '../token/issuers.ts'
import type { Clock } from '../token/keys/clock.ts'
import type { Terms } from '../token/policy.ts'
import { type Acrs, findAcrsProblems } from '../token/step-up.ts'
import type { Trust } from '../token/trust.ts'

/** What an application may say of its permissions; no variable of the server says it. */
export interface PermissionOptions {
  /**
   * Scopes that come with a scope, over any number of steps: `{ 'Files.Write': ['Files.Read'] }` lets a caller with
   * the first in where the second is asked for. `request.access.scopes` stays as the token has it.
   * Plugin option only. Default: a scope is itself and nothing else (C-16).
   */
  readonly implies?: Implies
  /**
   * Names of Conditional Access authentication contexts by tenant, for `authenticationContext` of a route:
   * `{ '<tenant id>': { 'transfer-money': 'c1' } }`. Plugin option only. Default: contexts go by their ids.
   */
  readonly acrs?: Acrs
}

/** Everything that is wrong with the options. */
export function findPermissionProblems({ implies, acrs }: PermissionOptions): Problem[] {
  return [...findImpliesProblems(implies), ...findAcrsProblems(acrs)]
}

/** The terms of enforcement, made of options without problems. */
export function readTerms(trust: Trust, { implies, acrs = {} }: PermissionOptions, clock: Clock): Terms {
  const others = new Set(trust.others.map(({ issuer }) => issuer))
  // Azure AD B2C knows neither authentication contexts nor claims challenges.
  const hasContexts = trust.entra !== undefined && trust.entra.b2cPolicies === undefined
  return {
    allowedClients: trust.allowedClients,
    implied: readImplied(implies),
    acrs,
    isEntra: issuer => hasContexts && !others.has(issuer),
    now: () => clock.now(),
    toleranceSeconds: trust.toleranceSeconds,
  }
}

/** What a route's access is judged by at boot. */
export function readSurroundings({ entra }: Trust, { acrs = {} }: PermissionOptions): Surroundings {
  if (entra === undefined) return { acrs, tenants: [] }
  return { acrs, tenants: GUID.test(entra.tenant) ? [entra.tenant] : entra.allowedTenants }
}

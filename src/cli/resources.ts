/** Decides which scopes go into one request: the issuer answers a request with a token for a single resource. */

/** Scopes of OpenID Connect belong to no API. */
export const OIDC_SCOPES: readonly string[] = ['openid', 'profile', 'email', 'offline_access']

// What stands before the last slash: `api://id/Data.Read`, and `https://vault.azure.net//.default` too.
const resourceOf = (scope: string): string => scope.slice(0, Math.max(scope.lastIndexOf('/'), 0))

/**
 * Splits scopes by their resource, in the order in which the resources first appear. Those of OpenID Connect go
 * with every resource.
 *
 * @param scopes complete ones, at least one
 */
export function splitByResource(scopes: readonly string[]): string[][] {
  const oidc = scopes.filter(scope => OIDC_SCOPES.includes(scope))
  const others = scopes.filter(scope => !OIDC_SCOPES.includes(scope))
  if (others.length === 0) return [oidc]
  const resources = [...new Set(others.map(resourceOf))]
  return resources.map(resource => [...others.filter(scope => resourceOf(scope) === resource), ...oidc])
}

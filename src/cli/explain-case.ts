/** Decides what is known of a refused token beside its refusal, and what the issuer is asked to know more. */
import type { Refusal } from '../errors.ts'
import { GUID, type IssuerMatch } from '../token/issuers.ts'
import type { Jws } from '../token/jws.ts'
import { type RouteAccess, scopesOf } from '../token/policy.ts'
import type { Case } from './explain-fixes.ts'
import type { Judge } from './explain-judge.ts'

/** What only the issuer can tell. */
export type Facts = Partial<Pick<Case, 'aheadSeconds' | 'customKeyOf' | 'failure'>>

/** Asks the issuer what a refusal leaves open: the time, a key of its own for one application, why there are no keys. */
export async function investigate(
  { code }: Refusal,
  jws: Jws | undefined,
  match: IssuerMatch | undefined,
  judge: Judge,
): Promise<Facts> {
  if (match === undefined || jws === undefined) return {}
  const { issuer } = match
  if (code === 'keys_unavailable') {
    const failure = await judge.fetchKeys(issuer).then(
      () => undefined,
      (error: Error) => error.message,
    )
    return { failure }
  }
  if (judge.offline) return {}
  if (code === 'expired' || code === 'not_yet_valid') {
    const discovery = await judge.discover(issuer).catch(() => undefined)
    return { aheadSeconds: discovery?.aheadSeconds }
  }
  if (code !== 'unknown_key' || issuer.preset !== 'entra') return {}
  const { aud, azp, appid } = jws.claims
  const named = [judge.clientId, String(aud).replace(/^api:\/\//, ''), azp, appid]
  for (const appId of new Set(named.filter((id): id is string => typeof id === 'string' && GUID.test(id)))) {
    const set = await judge.fetchKeys(issuer, appId).catch(() => undefined)
    if (set?.keys.some(({ kid }) => kid === jws.header.kid)) return { customKeyOf: appId }
  }
  return {}
}

/** What is judged, and by whom. */
export interface Subject {
  readonly token: string
  readonly jws: Jws | undefined
  readonly match: IssuerMatch | undefined
  readonly judge: Judge
  readonly nowSeconds: number
  readonly facts: Facts
}

/** Gathers what a fix depends on. @param access of the route that refuses; absent: the token itself is refused */
export function createCase(refusal: Refusal, access: RouteAccess | undefined, subject: Subject): Case {
  const { token, jws, match, judge, nowSeconds, facts } = subject
  const { trust, issuers, offline, local } = judge
  const accesses = access === undefined || access === 'any' ? guarded(judge).map(one => one.access) : [access]
  const named = accesses.flatMap(scopesOf).map(name => trust.scopePrefix + name)
  const { allowedTenants = [], tenant } = trust.entra ?? {}
  return {
    refusal,
    claims: jws?.claims ?? {},
    parts: token.split('.').length,
    issuer: match?.issuer,
    issuers,
    tenant,
    tenants: allowedTenants === '*' ? [] : allowedTenants,
    scopes: [...new Set(named)],
    nowSeconds,
    aheadSeconds: facts.aheadSeconds,
    customKeyOf: facts.customKeyOf,
    failure: facts.failure,
    offline,
    local,
  }
}

/** The routes that ask for something. */
export function guarded({ routes }: Judge) {
  return routes.flatMap(({ route, access }) => (access === 'public' ? [] : [{ route, access }]))
}

/** Decides whether a user signed in strongly enough for a route, and what to ask for when not: in Entra's words or in RFC 9470's. */
import type { Problem, Refusal, StepUp } from '../errors.ts'
import type { Access } from './access.ts'
import { GUID } from './issuers.ts'
import type { JsonObject } from './jws.ts'
import { isOneOf, listed, type Names } from './names.ts'

/**
 * How a user must have signed in. `acr` and `authenticationContext` are one demand in two vocabularies: with both,
 * a caller of Entra is asked for the context and a caller of another issuer for `acr`. Otherwise every member is
 * asked of every user.
 *
 * What is lacking is answered in the vocabulary of the caller's issuer (C-11). What that vocabulary can't ask for
 * (`acr` and `maxAgeSeconds` at Entra, a context elsewhere) is judged all the same, and answered 403 without a
 * challenge, because no sign-in would mend it.
 */
export interface Strength {
  /** `acr` must be exactly one of these, the preferred one first; there is no order of strength (RFC 9470 §3). */
  readonly acr?: Names
  /** Most seconds since the user last signed in (`auth_time`); a token that does not say when is not recent. */
  readonly maxAgeSeconds?: number
  /** Conditional Access authentication context: an id, `c1` to `c99`, or a name that the option `acrs` maps. */
  readonly authenticationContext?: string
}

/** Names of authentication contexts, by tenant: `{ '<tenant id>': { 'transfer-money': 'c1' } }` (ENTRA-23). */
export type Acrs = Readonly<Record<string, Readonly<Record<string, string>>>>

/** What the judgement of strength depends on, the same for every route. */
export interface StrengthTerms {
  readonly acrs: Acrs
  /** Whether an issuer is Entra: its dialect is the claims challenge. */
  readonly isEntra: (issuer: string) => boolean
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Clock difference that is forgiven, in seconds. */
  readonly toleranceSeconds: number
}

const CONTEXT_ID = /^c[1-9][0-9]?$/
const EXAMPLE = "{ '11111111-2222-3333-4444-555555555555': { 'transfer-money': 'c1' } }"

/** The context's id in a tenant; undefined when the tenant's configuration has none. */
function idOf(context: string, tenant: string | undefined, acrs: Acrs): string | undefined {
  if (CONTEXT_ID.test(context)) return context
  const names = tenant !== undefined && Object.hasOwn(acrs, tenant) ? acrs[tenant]! : {}
  return Object.hasOwn(names, context) ? names[context] : undefined
}

/** Says what is wrong with the option `acrs`. */
export function findAcrsProblems(acrs: unknown): Problem[] {
  const problem = (found: unknown, expected: string): Problem[] => [
    { name: 'option acrs', found: String(JSON.stringify(found)), expected, example: EXAMPLE },
  ]
  const isObject = (value: unknown): value is object =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  if (acrs === undefined) return []
  if (!isObject(acrs)) return problem(acrs, 'tenants with names of their authentication contexts')
  return Object.entries(acrs).flatMap(([tenant, names]) => {
    if (!GUID.test(tenant)) return problem(tenant, 'the GUID of a tenant, in lower case')
    if (!isObject(names)) return problem(names, 'names with the ids of authentication contexts')
    return Object.entries(names).flatMap(([name, id]) => {
      if (name === '' || CONTEXT_ID.test(name)) return problem(name, 'a name that is no id itself')
      return typeof id === 'string' && CONTEXT_ID.test(id) ? [] : problem(id, 'an id from c1 to c99')
    })
  })
}

/**
 * Which tenants would leave a context undecided.
 *
 * @param tenants those that may call; `*` when they are not listed
 * @returns undefined when the context has an id in every tenant that is known
 */
export function findUnmapped(
  context: string,
  acrs: Acrs,
  tenants: readonly string[] | '*',
): string | undefined {
  if (CONTEXT_ID.test(context)) return undefined
  const lacking = (tenants === '*' ? Object.keys(acrs) : tenants).filter(
    tenant => idOf(context, tenant, acrs) === undefined,
  )
  const isMapped = Object.keys(acrs).some(tenant => idOf(context, tenant, acrs) !== undefined)
  if (!isMapped) return 'a name that the option acrs maps for no tenant'
  if (tenants === '*' || lacking.length === 0) return undefined
  return `a name that the option acrs does not map for ${lacking.join(', ')}`
}

/** ENTRA-22: whether the client has said that it can act on a claims challenge. */
export function handlesChallenges({ xms_cc: capabilities }: JsonObject): boolean {
  const list: readonly unknown[] = Array.isArray(capabilities) ? capabilities : [capabilities]
  return list.some(
    item => typeof item === 'string' && item.split(/[\s,]+/).some(one => one.toLowerCase() === 'cp1'),
  )
}

/** ENTRA-23: the context is one of the token's `acrs`. */
function judgeContext(context: string, caller: Access, terms: StrengthTerms): Refusal | undefined {
  const { claims, tenant, issuer } = caller
  const id = terms.isEntra(issuer) ? idOf(context, tenant, terms.acrs) : undefined
  if (id !== undefined && Array.isArray(claims.acrs) && claims.acrs.includes(id)) return undefined
  const expected = id ?? `an id of the context ${context}, which is not mapped for this caller`
  const refusal: Refusal = {
    code: 'insufficient_authentication',
    about: 'acrs',
    received: claims.acrs,
    expected,
  }
  if (id === undefined || !handlesChallenges(claims)) return refusal
  const request = JSON.stringify({ access_token: { acrs: { essential: true, value: id } } })
  return { ...refusal, stepUp: { claims: request } }
}

/** STEPUP-2: recent enough, by a time that is not in the future. */
function isRecent(authTime: unknown, maxAgeSeconds: number, terms: StrengthTerms): boolean {
  const nowSeconds = terms.now() / 1000
  return (
    typeof authTime === 'number' &&
    nowSeconds - authTime <= maxAgeSeconds &&
    authTime <= nowSeconds + terms.toleranceSeconds
  )
}

/**
 * Judges how a user signed in.
 *
 * @returns why it is not enough; with `stepUp` when a new sign-in by this client can mend it
 */
export function judgeStrength(wanted: Strength, caller: Access, terms: StrengthTerms): Refusal | undefined {
  const { acr, maxAgeSeconds, authenticationContext: context } = wanted
  const { claims, issuer } = caller
  const isEntra = terms.isEntra(issuer)
  const asksContext = context !== undefined && (isEntra || acr === undefined)
  const refusal = asksContext ? judgeContext(context, caller, terms) : undefined
  if (refusal !== undefined) return refusal

  const lacksAcr = acr !== undefined && !asksContext && !isOneOf(claims.acr, acr)
  const isOld = maxAgeSeconds !== undefined && !isRecent(claims.auth_time, maxAgeSeconds, terms)
  if (!lacksAcr && !isOld) return undefined
  const stepUp: StepUp = {
    ...(lacksAcr && { acrValues: listed(acr) }),
    ...(isOld && { maxAgeSeconds }),
  }
  return {
    code: 'insufficient_authentication',
    about: lacksAcr ? 'acr' : 'auth_time',
    received: lacksAcr ? claims.acr : claims.auth_time,
    expected: lacksAcr ? acr : `at most ${maxAgeSeconds} seconds ago`,
    ...(!isEntra && { stepUp }),
  }
}

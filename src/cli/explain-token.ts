/** Decides what is told of one token: every check as the server made it, who would be calling, and which routes would let them in. */
import { type Code, isRefusal, type Refusal } from '../errors.ts'
import { type Access, readAccess } from '../token/access.ts'
import { CHECKS } from '../token/authenticate.ts'
import { readCredential } from '../token/credential.ts'
import type { IssuerMatch } from '../token/issuers.ts'
import { decodeJws, type Jws } from '../token/jws.ts'
import { isOverage, type RouteAccess } from '../token/policy.ts'
import { createCase, guarded, investigate } from './explain-case.ts'
import { fixOf } from './explain-fixes.ts'
import type { Judge } from './explain-judge.ts'
import { showDate, showValue } from './explain-values.ts'

/** One check, in the order in which the server makes them. */
export interface CheckReport {
  readonly check: string
  readonly outcome: 'passed' | 'failed' | 'not reached'
  /** The claim or header parameter that a failed check is about. */
  readonly about?: string
  readonly received?: string
  readonly expected?: string
}

/** Why something is refused, and what mends it. */
export interface RefusalReport {
  readonly code: Code
  readonly status: number
  readonly detail: string
  readonly about?: string
  readonly received?: string
  readonly expected?: string
  readonly fix: string
}

/** One guarded route. */
export interface RouteReport {
  readonly route: string
  readonly admitted: boolean
  readonly refusal?: RefusalReport
}

/** Everything that is told of a token. */
export interface TokenReport {
  /** Whose tokens the server accepts. */
  readonly issuers: readonly string[]
  /** Whether the keys came from a file. */
  readonly offline: boolean
  /** Whether at least one guarded route would let the caller in. */
  readonly accepted: boolean
  readonly checks: readonly CheckReport[]
  /** Why the token itself is refused. */
  readonly refusal?: RefusalReport
  /** Who the caller is, or claims to be; absent when the token can't be read. */
  readonly caller?: Omit<Access, 'claims'> & { readonly verified: boolean }
  readonly routes: readonly RouteReport[]
  /** What is worth knowing though nothing was refused for it. */
  readonly notes: readonly string[]
  /** This machine's time minus the issuer's, in seconds, where it matters and could be measured. */
  readonly clockAheadSeconds?: number
}

const OVERAGE =
  'The caller is in more groups than a token holds, so Entra left them out (overage): a route that asks for groups answers groups_undetermined. Token configuration > groups claim > Groups assigned to the application, or use app roles.'
const EXPECTED_DATE = { exp: 'a time to come', nbf: 'a time that has passed' } as const
const CREDENTIAL = 'one bearer token'

/** Every check, the one of the header included. */
export const ALL_CHECKS: readonly string[] = [CREDENTIAL, ...CHECKS]

/** What a person looks for beside a check that passed: display only. */
export const SHOWN: Readonly<Record<string, (jws: Jws, nowSeconds: number) => string>> = {
  'signature algorithm': ({ header }) => header.alg,
  'trusted issuer': ({ claims }) => showValue(claims.iss),
  'algorithm and type': ({ header }) => `${header.alg}, ${showValue(header.typ)}`,
  'published key': ({ header }) => showValue(header.kid),
  tenant: ({ claims }) => showValue(claims.tid),
  'token version': ({ claims }) => showValue(claims.ver),
  audience: ({ claims }) => showValue(claims.aud),
  'not expired': ({ claims }, nowSeconds) => showDate(claims.exp, nowSeconds),
  'valid already': ({ claims }, nowSeconds) => showDate(claims.nbf, nowSeconds),
}

/** Judges a token as the server would, and tells everything. */
export async function explainToken(token: string, judge: Judge): Promise<TokenReport> {
  const nowSeconds = judge.now() / 1000
  const made = new Map<string, Refusal | undefined>()
  const credential = readCredential(['authorization', `Bearer ${token}`])
  made.set(CREDENTIAL, isRefusal(credential) ? credential : undefined)
  const outcome = isRefusal(credential)
    ? credential
    : await judge.authenticate(credential.token, (check, refusal) => made.set(check, refusal))

  const decoded = decodeJws(token)
  const jws = isRefusal(decoded) ? undefined : decoded
  const found = jws && judge.findIssuer(jws.claims.iss, jws.claims)
  const match = found && !isRefusal(found) ? found : undefined
  const facts = isRefusal(outcome) ? await investigate(outcome, jws, match, judge) : {}
  const describe = (refusal: Refusal, access?: Exclude<RouteAccess, 'public'>): RefusalReport => {
    const fix = fixOf(createCase(refusal, access, { token, jws, match, judge, nowSeconds, facts }))
    return { ...judge.answer(refusal, access), ...show(refusal, jws, nowSeconds), code: refusal.code, fix }
  }

  const caller = isRefusal(outcome) ? readUnverified(outcome, jws, match) : outcome
  const routes = guarded(judge).map(({ route, access }): RouteReport => {
    const refusal = isRefusal(outcome) ? outcome : judge.enforce(access, outcome)
    return refusal === undefined
      ? { route, admitted: true }
      : { route, admitted: false, refusal: describe(refusal, access) }
  })
  return {
    issuers: judge.issuers.map(({ name }) => name),
    offline: judge.offline,
    accepted: routes.some(({ admitted }) => admitted),
    checks: ALL_CHECKS.map(check => {
      if (!made.has(check)) return { check, outcome: 'not reached' }
      const refusal = made.get(check)
      const shown = jws && SHOWN[check]?.(jws, nowSeconds)
      if (refusal === undefined) return { check, outcome: 'passed', ...(shown && { received: shown }) }
      return { check, outcome: 'failed', ...show(refusal, jws, nowSeconds) }
    }),
    ...(isRefusal(outcome) && { refusal: describe(outcome) }),
    ...(caller && { caller: { ...withoutClaims(caller), verified: !isRefusal(outcome) } }),
    routes,
    notes: jws !== undefined && isOverage(jws.claims) ? [OVERAGE] : [],
    ...(facts.aheadSeconds !== undefined && { clockAheadSeconds: facts.aheadSeconds }),
  }
}

function show({ about, received: told, expected }: Refusal, jws: Jws | undefined, nowSeconds: number) {
  const isDate = about === 'exp' || about === 'nbf'
  const received =
    told ?? (about !== undefined && jws && Object.hasOwn(jws.claims, about) ? jws.claims[about] : undefined)
  return {
    ...(about !== undefined && { about }),
    ...(received !== undefined && {
      received: isDate ? showDate(received, nowSeconds) : showValue(received),
    }),
    ...(expected !== undefined && { expected: isDate ? EXPECTED_DATE[about] : showValue(expected) }),
  }
}

/** Whoever the claims of a refused token name; nobody has vouched for them. An ID token names no caller. */
function readUnverified(
  { code }: Refusal,
  jws: Jws | undefined,
  match: IssuerMatch | undefined,
): Access | undefined {
  if (jws === undefined || code === 'id_token') return undefined
  const access = readAccess(match?.issuer.preset ?? ('tid' in jws.claims ? 'entra' : 'rfc9068'), jws.claims)
  return typeof access.subject === 'string' && typeof access.name === 'string' ? access : undefined
}

function withoutClaims({ claims: _, ...rest }: Access): Omit<Access, 'claims'> {
  return rest
}

/** Decides whose token this is and whether it is good: the one order of checks, for the server and for `explain` alike. */
import { isRefusal, type Refusal } from '../errors.ts'
import { type Access, readAccess } from './access.ts'
import { CLAIM_RULES, checkClaims, checkKeyIssuer, isGraph, type Observe } from './claims.ts'
import { checkSize, checkToken68 } from './credential.ts'
import { type FindIssuer, type IssuerMatch, SIGNATURE_ALGORITHMS, type TrustedIssuer } from './issuers.ts'
import { type Jws, openJws, readClaims } from './jws.ts'
import type { Clock } from './keys/clock.ts'
import type { FoundKey } from './keys/select.ts'
import type { KeySource } from './keys/source.ts'
import type { VerificationKey } from './keys/usable.ts'
import type { RememberedTokens } from './remembered.ts'

/** Whether a token's signature was made with this key. */
export type VerifySignature = (key: VerificationKey, token: string) => Promise<boolean>

/** What authentication is made of. */
export interface AuthenticateOptions {
  readonly findIssuer: FindIssuer
  readonly keysOf: (issuer: TrustedIssuer) => KeySource
  readonly verifySignature: VerifySignature
  readonly remembered: RememberedTokens
  readonly clock: Clock
  readonly toleranceSeconds: number
}

const CHECK = {
  credential: 'one bearer token',
  form: 'well-formed signed JWT',
  signatureAlgorithm: 'signature algorithm',
  claims: 'readable claims',
  issuer: 'trusted issuer',
  header: 'algorithm and type',
  key: 'published key',
  keyIssuer: 'key of this issuer',
  signature: 'signature',
} as const

/** The name of every check, in the order in which they are made. */
export const CHECKS: readonly string[] = [...Object.values(CHECK), ...CLAIM_RULES.map(({ name }) => name)]

/**
 * Judges one token: the access that it gives, or why it gives none.
 *
 * @param token what stood behind `Bearer`
 * @param observe hears of every check that is made, by its name in {@link CHECKS}; for `explain`
 */
export type Authenticate = (token: string, observe?: Observe) => Outcome

type Outcome = Access | Refusal | Promise<Access | Refusal>

/** BCP-11, RFC 7515 §4.1.9: `application/` is implied and case does not matter. */
const normalizedType = (typ: string): string => typ.toLowerCase().replace(/^application\//, '')

function unsupported({ header }: Pick<Jws, 'header'>, expected: readonly string[]): Refusal {
  return { code: 'unsupported_algorithm', about: 'alg', received: header.alg, expected }
}

/** Step 4, for every issuer alike: what nobody may sign with (C-9). */
function checkAlgorithm(jws: Pick<Jws, 'header'>): Refusal | undefined {
  return SIGNATURE_ALGORITHMS.includes(jws.header.alg) ? undefined : unsupported(jws, SIGNATURE_ALGORITHMS)
}

/** Step 4, before any look-up: an algorithm and a type that this issuer may use. */
function checkHeader(
  { header }: Pick<Jws, 'header'>,
  { algorithms, types }: TrustedIssuer,
): Refusal | undefined {
  const { alg, typ } = header
  if (!algorithms.includes(alg)) return unsupported({ header }, algorithms)
  if (typ === undefined || !types.includes(normalizedType(typ))) {
    return { code: 'wrong_token_type', about: 'typ', received: typ, expected: types }
  }
  return undefined
}

/** Composes the order of checks (requirements, "Order of checks", steps 2 to 12). */
export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { findIssuer, keysOf, verifySignature, remembered, clock, toleranceSeconds } = options

  const judge = (
    token: string,
    { issuer, tenant }: IssuerMatch,
    { claims }: Jws,
    { set }: FoundKey,
    observe: Observe | undefined,
  ): Access | Refusal => {
    const nowSeconds = clock.now() / 1000
    const candidate = { issuer, tenant, set, claims, nowSeconds, toleranceSeconds }
    const refusal = checkClaims(candidate, observe)
    if (refusal !== undefined) return refusal
    const access = readAccess(issuer.preset, claims)
    remembered.keep(token, candidate, access)
    return access
  }

  const verify = (
    token: string,
    match: IssuerMatch,
    jws: Jws,
    found: FoundKey,
    observe: Observe | undefined,
  ): Outcome => {
    const refusal = checkKeyIssuer(match.issuer, match.tenant, found.set, found.key)
    observe?.(CHECK.keyIssuer, refusal)
    if (refusal !== undefined) return refusal
    const conclude = (good: boolean): Access | Refusal => {
      if (good) {
        observe?.(CHECK.signature, undefined)
        return judge(token, match, jws, found, observe)
      }
      // A Graph token's signature can't be checked by anybody else (ENTRA-10); it is refused either way, and this
      // is the reason that helps.
      const code = isGraph(jws.claims.aud) ? 'graph_token' : 'invalid_signature'
      const broken: Refusal = { code, about: 'signature' }
      observe?.(CHECK.signature, broken)
      return broken
    }
    return verifySignature(found.key, token).then(conclude)
  }

  const judgeNew = (token: string, observe: Observe | undefined): Outcome => {
    const note = (check: string, outcome: object | undefined): void =>
      observe?.(check, outcome !== undefined && isRefusal(outcome) ? outcome : undefined)
    const open = checkSize(token) ?? openJws(token)
    // A compact JWS is a token68 too, so a good token is read through once.
    const offer = isRefusal(open) ? checkToken68(token) : undefined
    note(CHECK.credential, offer)
    if (offer !== undefined) return offer
    note(CHECK.form, open)
    if (isRefusal(open)) return open
    const unsafe = checkAlgorithm(open)
    note(CHECK.signatureAlgorithm, unsafe)
    if (unsafe !== undefined) return unsafe
    const jws = readClaims(open)
    note(CHECK.claims, jws)
    if (isRefusal(jws)) return jws
    const match = findIssuer(jws.claims.iss, jws.claims)
    note(CHECK.issuer, match)
    if (isRefusal(match)) return match
    const refusal = checkHeader(jws, match.issuer)
    note(CHECK.header, refusal)
    if (refusal !== undefined) return refusal
    const found = keysOf(match.issuer).find(jws.header.kid, jws.header.alg)
    const proceed = (key: FoundKey | Refusal): Outcome => {
      note(CHECK.key, key)
      return isRefusal(key) ? key : verify(token, match, jws, key, observe)
    }
    return found instanceof Promise ? found.then(proceed) : proceed(found)
  }

  return (token, observe) =>
    // Whoever observes wants to see every check made.
    (observe === undefined ? remembered.recall(token) : undefined) ?? judgeNew(token, observe)
}

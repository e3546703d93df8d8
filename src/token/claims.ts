/** Decides whether the claims of a token with a good signature are those of an access token for this API, valid now. */
import type { Refusal } from '../errors.ts'
import { GUID, type TrustedIssuer } from './issuers.ts'
import type { JsonObject } from './jws.ts'
import type { KeySet } from './keys/fetch.ts'
import type { VerificationKey } from './keys/usable.ts'

/** What the rules judge. */
export interface Candidate {
  readonly issuer: TrustedIssuer
  /** The tenant that `iss` names; Entra only. */
  readonly tenant: string | undefined
  /** The key set in force, with the issuer that its discovery document states. */
  readonly set: KeySet
  readonly claims: JsonObject
  readonly nowSeconds: number
  /** Clock difference that is forgiven, in seconds (JWT-16). */
  readonly toleranceSeconds: number
}

/** One rule: its name for `explain`, and the refusal when it is broken. */
export interface Rule {
  readonly name: string
  readonly check: (candidate: Candidate) => Refusal | undefined
}

const GRAPH = [
  '00000003-0000-0000-c000-000000000000',
  'https://graph.microsoft.com',
  'https://graph.microsoft.com/',
]

/** Whether an audience is Microsoft Graph (ENTRA-9). */
export function isGraph(aud: unknown): boolean {
  return typeof aud === 'string' && GRAPH.includes(aud)
}

const has = (claims: JsonObject, name: string): boolean => Object.hasOwn(claims, name)
const missing = (about: string): Refusal => ({ code: 'missing_claim', about })
const malformed = (about: string, received: unknown, expected: string): Refusal => ({
  code: 'malformed_claim',
  about,
  received: received === null ? 'null' : Array.isArray(received) ? 'an array' : typeof received,
  expected,
})
const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(item => typeof item === 'string')

// C-6 and ATJWT-6. A claim that both presets need is never optional.
const REQUIRED = ['iss', 'aud', 'exp']
const REQUIRED_BY_RFC_9068 = ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti']
const TEXTS = {
  entra: ['sub', 'oid', 'tid', 'ver', 'azp', 'appid', 'scp', 'idtyp'],
  b2c: ['sub', 'oid', 'tid', 'ver', 'azp', 'scp', 'tfp', 'acr'],
  rfc9068: ['sub', 'client_id', 'azp', 'jti', 'scope'],
}
const NAMES = {
  entra: ['sub', 'oid', 'azp', 'appid'],
  b2c: ['sub', 'oid', 'azp'],
  rfc9068: ['sub', 'client_id', 'azp'],
}
const SECURITY_CLAIMS = new Set([
  'iss',
  'aud',
  'exp',
  'nbf',
  'iat',
  'sub',
  'oid',
  'tid',
  'ver',
  'azp',
  'appid',
  'scp',
  'roles',
  'idtyp',
  'cnf',
])

function requiredClaims({ issuer, claims }: Candidate): Refusal | undefined {
  const name = (issuer.strict ? REQUIRED_BY_RFC_9068 : REQUIRED).find(claim => !has(claims, claim))
  if (name !== undefined) return missing(name)
  return has(claims, 'sub') || (issuer.preset === 'entra' && has(claims, 'oid')) ? undefined : missing('sub')
}

/** JWT-17: NumericDate is a finite JSON number; `1e400` parses to infinity. */
function dates({ claims }: Candidate): Refusal | undefined {
  const name = ['exp', 'nbf', 'iat'].find(claim => has(claims, claim) && !Number.isFinite(claims[claim]))
  return name === undefined ? undefined : malformed(name, claims[name], 'a finite number of seconds')
}

/** JWT-18: a string or a list of strings. */
function audienceType({ claims: { aud } }: Candidate): Refusal | undefined {
  if (typeof aud === 'string' || (isStrings(aud) && aud.length > 0)) return undefined
  return malformed('aud', aud, 'a string or a list of strings')
}

function textTypes({ issuer, claims }: Candidate): Refusal | undefined {
  const name = TEXTS[issuer.preset].find(claim => has(claims, claim) && typeof claims[claim] !== 'string')
  return name === undefined ? undefined : malformed(name, claims[name], 'a string')
}

function emptyNames({ issuer, claims }: Candidate): Refusal | undefined {
  const name = NAMES[issuer.preset].find(claim => claims[claim] === '')
  if (name !== undefined) return malformed(name, '', 'a string that is not empty')
  // B2C's setting "Subject (sub) claim: Not supported" gives one text to everybody.
  const nobody = issuer.preset === 'b2c' && /^not supported/i.test(claims.sub as string)
  return nobody ? malformed('sub', claims.sub, 'the object id, by the policy’s setting') : undefined
}

function rolesType({ issuer, claims: { roles } }: Candidate): Refusal | undefined {
  if (issuer.preset === 'rfc9068' || roles === undefined || isStrings(roles)) return undefined
  return malformed('roles', roles, 'a list of strings')
}

/** C-17: IdentityModel refuses claims that differ only in case too; two readers must not see two tenants. */
function twins({ issuer, claims }: Candidate): Refusal | undefined {
  if (issuer.preset === 'rfc9068') return undefined
  const name = Object.keys(claims).find(claim => {
    const lower = claim.toLowerCase()
    return claim !== lower && SECURITY_CLAIMS.has(lower)
  })
  return name === undefined
    ? undefined
    : malformed(name.toLowerCase(), claims[name], 'one spelling, in lower case')
}

/** ATJWT-2, ENTRA-1, ENTRA-3: exactly what the discovery document states, `{tenantid}` replaced. */
function exactIssuer({ tenant, set, claims: { iss } }: Candidate): Refusal | undefined {
  const expected = tenant === undefined ? set.issuer : set.issuer.replace('{tenantid}', tenant)
  return iss === expected ? undefined : { code: 'untrusted_issuer', about: 'iss', received: iss, expected }
}

/** ENTRA-4. */
function tenantClaim({ issuer, tenant, claims: { tid } }: Candidate): Refusal | undefined {
  if (issuer.preset === 'rfc9068') return undefined
  // B2C's documents do not list it; its issuer names the tenant (docs/issuers.md).
  if (tid === undefined) return issuer.preset === 'b2c' ? undefined : missing('tid')
  if (tid === tenant) return undefined
  return GUID.test(tid as string)
    ? { code: 'untrusted_issuer', about: 'tid', received: tid, expected: tenant }
    : { code: 'malformed_claim', about: 'tid', received: tid, expected: 'a GUID' }
}

/** ENTRA-2: `ver` says which form the token has, and `iss` says the same. */
function version({ issuer, claims: { ver } }: Candidate): Refusal | undefined {
  if (issuer.version === undefined || ver === issuer.version) return undefined
  return { code: 'wrong_token_version', about: 'ver', received: ver, expected: issuer.version }
}

/** BCP-8, ENTRA-8, ATJWT-3: one of them is exactly one of ours (C-8). */
function audience({ issuer, claims: { aud } }: Candidate): Refusal | undefined {
  const named = typeof aud === 'string' ? [aud] : (aud as string[])
  if (named.some(name => issuer.audiences.includes(name))) return undefined
  const code = named.some(isGraph) ? 'graph_token' : 'wrong_audience'
  return { code, about: 'aud', received: aud, expected: issuer.audiences }
}

/** What depends on when it is asked. */
export type Moment = Pick<Candidate, 'claims' | 'nowSeconds' | 'toleranceSeconds'>

/** JWT-14: the very second of `exp` counts as expired. */
function expiry({ claims: { exp }, nowSeconds, toleranceSeconds }: Moment): Refusal | undefined {
  if (nowSeconds < (exp as number) + toleranceSeconds) return undefined
  return { code: 'expired', about: 'exp', received: exp, expected: `later than ${nowSeconds}` }
}

/** JWT-15. */
function notBefore({ claims: { nbf }, nowSeconds, toleranceSeconds }: Moment): Refusal | undefined {
  if (nbf === undefined || (nbf as number) <= nowSeconds + toleranceSeconds) return undefined
  return { code: 'not_yet_valid', about: 'nbf', received: nbf, expected: `not later than ${nowSeconds}` }
}

/**
 * BCP-10, ENTRA-12: `typ` can't tell an ID token from an access token where both say `JWT`, their claims can.
 * Every access token of Entra names its client; no access token has the hashes and nonce of a sign-in, but for
 * the nonce at B2C, which repeats it there too and puts `scp` into every access token.
 */
function idToken({ issuer, claims }: Candidate): Refusal | undefined {
  const b2c = issuer.preset === 'b2c'
  const marks = b2c ? ['at_hash', 'c_hash'] : ['nonce', 'at_hash', 'c_hash']
  const signIn = marks.find(claim => has(claims, claim))
  if (signIn !== undefined && !issuer.strict)
    return { code: 'id_token', about: signIn, expected: 'no such claim' }
  if (issuer.preset === 'rfc9068') return undefined
  const client = issuer.version === '1.0' && !b2c ? 'appid' : 'azp'
  if (!has(claims, client)) return { code: 'id_token', about: client, expected: 'the calling application' }
  return b2c && !has(claims, 'scp') ? { code: 'id_token', about: 'scp', expected: 'permissions' } : undefined
}

/**
 * BCP-10: other signed JWTs of the same issuer. A logout token and a security event have `events` (RFC 8417
 * §2.2), an introspection response its own claim (RFC 9701 §5), and Keycloak says in a `typ` claim what it is.
 */
function otherKinds({ issuer, claims }: Candidate): Refusal | undefined {
  const other = ['events', 'token_introspection'].find(claim => has(claims, claim))
  if (other !== undefined) return { code: 'wrong_token_type', about: other, expected: 'no such claim' }
  const { typ } = claims
  if (issuer.strict || typeof typ !== 'string' || /^(bearer|(application\/)?at\+jwt)$/i.test(typ))
    return undefined
  return { code: 'wrong_token_type', about: 'typ claim', received: typ, expected: 'Bearer' }
}

/**
 * C-13, DPOP-3, MTLS-3: a token bound to a key is no bearer token. Members that we don't know are ignored
 * (RFC 7800 §3.1), but not at Entra, whose proof-of-possession tokens use `kid`.
 */
function senderConstraint({ issuer, claims }: Candidate): Refusal | undefined {
  if (!has(claims, 'cnf')) return undefined
  const { cnf } = claims
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) return malformed('cnf', cnf, 'an object')
  const members = Object.keys(cnf)
  const binding = members.find(
    member => issuer.preset !== 'rfc9068' || member === 'jkt' || member === 'x5t#S256',
  )
  if (binding === undefined) return undefined
  return { code: 'sender_constrained', about: 'cnf', received: binding, expected: 'a bearer token' }
}

/** Steps 8 to 12 of the order of checks. */
export const CLAIM_RULES: readonly Rule[] = [
  { name: 'required claims', check: requiredClaims },
  { name: 'dates are numbers', check: dates },
  { name: 'audience is text', check: audienceType },
  { name: 'names are text', check: textTypes },
  { name: 'names are not empty', check: emptyNames },
  { name: 'roles are a list', check: rolesType },
  { name: 'one spelling of each claim', check: twins },
  { name: 'issuer', check: exactIssuer },
  { name: 'tenant', check: tenantClaim },
  { name: 'token version', check: version },
  { name: 'audience', check: audience },
  { name: 'not expired', check: expiry },
  { name: 'valid already', check: notBefore },
  { name: 'not an ID token', check: idToken },
  { name: 'no other kind of token', check: otherKinds },
  { name: 'not bound to a key', check: senderConstraint },
]

/** Hears of a check that has been made: its name, and the refusal when it failed. */
export type Observe = (check: string, refusal: Refusal | undefined) => void

/** What is asked again of claims that have kept every rule before: whether they are valid now. */
export function checkTimes(moment: Moment): Refusal | undefined {
  return expiry(moment) ?? notBefore(moment)
}

/** The first rule that the claims break, or undefined when they keep them all. */
export function checkClaims(candidate: Candidate, observe?: Observe): Refusal | undefined {
  for (const { name, check } of CLAIM_RULES) {
    const refusal = check(candidate)
    observe?.(name, refusal)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

/** ENTRA-5, ENTRA-6: whether a published key may sign for the tenant that a token names. */
export function checkKeyIssuer(
  issuer: TrustedIssuer,
  tenant: string | undefined,
  set: KeySet,
  key: VerificationKey,
): Refusal | undefined {
  if (tenant === undefined) return undefined
  if (key.issuer !== undefined && issuer.tenantOf(key.issuer.replace('{tenantid}', tenant)) !== tenant) {
    return { code: 'key_not_for_issuer', about: 'key issuer', received: key.issuer, expected: set.issuer }
  }
  if (key.cloud !== undefined && set.cloud !== undefined && key.cloud !== set.cloud) {
    return {
      code: 'key_not_for_issuer',
      about: 'cloud_instance_name',
      received: key.cloud,
      expected: set.cloud,
    }
  }
  return undefined
}

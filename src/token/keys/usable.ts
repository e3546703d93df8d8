/** Decides which keys of a published set may verify a signature, and with which one algorithm each. */
import {
  type AsymmetricKeyDetails,
  createHash,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto'
import type { JsonObject } from '../jws.ts'

/** A public key that may verify tokens of one issuer. */
export interface VerificationKey {
  readonly kid: string | undefined
  /** The only algorithm for which this key is used (RFC 8725bis §3.1). */
  readonly alg: string
  /** Entra's per-key issuer, with `{tenantid}` in it or not. */
  readonly issuer: string | undefined
  /** Entra's `cloud_instance_name`. */
  readonly cloud: string | undefined
  /** SHA-256 of the public key, in base64url: the same for the same one, wherever and however it is published. */
  readonly thumbprint: string
  /** The public key as PEM (SPKI). */
  readonly pem: string
}

/** A key of the set that is never used, and why. `alarm` marks key material that should not be public. */
export interface IgnoredKey {
  readonly kid: string | undefined
  readonly reason: string
  readonly alarm: boolean
}

const EC_ALGORITHMS: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
}
const COORDINATE_BYTES: Readonly<Record<string, number>> = {
  'P-256': 32,
  'P-384': 48,
  'P-521': 66,
  Ed25519: 32,
}

/** RFC 7518 §6.2.2 and §6.3.2: two primes give away as much as the exponent. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth']

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** A key without `alg` (Entra publishes none) is pinned by its type (BCP-3). */
function algorithmByType(jwk: JsonObject): string | undefined {
  if (jwk.kty === 'RSA') return 'RS256'
  if (jwk.kty === 'EC') return EC_ALGORITHMS[text(jwk.crv) ?? '']
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return 'EdDSA'
  return undefined
}

function fits(alg: string, jwk: JsonObject): boolean {
  return jwk.kty === 'RSA' ? /^[RP]S(256|384|512)$/.test(alg) : alg === algorithmByType(jwk)
}

/** RFC 7518 §3.3 and JWT-9: 2048 to 8192 bits, and an odd exponent of at least 65537. */
function weaknessOfRsa(key: KeyObject): string | undefined {
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails as Required<AsymmetricKeyDetails>
  if (modulusLength < 2048 || modulusLength > 8192) return `an RSA key of ${modulusLength} bits`
  if (publicExponent < 65_537n || publicExponent % 2n === 0n) return 'an RSA key with a weak exponent'
  return undefined
}

/** BCP-5: coordinates have the curve's length; that the point is on the curve is checked by the import. */
function hasWholeCoordinates({ kty, crv, x, y }: JsonObject): boolean {
  const length = COORDINATE_BYTES[crv as string]
  return (kty === 'EC' ? [x, y] : [x]).every(
    member => Buffer.from(member as string, 'base64url').length === length,
  )
}

function importKey(jwk: JsonObject): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** Why a key must not be used, judged without importing it. */
function objection(
  jwk: JsonObject,
  algorithms: readonly string[],
): { reason: string; alarm: boolean } | undefined {
  if (jwk.kty === 'oct') return { reason: 'a symmetric key', alarm: true }
  if (PRIVATE_MEMBERS.some(member => Object.hasOwn(jwk, member)))
    return { reason: 'a private key', alarm: true }
  if (jwk.kid !== undefined && typeof jwk.kid !== 'string')
    return { reason: 'a kid that is no string', alarm: false }
  // RFC 7517 §4.2 and §4.3.
  if (jwk.use !== undefined && jwk.use !== 'sig')
    return { reason: 'a key whose use is not sig', alarm: false }
  const operations = jwk.key_ops
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return { reason: 'a key whose key_ops lack verify', alarm: false }
  }
  const alg = jwk.alg === undefined ? algorithmByType(jwk) : text(jwk.alg)
  if (alg === undefined || !algorithms.includes(alg)) {
    return { reason: 'a key of an algorithm that is not accepted', alarm: false }
  }
  return fits(alg, jwk) ? undefined : { reason: 'a key whose type does not fit its alg', alarm: false }
}

/**
 * Judges one entry of a JWK Set (RFC 7517 §5: entries that can't be used are ignored, the others stay in use).
 *
 * @param algorithms what the issuer is allowed to sign with
 */
export function judgeKey(entry: unknown, algorithms: readonly string[]): VerificationKey | IgnoredKey {
  if (typeof entry !== 'object' || entry === null)
    return { kid: undefined, reason: 'no object', alarm: false }
  const jwk = entry as JsonObject
  const kid = text(jwk.kid)
  const found = objection(jwk, algorithms)
  if (found !== undefined) return { kid, ...found }
  const key = importKey(jwk)
  if (key === undefined || (jwk.kty !== 'RSA' && !hasWholeCoordinates(jwk))) {
    return { kid, reason: 'a malformed key', alarm: false }
  }
  const weakness = jwk.kty === 'RSA' ? weaknessOfRsa(key) : undefined
  if (weakness !== undefined) return { kid, reason: weakness, alarm: false }
  const pem = key.export({ type: 'spki', format: 'pem' }) as string
  return {
    kid,
    alg: text(jwk.alg) ?? algorithmByType(jwk)!,
    issuer: text(jwk.issuer),
    cloud: text(jwk.cloud_instance_name),
    thumbprint: createHash('sha256').update(pem).digest('base64url'),
    pem,
  }
}

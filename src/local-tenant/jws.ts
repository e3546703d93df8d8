/** Decides how a token is put together from any header and any claims, right or deliberately wrong. */

import { constants, createHash, createHmac, type KeyObject, sign } from 'node:crypto'

/** A JOSE header or a claims set. Anything goes: tokens that are wrong are made here too. */
export type Json = Readonly<Record<string, unknown>>

/** Makes the signature over a signing input. */
export type Signer = (input: string) => Buffer

const encode = (value: Json): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Compact serialization (RFC 7515 §3.1) of header, claims and the signature that `signer` makes over them. */
export function compact(header: Json, claims: Json, signer: Signer): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${signer(input).toString('base64url')}`
}

/** Signs with an RSA key: PS256 when the header says so, otherwise RS256, whatever the header says. */
export function rsaSigner(key: KeyObject, header: Json): Signer {
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return input => sign('sha256', Buffer.from(input), header.alg === 'PS256' ? { key, ...pss } : key)
}

const hashNonce = (header: Json): Json => ({
  ...header,
  nonce: createHash('sha256').update(String(header.nonce)).digest('base64url'),
})

/**
 * Signs as Entra signs tokens for Microsoft Graph: over a header whose `nonce` is the base64url SHA-256 of the one
 * that is sent, so that nobody but Graph can verify them.
 */
export function hashedNonceSigner(key: KeyObject, header: Json): Signer {
  const signed = encode(hashNonce(header))
  return input => rsaSigner(key, header)(signed + input.slice(input.indexOf('.')))
}

/** Undoes for Graph what {@link hashedNonceSigner} does to everybody else: the token whose signature verifies. */
export function withHashedNonce(token: string): string {
  const [sent = '', ...rest] = token.split('.')
  const header = JSON.parse(Buffer.from(sent, 'base64url').toString()) as Json
  return [encode(hashNonce(header)), ...rest].join('.')
}

/** Signs with a MAC (RFC 7518 §3.2). */
export function macSigner(secret: string): Signer {
  return input => createHmac('sha256', secret).update(input).digest()
}

/** Does not sign (RFC 7518 §3.6). */
export function noSigner(): Buffer {
  return Buffer.alloc(0)
}

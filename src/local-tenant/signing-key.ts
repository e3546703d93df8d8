/** Decides what a signing key is, and how the two key documents show its public half, in Entra's shape. */

import { createHash, createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createRsaKey } from './certificates.ts'

/** The tenant of personal Microsoft accounts: its keys may sign for no other. */
export const CONSUMER_TENANT = '9188040d-6c67-4c5b-b112-36a304b66dad'

/** A signing key as it is stored. */
export interface StoredKey {
  readonly kid: string
  /** PEM, PKCS#8. */
  readonly privateKey: string
  /** PEM. */
  readonly certificate: string
  /** Whether it may sign for any tenant, or is bound to the exact issuer of the consumer tenant. */
  readonly boundTo: 'any' | 'consumers'
  published: boolean
}

/** A key ready to sign. */
export interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** One key of the v2.0 document; the v1.0 document has the same without `cloud_instance_name`. */
export interface PublishedKey {
  readonly kty: 'RSA'
  readonly use: 'sig'
  readonly kid: string
  readonly x5t: string
  readonly n: string
  readonly e: string
  readonly x5c: string[]
  readonly cloud_instance_name?: string
  readonly issuer: string
}

/** Makes a key that is published; like Entra's, it goes by its certificate's SHA-1 thumbprint. */
export async function createSigningKey(boundTo: StoredKey['boundTo']): Promise<StoredKey> {
  const key = await createRsaKey('local tenant signing key')
  const kid = createHash('sha1').update(new X509Certificate(key.certificate).raw).digest('base64url')
  return { kid, ...key, boundTo, published: true }
}

/** @returns the key of a stored one */
export function openKey(stored: StoredKey): SigningKey {
  const privateKey = createPrivateKey(stored.privateKey)
  return { kid: stored.kid, privateKey, publicKey: createPublicKey(privateKey) }
}

/**
 * Shows a key as Entra's documents do: no `alg`, and the issuer it may sign for, which is a template unless the
 * key is bound to one tenant.
 * @param authority origin of the TLS port
 */
export function publishKey(stored: StoredKey, authority: string, version: 1 | 2): PublishedKey {
  const certificate = new X509Certificate(stored.certificate)
  const { n = '', e = '' } = certificate.publicKey.export({ format: 'jwk' })
  const tenant = stored.boundTo === 'consumers' ? CONSUMER_TENANT : '{tenantid}'
  return {
    kty: 'RSA',
    use: 'sig',
    kid: stored.kid,
    x5t: stored.kid,
    n,
    e,
    x5c: [certificate.raw.toString('base64')],
    ...(version === 2 && { cloud_instance_name: new URL(authority).host }),
    issuer: `${authority}/${tenant}/v2.0`,
  }
}

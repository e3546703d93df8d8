/** Decides the certificates of the local tenant: its authority, the TLS port's, the signing keys' and the daemon's. */

import './reflect.ts'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

/** A private key and the certificate of its public half, both PEM (PKCS#8, X.509). */
export interface CertifiedKey {
  readonly certificate: string
  readonly privateKey: string
}

const { subtle } = webcrypto
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
}
const { cRLSign, digitalSignature, keyCertSign } = x509.KeyUsageFlags
// Fixed dates: TLS clients look at the real clock, the tenant's own may be a test's.
const VALID = { notBefore: new Date('2024-01-01T00:00:00Z'), notAfter: new Date('2049-12-31T00:00:00Z') }
const AUTHORITY = 'CN=local tenant authority (development only)'

async function certify(
  certificate: x509.X509Certificate,
  privateKey: webcrypto.CryptoKey,
): Promise<CertifiedKey> {
  const pkcs8 = await subtle.exportKey('pkcs8', privateKey)
  return {
    certificate: certificate.toString('pem'),
    privateKey: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
  }
}

/** Makes the certificate authority that the clients of the TLS port are told to trust. */
export async function createAuthority(): Promise<CertifiedKey> {
  const keys = await subtle.generateKey(EC, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...VALID,
    name: AUTHORITY,
    signingAlgorithm: EC,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return certify(certificate, keys.privateKey)
}

/** Makes the TLS port's certificate: good for the loopback names and nothing else. */
export async function createServerCertificate(authority: CertifiedKey): Promise<CertifiedKey> {
  const pkcs8 = x509.PemConverter.decodeFirst(authority.privateKey)
  const signingKey = await subtle.importKey('pkcs8', pkcs8, EC, false, ['sign'])
  const issuer = new x509.X509Certificate(authority.certificate)
  const keys = await subtle.generateKey(EC, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    ...VALID,
    subject: 'CN=localhost (local tenant)',
    issuer: issuer.subject,
    signingAlgorithm: EC,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return certify(certificate, keys.privateKey)
}

/** Makes an RSA key with a self-signed certificate: a key that signs tokens, or a client's credential. */
export async function createRsaKey(commonName: string): Promise<CertifiedKey> {
  const keys = await subtle.generateKey(RSA, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...VALID,
    name: `CN=${commonName}`,
    signingAlgorithm: RSA,
    keys,
    extensions: [new x509.KeyUsagesExtension(digitalSignature, true)],
  })
  return certify(certificate, keys.privateKey)
}

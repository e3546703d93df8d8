/** Decides what of a PEM file proves an application to an issuer. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Misconfigured } from './errors.ts'

/** A certificate with its key, as MSAL takes it. */
export interface ClientCertificate {
  /** SHA-256 of the certificate, hex without colons. */
  readonly thumbprintSha256: string
  /** PKCS #8 PEM. */
  readonly privateKey: string
  /** PEM of the certificate and whatever chain came with it. */
  readonly x5c: string
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const KEY = /-----BEGIN ((RSA )?PRIVATE KEY)-----[^-]+-----END \1-----/

/**
 * Reads a private key without a pass phrase and its certificate from one file, in any order, chain welcome.
 *
 * @param name the variable or option that names the file
 * @throws {Misconfigured} naming the path and never the content
 */
export function readCertificate(path: string, name: string): ClientCertificate {
  const refuse = (found: string): never => {
    const expected = 'a readable PEM file with a private key (no pass phrase) and its certificate'
    const example = 'cat key.pem certificate.pem > caller.pem'
    throw new Misconfigured([{ name, found: `${found} at ${path}`, expected, example }])
  }
  const read = (): string => {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      return refuse((error as NodeJS.ErrnoException).code!)
    }
  }
  const parse = (keyText: string, chain: readonly string[]) => {
    try {
      return { key: createPrivateKey(keyText), certificates: chain.map(text => new X509Certificate(text)) }
    } catch {
      return refuse('a key or certificate that does not parse')
    }
  }
  const pem = read()
  const chain = pem.match(CERTIFICATE) ?? refuse('no certificate')
  const [keyText] = pem.match(KEY) ?? refuse('no private key without a pass phrase')
  const { key, certificates } = parse(keyText, chain)
  const own =
    certificates.find(certificate => certificate.checkPrivateKey(key)) ??
    refuse('no certificate that belongs to the private key')
  return {
    thumbprintSha256: own.fingerprint256.replaceAll(':', ''),
    privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    x5c: [own, ...certificates.filter(one => one !== own)].join(''),
  }
}

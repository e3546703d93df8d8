/** Decides what of a PEM file proves an application to the issuer. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Misconfigured } from '../errors.ts'

/** What MSAL wants of a certificate. */
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
 * Reads the file that TOKEN_CLIENT_CERTIFICATE_PATH names: a private key without a pass phrase and its
 * certificate, in any order, chain welcome.
 *
 * @throws {Misconfigured} naming the path and never the content
 */
export async function readCertificate(path: string): Promise<ClientCertificate> {
  const pem = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => refuse(path, error.code!))
  const chain = pem.match(CERTIFICATE) ?? refuse(path, 'no certificate')
  const [keyText] = pem.match(KEY) ?? refuse(path, 'no private key without a pass phrase')
  const { key, certificates } = parse(path, keyText, chain)
  const own = certificates.find(certificate => certificate.checkPrivateKey(key))
  if (!own) return refuse(path, 'no certificate that belongs to the private key')
  return {
    thumbprintSha256: own.fingerprint256.replaceAll(':', ''),
    privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    x5c: [own, ...certificates.filter(one => one !== own)].join(''),
  }
}

function parse(path: string, keyText: string, chain: readonly string[]) {
  try {
    return { key: createPrivateKey(keyText), certificates: chain.map(text => new X509Certificate(text)) }
  } catch {
    return refuse(path, 'a key or certificate that does not parse')
  }
}

function refuse(path: string, found: string): never {
  throw new Misconfigured([
    {
      name: 'TOKEN_CLIENT_CERTIFICATE_PATH',
      found: `${found} at ${path}`,
      expected: 'a readable PEM file with a private key (no pass phrase) and its certificate',
      example: 'cat key.pem certificate.pem > caller.pem',
    },
  ])
}

/** Decides what proves this API to the issuer at the moment of an exchange: a secret, a certificate, or a token that vouches for it. */
import { readFile } from 'node:fs/promises'
import type { NodeAuthOptions } from '@azure/msal-node'
import { readCertificate } from '../certificate.ts'
import { type Misconfigured, Unavailable } from '../errors.ts'
import type { OwnCredential } from '../token/own-credential.ts'

/** What msal-node is configured with. */
export type Proof = Pick<NodeAuthOptions, 'clientSecret' | 'clientCertificate' | 'clientAssertion'>

/** Our own fault or our platform's, so 503; the log says what to do. */
export function unproven(name: string, received: string, expected: string, cause: unknown): Unavailable {
  const refusal = { code: 'downstream_unavailable', about: name, received, expected } as const
  return new Unavailable(`${name}: ${received}`, refusal, { cause })
}

async function readToken(name: string, path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw unproven(name, `${code} at ${path}`, 'the token that the platform keeps there', error)
  }
}

function readPem(name: string, path: string) {
  try {
    return readCertificate(path, name)
  } catch (error) {
    const { found, expected } = (error as Misconfigured).problems[0]!
    throw unproven(name, found, expected, error)
  }
}

/**
 * Fetches what proves this API. Files are read every time, because the platform renews them while we run.
 *
 * @param askIdentity obtains a token from a managed identity
 * @throws {Unavailable} naming the variable or option
 */
export async function proveSelf(
  credential: OwnCredential,
  askIdentity: (name: string, clientId: string) => Promise<string>,
): Promise<Proof> {
  const { name, kind } = credential
  if (kind === 'secret') return { clientSecret: credential.secret }
  if (kind === 'certificate') return { clientCertificate: readPem(name, credential.path) }
  const token =
    kind === 'federated token'
      ? await readToken(name, credential.path)
      : await askIdentity(name, credential.clientId)
  return { clientAssertion: async () => token }
}

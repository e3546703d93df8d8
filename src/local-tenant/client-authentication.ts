/** Decides which application sends a token request, and whether it has proved that. */

import { createHash, timingSafeEqual } from 'node:crypto'
import { Aadsts } from './aadsts.ts'
import type { ClientProof } from './claims.ts'
import { checkAssertion } from './client-assertion.ts'
import { type Application, type Directory, findApplication } from './directory.ts'

/** A form, every parameter at most once. */
export type Form = Readonly<Record<string, string>>

/** The application of a request, and how it proved itself. */
export interface AuthenticatedClient {
  readonly client: Application
  readonly proof: ClientProof
}

/** Compares two secrets in a time that tells nothing of where they differ. */
export function equalSecrets(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}

function readBasic(authorization: string | undefined): Form {
  const encoded = /^Basic ([A-Za-z0-9+/]+=*)$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return {}
  const [id = '', ...secret] = Buffer.from(encoded, 'base64').toString().split(':')
  try {
    // RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
    return { client_id: decodeURIComponent(id), client_secret: decodeURIComponent(secret.join(':')) }
  } catch (cause) {
    throw new Aadsts(9002313, undefined, { cause })
  }
}

/**
 * Finds the application of a request and checks its proof: client_secret in body or header, or client_assertion.
 * A public client has nothing to prove, and must not try.
 * @throws Aadsts 90014, 700016, 700025, 700027, 700213, 7000215, 7000218
 */
export async function authenticateClient(
  directory: Directory,
  form: Form,
  authorization: string | undefined,
): Promise<AuthenticatedClient> {
  const { client_id, client_secret, client_assertion } = { ...form, ...readBasic(authorization) }
  if (client_id === undefined) throw new Aadsts(90014, 'The request must contain the parameter: client_id.')
  const client = findApplication(directory, client_id)
  if (!client) throw new Aadsts(700016, `Application: ${client_id}.`)
  if (client.secret === undefined) {
    if (client_secret !== undefined || client_assertion !== undefined) throw new Aadsts(700025)
    return { client, proof: '0' }
  }
  if (client_assertion !== undefined) {
    await checkAssertion(directory, client, client_assertion)
    return { client, proof: '2' }
  }
  if (client_secret === undefined) throw new Aadsts(7000218)
  if (!equalSecrets(client_secret, client.secret)) throw new Aadsts(7000215)
  return { client, proof: '1' }
}

/** Decides what the ID token of a sign-in says, and in which ways it can be made to say what is not so. */

import { randomUUID } from 'node:crypto'
import { idClaims } from './claims.ts'
import { type Directory, issuerOf } from './directory.ts'
import type { IdTokenMode } from './id-token-modes.ts'
import { tokenHeader } from './issue.ts'
import { compact, type Json, rsaSigner } from './jws.ts'
import type { Person } from './people.ts'

const HOUR_SECONDS = 3600

const WRONG: Partial<Record<IdTokenMode, (directory: Directory, good: Json) => Json>> = {
  'wrong-audience': () => ({ aud: randomUUID() }),
  'wrong-issuer': directory => ({ iss: issuerOf(directory, directory.state.partnerTenantId, 2) }),
  'wrong-nonce': () => ({ nonce: randomUUID() }),
  expired: (_, { iat }) => ({ iat: Number(iat) - 2 * HOUR_SECONDS, exp: Number(iat) - HOUR_SECONDS }),
}

/**
 * Issues the ID token of a sign-in.
 * @param clientId whom the person signed in to
 * @param nonce of the request, if it had one
 */
export async function issueIdToken(
  directory: Directory,
  clientId: string,
  person: Person,
  nonce?: string,
): Promise<string> {
  const mode = directory.settings.idTokens
  const good = idClaims(directory, clientId, person, nonce)
  const key = directory.keys.signing()
  const { privateKey } = mode === 'foreign-key' ? await directory.keys.foreign() : key
  const header = tokenHeader(key, 2)
  return compact(header, { ...good, ...WRONG[mode]?.(directory, good) }, rsaSigner(privateKey, header))
}

/** Decides what a refresh token holds: sealed by the tenant, so that it outlives a restart without a database. */

import { EncryptJWT, jwtDecrypt } from 'jose'
import { Aadsts } from './aadsts.ts'
import type { Directory } from './directory.ts'

/** A grant that a refresh token stands for. It is good for every resource. */
export interface RefreshGrant {
  readonly handle: string
  readonly clientId: string
  /** The scopes of the request that it came from, used when a refresh names none. */
  readonly scope: string
  /** Authentication contexts that its sign-in satisfied. */
  readonly acrs: readonly string[]
}

const DAY_MS = 86_400_000
const LIFETIME_MS = 90 * DAY_MS

const sealingKey = ({ state }: Directory): Buffer => Buffer.from(state.sealingKey, 'base64url')

/** Whether a person's sessions were revoked after a token was issued. */
export function isRevoked({ settings }: Directory, handle: string, issuedAtMs: number): boolean {
  return issuedAtMs <= (settings.revokedBefore.get(handle) ?? Number.NEGATIVE_INFINITY)
}

/** Seals a grant. */
export async function sealRefreshToken(directory: Directory, grant: RefreshGrant): Promise<string> {
  // Milliseconds, and not `iat` in seconds: a token of the second in which sessions were revoked must be told apart.
  return new EncryptJWT({ ...grant, issuedAtMs: directory.now() })
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(sealingKey(directory))
}

/**
 * Opens a refresh token of this client.
 * @throws Aadsts 9002313 not ours or another client's, 700082 too old, 50173 revoked
 */
export async function openRefreshToken(
  directory: Directory,
  token: string,
  clientId: string,
): Promise<RefreshGrant> {
  const { payload } = await jwtDecrypt<RefreshGrant & { issuedAtMs: number }>(token, sealingKey(directory), {
    currentDate: new Date(directory.now()),
  }).catch((cause: unknown) => {
    throw new Aadsts(9002313, undefined, { cause, error: 'invalid_grant' })
  })
  if (payload.clientId !== clientId) throw new Aadsts(9002313, undefined, { error: 'invalid_grant' })
  if (directory.now() - payload.issuedAtMs > LIFETIME_MS) throw new Aadsts(700082)
  if (isRevoked(directory, payload.handle, payload.issuedAtMs)) throw new Aadsts(50173)
  return payload
}

/** Decides how long a sign-in that is under way is remembered, and that each is used once: codes and device codes. */

import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { Aadsts } from './aadsts.ts'
import type { Person } from './people.ts'

/** What a person agreed to on the sign-in page. */
export interface CodeGrant {
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string
  readonly person: Person
  /** Authentication contexts that the sign-in satisfied. */
  readonly acrs: readonly string[]
  readonly nonce?: string
  /** PKCE, S256. */
  readonly codeChallenge?: string
}

/** A device that waits for a person. */
export interface DeviceGrant {
  readonly clientId: string
  readonly scope: string
  /** Authentication contexts that the sign-in will satisfy. */
  readonly acrs: readonly string[]
  readonly userCode: string
  readonly expiresAtMs: number
  /** Undefined while nobody has answered. */
  outcome?: Person | 'declined'
}

/** The sign-ins under way. */
export interface SignIns {
  /** @returns the authorization code */
  remember(grant: CodeGrant): string
  /** Redeems an authorization code, once. @throws Aadsts 9002313, 54005, 70008, 50011, 501481, 9002325 */
  redeem(code: string, request: CodeRedemption): CodeGrant
  /** @returns the device code */
  awaitPerson(
    clientId: string,
    scope: string,
    acrs: readonly string[],
  ): { deviceCode: string; grant: DeviceGrant }
  /** What the person at the page means by the code they typed; undefined: no such code, or too late. */
  findDevice(userCode: string): DeviceGrant | undefined
  /** What the device gets for its code, once. @throws Aadsts 70016, 70018, 70019, 65004 */
  poll(deviceCode: string, clientId: string): { scope: string; person: Person; acrs: readonly string[] }
}

/** What a client shows with a code. */
export interface CodeRedemption {
  readonly clientId: string
  readonly redirectUri: string | undefined
  readonly codeVerifier: string | undefined
  /** Whether PKCE is demanded: it is on the port that a browser reaches. */
  readonly pkce: boolean
}

const MINUTE_MS = 60_000
const CODE_LIFETIME_MS = 10 * MINUTE_MS
/** How long a person has to type the code of a device. */
export const DEVICE_LIFETIME_MS = 15 * MINUTE_MS
const REMEMBERED = 1000
// No vowels, no look-alikes: nothing to misread, no words.
const ALPHABET = 'BCDFGHJKLMNPQRSTVWXZ'

const userCode = (): string => Array.from({ length: 9 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')

function checkVerifier(grant: CodeGrant, { codeVerifier, pkce }: CodeRedemption): void {
  if (grant.codeChallenge === undefined) {
    if (pkce) throw new Aadsts(9002325)
    // A verifier for a request without a challenge is a sign of a code that was injected (RFC 9700 §4.8.2).
    if (codeVerifier !== undefined) throw new Aadsts(501481)
    return
  }
  const challenge = createHash('sha256')
    .update(codeVerifier ?? '')
    .digest('base64url')
  if (challenge !== grant.codeChallenge) throw new Aadsts(501481)
}

/** @param now milliseconds since the epoch */
export function createSignIns(now: () => number): SignIns {
  const codes = new LRUCache<string, { grant: CodeGrant; expiresAtMs: number; redeemed: boolean }>({
    max: REMEMBERED,
  })
  const devices = new LRUCache<string, DeviceGrant>({ max: REMEMBERED })

  return {
    remember(grant) {
      const code = `1.${randomBytes(48).toString('base64url')}`
      codes.set(code, { grant, expiresAtMs: now() + CODE_LIFETIME_MS, redeemed: false })
      return code
    },

    redeem(code, request) {
      const entry = codes.get(code)
      const invalid = () => new Aadsts(9002313, undefined, { error: 'invalid_grant' })
      if (!entry || entry.grant.clientId !== request.clientId) throw invalid()
      if (entry.redeemed) throw new Aadsts(54005)
      if (now() >= entry.expiresAtMs) throw new Aadsts(70008)
      // Whatever is wrong with this attempt, there is no second one.
      entry.redeemed = true
      if (entry.grant.redirectUri !== request.redirectUri)
        throw new Aadsts(50011, undefined, { error: 'invalid_grant' })
      checkVerifier(entry.grant, request)
      return entry.grant
    },

    awaitPerson(clientId, scope, acrs) {
      const deviceCode = `local-${randomUUID()}${randomBytes(16).toString('base64url')}`
      const expiresAtMs = now() + DEVICE_LIFETIME_MS
      const grant = { clientId, scope, acrs, userCode: userCode(), expiresAtMs }
      devices.set(deviceCode, grant)
      return { deviceCode, grant }
    },

    findDevice(typed) {
      const wanted = typed.toUpperCase().replace(/[\s-]/g, '')
      const found = [...devices.values()].find(device => device.userCode === wanted)
      return found && found.outcome === undefined && now() < found.expiresAtMs ? found : undefined
    },

    poll(deviceCode, clientId) {
      const device = devices.get(deviceCode)
      if (!device || device.clientId !== clientId) throw new Aadsts(70018)
      if (now() >= device.expiresAtMs) throw new Aadsts(70019)
      if (device.outcome === undefined) throw new Aadsts(70016)
      devices.delete(deviceCode)
      if (device.outcome === 'declined')
        throw new Aadsts(65004, undefined, { error: 'authorization_declined' })
      return { scope: device.scope, person: device.outcome, acrs: device.acrs }
    },
  }
}

/** Decides which tokens need no second look: those that were good moments ago, while the very key set that verified them is in force. */
import { LRUCache } from 'lru-cache'
import type { Refusal } from '../errors.ts'
import type { Access } from './access.ts'
import { type Candidate, checkTimes } from './claims.ts'
import type { TrustedIssuer } from './issuers.ts'
import type { Clock } from './keys/clock.ts'
import type { KeySet } from './keys/fetch.ts'

/** Tokens that have been verified, by their complete text. */
export interface RememberedTokens {
  /** The verdict on a token that is remembered; undefined when it must be verified. The clock is asked every time. */
  readonly recall: (token: string) => Access | Refusal | undefined
  /** Remembers a token after every check has been passed, and only then. */
  readonly keep: (token: string, verified: Candidate, access: Access) => void
}

/** What the memory depends on. */
export interface RememberedOptions {
  /** How many tokens at most, from 0, which remembers none, to a million. */
  readonly maxTokens: number
  /** The key set of an issuer that is in force. */
  readonly currentSet: (issuer: TrustedIssuer) => KeySet | undefined
  readonly clock: Clock
  /** Clock difference that is forgiven, in seconds. */
  readonly toleranceSeconds: number
}

interface Entry {
  /** The complete token: an entry is the answer for this text and for no other. */
  readonly token: string
  readonly issuer: TrustedIssuer
  readonly set: KeySet
  /** In milliseconds since 1970. */
  readonly until: number
  /** From when to when the token is valid, in seconds since 1970: looked up here, it need not be sought among the claims. */
  readonly notBefore: number
  readonly expires: number
  readonly access: Access
}

/** How many tokens are remembered when nothing else is said. */
export const REMEMBERED_TOKENS = 12_000

/** How long a token is taken for good without its signature being checked again. */
const REMEMBERED_MS = 5 * 60_000
/** What there is for each token on average: 32 MiB for the default number. Longer tokens make it fewer. */
const BYTES_PER_TOKEN = 2800
/** What an entry takes beside its token, the access and the claims as objects: 1,100 bytes by measurement, and a margin. */
const ENTRY_BYTES = 1500

/**
 * Where an entry lies. Hashing the whole of a token costs more than everything else that is done for a remembered
 * one; its last 256 bits find the place, and the comparison with the complete token decides.
 */
const placeOf = (token: string): string => token.slice(-43)

/** A memory that the holder of any number of good tokens can't make grow beyond its bounds. */
export function createRememberedTokens(options: RememberedOptions): RememberedTokens {
  const { maxTokens, currentSet, clock, toleranceSeconds } = options
  if (maxTokens === 0) return { recall: () => undefined, keep: () => {} }
  const entries = new LRUCache<string, Entry>({
    max: maxTokens,
    maxSize: maxTokens * BYTES_PER_TOKEN,
    sizeCalculation: ({ token }) => token.length + ENTRY_BYTES,
  })
  return {
    recall: token => {
      const entry = entries.get(placeOf(token))
      if (entry === undefined || entry.token !== token) return undefined
      const { issuer, set, access, until, notBefore, expires } = entry
      const now = clock.now()
      const nowSeconds = now / 1000
      // A set is replaced as a whole, so one in which a key was withdrawn, or another document, is another set. What it
      // verified makes room here or as the least used.
      if (now > until || currentSet(issuer) !== set) {
        entries.delete(placeOf(token))
        return undefined
      }
      if (nowSeconds >= notBefore && nowSeconds < expires) return access
      return checkTimes({ claims: access.claims, nowSeconds, toleranceSeconds }) ?? access
    },
    keep: (token, { issuer, set }, access) => {
      const until = clock.now() + REMEMBERED_MS
      const { exp, nbf = Number.NEGATIVE_INFINITY } = access.claims as { exp: number; nbf?: number }
      entries.set(placeOf(token), { token, issuer, set, access, until, notBefore: nbf, expires: exp })
    },
  }
}

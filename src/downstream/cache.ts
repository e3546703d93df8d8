/** Decides how long an exchanged token is used again, and that one exchange serves everybody who asks for the same. */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../token/keys/clock.ts'
import type { Exchange, ExchangedToken, ExchangeRequest } from './exchange.ts'

/** Exchanged tokens, remembered. */
export interface TokenCache {
  /** @throws Denied, Unavailable */
  readonly obtain: Exchange
  /** Forgets a token that its API refuses. */
  readonly forget: (request: ExchangeRequest) => void
  /** Entries held and exchanges made. */
  readonly counters: () => { readonly entries: number; readonly exchanges: number }
}

/** What a cache is made with. */
export interface TokenCacheOptions {
  readonly exchange: Exchange
  readonly clock: Clock
  /** Most tokens that are kept; the least recently used go first. */
  readonly maxEntries: number
}

/** So that a token does not expire on its way. */
const MARGIN_MS = 30_000

/** Nothing of it can be read back, and two requests share it only when an exchange could not tell them apart. */
function keyOf({ assertion, tenant, scopes, claims = '' }: ExchangeRequest): string {
  const parts = [assertion, tenant, [...scopes].sort().join(' '), claims]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
}

/** An entry outlives neither its token nor the caller's own. A failure is not remembered. */
export function createTokenCache({ exchange, clock, maxEntries }: TokenCacheOptions): TokenCache {
  const kept = new LRUCache<string, ExchangedToken>({ max: maxEntries, perf: clock, ttlResolution: 0 })
  const pending = new Map<string, Promise<ExchangedToken>>()
  let exchanges = 0

  const fetch = async (key: string, request: ExchangeRequest): Promise<ExchangedToken> => {
    exchanges += 1
    const token = await exchange(request)
    const until = Math.min(token.expiresAtMs - MARGIN_MS, request.assertionExpiresAtMs)
    const ttl = Math.floor(until - clock.now())
    if (ttl > 0) kept.set(key, token, { ttl })
    return token
  }

  return {
    obtain: request => {
      const key = keyOf(request)
      const known = kept.get(key)
      if (known !== undefined) return Promise.resolve(known)
      const running = pending.get(key) ?? fetch(key, request).finally(() => pending.delete(key))
      pending.set(key, running)
      return running
    },
    forget: request => {
      kept.delete(keyOf(request))
    },
    counters: () => ({ entries: kept.size, exchanges }),
  }
}

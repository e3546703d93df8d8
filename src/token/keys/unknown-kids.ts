/** Decides which key ids need not be asked for again yet, in a memory that no flood can grow. */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.ts'

/** Key ids that a fetch has just shown to be unknown. */
export interface UnknownKids {
  readonly add: (kid: string) => void
  readonly has: (kid: string) => boolean
}

const MAX_KIDS = 1000

/** Remembers at most {@link MAX_KIDS} ids, by digest because an id may be as long as a token, for `windowMs` each. */
export function createUnknownKids(windowMs: number, clock: Clock): UnknownKids {
  const seenAt = new LRUCache<string, number>({ max: MAX_KIDS })
  const digest = (kid: string): string => createHash('sha256').update(kid).digest('base64url')
  return {
    add: kid => {
      seenAt.set(digest(kid), clock.now())
    },
    has: kid => {
      const at = seenAt.get(digest(kid))
      return at !== undefined && clock.now() - at < windowMs
    },
  }
}

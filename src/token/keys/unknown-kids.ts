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
/** A digest has one more, so that no id is taken for one. */
const MAX_CHARACTERS = 63

/** Remembers at most {@link MAX_KIDS} ids for `windowMs` each; a long one, which may be as long as a token, by its digest. */
export function createUnknownKids(windowMs: number, clock: Clock): UnknownKids {
  const seenAt = new LRUCache<string, number>({ max: MAX_KIDS })
  const shorten = (kid: string): string =>
    kid.length <= MAX_CHARACTERS ? kid : createHash('sha256').update(kid).digest('hex')
  return {
    add: kid => {
      seenAt.set(shorten(kid), clock.now())
    },
    has: kid => {
      const at = seenAt.get(shorten(kid))
      return at !== undefined && clock.now() - at < windowMs
    },
  }
}

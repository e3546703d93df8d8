/** Decides which key set is in force: the last good one, replaced as a whole when it differs, and dropped when it has grown too old. */
import type { Refusal } from '../../errors.ts'
import type { Clock } from './clock.ts'
import type { KeySet } from './fetch.ts'
import { createSelect, type FoundKey, type SelectKey, showKid } from './select.ts'

/** The set in force. */
export interface LastGood {
  /**
   * Undefined before the first good set, and when the last one is older than the longest staleness. One object for as
   * long as the issuer publishes the same: what was verified by it needs no second look after a refresh.
   */
  readonly current: () => KeySet | undefined
  /** When the set in force was last fetched, in milliseconds since 1970; undefined when there is none. */
  readonly fetchedAt: () => number | undefined
  /** As {@link SelectKey}, in the set in force; undefined too when there is none. */
  readonly select: (kid: string | undefined, alg: string) => FoundKey | Refusal | undefined
  /** Ids of the keys in force, cut for the log. */
  readonly kids: () => readonly string[]
  /**
   * Puts a fresh set in force. A key that is not in it stops verifying with this call (C-7: replaced, not merged).
   *
   * @returns which ids came and went
   */
  readonly replace: (fresh: KeySet) => {
    readonly added: readonly string[]
    readonly withdrawn: readonly string[]
  }
  /** Since when there has been a set in force, or none, in milliseconds since 1970. */
  readonly since: () => number
}

const kidsOf = ({ keys }: KeySet): string[] => keys.map(({ kid }) => showKid(kid ?? ''))

/** Everything that a token is judged by, in whatever order the keys are published. */
const contentOf = ({ issuer, cloud, keys }: KeySet): string =>
  JSON.stringify([issuer, cloud, keys.map(key => JSON.stringify(key)).sort()])

/** Keeps the last good set for at most `maxStaleMs` after it was fetched. */
export function createLastGood(maxStaleMs: number, clock: Clock): LastGood {
  let set: KeySet | undefined
  let fetchedAt = Number.NEGATIVE_INFINITY
  let content: string | undefined
  let selectIn: SelectKey | undefined
  let kids: readonly string[] = []
  let changedAt = clock.now()

  const current = (): KeySet | undefined => (clock.now() - fetchedAt <= maxStaleMs ? set : undefined)

  return {
    current,
    fetchedAt: () => (current() === undefined ? undefined : fetchedAt),
    select: (kid, alg) => (current() === undefined ? undefined : selectIn!(kid, alg)),
    kids: () => kids,
    replace: fresh => {
      const [before, after] = [kids, kidsOf(fresh)]
      if (current() === undefined) changedAt = clock.now()
      fetchedAt = fresh.fetchedAt
      const freshContent = contentOf(fresh)
      if (freshContent !== content) {
        content = freshContent
        set = fresh
        kids = after
        selectIn = createSelect(fresh)
      }
      return {
        added: after.filter(kid => !before.includes(kid)),
        withdrawn: before.filter(kid => !after.includes(kid)),
      }
    },
    since: () => (set === undefined || current() !== undefined ? changedAt : fetchedAt + maxStaleMs),
  }
}

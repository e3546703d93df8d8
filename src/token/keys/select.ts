/** Decides which key of a set a token names; never by trying one after the other. */
import type { Refusal } from '../../errors.ts'
import type { KeySet } from './fetch.ts'
import type { VerificationKey } from './usable.ts'

/** A key together with the set that it stands in. */
export interface FoundKey {
  readonly key: VerificationKey
  readonly set: KeySet
}

/** Finds a key in one set: the key, a refusal that no fetch could change, or undefined when the id is not in it. */
export type SelectKey = (kid: string | undefined, alg: string) => FoundKey | Refusal | undefined

/** C-5, JWKS-16: a token without a key id is accepted only where one key alone fits; Entra always names its key. */
export const NO_KID: Refusal = { code: 'unknown_key', about: 'kid', expected: 'a key id' }

/** Cut for the log: printable characters only, at most 64. */
export function showKid(kid: string): string {
  return kid.slice(0, 64).replace(/[^\x20-\x7e]/g, '?')
}

/** Prepares the look-up in one set. Ids are compared exactly (JWT-13) and never used as a property name (BCP-9). */
export function createSelect(set: KeySet): SelectKey {
  const all = set.keys.map(key => ({ key, set }))
  const byKid = new Map<string, FoundKey[]>()
  for (const found of all) {
    const { kid } = found.key
    if (kid !== undefined) byKid.set(kid, [...(byKid.get(kid) ?? []), found])
  }
  return (kid, alg) => {
    if (kid === undefined) {
      const fitting = all.filter(({ key }) => key.alg === alg)
      return fitting.length === 1 ? fitting[0]! : NO_KID
    }
    const named = byKid.get(kid)
    if (named === undefined) return undefined
    return (
      named.find(({ key }) => key.alg === alg) ?? {
        code: 'unsupported_algorithm',
        about: 'alg',
        received: alg,
        expected: `${named.map(({ key }) => key.alg).join(' or ')} for key ${showKid(kid)}`,
      }
    )
  }
}

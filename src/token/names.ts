/** Decides how names are asked for: one, all of a list, or any of a list. */

/** Names that are asked for: one, all of a list, or any of a list. */
export type Names = string | readonly string[] | { readonly any: readonly string[] }

// RFC 6749 §3.3: the characters of a scope; the same are safe in a challenge (BEARER-12).
const CHALLENGE_NAME = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** Whether a name may stand in a challenge. */
export function isChallengeName(value: unknown): boolean {
  return typeof value === 'string' && CHALLENGE_NAME.test(value)
}

/** The names, whether all of them are asked for or any. */
export function listed(wanted: Names): readonly string[] {
  if (typeof wanted === 'string') return [wanted]
  return 'any' in wanted ? wanted.any : wanted
}

/** Each set of names that is enough. */
export function ways(wanted: Names): string[][] {
  if (typeof wanted === 'string') return [[wanted]]
  return 'any' in wanted ? wanted.any.map(name => [name]) : [[...wanted]]
}

/** Whether what is held is enough; compared exactly, case included. */
export function holds(held: readonly string[], wanted: Names): boolean {
  if (typeof wanted === 'string') return held.includes(wanted)
  return 'any' in wanted
    ? wanted.any.some(name => held.includes(name))
    : wanted.every(name => held.includes(name))
}

/** Whether something is one of the names: for what a caller has only one of, where a list can but mean any of it. */
export function isOneOf(value: unknown, wanted: Names): boolean {
  return typeof value === 'string' && listed(wanted).includes(value)
}

/**
 * Whether a declaration is {@link Names}: at least one, each of them good.
 *
 * @param isName what each name must be
 */
export function isNames(value: unknown, isName: (name: unknown) => boolean): value is Names {
  const isSet = typeof value === 'object' && value !== null && 'any' in value
  const list: unknown = typeof value === 'string' ? [value] : isSet ? value.any : value
  return Array.isArray(list) && list.length > 0 && list.every(isName)
}

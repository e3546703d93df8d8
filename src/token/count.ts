/** Decides whether a number that somebody has set is one of things that are kept. */
import type { Problem } from '../errors.ts'

const MOST = 1_000_000

/**
 * What is wrong with a number of things to keep.
 *
 * @param option as it is called in the options
 * @param value undefined when nobody has set it
 * @param least 0 when none may be kept at all
 */
export function findCountProblems(option: string, value: number | undefined, least: 0 | 1): Problem[] {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= MOST)) return []
  const expected = `a whole number from ${least} to ${MOST}`
  return [{ name: `option ${option}`, found: String(value), expected, example: '10000' }]
}

/** Decides which scopes come with a scope: an explicit table, never a prefix or a pattern (C-16, MCP-5). */
import type { Problem } from '../errors.ts'
import { isChallengeName } from './names.ts'

/** A scope, and those that whoever holds it holds too: `{ 'Files.Write': ['Files.Read'] }`. */
export type Implies = Readonly<Record<string, readonly string[]>>

/** Every scope that comes with a scope, over any number of steps. */
export type Implied = ReadonlyMap<string, readonly string[]>

const NAME = 'option implies'
const EXAMPLE = "{ 'Files.Write': ['Files.Read'] }"

/** A way from a scope back to itself. */
function findCircle(implies: Implies): readonly string[] | undefined {
  const done = new Set<string>()
  const walk = (scope: string, trail: readonly string[]): readonly string[] | undefined => {
    const at = trail.indexOf(scope)
    if (at !== -1) return [...trail.slice(at), scope]
    if (done.has(scope) || !Object.hasOwn(implies, scope)) return undefined
    for (const next of implies[scope]!) {
      const circle = walk(next, [...trail, scope])
      if (circle !== undefined) return circle
    }
    done.add(scope)
    return undefined
  }
  for (const scope of Object.keys(implies)) {
    const circle = walk(scope, [])
    if (circle !== undefined) return circle
  }
  return undefined
}

/** Says what is wrong with a table; a circle would make all of its scopes the same one. */
export function findImpliesProblems(implies: unknown): Problem[] {
  if (implies === undefined) return []
  if (typeof implies !== 'object' || implies === null || Array.isArray(implies)) {
    return [
      { name: NAME, found: String(implies), expected: 'scopes with the scopes they imply', example: EXAMPLE },
    ]
  }
  const wrong = Object.entries(implies).filter(
    ([scope, list]) =>
      !isChallengeName(scope) || !Array.isArray(list) || list.length === 0 || !list.every(isChallengeName),
  )
  if (wrong.length > 0) {
    return wrong.map(([scope, list]) => ({
      name: `${NAME}, ${scope}`,
      found: String(JSON.stringify(list)),
      expected: 'a list of scopes, of printable characters without space, " and \\',
      example: EXAMPLE,
    }))
  }
  const circle = findCircle(implies as Implies)
  if (circle === undefined) return []
  return [
    { name: NAME, found: circle.join(' → '), expected: 'no scope that implies itself', example: EXAMPLE },
  ]
}

/** Follows a table without circles to its ends. */
export function readImplied(implies: Implies = {}): Implied {
  const follow = (scope: string): string[] => {
    const next = Object.hasOwn(implies, scope) ? implies[scope]! : []
    return [...new Set(next.flatMap(one => [one, ...follow(one)]))]
  }
  return new Map(Object.keys(implies).map(scope => [scope, follow(scope)]))
}

/** The scopes that a token carries, and those that come with them. */
export function withImplied(scopes: readonly string[], implied: Implied): readonly string[] {
  if (implied.size === 0) return scopes
  return scopes.flatMap(scope => [scope, ...(implied.get(scope) ?? [])])
}

/** Decides whether what a route declares is a policy that can be enforced; whatever is wrong with it is said at boot. */
import type { Problem } from '../errors.ts'
import { isChallengeName, isNames } from './names.ts'
import { kindsOf, type Policy } from './policy.ts'
import { type Acrs, findUnmapped } from './step-up.ts'

/** What a declaration is judged by beside itself. */
export interface Surroundings {
  readonly acrs: Acrs
  /** Tenants that may call; `*` when they are not listed. */
  readonly tenants: readonly string[] | '*'
}

interface Member {
  readonly isValid: (value: unknown) => boolean
  readonly expected: string
  readonly example: string
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''

const challengeNames = (example: string): Member => ({
  isValid: value => isNames(value, isChallengeName),
  expected: 'a name, a list of names or { any: […] }, of printable characters without space, " and \\',
  example,
})
const texts = (example: string): Member => ({
  isValid: value => isNames(value, isText),
  expected: 'a name, a list of names or { any: […] }',
  example,
})

const MEMBERS: Readonly<Record<keyof Policy, Member>> = {
  scope: challengeNames("'Data.Read'"),
  role: challengeNames("'Data.Read.All'"),
  userRole: challengeNames("'Editor'"),
  groups: texts("'11111111-2222-3333-4444-555555555555'"),
  clients: texts("'11111111-2222-3333-4444-555555555555'"),
  kind: {
    isValid: value => value === 'user' || value === 'application',
    expected: "'user' or 'application'",
    example: "'user'",
  },
  acr: challengeNames("['urn:example:gold', 'urn:example:silver']"),
  maxAgeSeconds: {
    isValid: value => Number.isSafeInteger(value) && (value as number) >= 0,
    expected: 'a whole number of seconds, not negative',
    example: '300',
  },
  authenticationContext: { isValid: isText, expected: 'a name, or an id from c1 to c99', example: "'c1'" },
  authorizationDetails: texts("'payment_initiation'"),
}

const KNOWN = Object.keys(MEMBERS)
const ASKED_OF: Readonly<Record<'user' | 'application', readonly (keyof Policy)[]>> = {
  user: ['scope', 'userRole', 'groups', 'acr', 'maxAgeSeconds', 'authenticationContext'],
  application: ['role'],
}

const DOORS =
  "who may come: scope, userRole, groups or kind: 'user' for users, role or kind: 'application' for applications"
const EXAMPLE = "config: { access: { scope: 'Data.Read', role: 'Data.Read.All' } }"

const show = (value: unknown): string => JSON.stringify(value) ?? typeof value

/** A member that is good by itself, but is asked of a kind of caller that has no door. */
function findIdle(name: string, policy: Policy): Problem[] {
  const kinds = kindsOf(policy)
  if (kinds.length === 0) return [{ name, found: show(policy), expected: DOORS, example: EXAMPLE }]
  return (['user', 'application'] as const)
    .filter(kind => !kinds.includes(kind))
    .flatMap(kind =>
      ASKED_OF[kind]
        .filter(member => policy[member] !== undefined)
        .map(member => ({
          name: `${name}, ${member}`,
          found: `${show(policy[member])}, which is asked of no ${kinds.join(' and no ')}`,
          expected: `nothing, or a door for the ${kind} too`,
          example: EXAMPLE,
        })),
    )
}

/**
 * Says everything that is wrong with a route's declaration; nothing is right by default (an empty policy would
 * admit everybody, so it is refused).
 *
 * @param route how to name the route to its author, for example `GET /orders`
 */
export function findPolicyProblems(
  route: string,
  access: unknown,
  { acrs, tenants }: Surroundings = { acrs: {}, tenants: '*' },
): Problem[] {
  if (access === 'public' || access === 'any') return []
  const name = `access of ${route}`
  const expected = `'public', 'any', or a policy that says ${DOORS}`
  if (access === undefined) return [{ name, found: 'nothing', expected, example: EXAMPLE }]
  if (typeof access !== 'object' || access === null || Array.isArray(access)) {
    return [{ name, found: show(access), expected, example: EXAMPLE }]
  }
  const members = Object.entries(access)
  if (members.length === 0) return [{ name, found: '{}', expected, example: EXAMPLE }]
  const wrong = members.flatMap(([member, value]): Problem[] => {
    const about = `${name}, ${member}`
    const known = Object.hasOwn(MEMBERS, member) ? MEMBERS[member as keyof Policy] : undefined
    if (known === undefined) {
      return [
        { name: about, found: 'a member that is not known', expected: KNOWN.join(', '), example: EXAMPLE },
      ]
    }
    return known.isValid(value) ? [] : [{ ...known, name: about, found: show(value) }]
  })
  if (wrong.length > 0) {
    return wrong.map(({ name, found, expected, example }) => ({ name, found, expected, example }))
  }

  const policy = access as Policy
  const { authenticationContext: context } = policy
  const unmapped = context === undefined ? undefined : findUnmapped(context, acrs, tenants)
  return [
    ...findIdle(name, policy),
    ...(unmapped === undefined
      ? []
      : [
          {
            name: `${name}, authenticationContext`,
            found: `${show(context)}, ${unmapped}`,
            expected: MEMBERS.authenticationContext.expected,
            example: "option acrs: { '<tenant id>': { 'transfer-money': 'c1' } }",
          },
        ]),
  ]
}

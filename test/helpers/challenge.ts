/** Decides whether a WWW-Authenticate value keeps RFC 9110 §11.6.1 and RFC 6750 §3, and reads the parameters of a challenge. */

/** One challenge: a scheme and its parameters, names in lower case. */
export interface Challenge {
  readonly scheme: string
  readonly params: Readonly<Record<string, string>>
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const BWS = /[ \t]*/y
// RFC 9110 §5.6.4; obs-text is left out on purpose: no challenge of ours needs it.
const QUOTED = /"((?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*)"/y
const COMMA = /[ \t]*(?:,[ \t]*)+/y

/** RFC 6750 §3: what `scope`, `error` and `error_description` may hold. */
const ALLOWED: Readonly<Record<string, RegExp>> = {
  scope: /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/,
  error: /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/,
  error_description: /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/,
  error_uri: /^[\x21\x23-\x5b\x5d-\x7e]+$/,
}

/**
 * Parses a field value strictly: every parameter is a quoted-string (HTTP-3), names are unique within their
 * challenge (HTTP-2, BEARER-11), and each challenge has at least one parameter (BEARER-4).
 *
 * @throws SyntaxError that says where the value leaves the grammar
 */
export function parseChallenges(value: string): Challenge[] {
  let at = 0
  const fail = (why: string): never => {
    throw new SyntaxError(`${why} at ${at} of ${JSON.stringify(value)}`)
  }
  const eat = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(value)
    if (found !== null) at += found[0].length
    return found
  }
  /** The name of a parameter when one starts here, else nothing is eaten. */
  const eatName = (): string | undefined => {
    const start = at
    const name = eat(TOKEN)?.[0]
    eat(BWS)
    if (name !== undefined && value[at] === '=') {
      at++
      return name.toLowerCase()
    }
    at = start
    return undefined
  }

  const challenges: Challenge[] = []
  do {
    const scheme = eat(TOKEN)?.[0] ?? fail('no scheme')
    if (value[at] !== ' ') fail('no parameter behind the scheme')
    while (value[at] === ' ') at++
    const params: Record<string, string> = Object.create(null)
    let name = eatName()
    if (name === undefined) fail('no parameter behind the scheme')
    while (name !== undefined) {
      if (name in params) fail(`a second ${name}`)
      eat(BWS)
      const text = (eat(QUOTED) ?? fail(`${name} is no quoted-string`))[1]!.replace(/\\(.)/g, '$1')
      if (ALLOWED[name]?.test(text) === false) fail(`${name} holds a forbidden character`)
      params[name] = text
      const comma = eat(COMMA)
      name = comma === null ? undefined : eatName()
    }
    challenges.push({ scheme, params: { ...params } })
  } while (at < value.length)
  return challenges
}

/** The one Bearer challenge that an answer carries. */
export function parseBearer(value: string): Readonly<Record<string, string>> {
  const challenges = parseChallenges(value)
  if (challenges.length !== 1 || challenges[0]!.scheme !== 'Bearer') {
    throw new SyntaxError(`not exactly one Bearer challenge: ${value}`)
  }
  return challenges[0]!.params
}

/** Decides what the token command understands: which words and options, and what is wrong with the others. */
import { parseArgs } from 'node:util'
import { readClaims } from './claims.ts'

/** The ways to a token. */
export const HOWS = ['client-credentials', 'interactive', 'device-code'] as const

/** One of {@link HOWS}. */
export type How = (typeof HOWS)[number]

/** What the person asked for. */
export interface TokenOptions {
  readonly how: How
  readonly help: boolean
  /** Empty: the default of the settings. */
  readonly scopes: readonly string[]
  /** A claims request, as the JSON text that goes to the issuer. */
  readonly claims?: string
  readonly json: boolean
  /** Handle of a person of the local tenant. */
  readonly as?: string
  readonly timeoutSeconds: number
  readonly browser: boolean
  readonly cache: boolean
}

/** The person's fault on the command line: exit code 2. */
export class Usage extends Error {
  override readonly name = 'Usage'
}

const OPTIONS = {
  scope: { type: 'string', multiple: true },
  claims: { type: 'string' },
  json: { type: 'boolean' },
  as: { type: 'string' },
  timeout: { type: 'string' },
  'no-browser': { type: 'boolean' },
  'no-cache': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

const LONGEST_SECONDS = 3600
/** Entra's device codes live 15 minutes, and a person has to find another device meanwhile. */
const DEFAULT_SECONDS: Record<How, number> = {
  'client-credentials': 60,
  interactive: 300,
  'device-code': 900,
}

/**
 * Reads the words after `token`.
 *
 * @throws {Usage} naming what is allowed
 */
export function readOptions(args: readonly string[]): TokenOptions {
  const { values, positionals } = parse(args)
  const [word, ...more] = positionals
  if (word !== undefined && !HOWS.some(how => how === word)) {
    throw new Usage(`unknown way to a token: ${word}. Known: ${HOWS.join(', ')}`)
  }
  if (more.length > 0) throw new Usage(`one way to a token at a time, not also ${more.join(' ')}`)
  // A person can only be signed in, so `--as` says how all by itself.
  const how = (word as How | undefined) ?? (values.as === undefined ? 'client-credentials' : 'interactive')
  if (values.as !== undefined && how !== 'interactive') {
    throw new Usage(`--as signs a person in: it goes with interactive, not with ${how}`)
  }
  return {
    how,
    help: values.help ?? false,
    scopes: (values.scope ?? []).flatMap(list => list.split(/\s+/)).filter(scope => scope !== ''),
    ...(values.claims !== undefined && { claims: checkClaims(values.claims) }),
    json: values.json ?? false,
    ...(values.as !== undefined && { as: values.as }),
    timeoutSeconds: readSeconds(values.timeout) ?? DEFAULT_SECONDS[how],
    browser: !values['no-browser'],
    cache: !values['no-cache'],
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    const known = Object.keys(OPTIONS).map(name => `--${name}`)
    throw new Usage(`${(error as Error).message.split('. ', 1)[0]}. Options: ${known.join(', ')}`)
  }
}

function checkClaims(text: string): string {
  const claims = readClaims(text)
  if (claims !== undefined) return claims
  throw new Usage(
    '--claims takes a claims request as JSON, for example {"access_token":{"acrs":{"essential":true,"value":"c1"}}}, ' +
      `or the claims of a challenge, or its whole WWW-Authenticate header, not ${text}`,
  )
}

function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (text.trim() !== '' && seconds > 0 && seconds <= LONGEST_SECONDS) return seconds
  throw new Usage(`--timeout takes seconds, more than 0 and at most ${LONGEST_SECONDS}, not ${text}`)
}

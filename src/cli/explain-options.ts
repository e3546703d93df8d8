/** Decides what the words after `explain` mean. */
import { parseArgs } from 'node:util'
import { Usage } from './options.ts'

/** What the person asked for. */
export interface ExplainOptions {
  /** The token itself, or `-` for stdin; absent: the configuration is checked. */
  readonly token: string | undefined
  /** File with a JWK Set that stands in for the issuer's; then nothing is asked over the network. */
  readonly jwks: string | undefined
  readonly json: boolean
  readonly help: boolean
}

const OPTIONS = {
  jwks: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

/**
 * Reads the words after `explain`.
 *
 * @throws {Usage} naming what is allowed; it repeats no word, for one may be a token
 */
export function readExplainOptions(args: readonly string[]): ExplainOptions {
  const { values, positionals } = parse(args)
  const help = values.help ?? false
  // An unquoted `Bearer TOKEN` arrives in two words.
  const token = positionals.length === 0 ? undefined : positionals.join(' ')
  if (values.jwks !== undefined && token === undefined && !help) {
    throw new Usage('--jwks judges a token: name one, or - to read it from stdin')
  }
  return { token, jwks: values.jwks, json: values.json ?? false, help }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch {
    throw new Usage('explain takes a token or -, and the options --jwks FILE, --json and --help')
  }
}

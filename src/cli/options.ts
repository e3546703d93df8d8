/** Decides what the token command understands: which words and options, and what is wrong with the others. */
import { parseArgs } from 'node:util'
import { readClaims } from './claims.ts'

/** The ways to a token. */
export const HOWS = [
  'client-credentials',
  'managed-identity',
  'interactive',
  'device-code',
  'silent',
  'on-behalf-of',
] as const

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
  /** Username of the kept sign-in to use. */
  readonly account?: string
  /** Whether to ask the issuer although an access token is cached. */
  readonly refresh: boolean
  /** Whether to show the verified claims of the ID token. */
  readonly idToken: boolean
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
  account: { type: 'string' },
  refresh: { type: 'boolean' },
  'id-token': { type: 'boolean' },
  timeout: { type: 'string' },
  'no-browser': { type: 'boolean' },
  'no-cache': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

const LONGEST_SECONDS = 3600
/** Entra's device codes live 15 minutes, and a person has to find another device meanwhile. */
const DEFAULT_SECONDS: Record<How, number> = {
  'client-credentials': 60,
  'managed-identity': 60,
  interactive: 300,
  'device-code': 900,
  silent: 60,
  'on-behalf-of': 60,
}

/** The ways by which a person signs in, now or in an earlier run. */
const PERSONAL: readonly How[] = ['interactive', 'device-code', 'silent']

/** Tells whether a way ends with a person who is signed in. */
export function isPersonal(how: How): boolean {
  return PERSONAL.includes(how)
}

/** What goes with some ways only. */
const GOES_WITH: readonly { option: 'as' | 'account' | 'id-token'; means: string; hows: readonly How[] }[] = [
  { option: 'as', means: 'signs a person in', hows: ['interactive'] },
  { option: 'account', means: 'names a kept sign-in', hows: ['silent'] },
  { option: 'id-token', means: 'shows who signed in', hows: PERSONAL },
]

/** Longer words are not repeated: one may be a token. */
const LONGEST_WORD = 40

/**
 * Reads the words after `token`.
 *
 * @throws {Usage} naming what is allowed
 */
export function readOptions(args: readonly string[]): TokenOptions {
  const { values, positionals } = parse(args)
  const how = readHow(positionals, values.as !== undefined)
  for (const { option, means, hows } of GOES_WITH) {
    if (values[option] !== undefined && !hows.includes(how)) {
      throw new Usage(`--${option} ${means}: it goes with ${hows.join(', ')}, not with ${how}`)
    }
  }
  return {
    how,
    help: values.help ?? false,
    scopes: (values.scope ?? []).flatMap(list => list.split(/\s+/)).filter(scope => scope !== ''),
    ...(values.claims !== undefined && { claims: checkClaims(values.claims) }),
    json: values.json ?? false,
    ...(values.as !== undefined && { as: values.as }),
    ...(values.account !== undefined && { account: values.account }),
    refresh: values.refresh ?? false,
    idToken: values['id-token'] ?? false,
    timeoutSeconds: readSeconds(values.timeout) ?? DEFAULT_SECONDS[how],
    browser: !values['no-browser'],
    cache: !values['no-cache'],
  }
}

function readHow([word, ...more]: readonly string[], hasPerson: boolean): How {
  // A person can only be signed in, so `--as` says how all by itself.
  if (word === undefined) return hasPerson ? 'interactive' : 'client-credentials'
  const how = HOWS.find(one => one === word)
  if (how === undefined) throw new Usage(`unknown way to a token${quote(word)}. Known: ${HOWS.join(', ')}`)
  // The assertion comes from stdin in any case; `-` says so.
  const rest = how === 'on-behalf-of' && more[0] === '-' ? more.slice(1) : more
  if (rest.length === 0) return how
  if (how === 'on-behalf-of') {
    throw new Usage(`the caller's token comes from stdin or a prompt, never from an argument. ${UNSAFE}`)
  }
  throw new Usage(`one way to a token at a time${quote(rest.join(' '), ', not also ')}`)
}

const quote = (word: string, before = ': '): string => (word.length > LONGEST_WORD ? '' : `${before}${word}`)

const UNSAFE = 'Arguments can be read by everybody on this machine and stay in the history of the shell.'
const SECRETIVE = /secret|password|assertion|certificate|credential|token|key/i

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    const [message] = (error as Error).message.split('. ', 1)
    const [, name = ''] = /^Unknown option '-*([^']*)'/.exec(message!) ?? []
    if (SECRETIVE.test(name)) {
      throw new Usage(
        `there is no --${name}: secrets come from the environment, a file or a prompt, never from an argument. ${UNSAFE} ` +
          'Set TOKEN_CLIENT_SECRET, TOKEN_CLIENT_CERTIFICATE_PATH or TOKEN_FEDERATED_TOKEN_FILE, or type the secret when asked',
      )
    }
    const known = Object.keys(OPTIONS).map(one => `--${one}`)
    throw new Usage(`${message}. Options: ${known.join(', ')}`)
  }
}

function checkClaims(text: string): string {
  const claims = readClaims(text)
  if (claims !== undefined) return claims
  throw new Usage(
    '--claims takes a claims request as JSON, for example {"access_token":{"acrs":{"essential":true,"value":"c1"}}}, ' +
      `or the claims of a challenge, or its whole WWW-Authenticate header${quote(text, ', not ')}`,
  )
}

function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (text.trim() !== '' && seconds > 0 && seconds <= LONGEST_SECONDS) return seconds
  throw new Usage(
    `--timeout takes seconds, more than 0 and at most ${LONGEST_SECONDS}${quote(text, ', not ')}`,
  )
}

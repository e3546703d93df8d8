/** Decides how lines are written, and that no credential is ever in one. */
import { type DestinationStream, type Logger, pino } from 'pino'
import { openOutput } from './log-output.ts'

const SECRET_NAMES = new Set([
  'authorization',
  'dpop',
  'cookie',
  'set-cookie',
  'access_token',
  'id_token',
  'refresh_token',
  'client_secret',
  'client_assertion',
  'assertion',
  'password',
])
/** A member of that name, anywhere in a line. In a text the quotes are escaped, and it is no member. */
const SECRET_MEMBER = new RegExp(`"(?:${[...SECRET_NAMES].join('|')})":`, 'i')
/** Whatever looks like a JWS, wherever it stands: the second fence, for values that no path names (BCP-14). */
export const TOKEN_SHAPE = /ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/g

/**
 * Blanks the secrets of a finished line. Few lines have a member with such a name, and only those are parsed: pino's
 * `redact` with as many paths costs every request more than its authorization does (bench/README.md).
 */
function blank(line: string): string {
  const blanked = SECRET_MEMBER.test(line)
    ? `${JSON.stringify(
        JSON.parse(line, (name, value) => (SECRET_NAMES.has(name.toLowerCase()) ? '[redacted]' : value)),
      )}\n`
    : line
  return blanked.replace(TOKEN_SHAPE, '[token]')
}

/** A logger that writes one JSON line an event, with every secret blanked at any depth; to stdout by default. */
export function createLogger(level: string, destination: DestinationStream = openOutput()): Logger {
  return pino({ level, base: null, hooks: { streamWrite: blank } }, destination)
}

/** Decides whether an answer to a hostile request keeps every promise: refused, well-formed, and silent about why in particular. */
import { CODES, type Code } from '../../src/errors.ts'
import { MEANINGS } from '../../src/http/problem.ts'
import { parseBearer } from './challenge.ts'
import type { Seen } from './raw.ts'

/** What no answer names: libraries, their codes, stacks. */
const TRACES =
  /FAST_JWT|FST_|ERR_|jose|\bat .*(?:\.[jt]s|<anonymous>)|node:|node_modules|RangeError|TypeError/i
/** Shorter values than this are words that any text may hold. */
const MIN_SECRET_CHARACTERS = 5

const MEMBERS = ['status', 'title', 'detail', 'code', 'error', 'scope']

function strings(value: unknown, found: string[] = []): string[] {
  const pending: unknown[] = [value]
  for (let node = pending.pop(); pending.length > 0 || node !== undefined; node = pending.pop()) {
    if (typeof node === 'string') found.push(node)
    else if (typeof node === 'number') found.push(String(node))
    else if (typeof node === 'object' && node !== null) pending.push(...Object.values(node))
  }
  return found
}

function decoded(part: string): string[] {
  const text = Buffer.from(part, 'base64url').toString()
  try {
    return strings(JSON.parse(text))
  } catch {
    return [text]
  }
}

/** Whatever an answer must not repeat of a token: its text, piece by piece, and every value in it. */
function secretsOf(token: string): string[] {
  const parts = token.split(/[.\s]/)
  const pieces = parts.flatMap(part => [part.slice(0, 24), part.slice(-24)])
  return [...pieces, ...parts.slice(0, 2).flatMap(decoded)].filter(
    text => text.length >= MIN_SECRET_CHARACTERS,
  )
}

/**
 * The promises that an answer to a hostile token breaks; none when it is `code`'s own answer.
 *
 * @param publicText what everybody may know of the server: scope, metadata address
 */
export function brokenPromises(
  { status, headers, text }: Seen,
  code: Code,
  token: string,
  publicText: readonly string[],
): string[] {
  const broken: string[] = []
  if (status === 200) return ['was let in']
  if (status >= 500) broken.push(`answered ${status}`)
  if (headers.get('content-type')?.split(';')[0] !== 'application/problem+json') {
    broken.push(`is ${headers.get('content-type')}`)
    return broken
  }
  const body = JSON.parse(text) as Record<string, unknown>
  if (body.code !== code) broken.push(`code is ${body.code}`)
  if (!CODES.some(known => known === body.code)) broken.push('code is not on the list')
  if (body.detail !== MEANINGS[code].detail) broken.push(`detail is ${body.detail}`)
  if (status !== MEANINGS[code].status) broken.push(`status is ${status}`)
  if (body.status !== status) broken.push(`status is ${body.status} in the body, ${status} on the wire`)
  const surplus = Object.keys(body).filter(member => !MEMBERS.includes(member))
  if (surplus.length > 0) broken.push(`has the members ${surplus}`)
  if (headers.get('cache-control') !== 'no-store') broken.push('may be stored')

  const challenge = headers.get('www-authenticate')
  if (challenge === null) broken.push('has no challenge')
  else {
    try {
      const params = parseBearer(challenge)
      if (params.error !== body.error || params.scope !== body.scope) broken.push('header and body differ')
      if (params.error_description !== (body.error === undefined ? undefined : body.detail)) {
        broken.push('description and detail differ')
      }
    } catch (error) {
      broken.push(String(error))
    }
  }

  let said = `${[...headers].map(([name, value]) => `${name}: ${value}`).join('\n')}\n${text}`
  const constants = [MEANINGS[code].detail, 'application/problem+json', 'Bearer realm']
  for (const known of [...constants, ...publicText]) said = said.replaceAll(known, '')
  const trace = TRACES.exec(said)?.[0]
  if (trace !== undefined) broken.push(`says ${trace}`)
  // The date, and the length of the body, hold digits that a claim may hold too.
  said = said.replace(/^(?:date|content-length|keep-alive): .*$/gim, '')
  const repeated = secretsOf(token).find(secret => said.includes(secret))
  if (repeated !== undefined) broken.push(`repeats ${JSON.stringify(repeated.slice(0, 80))}`)
  return broken
}

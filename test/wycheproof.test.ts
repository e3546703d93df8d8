/** Wycheproof: the project's JWS vectors against the real components, from key import to signature check. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createCheckSignature } from '../src/http/verify.ts'
import { SIGNATURE_ALGORITHMS } from '../src/token/issuers.ts'
import { decodeJws } from '../src/token/jws.ts'
import { createSelect } from '../src/token/keys/select.ts'
import { judgeKey, type VerificationKey } from '../src/token/keys/usable.ts'

type Json = Readonly<Record<string, unknown>>

interface Vector {
  readonly tcId: number
  readonly comment: string
  readonly jws: unknown
  readonly result: 'valid' | 'invalid'
}

interface Group {
  readonly comment: string
  readonly public?: Json
  readonly private: Json
  readonly tests: readonly Vector[]
}

const folder = process.env.WYCHEPROOF_DIR ?? fileURLToPath(new URL('../../shared/vectors', import.meta.url))
const file = `${folder}/json_web_signature_test.json`
const absent = !existsSync(file) && `${file} is not there (set WYCHEPROOF_DIR)`

/** What was counted when this was written; fewer would mean that vectors are no longer looked at. */
const COUNTED = { valid: 16, invalid: 304 }

const verifySignature = createCheckSignature()
const NO_SET = { issuer: '', cloud: undefined, ignored: [], fetchedAt: 0, maxAgeSeconds: undefined }

/** Why a key is not imported, by group; each of these must be refused. */
const REFUSED_KEYS: Readonly<Record<string, RegExp>> = {
  HS256: /symmetric/,
  RS384: /algorithm that is not accepted/,
  RS512: /algorithm that is not accepted/,
  PS384: /algorithm that is not accepted/,
  PS512: /algorithm that is not accepted/,
  ES521: /algorithm that is not accepted/,
  'encryption by use': /use is not sig/,
  'encryption by key_ops': /key_ops lack verify/,
}

function describe({ alg, use, key_ops: operations }: Json): string {
  if (use === 'enc') return 'encryption by use'
  return Array.isArray(operations) && !operations.includes('verify') ? 'encryption by key_ops' : String(alg)
}

/** RFC 7520 §4.2 signs with PS384, and its key is published here for PS256: one key has one algorithm (BCP-3). */
const PINNED_OTHERWISE = [346, 350]

/**
 * Runs with a payload that is no JSON object, as those of most vectors: @fastify/jwt would refuse it before it
 * looks at the signature. The one thing relaxed is that this very text counts as an empty object; what is signed
 * stays what it is.
 */
function withAnyPayload<T>(payload: string, run: () => T): T {
  const { parse } = JSON
  const text = Buffer.from(payload, 'base64').toString('utf8')
  JSON.parse = (source, reviver) => (source === text ? {} : parse(source, reviver))
  try {
    return run()
  } finally {
    JSON.parse = parse
  }
}

/**
 * The stages of the server that do not ask for claims: the spelling of all three parts and the header by
 * decodeJws, the key by its id and algorithm, and the signature. The header is decoded in front of an empty
 * object, and the payload's spelling is judged where only spelling is: in the place of the signature.
 */
async function isGood(key: VerificationKey, token: string): Promise<boolean> {
  const parts = token.split('.')
  if (parts.length !== 3) return !('code' in decodeJws(token))
  const [header, payload, signature] = parts as [string, string, string]
  const decoded = decodeJws(`${header}.e30.${signature}`)
  if ('code' in decoded || 'code' in decodeJws(`${header}.e30.${payload}`)) return false
  const found = createSelect({ ...NO_SET, keys: [key] })(decoded.header.kid, decoded.header.alg)
  if (found === undefined || !('key' in found)) return false
  // The first call prepares the verifier, the second answers at once.
  await verifySignature(found.key, token)
  return withAnyPayload(payload, () => verifySignature(found.key, token)) === true
}

t.test('every vector comes out as it says, or its key is refused', { skip: absent }, async t => {
  const { testGroups } = JSON.parse(readFileSync(file, 'utf8')) as { testGroups: readonly Group[] }
  const skipped = new Map<string, number>()
  const skip = (reason: string, count = 1) => skipped.set(reason, (skipped.get(reason) ?? 0) + count)
  const applied = { valid: 0, invalid: 0 }
  for (const group of testGroups) {
    const jwk = group.public ?? group.private
    const key = judgeKey(jwk, SIGNATURE_ALGORITHMS)
    if ('reason' in key) {
      const name = describe(jwk)
      t.match(
        key.reason,
        REFUSED_KEYS[name] ?? 'no refusal was expected',
        `key of ${group.comment} (${name})`,
      )
      skip(`key refused: ${name}`, group.tests.length)
      continue
    }
    for (const { tcId, comment, jws, result } of group.tests) {
      const pinnedOtherwise = PINNED_OTHERWISE.includes(tcId)
      const good = await isGood(key, String(jws))
      t.equal(good, result === 'valid' && !pinnedOtherwise, `${tcId} ${group.comment} ${comment}: ${result}`)
      if (pinnedOtherwise) skip('a key for another algorithm')
      else applied[result]++
    }
  }
  t.ok(applied.valid >= COUNTED.valid && applied.invalid >= COUNTED.invalid, 'none was left out')
  t.comment(`applied ${JSON.stringify(applied)}, skipped ${JSON.stringify(Object.fromEntries(skipped))}`)
})

/** RFC 7515 to 7519, RFC 8725: which strings are tokens, which keys and claims are good; every JWT-* and BCP-* requirement over the wire. */
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import t from 'tap'
import { readConfig } from '../src/config.ts'
import { type Code, Misconfigured } from '../src/errors.ts'
import { createCheckSignature } from '../src/http/verify.ts'
import { createAuthenticate } from '../src/token/authenticate.ts'
import { trustIssuers } from '../src/token/issuers.ts'
import { decodeJws } from '../src/token/jws.ts'
import { judgeKey } from '../src/token/keys/usable.ts'
import { startApi, startTenant } from './helpers/api.ts'
import {
  compose,
  createKey,
  encode,
  type Json,
  join,
  macOf,
  type Part,
  type Signer,
  serveDocuments,
  signerOf,
  startIssuer,
  type TestKey,
} from './helpers/issuer.ts'
import { accepts, refuses } from './helpers/refused.ts'

const START_SECONDS = 1_800_000_000
const clock = { ms: START_SECONDS * 1000 }
const now = () => clock.ms
const world = { clock: { now, after: () => () => {} } }

const main = createKey('RS256', 'main')
const ec = createKey('ES256', 'ec')
const ec384 = createKey('ES384', 'ec384')
const ec521 = createKey('ES512', 'ec521')
const ed = createKey('EdDSA', 'ed')
const pss = createKey('PS256', 'pss')
const weak = createKey('RS256', 'weak', { bits: 1024 })
const small = createKey('RS256', 'small-exponent', { exponent: 3 })
const stranger = createKey('RS256', 'stranger')

/** The main key under another name, with other parameters. */
const disguised = (kid: string, over: Json = {}): TestKey => ({
  ...main,
  kid,
  jwk: { ...main.jwk, kid, ...over },
})
const forEncryption = disguised('for-encryption', { use: 'enc' })
const withoutVerify = disguised('without-verify', { key_ops: ['sign'] })
const rs384 = { ...disguised('rs384', { alg: 'RS384' }), alg: 'RS384' }
const ps384 = { ...disguised('ps384', { alg: 'PS384' }), alg: 'PS384' }
const leaked = disguised('leaked', main.privateKey.export({ format: 'jwk' }) as Json)
const secret = randomBytes(32)

const tenant = await startTenant(t, { now })
const { clientId } = tenant.profile.api
const issuer = await startIssuer(t, {
  keys: [main],
  audience: clientId,
  now,
  published: [
    // JWT-12: what is no usable key stands before and between those that are.
    null,
    42,
    'key',
    [],
    {},
    { kty: 'XYZ', kid: 'xyz' },
    { kty: 'RSA', kid: 'broken', n: '!', e: 'AQAB' },
    { kty: 'RSA', kid: 'no-modulus', e: 'AQAB' },
    {
      kty: 'EC',
      kid: 'off-curve',
      crv: 'P-256',
      x: encode(Buffer.alloc(32, 1)),
      y: encode(Buffer.alloc(32, 2)),
    },
    { ...main.jwk, kid: 7 },
    { kty: 'oct', kid: 'oct', k: secret.toString('base64url'), alg: 'HS256' },
    weak.jwk,
    small.jwk,
    forEncryption.jwk,
    withoutVerify.jwk,
    rs384.jwk,
    ps384.jwk,
    leaked.jwk,
    ec521.jwk,
    main.jwk,
    ec.jwk,
    ec384.jwk,
    ed.jwk,
    pss.jwk,
  ],
})
const bait = await serveDocuments(t)
const api = await startApi(t, {
  tenant,
  world,
  env: { ISSUERS: issuer.issuer },
  routes: app => {
    app.get('/user-only', { config: { access: { scope: 'Data.Read' } } }, async () => ({}))
  },
})

const header = { typ: 'at+jwt', alg: 'RS256', kid: 'main' }
const sign = signerOf('RS256', main.privateKey)
/** A token of any header and payload, signed by the issuer's key. */
const raw = (head: Part, payload: Part = issuer.claims(), signer: Signer = sign) =>
  compose(head, payload, signer)
const issue = issuer.issue
const text = (value: Json) => JSON.stringify(value)

type Row = readonly [title: string, token: string, code: Code]

function table(title: string, rows: readonly Row[]): void {
  t.test(title, async t => {
    for (const [title, token, code] of rows) {
      await t.test(title, async t => {
        await refuses(t, api, token, code)
      })
    }
  })
}

function honest(title: string, rows: readonly (readonly [title: string, token: string])[]): void {
  t.test(title, async t => {
    for (const [title, token] of rows) {
      await t.test(title, async t => {
        await accepts(t, api, token)
      })
    }
  })
}

honest('tokens in which nothing is wrong: accepted', [
  ['RS256', issue()],
  ['ES256', issue({ key: ec })],
  ['ES384', issue({ key: ec384 })],
  ['EdDSA', issue({ key: ed })],
  ['PS256', issue({ key: pss })],
  ['Entra, version 2', tenant.issue()],
  ['Entra, version 1', tenant.issue({ version: 1 })],
])

const good = issue()
const [goodHeader, goodPayload, goodSignature] = good.split('.') as [string, string, string]

table('not three parts (JWT-1, BCP-13): refused as malformed', [
  ['one part', goodHeader, 'malformed_token'],
  ['two parts', `${goodHeader}.${goodPayload}`, 'malformed_token'],
  ['four parts', `${good}.${goodSignature}`, 'malformed_token'],
  ['five parts, a JWE', `${good}.${goodPayload}.${goodSignature}`, 'malformed_token'],
  ['a dot before it', `.${good}`, 'malformed_token'],
  ['a dot after it', `${good}.`, 'malformed_token'],
  ['no header', `.${goodPayload}.${goodSignature}`, 'malformed_token'],
  ['no payload', `${goodHeader}..${goodSignature}`, 'malformed_token'],
  ['dots only', '..', 'malformed_token'],
  ['an opaque token', 'QWxhZGRpbjpvcGVuIHNlc2FtZQ', 'malformed_token'],
])

t.test('JSON serialization (JWT-1): no token68, so the request is malformed (C-1)', async t => {
  const flattened = text({ protected: goodHeader, payload: goodPayload, signature: goodSignature })
  await refuses(t, api, flattened, 'malformed_credentials')
  const general = text({
    payload: goodPayload,
    signatures: [{ protected: goodHeader, signature: goodSignature }],
  })
  await refuses(t, api, general, 'malformed_credentials')
})

/** The same octets spelled with the last unused bit set: what a lenient decoder does not see. */
function stray(part: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(part.at(-1)!)
  const changed = part.slice(0, -1) + alphabet[last + 1]!
  if (Buffer.from(changed, 'base64url').compare(Buffer.from(part, 'base64url')) !== 0)
    throw new Error('this part has no unused bits')
  return changed
}
/** A JSON text whose base64url has unused bits. */
function uneven(value: Json): string {
  const json = text(value)
  return json.length % 3 === 0 ? `${json} ` : json
}
const unevenHeader = encode(uneven(header))
const unevenPayload = encode(uneven(issuer.claims()))

table('spelling of base64url (JWT-2, BCP-12): anything but the one spelling is refused', [
  ['padding after the signature', `${good}==`, 'malformed_token'],
  ['padding inside: no token68', `${unevenHeader}=.${goodPayload}.${goodSignature}`, 'malformed_credentials'],
  ['+ in the signature', `${goodHeader}.${goodPayload}.+${goodSignature.slice(1)}`, 'malformed_token'],
  ['/ in the signature', `${goodHeader}.${goodPayload}./${goodSignature.slice(1)}`, 'malformed_token'],
  ['+ in the payload', join(goodHeader, `+${goodPayload}`, sign), 'malformed_token'],
  ['~ in the payload', join(goodHeader, `${goodPayload}~`, sign), 'malformed_token'],
  ['a space in the payload', join(goodHeader, `${goodPayload} `, sign), 'malformed_credentials'],
  ['a tab in the header', join(`${goodHeader}\t`, goodPayload, sign), 'malformed_credentials'],
  ['a comma after it', `${good},`, 'malformed_credentials'],
  ['stray bits in the header', join(stray(unevenHeader), goodPayload, sign), 'malformed_token'],
  ['stray bits in the payload', join(goodHeader, stray(unevenPayload), sign), 'malformed_token'],
  ['stray bits in the signature', `${goodHeader}.${goodPayload}.${stray(goodSignature)}`, 'malformed_token'],
  [
    'one character too many in the header',
    join(`${encode(`${text(header)}${' '.repeat(3 - (text(header).length % 3))}`)}A`, goodPayload, sign),
    'malformed_token',
  ],
  ['one character too many in the signature', `${good}AAA`, 'malformed_token'],
])

honest('both spellings of the length (JWT-2): accepted when their unused bits are zero', [
  ['an uneven header', join(unevenHeader, goodPayload, sign)],
  ['an uneven payload', join(goodHeader, unevenPayload, sign)],
])

t.test('CR or LF in a token (JWT-2): not even a request', async t => {
  for (const end of ['\r', '\n']) {
    const answer = await new Promise<string>((resolve, reject) => {
      const { hostname, port } = new URL(api.url)
      const socket = connect(Number(port), hostname)
      let all = ''
      socket.on('data', chunk => {
        all += chunk.toString('latin1')
      })
      socket.on('end', () => resolve(all))
      socket.on('error', reject)
      const middle = `${goodHeader}.${end}${goodPayload}.${goodSignature}`
      socket.write(`GET /secure-data HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${middle}\r\n\r\n`)
    })
    t.match(answer, /^HTTP\/1\.1 400 /)
    t.match(answer, /"code":"bad_request"/)
  }
})

const notUtf8 = Buffer.from(text({ ...header, x: '\xff' }), 'latin1')
const payloadNotUtf8 = Buffer.from(text(issuer.claims({ x: '\xff' })), 'latin1')

table('parts that are no JSON objects in UTF-8 (JWT-3): refused', [
  ['header: not UTF-8', raw(notUtf8), 'malformed_token'],
  [
    'header: a surrogate in UTF-8',
    raw(Buffer.from('{"alg":"RS256","x":"\xed\xa0\x80"}', 'latin1')),
    'malformed_token',
  ],
  ['header: a byte order mark', raw(`\ufeff${text(header)}`), 'malformed_token'],
  ['header: an array', raw(`[${text(header)}]`), 'malformed_token'],
  ['header: a string', raw('"RS256"'), 'malformed_token'],
  ['header: a number', raw('256'), 'malformed_token'],
  ['header: null', raw('null'), 'malformed_token'],
  ['header: trailing junk', raw(`${text(header)}}`), 'malformed_token'],
  ['header: a comment', raw(`${text(header)}//`), 'malformed_token'],
  ['header: single quotes', raw(text(header).replaceAll('"', "'")), 'malformed_token'],
  ['payload: not UTF-8', raw(header, payloadNotUtf8), 'malformed_token'],
  ['payload: a byte order mark', raw(header, `\ufeff${text(issuer.claims())}`), 'malformed_token'],
  ['payload: an array', raw(header, `[${text(issuer.claims())}]`), 'malformed_token'],
  ['payload: a string', raw(header, '"claims"'), 'malformed_token'],
  ['payload: a number', raw(header, '1'), 'malformed_token'],
  ['payload: true', raw(header, 'true'), 'malformed_token'],
  ['payload: null', raw(header, 'null'), 'malformed_token'],
  ['payload: trailing junk', raw(header, `${text(issuer.claims())}x`), 'malformed_token'],
  ['payload: two objects', raw(header, text(issuer.claims()).repeat(2)), 'malformed_token'],
  ['payload: cut off', raw(header, text(issuer.claims()).slice(0, -1)), 'malformed_token'],
  ['payload: a trailing comma', raw(header, text(issuer.claims()).replace(/}$/, ',}')), 'malformed_token'],
  ['payload: compressed', raw({ ...header, zip: 'DEF' }, randomBytes(64)), 'malformed_token'],
])

honest('JSON as it may be written (JWT-3): accepted', [
  ['white space', raw(JSON.stringify(header, null, 2), JSON.stringify(issuer.claims(), null, '\t'))],
  [
    'letters of every script',
    raw({ ...header, x: 'Zażółć 漢字 🗝' }, issuer.claims({ x: 'Ada\u0000 Łoś 🗝' })),
  ],
  ['escaped names', raw(text(header).replace('"alg"', '"\\u0061lg"'))],
])

table('duplicate names in the header (JWT-4, C-17): refused', [
  ['twice the same', raw(text(header).replace('{', '{"alg":"RS256",')), 'malformed_token'],
  ['another value first', raw(text(header).replace('{', '{"alg":"none",')), 'malformed_token'],
  ['escaped', raw(text(header).replace('{', '{"\\u0061lg":"RS256",')), 'malformed_token'],
  ['a name nobody knows', raw(text(header).replace('{', '{"x":1,"x" :2,')), 'malformed_token'],
  ['after nested objects', raw(text(header).replace('{', '{"x":{"y":[{}]},"x":"}",')), 'malformed_token'],
])
honest('names that only look duplicate (JWT-4): accepted', [
  ['in nested objects', raw({ ...header, x: { alg: 1 }, y: [{ alg: 2 }, { alg: 2 }] })],
  ['in values', raw({ ...header, x: '"alg":', y: 'alg', z: ['alg', 'alg'] })],
  ['in values with brackets and quotes', raw({ ...header, x: '{"alg":"\\"}', y: ']}' })],
  ['that differ in case', raw({ ...header, ALG: 'none', Kid: 'x' })],
])

const twice = (name: string, first: unknown, last: unknown) =>
  raw(header, text(issuer.claims({ [name]: last })).replace('{', `{"${name}":${JSON.stringify(first)},`))
honest('duplicate claims (JWT-4): the last one counts, and it is good', [
  ['aud', twice('aud', 'other', clientId)],
  ['exp', twice('exp', 0, START_SECONDS + 60)],
])
table('duplicate claims (JWT-4): the last one counts, and it is wrong', [
  ['aud', twice('aud', clientId, 'other'), 'wrong_audience'],
  ['exp', twice('exp', START_SECONDS + 60, 0), 'expired'],
])

t.test('alg that is none of ours (JWT-5, JWT-7): refused before any look-up or fetch', async t => {
  const before = issuer.requests.length
  const { alg: _, ...without } = header
  const algorithms = [
    undefined,
    null,
    256,
    true,
    ['RS256'],
    { RS256: 1 },
    '',
    'rs256',
    'RS256 ',
    'RSA256',
    'noNe',
  ]
  const known = ['none', 'None', 'NONE', 'HS256', 'HS384', 'HS512', 'RS1', 'RS384', 'RS512', 'PS384', 'PS512']
  const more = ['ES512', 'ES256K', 'Ed448', 'dir', '__proto__', 'constructor', 'toString', '256']
  for (const alg of [...algorithms, ...known, ...more]) {
    // A key nobody has, so that a look-up would cost a fetch.
    const head = { ...without, ...(alg !== undefined && { alg }), kid: `of ${String(alg)}` }
    await refuses(t, api, raw(head), 'unsupported_algorithm')
    await refuses(
      t,
      api,
      raw(head, issuer.claims(), () => Buffer.alloc(0)),
      'unsupported_algorithm',
    )
  }
  t.equal(issuer.requests.length, before)
})

table('the header comes before the claims (order of checks): what nobody may sign with is not read', [
  ['no algorithm of ours, unreadable claims', `${encode('{"alg":"none"}')}.eA.c2ln`, 'unsupported_algorithm'],
  ['one of ours, unreadable claims', `${goodHeader}.eA.c2ln`, 'malformed_token'],
  ['a header that only opens like an object', `${encode('{"alg":')}.${goodPayload}.c2ln`, 'malformed_token'],
  ['claims that only open like an object', `${goodHeader}.${encode(' {"iss":')}.c2ln`, 'malformed_token'],
])
t.test('white space before the brace is JSON', async t => {
  await accepts(t, api, raw(Buffer.from(` \t\r\n${JSON.stringify(header)}`)))
})

table('tokens of the local tenant that lie about their algorithm (JWT-7, BCP-1, BCP-2): refused', [
  ['none', await tenant.mint('alg-none'), 'unsupported_algorithm'],
  ['HS256 with the public key as its secret', await tenant.mint('hs256'), 'unsupported_algorithm'],
  ['PS256 with a key for RS256', tenant.issue({ header: { alg: 'PS256' } }), 'unsupported_algorithm'],
  ['ES256', tenant.issue({ header: { alg: 'ES256' } }), 'unsupported_algorithm'],
  ['RS512', tenant.issue({ header: { alg: 'RS512' } }), 'unsupported_algorithm'],
])

table('crit (JWT-6): refused, because nothing is implemented', [
  ['b64 false', raw({ ...header, crit: ['b64'], b64: false }), 'malformed_token'],
  ['b64 true', raw({ ...header, crit: ['b64'], b64: true }), 'malformed_token'],
  ['an unknown name', raw({ ...header, crit: ['x'], x: 1 }), 'malformed_token'],
  ['a name that is not there', raw({ ...header, crit: ['x'] }), 'malformed_token'],
  ['a registered name', raw({ ...header, crit: ['alg'] }), 'malformed_token'],
  ['duplicates', raw({ ...header, crit: ['x', 'x'], x: 1 }), 'malformed_token'],
  ['an empty list', raw({ ...header, crit: [] }), 'malformed_token'],
  ['a string', raw({ ...header, crit: 'x', x: 1 }), 'malformed_token'],
  ['null', raw({ ...header, crit: null }), 'malformed_token'],
  ['an object', raw({ ...header, crit: {} }), 'malformed_token'],
  ['at the local tenant', tenant.issue({ header: { crit: ['x'], x: 1 } }), 'malformed_token'],
])

const byStranger = signerOf('RS256', stranger.privateKey)
const embedded = {
  jwk: stranger.jwk,
  jku: `${bait.origin}/keys`,
  x5u: `${bait.origin}/certificate`,
  x5c: [Buffer.from('certificate').toString('base64')],
}
t.test('keys that a token brings or points to (JWT-8): never used, never fetched', async t => {
  for (const [name, value] of Object.entries(embedded)) {
    await refuses(t, api, raw({ ...header, [name]: value }, undefined, byStranger), 'invalid_signature')
    await accepts(t, api, raw({ ...header, [name]: value }))
  }
  await refuses(
    t,
    api,
    raw({ ...header, ...embedded, kid: 'stranger' }, undefined, byStranger),
    'unknown_key',
  )
  await refuses(t, api, await tenant.mint('embedded-key'), 'invalid_signature')
  t.strictSame(bait.requests, [])
})

const asKey = (key: TestKey) => issue({ key })
table('published keys that must not be used (JWT-9, JWT-11, JWKS-15): as if they were not there', [
  ['RSA of 1024 bits', asKey(weak), 'unknown_key'],
  ['RSA with exponent 3', asKey(small), 'unknown_key'],
  ['use enc', asKey(forEncryption), 'unknown_key'],
  ['key_ops without verify', asKey(withoutVerify), 'unknown_key'],
  ['a private key', asKey(leaked), 'unknown_key'],
  ['a key whose kid is a number', issue({ header: { kid: '7' } }), 'unknown_key'],
  [
    'a symmetric key, by its own algorithm',
    raw({ ...header, alg: 'HS256', kid: 'oct' }, undefined, macOf(secret)),
    'unsupported_algorithm',
  ],
  ['a symmetric key, by another algorithm', issue({ header: { kid: 'oct' } }), 'unknown_key'],
  ['a key for RS384, by RS384', asKey(rs384), 'unsupported_algorithm'],
  ['a key for RS384, by RS256', issue({ header: { kid: 'rs384' } }), 'unknown_key'],
  ['a key for PS384, by PS384', asKey(ps384), 'unsupported_algorithm'],
  ['a key for ES512, by ES512', asKey(ec521), 'unsupported_algorithm'],
])

t.test('key material that should not be public (JWKS-15): alarmed, and no other junk is', t => {
  const ignored = api.lines.filter(({ event, issuer: of }) => event === 'key_ignored' && of === issuer.issuer)
  const alarms = ignored.filter(({ level }) => level === 50).map(({ kid }) => kid)
  t.strictSame([...new Set(alarms)].sort(), ['leaked', 'oct'])
  t.match(ignored.slice(0, 19), Array(19).fill({ reason: /./ }), 'every useless entry is named')
  t.equal(ignored.length % 19, 0, 'once a fetch')
  t.end()
})

const signature =
  (bytes: Buffer): Signer =>
  () =>
    bytes
const ecHeader = { ...header, alg: 'ES256', kid: 'ec' }
const ecSign = signerOf('ES256', ec.privateKey)
/** In DER, as `node:crypto` signs unless it is told otherwise. */
const der: Signer = input => {
  const raw = ecSign(input)
  const integer = (half: Buffer) => {
    const whole = half[0]! >= 0x80 ? Buffer.concat([Buffer.alloc(1), half]) : half
    return Buffer.concat([Buffer.from([2, whole.length]), whole])
  }
  const both = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))])
  return Buffer.concat([Buffer.from([0x30, both.length]), both])
}
table('signatures of elliptic curves (JWT-10): only R and S of whole length', [
  ['DER', raw(ecHeader, undefined, der), 'invalid_signature'],
  ['zeros', raw(ecHeader, undefined, signature(Buffer.alloc(64))), 'invalid_signature'],
  [
    'S is zero',
    raw(ecHeader, undefined, i => Buffer.concat([ecSign(i).subarray(0, 32), Buffer.alloc(32)])),
    'invalid_signature',
  ],
  ['63 octets', raw(ecHeader, undefined, input => ecSign(input).subarray(0, 63)), 'invalid_signature'],
  [
    '65 octets',
    raw(ecHeader, undefined, i => Buffer.concat([ecSign(i), Buffer.alloc(1)])),
    'invalid_signature',
  ],
  [
    '96 octets',
    raw(ecHeader, undefined, i => Buffer.concat([ecSign(i), Buffer.alloc(32)])),
    'invalid_signature',
  ],
  ['no octets', raw(ecHeader, undefined, signature(Buffer.alloc(0))), 'invalid_signature'],
  [
    'ES384 with a key of P-256',
    raw({ ...ecHeader, alg: 'ES384' }, undefined, signerOf('ES384', ec.privateKey)),
    'unsupported_algorithm',
  ],
  [
    'ES256 with a key of P-384',
    raw({ ...ecHeader, kid: 'ec384' }, undefined, signerOf('ES256', ec384.privateKey)),
    'unsupported_algorithm',
  ],
  ['RS256 with a key of P-256', raw({ ...header, kid: 'ec' }), 'unsupported_algorithm'],
  [
    'EdDSA of 63 octets',
    raw({ ...header, alg: 'EdDSA', kid: 'ed' }, undefined, i =>
      signerOf('EdDSA', ed.privateKey)(i).subarray(0, 63),
    ),
    'invalid_signature',
  ],
])
table('signatures of RSA (JWT-20): only those that verify', [
  ['no octets', raw(header, undefined, signature(Buffer.alloc(0))), 'invalid_signature'],
  ['zeros', raw(header, undefined, signature(Buffer.alloc(256))), 'invalid_signature'],
  [
    'a zero before it',
    raw(header, undefined, i => Buffer.concat([Buffer.alloc(1), sign(i)])),
    'invalid_signature',
  ],
  ['cut off', raw(header, undefined, i => sign(i).subarray(0, 255)), 'invalid_signature'],
  ['of another hash', raw(header, undefined, signerOf('RS512', main.privateKey)), 'invalid_signature'],
  ['of another padding', raw(header, undefined, signerOf('PS256', main.privateKey)), 'invalid_signature'],
  [
    'PS256 with another padding',
    raw({ ...header, alg: 'PS256', kid: 'pss' }, undefined, signerOf('RS256', pss.privateKey)),
    'invalid_signature',
  ],
  ['of a stranger', raw(header, undefined, byStranger), 'invalid_signature'],
  ['of a stranger, at the local tenant', await tenant.mint('foreign-key'), 'invalid_signature'],
  ['of other claims, at the local tenant', await tenant.mint('tampered'), 'invalid_signature'],
])

const pem = main.publicKey.export({ type: 'spki', format: 'pem' })
const macHeader = { ...header, alg: 'HS256' }
table('a MAC with the public key as its secret (BCP-2): refused in every spelling of the key', [
  ['PEM', raw(macHeader, undefined, macOf(pem)), 'unsupported_algorithm'],
  [
    'PEM without its last line end',
    raw(macHeader, undefined, macOf(pem.toString().trim())),
    'unsupported_algorithm',
  ],
  [
    'DER',
    raw(macHeader, undefined, macOf(main.publicKey.export({ type: 'spki', format: 'der' }))),
    'unsupported_algorithm',
  ],
  [
    'PKCS #1',
    raw(macHeader, undefined, macOf(main.publicKey.export({ type: 'pkcs1', format: 'pem' }))),
    'unsupported_algorithm',
  ],
  ['JWK', raw(macHeader, undefined, macOf(text(main.jwk))), 'unsupported_algorithm'],
  [
    'the modulus',
    raw(macHeader, undefined, macOf(Buffer.from(String(main.jwk.n), 'base64url'))),
    'unsupported_algorithm',
  ],
  ['but RS256 in the header', raw(header, undefined, macOf(pem)), 'invalid_signature'],
])

table('kid (JWT-13): exactly the one that is published', [
  ['another case', issue({ header: { kid: 'MAIN' } }), 'unknown_key'],
  ['a space after it', issue({ header: { kid: 'main ' } }), 'unknown_key'],
  ['empty', issue({ header: { kid: '' } }), 'unknown_key'],
  ['a number', issue({ header: { kid: 7 } }), 'malformed_token'],
  ['null', issue({ header: { kid: null } }), 'malformed_token'],
  ['a list', issue({ header: { kid: ['main'] } }), 'malformed_token'],
  ['an object', issue({ header: { kid: { main: 1 } } }), 'malformed_token'],
  ['missing, at the local tenant (C-5)', await tenant.mint('no-kid'), 'unknown_key'],
  ['unknown, at the local tenant', await tenant.mint('unknown-kid'), 'unknown_key'],
])

t.test('kid as an attack (BCP-9): a plain miss, and never whole in the log', async t => {
  const long = 'k'.repeat(10_000)
  const kids = [
    '../../x',
    "' OR 1=1 --",
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'a\r\nb',
    '\u0000',
    'ключ',
    long,
  ]
  for (const kid of kids) await refuses(t, api, issue({ header: { kid } }), 'unknown_key')
  const shown = api.lines.flatMap(({ kid }) => (typeof kid === 'string' ? [kid] : []))
  t.ok(shown.includes('../../x'))
  t.ok(shown.every(kid => /^[\x20-\x7e]{0,64}$/.test(kid)))
  t.notOk(api.lines.some(line => text(line).includes('k'.repeat(65))))
})

t.test('a flood of unknown kids: no more fetches than the budget has (C-7)', async t => {
  // Everything above has spent the two forced fetches; each is one discovery and one key request.
  const before = issuer.requests.length
  t.equal(before, 6)
  for (let i = 0; i < 20; i++) await refuses(t, api, issue({ header: { kid: `flood ${i}` } }), 'unknown_key')
  t.equal(issuer.requests.length, before)
})

t.test('the very second (JWT-14, JWT-15, JWT-16): exp and nbf with the clock of the world', async t => {
  const at = START_SECONDS + 1000
  for (const [skew, servers] of [
    [60, api],
    [0, await startApi(t, { tenant, world, env: { ISSUERS: issuer.issuer, CLOCK_TOLERANCE_SECONDS: '0' } })],
    [
      300,
      await startApi(t, { tenant, world, env: { ISSUERS: issuer.issuer, CLOCK_TOLERANCE_SECONDS: '300' } }),
    ],
  ] as const) {
    const moments: readonly (readonly [name: 'exp' | 'nbf', seconds: number, code: Code | undefined])[] = [
      ['exp', -1, undefined],
      ['exp', skew - 1, undefined],
      ['exp', skew - 0.001, undefined],
      ['exp', skew, 'expired'],
      ['exp', skew + 1, 'expired'],
      ['nbf', -skew - 1, 'not_yet_valid'],
      ['nbf', -skew - 0.001, 'not_yet_valid'],
      ['nbf', -skew, undefined],
      ['nbf', 0, undefined],
    ]
    for (const [name, seconds, code] of moments) {
      const claims = { exp: at + 5000, nbf: at - 5000, iat: at, [name]: at }
      const tokens = [issue({ claims }), tenant.issue({ claims }), tenant.issue({ version: 1, claims })]
      clock.ms = Math.round((at + seconds) * 1000)
      for (const token of tokens) {
        if (code === undefined) await accepts(t, servers, token)
        else await refuses(t, servers, token, code)
      }
    }
    clock.ms = START_SECONDS * 1000
  }
})

table('lifetimes that the local tenant gets wrong (JWT-14, JWT-15, C-6): refused', [
  ['expired', await tenant.mint('expired'), 'expired'],
  ['not yet valid', await tenant.mint('not-yet-valid'), 'not_yet_valid'],
  ['without exp', await tenant.mint('no-exp'), 'missing_claim'],
  ['without exp, another issuer', issue({ claims: { exp: undefined } }), 'missing_claim'],
])

t.test('clock tolerance (JWT-16): no more than a few minutes, or the server does not start', t => {
  const env = { AZURE_TENANT_ID: tenant.profile.tenantId, AZURE_CLIENT_ID: clientId }
  for (const bad of ['301', '-1', '1.5', '1e2', 'sixty', 'Infinity', 'NaN', '86400']) {
    t.throws(() => readConfig({ ...env, CLOCK_TOLERANCE_SECONDS: bad }), Misconfigured, bad)
  }
  for (const fine of ['0', '60', '300', ' 60 ', ''])
    t.ok(readConfig({ ...env, CLOCK_TOLERANCE_SECONDS: fine }), fine)
  t.end()
})

t.test('dates that are no finite numbers (JWT-17): refused as malformed', async t => {
  for (const name of ['exp', 'nbf', 'iat']) {
    for (const json of [
      '"1800000300"',
      'null',
      '1e400',
      '-1e400',
      '{}',
      '[]',
      '[1800000300]',
      'true',
      '""',
    ]) {
      const own = text(issuer.claims({ [name]: 0 })).replace(`"${name}":0`, `"${name}":${json}`)
      await refuses(t, api, raw(header, own), 'malformed_claim')
      if (!json.includes('400')) {
        await refuses(t, api, tenant.issue({ claims: { [name]: JSON.parse(json) } }), 'malformed_claim')
      }
    }
  }
})

honest('dates that are unusual but right (JWT-17, C-6): accepted', [
  ['exp with a fraction', issue({ claims: { exp: START_SECONDS + 0.5 } })],
  ['exp in a far future', issue({ claims: { exp: 1e300 } })],
  ['exp in exponent form', raw(header, text(issuer.claims({ exp: 0 })).replace('"exp":0', '"exp":2e9'))],
  ['nbf below zero', issue({ claims: { nbf: -1 } })],
  ['nbf with a fraction', issue({ claims: { nbf: START_SECONDS - 0.5 } })],
  ['iat in the future', issue({ claims: { iat: START_SECONDS + 100_000 } })],
  ['iat missing, at the local tenant', tenant.issue({ claims: { iat: undefined } })],
  ['nbf missing, at the local tenant', tenant.issue({ claims: { nbf: undefined } })],
])
table('dates that are numbers but long past (JWT-14): expired', [
  ['zero', issue({ claims: { exp: 0 } }), 'expired'],
  ['below zero', issue({ claims: { exp: -1 } }), 'expired'],
  ['minus zero', raw(header, text(issuer.claims({ exp: 0 })).replace('"exp":0', '"exp":-0')), 'expired'],
])

const ours = (aud: unknown) => issue({ claims: { aud } })
table('audiences that are not ours (JWT-18, BCP-8, ATJWT-3): refused', [
  ['a sibling API', ours('api://sibling'), 'wrong_audience'],
  ['a list without us', ours(['api://sibling', 'other']), 'wrong_audience'],
  ['another case', ours(clientId.toUpperCase()), 'wrong_audience'],
  ['a slash after it', ours(`api://${clientId}/`), 'wrong_audience'],
  ['a longer one', ours(`${clientId}2`), 'wrong_audience'],
  ['a shorter one', ours(clientId.slice(0, -1)), 'wrong_audience'],
  ['a space after it', ours(`${clientId} `), 'wrong_audience'],
  ['two in one string', ours(`${clientId} other`), 'wrong_audience'],
  ['a list of one list', ours([[clientId]]), 'malformed_claim'],
  ['an empty list', ours([]), 'malformed_claim'],
  ['mixed types', ours([clientId, 7]), 'malformed_claim'],
  ['a list with null', ours([clientId, null]), 'malformed_claim'],
  ['an object', ours({ [clientId]: true }), 'malformed_claim'],
  ['a number', ours(7), 'malformed_claim'],
  ['null', ours(null), 'malformed_claim'],
  ['an empty string', ours(''), 'wrong_audience'],
  ['missing', ours(undefined), 'missing_claim'],
  ['missing, at the local tenant', tenant.issue({ claims: { aud: undefined } }), 'missing_claim'],
  ['a sibling API, at the local tenant', await tenant.mint('wrong-audience'), 'wrong_audience'],
])
honest('audiences that name us (JWT-18, C-8): accepted', [
  ['a list of one', ours([clientId])],
  ['a list with one match', ours(['https://other.example', clientId])],
  ['a list with one twice', ours([clientId, clientId])],
])

honest('what nobody knows (JWT-19): ignored', [
  [
    'claims',
    issue({ claims: { x: 1, 'https://example.com/y': { z: [null] }, events2: true, constructor: 'x' } }),
  ],
  [
    'claims named like members of Object',
    raw(
      header,
      text(issuer.claims()).replace('{', '{"__proto__":{"sub":"x"},"toString":1,"hasOwnProperty":0,'),
    ),
  ],
  [
    'header parameters',
    issue({ header: { x: 1, cty: 'JWT', b64: false, url: 'https://example.com', nonce: 'n' } }),
  ],
  [
    'header parameters named like members of Object',
    raw(text(header).replace('{', '{"__proto__":{"crit":["x"]},"toString":1,')),
  ],
  ['null in a claim that is not looked at', issue({ claims: { amr: null, acr: null, groups: null } })],
])

t.test('one bit flipped anywhere (JWT-20): refused', async t => {
  for (const token of [good, issue({ key: ec }), issue({ key: ed })]) {
    const parts = token.split('.') as [string, string, string]
    for (const [place, part] of parts.entries()) {
      const octets = Buffer.from(part, 'base64url')
      for (let at = 0; at < octets.length; at += 11) {
        const changed = Buffer.from(octets)
        changed[at]! ^= 1 << (at % 8)
        const whole = parts.with(place, changed.toString('base64url')).join('.')
        const answer = await api.get('/secure-data', whole)
        t.equal(answer.status, 401, `octet ${at} of part ${place}: ${answer.json.code}`)
      }
    }
  }
})

/** A token of exactly this many characters. */
function tokenOf(characters: number): string {
  const empty = raw({ ...header, p: '' }, issuer.claims({ p: '' })).length
  const payload = 'x'.repeat(Math.floor(((characters - empty) * 3) / 4) - 12)
  for (let i = 0; i < 24; i++) {
    for (let j = 0; j < 24; j++) {
      const head = encode({ ...header, p: 'x'.repeat(j) })
      const body = encode(issuer.claims({ p: payload + 'x'.repeat(i) }))
      if (head.length + body.length + goodSignature.length + 2 === characters) return join(head, body, sign)
    }
  }
  throw new Error('no such token')
}

t.test('size (JWT-21): 16,384 characters are accepted, one more is not even decoded', async t => {
  await accepts(t, api, tokenOf(16_384))
  await refuses(t, api, tokenOf(16_385), 'malformed_token')
  await refuses(t, api, 'x'.repeat(16_385), 'malformed_token')
  t.match(api.refusals().at(-1), { about: 'size' })
})

t.test('bombs within the size (JWT-21): judged like any other token', async t => {
  const within = (json: string) => raw(header, text(issuer.claims()).replace('{', `{"x":${json},`))
  const depth = 5000
  await accepts(t, api, within('['.repeat(depth) + ']'.repeat(depth)))
  await accepts(t, api, within('{"a":'.repeat(1700) + 1 + '}'.repeat(1700)))
  await accepts(t, api, within(`[${'1,'.repeat(5000)}1]`))
  await accepts(t, api, within(`"${'\\u0041'.repeat(1700)}"`))
  await refuses(t, api, within('['.repeat(11_000)), 'malformed_token')
  const head = (json: string) => raw(text(header).replace('{', `{"x":${json},`))
  await accepts(t, api, head('['.repeat(depth) + ']'.repeat(depth)))
  await accepts(t, api, head(`"${'\\"'.repeat(5000)}"`))
  await accepts(t, api, head(`[${'"a" ,'.repeat(1900)}""]`))
  await accepts(t, api, head(`"${' '.repeat(10_000)}"${' '.repeat(100)}`))
  await refuses(t, api, head('{"a":'.repeat(2000)), 'malformed_token')
  await refuses(t, api, within(`1${'0'.repeat(400)}`).replace(/\.[^.]*$/, '.'), 'invalid_signature')
  await refuses(t, api, raw(header, text(issuer.claims({ aud: Array(1000).fill('a') }))), 'wrong_audience')
})

table('algorithms that the issuer may not use, correctly signed (BCP-1): refused', [
  [
    'RS512 with the good key',
    raw({ ...header, alg: 'RS512' }, undefined, signerOf('RS512', main.privateKey)),
    'unsupported_algorithm',
  ],
  [
    'PS256 with the good key (BCP-3)',
    raw({ ...header, alg: 'PS256' }, undefined, signerOf('PS256', main.privateKey)),
    'unsupported_algorithm',
  ],
  [
    'RS256 with a key for PS256 (BCP-3)',
    raw({ ...header, kid: 'pss' }, undefined, signerOf('RS256', pss.privateKey)),
    'unsupported_algorithm',
  ],
])

t.test('a signature check that fails to run (BCP-4): nobody is let in', async t => {
  const { find, issuers } = trustIssuers(undefined, [
    { issuer: issuer.issuer, audiences: [clientId], tokenType: 'at+jwt' },
  ])
  const key = judgeKey(main.jwk, ['RS256'])
  if ('reason' in key) throw new Error(key.reason)
  const set = {
    issuer: issuer.issuer,
    cloud: undefined,
    keys: [key],
    ignored: [],
    fetchedAt: now(),
    maxAgeSeconds: undefined,
  }
  const verdicts: readonly (readonly [string, () => Promise<boolean>])[] = [
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
    ['answers false', async () => false],
  ]
  for (const [title, verifySignature] of verdicts) {
    for (const later of [false, true]) {
      const authenticate = createAuthenticate({
        findIssuer: find,
        keysOf: () =>
          ({
            current: () => set,
            find: () => (later ? Promise.resolve({ key, set }) : { key, set }),
            state: () => ({ issuer: issuers[0]!.name, state: 'usable' as const, since: 0 }),
            start: () => {},
            stop: () => {},
          }) as never,
        verifySignature,
        remembered: { recall: () => undefined, keep: () => t.fail('what is not good is remembered') },
        clock: world.clock,
        toleranceSeconds: 60,
      })
      const outcome = await new Promise(resolve => resolve(authenticate(good))).catch(() => 'thrown')
      t.match(
        outcome,
        title.startsWith('answers') ? { code: 'invalid_signature' } : 'thrown',
        `${title}, ${later}`,
      )
    }
  }
})

t.test(
  'the signature check by itself (BCP-1, BCP-4): one key, one algorithm; a key that can not be prepared is no verdict',
  async t => {
    const verify = createCheckSignature()
    const key = judgeKey(main.jwk, ['RS256'])
    if ('reason' in key) throw new Error(key.reason)
    const broken = { ...key, pem: 'x', thumbprint: 'x' }
    for (let i = 0; i < 2; i++) await t.rejects(async () => verify(broken, good))
    t.equal(await verify(key, good), true)
    t.equal(verify(key, good), true, 'a key that has been met answers at once')
    t.equal(verify(key, issue({ key: { ...main, privateKey: stranger.privateKey } })), false)
    // Even past the selection of keys, a verifier knows the one algorithm of its key.
    for (const alg of ['PS256', 'RS384', 'RS512'])
      t.equal(verify(key, issue({ key: { ...main, alg } })), false, alg)
    t.equal(verify(key, raw({ ...header, alg: 'none' }, undefined, signerOf('none', main.privateKey))), false)
    t.equal(verify(key, raw({ ...header, alg: 'HS256' }, undefined, macOf(key.pem))), false)
  },
)

t.test('issuers that are not ours (BCP-7): refused, and nobody is asked', async t => {
  const requests = issuer.requests.length
  const rows: readonly (readonly [unknown, Code])[] = [
    [undefined, 'missing_claim'],
    [null, 'malformed_claim'],
    [7, 'malformed_claim'],
    [[issuer.issuer], 'malformed_claim'],
    [{}, 'malformed_claim'],
    ['', 'untrusted_issuer'],
    ['__proto__', 'untrusted_issuer'],
    ['constructor', 'untrusted_issuer'],
    [bait.origin, 'untrusted_issuer'],
    [`${bait.origin}/${tenant.profile.tenantId}/v2.0`, 'untrusted_issuer'],
    [`${issuer.issuer}/`, 'untrusted_issuer'],
    [`${issuer.issuer}#`, 'untrusted_issuer'],
    [`${issuer.issuer}/../`, 'untrusted_issuer'],
    [issuer.issuer.toUpperCase(), 'untrusted_issuer'],
    [issuer.issuer.replace('http:', 'https:'), 'untrusted_issuer'],
    ['file:///etc/passwd', 'untrusted_issuer'],
    ['http://169.254.169.254/latest', 'untrusted_issuer'],
  ]
  for (const [iss, code] of rows) {
    await refuses(t, api, issue({ claims: { iss } }), code)
    await refuses(
      t,
      api,
      tenant.issue({ claims: { iss } }),
      code === 'untrusted_issuer' && iss === issuer.issuer ? 'invalid_signature' : code,
    )
  }
  t.strictSame(bait.requests, [])
  t.equal(issuer.requests.length, requests)
})

t.test('no audience configured (BCP-8): the server does not start', t => {
  t.throws(() => readConfig({ AZURE_TENANT_ID: tenant.profile.tenantId }), Misconfigured)
  t.throws(() => readConfig({ ISSUERS: issuer.issuer }), Misconfigured)
  for (const AUDIENCE of ['', ' ', 'api://a,', ',']) {
    t.throws(() => readConfig({ ISSUERS: issuer.issuer, AUDIENCE }), Misconfigured, `"${AUDIENCE}"`)
  }
  t.throws(() => readConfig({ AUDIENCE: 'api://a' }), Misconfigured, 'no issuer')
  t.ok(readConfig({ ISSUERS: issuer.issuer, AUDIENCE: 'api://a' }))
  t.end()
})

const typed = (typ: unknown, claims: Json = {}) => issue({ header: { typ }, claims })
table('other signed JWTs of the same issuer and key (BCP-10, C-4): refused', [
  ['an ID token', typed('JWT', { nonce: 'n', at_hash: 'h' }), 'wrong_token_type'],
  ['a logout token', typed('logout+jwt', { events: {} }), 'wrong_token_type'],
  ['a DPoP proof', typed('dpop+jwt', { htm: 'GET', htu: 'https://api.example.com' }), 'wrong_token_type'],
  [
    'an introspection response',
    typed('token-introspection+jwt', { token_introspection: {} }),
    'wrong_token_type',
  ],
  ['a security event', typed('secevent+jwt', { events: {} }), 'wrong_token_type'],
  ['a client assertion', typed('client-authentication+jwt'), 'wrong_token_type'],
  ['a request object', typed('oauth-authz-req+jwt'), 'wrong_token_type'],
  ['no type', typed(undefined), 'wrong_token_type'],
  ['a type that is a number', typed(7), 'wrong_token_type'],
  ['a type that is null', typed(null), 'wrong_token_type'],
  ['a logout token that says at+jwt', typed('at+jwt', { events: {} }), 'wrong_token_type'],
  [
    'an introspection response that says at+jwt',
    typed('at+jwt', { token_introspection: {} }),
    'wrong_token_type',
  ],
  [
    'a client assertion that says at+jwt',
    issuer.issue({ claims: { client_id: undefined, aud: issuer.issuer } }),
    'missing_claim',
  ],
  ['an ID token of the local tenant', await tenant.mint('id-token'), 'id_token'],
  ['a logout token of the local tenant', tenant.issue({ claims: { events: {} } }), 'wrong_token_type'],
  [
    'an introspection response of the local tenant',
    tenant.issue({ claims: { token_introspection: {} } }),
    'wrong_token_type',
  ],
])

honest('typ as it may be spelled (BCP-11): accepted', [
  ...['at+jwt', 'AT+JWT', 'at+JWT', 'application/at+jwt', 'Application/AT+JWT'].map(
    typ => [typ, typed(typ)] as const,
  ),
  ...['JWT', 'jwt', 'at+jwt', 'application/jwt'].map(
    typ => [`${typ}, at the local tenant`, tenant.issue({ header: { typ } })] as const,
  ),
])
table('typ that is nearly right (BCP-11): refused', [
  ...[
    '',
    'at+jwt ',
    ' at+jwt',
    'at jwt',
    'at',
    'jwt+at',
    'application/',
    'application/application/at+jwt',
    'text/at+jwt',
    'at+jwt;v=1',
  ].map(typ => [JSON.stringify(typ), typed(typ), 'wrong_token_type'] as const),
])

t.test('spoofed forwarding headers (BCP-16): change nothing in the challenge', async t => {
  const headers = {
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'http',
    forwarded: 'host=evil.example;proto=http',
    'x-forwarded-for': '203.0.113.9',
  }
  const plain = await api.get('/secure-data')
  const spoofed = await api.get('/secure-data', undefined, { headers })
  t.equal(spoofed.status, 401)
  t.equal(spoofed.challenge, plain.challenge)
  t.match(spoofed.challenge, 'https://api.example.com/')
})

t.test('an application whose sub is a user’s (BCP-17): gets nothing that is a user’s', async t => {
  const user = tenant.issue()
  const { sub, oid } = JSON.parse(Buffer.from(user.split('.')[1]!, 'base64url').toString()) as Json
  await accepts(t, api, user, '/user-only')
  const app = tenant.issue({ app: 'daemon', claims: { sub, oid } })
  await refuses(t, api, app, 'wrong_caller_kind', '/user-only')
  const whoami = await accepts(t, api, app, '/whoami')
  t.match(whoami.json, { kind: 'application', subject: sub })
  // RFC 9068 §5: a client that calls itself like a user is still the client.
  const client = issue({ claims: { sub: 'user-1', client_id: 'user-1' } })
  await refuses(t, api, client, 'wrong_caller_kind', '/user-only')
})

t.test('decodeJws: says what is wrong, cheapest check first', t => {
  const rows: readonly (readonly [string, object])[] = [
    ['', { code: 'malformed_token', about: 'token' }],
    ['a.b', { code: 'malformed_token', about: 'token' }],
    ['a.b.c.d', { code: 'malformed_token', about: 'token' }],
    [`${goodHeader}.${goodPayload}.`, { header: { alg: 'RS256', typ: 'at+jwt', kid: 'main' } }],
    [`A.${goodPayload}.`, { code: 'malformed_token', about: 'header' }],
    [`${encode('[]')}.${goodPayload}.`, { code: 'malformed_token', about: 'header' }],
    [
      `${encode('{"a":1,"a":1}')}.${goodPayload}.`,
      { code: 'malformed_token', about: 'header', received: 'a duplicate name' },
    ],
    [`${encode('{}')}.${goodPayload}.`, { code: 'unsupported_algorithm', received: 'undefined' }],
    [`${encode('{"alg":"x","typ":[]}')}.${goodPayload}.`, { code: 'wrong_token_type', received: 'object' }],
    [`${encode('{"alg":"x","kid":1}')}.${goodPayload}.`, { code: 'malformed_token', about: 'kid' }],
    [
      `${encode('{"alg":"x","crit":["y"]}')}.${goodPayload}.`,
      { code: 'malformed_token', about: 'crit', received: /y/ },
    ],
    [`${encode('{"alg":"x"}')}.${goodPayload}.`, { header: { alg: 'x', typ: undefined, kid: undefined } }],
    [`${goodHeader}.A.`, { code: 'malformed_token', about: 'payload' }],
    [`${goodHeader}.${encode('7')}.`, { code: 'malformed_token', about: 'payload' }],
    [`${goodHeader}.${goodPayload}.A`, { code: 'malformed_token', about: 'signature' }],
    [`${goodHeader}.${goodPayload}.AB`, { code: 'malformed_token', about: 'signature' }],
    ...['AC', 'AE', 'AI', 'AAB', 'AAC'].map(
      part =>
        [`${goodHeader}.${goodPayload}.${part}`, { code: 'malformed_token', about: 'signature' }] as const,
    ),
    ...['AQ', 'AAE'].map(
      part => [`${goodHeader}.${goodPayload}.${part}`, { header: { kid: 'main' } }] as const,
    ),
    [`${goodHeader}.${goodPayload}.AAAA`, { claims: { sub: 'user-1' } }],
  ]
  for (const [token, expected] of rows) t.match(decodeJws(token), expected, token.slice(0, 40))
  const cut = decodeJws(`${encode({ alg: 'x', crit: ['y'.repeat(500)] })}.${goodPayload}.`)
  t.equal('received' in cut && String(cut.received).length, 64)
  t.end()
})

t.test('judgeKey: which entries of a set are keys (JWT-9, JWT-11, JWT-12, BCP-3, BCP-5)', async t => {
  const all = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']
  const { alg: _, ...withoutAlg } = main.jwk
  const { alg: __, ...ecWithoutAlg } = ec.jwk
  const { alg: ___, ...edWithoutAlg } = ed.jwk
  const cut = (value: unknown) => encode(Buffer.from(String(value), 'base64url').subarray(1))
  const longer = (value: unknown) =>
    encode(Buffer.concat([Buffer.alloc(1), Buffer.from(String(value), 'base64url')]))
  const modulus = (bits: number) => {
    const octets = randomBytes(Math.ceil(bits / 8))
    octets[0]! = bits % 8 === 0 ? octets[0]! | 0x80 : 1 << ((bits % 8) - 1)
    octets[octets.length - 1]! |= 1
    return { kty: 'RSA', n: encode(octets), e: 'AQAB' }
  }
  const keys: readonly (readonly [string, unknown, string, (readonly string[])?])[] = [
    ['RSA with alg', main.jwk, 'RS256'],
    ['RSA without alg', withoutAlg, 'RS256'],
    ['RSA for PS256', { ...withoutAlg, alg: 'PS256' }, 'PS256'],
    ['P-256', ec.jwk, 'ES256'],
    ['P-256 without alg', ecWithoutAlg, 'ES256'],
    ['P-384', ec384.jwk, 'ES384'],
    ['P-521 where it is accepted', ec521.jwk, 'ES512', ['ES512']],
    ['Ed25519', ed.jwk, 'EdDSA'],
    ['Ed25519 without alg', edWithoutAlg, 'EdDSA'],
    ['use sig', { ...main.jwk, use: 'sig' }, 'RS256'],
    ['key_ops with verify', { ...main.jwk, key_ops: ['sign', 'verify'] }, 'RS256'],
    ['no kid', { ...withoutAlg, kid: undefined }, 'RS256'],
    ['members nobody knows', { ...main.jwk, x5c: ['x'], ext: true, exp: 1 }, 'RS256'],
    ['2048 bits', modulus(2048), 'RS256'],
    ['8192 bits', modulus(8192), 'RS256'],
  ]
  for (const [title, jwk, alg, algorithms = all] of keys) {
    const judged = judgeKey(jwk, algorithms)
    t.match(judged, { alg, thumbprint: /^[\w-]{43}$/, pem: /^-----BEGIN PUBLIC KEY-----/ }, title)
  }
  const same = [main.jwk, { ...withoutAlg, kid: 'other', use: 'sig' }].map(jwk => judgeKey(jwk, all))
  t.equal((same[0] as { thumbprint: string }).thumbprint, (same[1] as { thumbprint: string }).thumbprint)
  t.match(judgeKey({ ...main.jwk, issuer: 'i', cloud_instance_name: 'c' }, all), {
    kid: 'main',
    issuer: 'i',
    cloud: 'c',
  })
  t.match(judgeKey({ ...main.jwk, issuer: 7, cloud_instance_name: {} }, all), {
    issuer: undefined,
    cloud: undefined,
  })

  const x448 = generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' })
  const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })
  const k256 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' })
  const ignored: readonly (readonly [string, unknown, RegExp, boolean?])[] = [
    ['null', null, /no object/],
    ['a number', 7, /no object/],
    ['a string', 'key', /no object/],
    ['undefined', undefined, /no object/],
    ['an empty object', {}, /not accepted/],
    ['an unknown kty', { kty: 'XYZ' }, /not accepted/],
    ['kty no string', { kty: ['RSA'] }, /not accepted/],
    ['a symmetric key', { kty: 'oct', k: 'AAAA', kid: 'k' }, /symmetric/, true],
    ['a private RSA key', main.privateKey.export({ format: 'jwk' }), /private/, true],
    ['a private EC key', ec.privateKey.export({ format: 'jwk' }), /private/, true],
    ['a private OKP key', ed.privateKey.export({ format: 'jwk' }), /private/, true],
    ['kid a number', { ...main.jwk, kid: 7 }, /kid/],
    ['kid null', { ...main.jwk, kid: null }, /kid/],
    ['use enc', { ...main.jwk, use: 'enc' }, /use/],
    ['use a list', { ...main.jwk, use: ['sig'] }, /use/],
    ['use null', { ...main.jwk, use: null }, /use/],
    ['key_ops without verify', { ...main.jwk, key_ops: ['sign'] }, /key_ops/],
    ['key_ops empty', { ...main.jwk, key_ops: [] }, /key_ops/],
    ['key_ops a string', { ...main.jwk, key_ops: 'verify' }, /key_ops/],
    ['alg null', { ...main.jwk, alg: null }, /not accepted/],
    ['alg a list', { ...main.jwk, alg: ['RS256'] }, /not accepted/],
    ['alg none', { ...main.jwk, alg: 'none' }, /not accepted/],
    ['alg HS256', { ...main.jwk, alg: 'HS256' }, /not accepted/],
    ['alg RS512', { ...main.jwk, alg: 'RS512' }, /not accepted/],
    ['alg of encryption', { ...main.jwk, alg: 'RSA-OAEP' }, /not accepted/],
    ['alg ES256 on RSA', { ...main.jwk, alg: 'ES256' }, /does not fit/],
    ['alg RS256 on EC', { ...ec.jwk, alg: 'RS256' }, /does not fit/],
    ['alg ES384 on P-256', { ...ec.jwk, alg: 'ES384' }, /does not fit/],
    ['alg EdDSA on EC', { ...ec.jwk, alg: 'EdDSA' }, /does not fit/],
    ['alg ES256 on Ed25519', { ...ed.jwk, alg: 'ES256' }, /does not fit/],
    ['P-521 where it is not accepted', ec521.jwk, /not accepted/],
    ['secp256k1', { ...k256, kid: 'k' }, /not accepted/],
    ['secp256k1 as ES256', { ...k256, alg: 'ES256' }, /does not fit/],
    ['EC without crv', { ...ecWithoutAlg, crv: undefined }, /not accepted/],
    ['Ed448', x448, /not accepted/],
    ['Ed448 as EdDSA', { ...x448, alg: 'EdDSA' }, /does not fit/],
    ['X25519', x25519, /not accepted/],
    ['a point off the curve', { ...ec.jwk, y: encode(randomBytes(32)) }, /malformed/],
    [
      'a point at infinity',
      { ...ec.jwk, x: encode(Buffer.alloc(32)), y: encode(Buffer.alloc(32)) },
      /malformed/,
    ],
    ['a short coordinate', { ...ec.jwk, x: cut(ec.jwk.x) }, /malformed/],
    ['a long coordinate', { ...ec.jwk, x: longer(ec.jwk.x) }, /malformed/],
    ['a long Ed25519 key', { ...ed.jwk, x: longer(ed.jwk.x) }, /malformed/],
    ['a short Ed25519 key', { ...ed.jwk, x: cut(ed.jwk.x) }, /malformed/],
    ['no y', { ...ec.jwk, y: undefined }, /malformed/],
    ['x no string', { ...ec.jwk, x: 7 }, /malformed/],
    ['no x', { ...ed.jwk, x: undefined }, /malformed/],
    ['no modulus', { ...main.jwk, n: undefined }, /malformed/],
    ['an empty modulus', { ...main.jwk, n: '' }, /malformed|0 bits|bits/],
    ['1024 bits', weak.jwk, /1024 bits/],
    ['2047 bits', modulus(2047), /2047 bits/],
    ['8193 bits', modulus(8193), /8193 bits/],
    ['exponent 3', small.jwk, /exponent/],
    ['exponent 1', { ...main.jwk, e: 'AQ' }, /exponent|malformed/],
    ['an even exponent', { ...main.jwk, e: 'AQAC' }, /exponent|malformed/],
    ['exponent 0', { ...main.jwk, e: 'AA' }, /exponent|malformed/],
  ]
  for (const [title, jwk, reason, alarm = false] of ignored) {
    t.match(judgeKey(jwk, all), { reason, alarm }, title)
  }
  t.equal(createPublicKey(pem).asymmetricKeyType, 'rsa')
})

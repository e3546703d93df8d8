/** Hostile tokens and requests of every kind: none is let in, none breaks the server, and no answer says more than its code. */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { World } from '../src/app.ts'
import { CODES, type Code } from '../src/errors.ts'
import { type Json, rsaSigner } from '../src/local-tenant/jws.ts'
import { MINT_KINDS, type MintKind } from '../src/local-tenant/mint.ts'
import { startApi } from './helpers/api.ts'
import { type Part, startForgedTenant, startIssuer } from './helpers/forge.ts'
import { ask, type Seen } from './helpers/raw.ts'
import { brokenPromises } from './helpers/verdict.ts'

const CAP_CHARACTERS = 16_384
/** The server's clock stands still, so that every boundary is exact. */
const NOW_SECONDS = 1_800_000_000
const TOLERANCE_SECONDS = 60
const FEWEST_CASES = 250

const clock: NonNullable<World['clock']> = {
  now: () => NOW_SECONDS * 1000,
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs).unref()
    return () => clearTimeout(timer)
  },
}

const { tenant, forge } = await startForgedTenant(t, clock.now)
const audience = tenant.profile.api.clientId
const own = await startIssuer(t, audience, clock.now)
const api = await startApi(t, {
  tenant,
  world: { clock },
  env: { ISSUERS: own.issuer, CLOCK_TOLERANCE_SECONDS: String(TOLERANCE_SECONDS) },
})
const publicText = [
  `api://${audience}/Data.Read`,
  'https://api.example.com/.well-known/oauth-protected-resource',
]

/** A server that no token can make anybody call. */
const canaryRequests: string[] = []
const canary = createServer((request, response) => {
  canaryRequests.push(request.url!)
  response.end('{}')
})
await new Promise<void>(resolve => canary.listen(0, '127.0.0.1', resolve))
t.teardown(() => canary.close())
const canaryUrl = `http://127.0.0.1:${(canary.address() as AddressInfo).port}/keys`

/** What it is, and the token that it is. */
type Case = readonly [name: string, token: string]

let cases = 0

/** One header value, byte for byte: fetch would refuse or trim some of them. */
const sendToken = (token: string): Promise<Seen> =>
  ask(api.url, '/secure-data', [`authorization: Bearer ${token}`])

/** Every token of a table gets the answer of its code, and an honest one is let in after them. */
async function refuse(t: Test, code: Code, table: readonly Case[]): Promise<void> {
  for (const [name, token] of table) {
    const answer = await sendToken(token)
    cases++
    t.strictSame(brokenPromises(answer, code, token, publicText), [], `${name}: ${code}`)
  }
  t.equal((await sendToken(tenant.issue())).status, 200, 'an honest token after them: 200')
}

/** What looks hostile and is legal. */
async function admit(t: Test, table: readonly Case[]): Promise<void> {
  for (const [name, token] of table) {
    cases++
    t.equal((await sendToken(token)).status, 200, `${name}: 200`)
  }
}

const withHeader = (header: Part): string => forge.sign({ header })
const withClaims = (claims: Part): string => forge.sign({ claims })
/** One row for each value that a claim must not have. */
const claimRows = (claim: string, values: readonly unknown[]): Case[] =>
  values.map((value): Case => [`${claim} ${JSON.stringify(value)}`, withClaims({ [claim]: value })])
const headerRows = (name: string, values: readonly unknown[]): Case[] =>
  values.map(
    (value): Case => [`${name} ${JSON.stringify(value)}`.slice(0, 80), withHeader({ [name]: value })],
  )

const encode = (text: string | Buffer): string => Buffer.from(text).toString('base64url')
const headerText = JSON.stringify(forge.header)
const claimsText = JSON.stringify(forge.claims)
/** The good object with more text before its closing brace: the only way to say a name twice. */
const extend = (text: string, more: string): string => `${text.slice(0, -1)},${more}}`
const nest = (depth: number, open = '[', close = ']'): string => open.repeat(depth) + close.repeat(depth)

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
/** The same octets, spelled with a trailing bit that nobody reads. */
const stray = (part: string): string => part.slice(0, -1) + ALPHABET[ALPHABET.indexOf(part.at(-1)!) + 1]

/** A good token whose part has unused bits at its end. */
function tokenWithSlack(index: 0 | 1): string[] {
  for (let padding = ''; ; padding += 'x') {
    const parts = forge.sign(index === 0 ? { header: { x: padding } } : { claims: { x: padding } }).split('.')
    if (parts[index]!.length % 4 !== 0) return parts
  }
}

t.test('JWT-1, BCP-13: anything but three parts is no signed JWT: 401', async t => {
  const good = forge.sign()
  const [h, p, s] = good.split('.') as [string, string, string]
  const jwe = [encode('{"alg":"RSA-OAEP","enc":"A256GCM"}'), 'AAAA', 'AAAA', 'AAAA', 'AAAA'].join('.')
  const zipped = [
    encode('{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"enc":"A128GCM","zip":"DEF"}'),
    'A',
    'A',
    'A',
    'A',
  ]
  const flattened = JSON.stringify({ protected: h, payload: p, signature: s })
  await refuse(t, 'malformed_token', [
    ['the header alone', h],
    ['two parts', `${h}.${p}`],
    ['four parts', `${good}.`],
    ['four parts, one of them more', `${good}.${s}`],
    ['a dot before', `.${good}`],
    ['a dot between', `${h}..${p}.${s}`],
    ['no header', `.${p}.${s}`],
    ['no payload (detached)', `${h}..${s}`],
    ['dots only', '..'],
    ['one dot', '.'],
    ['five dots', '.....'],
    ['two tokens in one', `${good}.${good}`],
    ['an opaque token', '2YotnFZFEjr1zCsicMWpAA'],
    ['a single letter', 'a'],
    ['an encrypted token', jwe],
    ['an encrypted token that would inflate', zipped.join('.')],
    ['a JSON serialization in base64url', encode(flattened)],
    ['a JWT as the payload', withClaims(good)],
    ['three words', 'abc.def.ghi'],
    ['a PASETO', 'v4.public.eyJzdWIiOiJhIn0AAAA'],
    ['a SAML assertion', encode('<saml:Assertion/>')],
  ])
})

t.test('BEARER-8, C-1: what is not one token68 behind Bearer: 400', async t => {
  const good = forge.sign()
  const [h, p, s] = good.split('.') as [string, string, string]
  const json = JSON.stringify({ payload: p, signatures: [{ protected: h, signature: s }] })
  await refuse(t, 'malformed_credentials', [
    ['nothing', ''],
    ['two tokens', `${good} ${good}`],
    ['two tokens and a comma', `${good},${good}`],
    ['a token and a parameter', `${good}, realm="x"`],
    ['quotes', `"${good}"`],
    ['angle brackets', `<${good}>`],
    ['the scheme twice', `Bearer ${good}`],
    ['padding of the header', `${h}==.${p}.${s}`],
    ['padding of the payload', `${h}.${p}=.${s}`],
    ['three parts joined by spaces', `${h} ${p} ${s}`],
    ['a tab inside', `${h}.\t${p}.${s}`],
    ['a percent-encoded dot', good.replace('.', '%2E')],
    ['a byte of Latin-1', `${good}\xe9`],
    ['a byte order mark', `\xef\xbb\xbf${good}`],
    ['a no-break space', `\xa0${good}`],
    ['a JSON serialization', json],
    ['a semicolon', `${good};x`],
    ['a backslash', `${good}\\`],
    ['padding alone', '===='],
    ['padding inside the signature', `${good.slice(0, -4)}=${good.slice(-4)}`],
  ])
})

t.test('JWT-2, BCP-12: every part is strict base64url: 401', async t => {
  const [h, p, s] = forge.sign().split('.') as [string, string, string]
  const parts = [h, p, s]
  const replaced = ['+', '/', '~'].flatMap(character =>
    parts.map((part, index): Case => {
      const changed = [...parts]
      changed[index] = part.slice(0, 8) + character + part.slice(9)
      return [`${character} in part ${index + 1}`, changed.join('.')]
    }),
  )
  const header = tokenWithSlack(0)
  const claims = tokenWithSlack(1)
  await refuse(t, 'malformed_token', [
    ...replaced,
    ['padding at the end', `${h}.${p}.${s}=`],
    ['more padding at the end', `${h}.${p}.${s}==`],
    ['stray bits in the header', [stray(header[0]!), header[1], header[2]].join('.')],
    ['stray bits in the payload', [claims[0], stray(claims[1]!), claims[2]].join('.')],
    ['stray bits in the signature', [h, p, stray(s)].join('.')],
    ['a length that no octets have, in the header', `${h.slice(0, h.length - (h.length % 4))}A.${p}.${s}`],
    ['a length that no octets have, in the payload', `${h}.${p.slice(0, p.length - (p.length % 4))}A.${s}`],
    ['a length that no octets have, in the signature', `${h}.${p}.${s.slice(0, 340)}A`],
  ])
})

t.test('JWT-3: header and payload are objects in UTF-8, correctly signed or not: 401', async t => {
  const texts = (good: string): (readonly [string, string | Buffer])[] => [
    ['nothing but a space', ' '],
    ['an array', `[${good}]`],
    ['an empty array', '[]'],
    ['null', 'null'],
    ['a number', '1'],
    ['true', 'true'],
    ['a string', JSON.stringify(good)],
    ['no JSON', 'x'],
    ['an open brace', good.slice(0, -1)],
    ['a brace too many', `${good}}`],
    ['two objects', good + good],
    ['a comma too many', `${good.slice(0, -1)},}`],
    ['a comment', `/**/${good}`],
    ['a NUL behind', `${good}\0`],
    ['NaN', extend(good, '"x":NaN')],
    ['a hexadecimal number', extend(good, '"x":0x1')],
    ['single quotes', `{'alg':'RS256'}`],
    ['a raw line feed in a string', extend(good, '"x":"\n"')],
    ['a byte order mark', Buffer.from(`\ufeff${good}`)],
    ['UTF-16', Buffer.from(good, 'utf16le')],
    [
      'a byte that is not UTF-8',
      Buffer.concat([
        Buffer.from(extend(good, '"x":"')).subarray(0, -1),
        Buffer.from([0xff]),
        Buffer.from('"}'),
      ]),
    ],
    [
      'an overlong slash',
      Buffer.concat([
        Buffer.from(`${good.slice(0, -1)},"x":"`),
        Buffer.from([0xc0, 0xaf]),
        Buffer.from('"}'),
      ]),
    ],
    [
      'a surrogate in UTF-8',
      Buffer.concat([
        Buffer.from(`${good.slice(0, -1)},"x":"`),
        Buffer.from([0xed, 0xa0, 0x80]),
        Buffer.from('"}'),
      ]),
    ],
    ['an open nesting', '['.repeat(5000)],
    ['an open nesting of objects', '{"a":'.repeat(1500)],
  ]
  await refuse(t, 'malformed_token', [
    ...texts(headerText).map(([name, header]): Case => [`header: ${name}`, forge.sign({ header })]),
    ...texts(claimsText).map(([name, claims]): Case => [`payload: ${name}`, forge.sign({ claims })]),
  ])
})

t.test('C-17, JWT-4: a header name twice, however it is spelled: 401', async t => {
  const twice = (more: string): string => withHeader(extend(headerText, more))
  await refuse(t, 'malformed_token', [
    ['alg', twice('"alg":"RS256"')],
    ['alg none first', withHeader(`{"alg":"none",${headerText.slice(1)}`)],
    ['alg none last', twice('"alg":"none"')],
    ['alg, one letter escaped', twice('"al\\u0067":"none"')],
    ['alg, all letters escaped', twice('"\\u0061\\u006c\\u0067":"none"')],
    ['alg, escaped in upper case', twice('"\\u0061l\\u0067":"HS256"')],
    ['kid', twice('"kid":"x"')],
    ['typ', twice('"typ":"x"')],
    ['a name that nobody knows', twice('"x":1,"x":1')],
    ['the empty name', twice('"":1,"":2')],
    ['a name with a quote', twice('"a\\"":1,"a\\u0022":2')],
    ['a name with a backslash', twice('"a\\\\":1,"a\\u005c":2')],
    ['__proto__', twice('"__proto__":1,"__proto__":2')],
    ['a lone surrogate', twice('"\\ud800":1,"\\uD800":2')],
    ['white space before the colon', twice('"x" \t:1,"x"\n:2')],
    ['behind an object that uses the name', twice('"y":{"x":1},"x":1,"x":2')],
    ['behind a string full of braces', twice('"y":"}]{[","x":1,"x":2')],
  ])
  await admit(t, [
    ['the same name at two depths', twice('"x":{"x":{"x":[{"x":1}]}}')],
    ['a value that looks like a name', twice('"x":"\\"x\\":","y":"alg"')],
    ['a string of braces', twice('"x":"{\\"alg\\":1,\\"alg\\":2}"')],
  ])
  // RFC 7519 §4 leaves it to the parser, which takes the last: what counts is that there is only one parser.
  await refuse(t, 'wrong_audience', [
    ['a claim twice, the last is hostile', withClaims(extend(claimsText, '"aud":"x"'))],
  ])
})

t.test('JWT-21: size is judged before the content, and nesting up to the cap costs nothing: 401', async t => {
  const room = (from: string, part: 0 | 1): number => {
    const parts = forge.sign(part === 0 ? { header: from } : { claims: from }).split('.')
    return Math.floor(((CAP_CHARACTERS - parts.join('.').length) * 3) / 4) - 20
  }
  const bomb = (text: string, part: 0 | 1, open: string, close: string): string => {
    const depth = Math.floor(room(text, part) / (open.length + close.length))
    return extend(text, `"x":${nest(depth, open, close)}`)
  }
  const sized = (characters: number): string => {
    for (let padding = characters - forge.sign().length; ; padding--) {
      const spare = forge.sign({ claims: { x: 'x'.repeat(Math.floor((padding * 3) / 4)) } })
      if (spare.length <= characters) {
        // The rest is made up in the header, which has its own rounding.
        for (let more = 0; more < 8; more++) {
          for (let less = 0; less < 8; less++) {
            const x = 'x'.repeat(Math.floor((padding * 3) / 4) - less)
            const token = forge.sign({ header: { x: 'y'.repeat(more) }, claims: { x } })
            if (token.length === characters) return token
          }
        }
      }
    }
  }
  await admit(t, [
    ['a token at the cap', sized(CAP_CHARACTERS)],
    ['arrays within arrays in the header', withHeader(bomb(headerText, 0, '[', ']'))],
    ['arrays within arrays in the claims', withClaims(bomb(claimsText, 1, '[', ']'))],
    [
      'objects within objects in the claims',
      withClaims(bomb(claimsText, 1, '{"a":', '}').replace(':}', ':1}')),
    ],
  ])
  await refuse(t, 'malformed_token', [
    ['one character above the cap', sized(CAP_CHARACTERS + 1)],
    ['20 000 characters', 'a'.repeat(20_000)],
    ['20 000 dots', '.'.repeat(20_000)],
    ['a critical nesting', withHeader(bomb(headerText, 0, '[', ']').replace('"x":', '"crit":'))],
    [
      'a critical list of nestings',
      withHeader(bomb(headerText, 0, '[', ']').replace('"x":', '"crit":').replace('[[', '["x",[')),
    ],
  ])
  await refuse(t, 'malformed_claim', [
    ['a nested audience', withClaims(extend(claimsText, `"aud":${nest(2000)}`))],
    ['a nested role', withClaims(extend(claimsText, `"roles":${nest(2000)}`))],
    ['a nested date', withClaims(extend(claimsText, `"exp":${nest(2000)}`))],
    ['a nested scope', withClaims(extend(claimsText, `"scp":${nest(2000)}`))],
    ['a nested confirmation', withClaims(extend(claimsText, `"cnf":${nest(2000)}`))],
  ])
})

t.test('JWT-5, JWT-7, BCP-1: an algorithm that is not exactly RS256: 401', async t => {
  const unsigned = (alg: unknown): string => forge.sign({ header: { alg }, signer: () => Buffer.alloc(0) })
  const names = [
    'none',
    'None',
    'NONE',
    'nOnE',
    'noNe',
    'none ',
    '',
    ' ',
    'rs256',
    'Rs256',
    'RS256 ',
    ' RS256',
    'RS256\u0000',
    'RS256,none',
  ]
  const others = [
    'RS384',
    'RS512',
    'RS1',
    'PS256',
    'PS384',
    'ES256',
    'ES384',
    'ES256K',
    'EdDSA',
    'Ed25519',
    'HS256',
    'HS384',
    'HS512',
  ]
  const encryption = ['RSA-OAEP', 'RSA1_5', 'dir', 'A128KW', 'PBES2-HS256+A128KW', 'ECDH-ES']
  const inherited = ['__proto__', 'constructor', 'toString']
  const values = [null, 0, 256, true, [], ['RS256'], {}, { alg: 'RS256' }]
  await refuse(t, 'unsupported_algorithm', [
    ...headerRows('alg', [...names, ...others, ...encryption, ...inherited, ...values]),
    ...names.slice(0, 8).map((alg): Case => [`${JSON.stringify(alg)} without a signature`, unsigned(alg)]),
    ['no alg', withHeader({ alg: undefined })],
    ['no alg but its twin', withHeader({ alg: undefined, ALG: 'RS256' })],
  ])
  await refuse(t, 'invalid_signature', [['RS256 without a signature', unsigned('RS256')]])
})

t.test('BCP-2: a MAC with the public key in any of its spellings: 401', async t => {
  const jwk = forge.publicKey.export({ format: 'jwk' })
  const pem = forge.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const secrets: (readonly [string, string | Buffer])[] = [
    ['PEM (SPKI)', pem],
    ['PEM without its last line feed', pem.trim()],
    ['PEM with CR LF', pem.replaceAll('\n', '\r\n')],
    ['PEM (PKCS #1)', forge.publicKey.export({ type: 'pkcs1', format: 'pem' })],
    ['DER (SPKI)', forge.publicKey.export({ type: 'spki', format: 'der' })],
    ['DER (PKCS #1)', forge.publicKey.export({ type: 'pkcs1', format: 'der' })],
    ['the JWK', JSON.stringify(jwk)],
    ['the modulus', jwk.n!],
    ['the octets of the modulus', Buffer.from(jwk.n!, 'base64url')],
    ['the key id', String(forge.header.kid)],
    ['nothing', ''],
  ]
  const mac = (alg: string, secret: string | Buffer): string =>
    forge.sign({
      header: { alg },
      signer: input =>
        createHmac(`sha${alg.slice(2)}`, secret)
          .update(input)
          .digest(),
    })
  await refuse(
    t,
    'unsupported_algorithm',
    secrets.flatMap(([name, secret]) =>
      ['HS256', 'HS512'].map((alg): Case => [`${alg} with ${name}`, mac(alg, secret)]),
    ),
  )
  const lying = (secret: string | Buffer): string =>
    forge.sign({ signer: input => createHmac('sha256', secret).update(input).digest() })
  await refuse(
    t,
    'invalid_signature',
    secrets.map(([name, secret]): Case => [`a MAC that calls itself RS256, with ${name}`, lying(secret)]),
  )
})

t.test('JWT-6: no critical extension is understood: 401', async t => {
  const values = [
    [],
    null,
    true,
    0,
    '',
    'exp',
    {},
    ['exp'],
    ['exp', 'exp'],
    ['b64'],
    ['alg'],
    ['http://example.com/UNDEFINED'],
    [''],
    [1],
    [null],
    [['exp']],
  ]
  await refuse(t, 'malformed_token', [
    ...headerRows('crit', values),
    ['b64 true', withHeader({ b64: true, crit: ['b64'] })],
    ['b64 false', withHeader({ b64: false, crit: ['b64'] })],
    ['an extension that stands in the header', withHeader({ x: 1, crit: ['x'] })],
  ])
  await admit(t, [['b64 that nobody calls critical (JWT-19)', withHeader({ b64: false })]])
})

t.test('JWT-8: a key that the token brings along is not used, and nothing is fetched: 401', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = publicKey.export({ format: 'jwk' })
  const der = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  const before = [tenant.requests.length, own.requests.length]
  const selfSigned = (header: Json): string => forge.sign({ header, key: privateKey })
  await refuse(t, 'invalid_signature', [
    ['jwk', selfSigned({ jwk })],
    ['jwk with the kid of the tenant', selfSigned({ jwk: { ...jwk, kid: forge.header.kid } })],
    ['jwk with its private half', selfSigned({ jwk: privateKey.export({ format: 'jwk' }) })],
    ['jku', selfSigned({ jku: canaryUrl })],
    ['jku of the tenant', selfSigned({ jku: `${tenant.profile.authority}/common/discovery/v2.0/keys` })],
    ['jku with a user in front', selfSigned({ jku: `http://localhost@${canaryUrl.slice(7)}` })],
    ['x5u', selfSigned({ x5u: canaryUrl })],
    ['x5c', selfSigned({ x5c: [der] })],
    ['x5t', selfSigned({ x5t: 'AAAA', 'x5t#S256': 'AAAA' })],
    ['everything at once', selfSigned({ jwk, jku: canaryUrl, x5u: canaryUrl, x5c: [der] })],
  ])
  await admit(t, [['a good signature beside a jku that nobody follows', withHeader({ jku: canaryUrl, jwk })]])
  t.strictSame([tenant.requests.length, own.requests.length], before, 'the issuers were not asked')
  t.strictSame(canaryRequests, [])
})

t.test('BCP-9, JWT-13: a kid is only ever looked up: 401, and hardly a fetch', async t => {
  const before = tenant.requests.length
  const { kid } = forge.header as { kid: string }
  await refuse(t, 'unknown_key', [
    ...headerRows('kid', [
      '',
      ' ',
      '../../../../etc/passwd',
      '/dev/null',
      'C:\\windows\\win.ini',
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'hasOwnProperty',
      "' OR 1=1 --",
      "x' UNION SELECT 'key",
      '; rm -rf /',
      '$(id)',
      '`id`',
      `$\{jndi:ldap://127.0.0.1/a}`,
      '{{7*7}}',
      '<script>alert(1)</script>',
      canaryUrl,
      'line one\r\nset-cookie: a=b',
      '\u0000',
      '\ud800',
      '\udc00\ud800',
      '\u202e kid',
      'é',
      '*',
      '.*',
      'x'.repeat(10_000),
      '\u0007'.repeat(1000),
      kid.toLowerCase(),
      kid.toUpperCase(),
      ` ${kid}`,
      `${kid} `,
      `${kid}\u0000`,
      kid.slice(0, -1),
      'RS256',
    ]),
    ['no kid', withHeader({ kid: undefined })],
    ['KID for kid', withHeader({ kid: undefined, KID: kid })],
  ])
  await refuse(
    t,
    'malformed_token',
    headerRows('kid', [null, 0, 1e20, true, [], [kid], {}, { toString: kid }]),
  )
  t.ok(tenant.requests.length - before <= 4, 'JWKS-8: at most two fetches of two documents')
  t.strictSame(canaryRequests, [])
  const long = api.lines.filter(({ event }) => event === 'unknown_key').map(line => String(line.kid).length)
  t.ok(Math.max(...long) <= 64, 'a kid is logged cut to 64 characters')
})

t.test('BCP-11, ENTRA-11: a type that is not that of an access token: 401', async t => {
  const types = [
    '',
    ' ',
    'pop',
    'dpop+jwt',
    'logout+jwt',
    'id+jwt',
    'secevent+jwt',
    'token-introspection+jwt',
    'client-authentication+jwt',
    'kb+jwt',
    'JWE',
    'JOSE',
    'JWT ',
    'at+jwt;x',
    'at jwt',
    'application/',
    'application/application/jwt',
    'text/jwt',
    '__proto__',
    null,
    1,
    true,
    [],
    ['JWT'],
    {},
  ]
  await refuse(t, 'wrong_token_type', [
    ...headerRows('typ', types),
    ['no typ', withHeader({ typ: undefined })],
    ['TYP for typ', withHeader({ typ: undefined, TYP: 'JWT' })],
  ])
  await admit(
    t,
    headerRows('typ', [
      'jwt',
      'Jwt',
      'application/jwt',
      'at+jwt',
      'AT+JWT',
      'application/at+jwt',
      'APPLICATION/AT+JWT',
    ]),
  )
})

t.test('JWT-20: one character changed anywhere: never let in', async t => {
  const good = forge.sign()
  const dots = [good.indexOf('.'), good.lastIndexOf('.')]
  const positions = Array.from({ length: 60 }, (_, i) => Math.floor((i * (good.length - 1)) / 59))
  for (const at of positions.filter(position => !dots.includes(position))) {
    const changed = good.slice(0, at) + (good[at] === 'A' ? 'B' : 'A') + good.slice(at + 1)
    const answer = await sendToken(changed)
    cases++
    const { code } = JSON.parse(answer.text) as { code: Code }
    t.strictSame(brokenPromises(answer, code, changed, publicText), [], `character ${at}: ${code}`)
  }
  await refuse(t, 'invalid_signature', [
    [
      'the signature of another token',
      [...good.split('.').slice(0, 2), tenant.issue().split('.')[2]].join('.'),
    ],
    ['a signature of zeros', forge.sign({ signer: () => Buffer.alloc(256) })],
    ['a signature of ones', forge.sign({ signer: () => Buffer.alloc(256, 0xff) })],
    ['a short signature', forge.sign({ signer: () => Buffer.alloc(3) })],
    ['a long signature', forge.sign({ signer: () => Buffer.alloc(1024, 1) })],
    [
      'a signature with a zero before it',
      forge.sign({
        signer: input => Buffer.concat([Buffer.alloc(1), rsaSigner(forge.privateKey, {})(input)]),
      }),
    ],
    [
      'RSASSA-PSS that calls itself RS256',
      forge.sign({ signer: rsaSigner(forge.privateKey, { alg: 'PS256' }) }),
    ],
    [
      'SHA-512 that calls itself RS256',
      forge.sign({ signer: input => sign('sha512', Buffer.from(input), forge.privateKey) }),
    ],
    [
      'SHA-1 that calls itself RS256',
      forge.sign({ signer: input => sign('sha1', Buffer.from(input), forge.privateKey) }),
    ],
    [
      'the header alone is signed',
      forge.sign({ signer: input => rsaSigner(forge.privateKey, {})(input.split('.')[0]!) }),
    ],
  ])
})

const WRONG_TEXTS = [null, 0, 1, true, [], ['x'], {}] as const
const WRONG_DATES = [null, '1900000000', '', true, [], [1_900_000_000], {}] as const

t.test('JWT-17, JWT-18, ENTRA: claims of a wrong type, correctly signed: 401', async t => {
  await refuse(t, 'malformed_claim', [
    ...['sub', 'oid', 'tid', 'ver', 'azp', 'scp', 'idtyp', 'iss'].flatMap(claim =>
      claimRows(claim, WRONG_TEXTS),
    ),
    ...['exp', 'nbf', 'iat'].flatMap(claim => claimRows(claim, WRONG_DATES)),
    ...['exp', 'nbf', 'iat'].map(
      (claim): Case => [`${claim} 1e400`, withClaims(extend(claimsText, `"${claim}":1e400`))],
    ),
    ...claimRows('aud', [null, 0, true, {}, [], [1], [audience, 1], [audience, null], [[audience]]]),
    ...claimRows('roles', [
      null,
      '',
      'Data.Read.All',
      0,
      {},
      [1],
      ['Data.Read.All', null],
      [['Data.Read.All']],
    ]),
    ...claimRows('cnf', [null, '', 'x', 0, true, [], ['jkt']]),
    ...claimRows('sub', ['']),
    ...claimRows('oid', ['']),
  ])
  await refuse(t, 'missing_claim', [
    ...['iss', 'aud', 'exp', 'tid'].map((claim): Case => [`no ${claim}`, withClaims({ [claim]: undefined })]),
    ['neither sub nor oid', withClaims({ sub: undefined, oid: undefined })],
    ['no claim at all', withClaims('{}')],
    ['all claims in a prototype', withClaims(`{"__proto__":${claimsText}}`)],
  ])
})

t.test('C-17: security claims twice in different case: 401', async t => {
  const names = [
    'aud',
    'exp',
    'nbf',
    'iat',
    'sub',
    'oid',
    'tid',
    'ver',
    'azp',
    'appid',
    'scp',
    'roles',
    'idtyp',
    'cnf',
    'iss',
  ]
  await refuse(t, 'malformed_claim', [
    ...names.map(
      (name): Case => [name.toUpperCase(), withClaims({ [name.toUpperCase()]: forge.claims[name] ?? 'x' })],
    ),
    ['Tid with another tenant', withClaims({ Tid: tenant.partnerTenantId })],
    ['Scp with more', withClaims({ Scp: 'Data.Read Data.Write' })],
  ])
})

t.test(
  'BCP-7, ENTRA-1, ENTRA-3, ENTRA-4, ATJWT-2: an issuer that is nearly ours: 401, and no fetch',
  async t => {
    const before = [tenant.requests.length, own.requests.length]
    const { iss, tid } = forge.claims as { iss: string; tid: string }
    const { host, port } = new URL(iss)
    await refuse(t, 'untrusted_issuer', [
      ...claimRows('iss', [
        '',
        ' ',
        'x',
        canaryUrl,
        `${iss}/`,
        ` ${iss}`,
        `${iss} `,
        `${iss}?`,
        `${iss}#`,
        `${iss}\u0000`,
        iss.toUpperCase(),
        iss.replace('localhost', 'LOCALHOST'),
        iss.replace('localhost', 'localhost.'),
        iss.replace('localhost', 'löcalhost'),
        iss.replace('localhost', 'ⓛocalhost'),
        iss.replace('localhost', 'user@localhost'),
        iss.replace('localhost', 'localhost.example.com'),
        iss.replace('https', 'http'),
        iss.replace(`:${port}`, ''),
        iss.replace(`:${port}`, ':443'),
        iss.replace('/v2.0', '/v2.0/v2.0'),
        iss.replace('/v2.0', '/v3.0'),
        iss.replace('/v2.0', ''),
        iss.replace(tid, tid.toUpperCase()),
        iss.replace(tid, '{tenantid}'),
        iss.replace(tid, 'common'),
        iss.replace(tid, 'contoso.example'),
        iss.replace(tid, `${tid}/${tid}`),
        iss.replace(tid, `x/../${tid}`),
        iss.replace(tid, encodeURIComponent(`${tid}/`)),
        `https://example.com/${tid}/v2.0`,
        `https://example.com/?${iss}`,
        `https://${host}\\@example.com/${tid}/v2.0`,
        `https://login.microsoftonline.com/${tid}/v2.0`,
        `https://sts.windows.net/${tid}/`,
        `${own.issuer}/`,
        own.issuer.replace('http', 'https'),
        own.issuer.replace('127.0.0.1', 'localhost'),
        own.issuer.replace('127.0.0.1', '127.1'),
        '__proto__',
        'constructor',
      ]),
      ['tid of another tenant under our iss', withClaims({ tid: tenant.partnerTenantId })],
    ])
    await refuse(t, 'tenant_not_allowed', [
      [
        'another tenant of the authority',
        withClaims({ tid: tenant.partnerTenantId, iss: iss.replace(tid, tenant.partnerTenantId) }),
      ],
      ['another tenant in iss only', withClaims({ iss: iss.replace(tid, tenant.partnerTenantId) })],
    ])
    await refuse(
      t,
      'malformed_claim',
      claimRows('tid', ['', 'x', tid.toUpperCase(), ` ${tid}`, `{${tid}}`, '{tenantid}', 'common']),
    )
    await refuse(t, 'wrong_token_version', [
      ...claimRows('ver', ['', '1.0', '2', '2.00', '3.0', 'v2.0']),
      ['no ver', withClaims({ ver: undefined })],
    ])
    t.strictSame([tenant.requests.length, own.requests.length], before, 'the issuers were not asked')
    t.strictSame(canaryRequests, [])
  },
)

t.test('BCP-8, ENTRA-8, ENTRA-9: an audience that is not exactly ours: 401', async t => {
  await refuse(t, 'wrong_audience', [
    ...claimRows('aud', [
      '',
      ' ',
      'x',
      audience.toUpperCase(),
      `${audience}/`,
      ` ${audience}`,
      audience.slice(0, -1),
      `${audience}0`,
      `api://${audience}`,
      `spn:${audience}`,
      '*',
      ['x'],
      [''],
      [`api://${audience}`, 'x'],
      [audience.toUpperCase()],
    ]),
  ])
  const graph = '00000003-0000-0000-c000-000000000000'
  await refuse(
    t,
    'graph_token',
    claimRows('aud', [graph, 'https://graph.microsoft.com', 'https://graph.microsoft.com/', [graph]]),
  )
  await admit(t, claimRows('aud', [[audience], ['x', audience]]))
})

t.test('JWT-14, JWT-15, C-6: every boundary of time, to the second', async t => {
  const at = (name: string, offsets: readonly number[]): Case[] =>
    offsets.map(
      (offset): Case => [
        `${name} at now ${offset >= 0 ? '+' : ''}${offset}`,
        withClaims({ [name]: NOW_SECONDS + offset }),
      ],
    )
  await refuse(t, 'expired', [
    ...at('exp', [-TOLERANCE_SECONDS, -TOLERANCE_SECONDS - 1, -TOLERANCE_SECONDS - 0.001, -86_400]),
    ...claimRows('exp', [0, -0, -1, -1e300, 1.5, NOW_SECONDS / 1000]),
  ])
  await refuse(t, 'not_yet_valid', [
    ...at('nbf', [TOLERANCE_SECONDS + 1, TOLERANCE_SECONDS + 0.001, 3600]),
    ...claimRows('nbf', [NOW_SECONDS * 1000, 1e300]),
  ])
  await admit(t, [
    ...at('exp', [-TOLERANCE_SECONDS + 1, -TOLERANCE_SECONDS + 0.001, 0, 1, 28 * 3600]),
    ...at('nbf', [TOLERANCE_SECONDS, 0, -1]),
    ...at('iat', [3600, -30 * 86_400]),
    ['neither iat nor nbf', withClaims({ iat: undefined, nbf: undefined })],
  ])
})

t.test('BCP-10, ENTRA-12, C-13: other signed JWTs of the same issuer: 401', async t => {
  await refuse(t, 'id_token', [
    ...['nonce', 'at_hash', 'c_hash'].map((claim): Case => [claim, withClaims({ [claim]: 'x' })]),
    ['nonce null', withClaims({ nonce: null })],
    ['no client', withClaims({ azp: undefined })],
    ['the client claim of the other version', withClaims({ azp: undefined, appid: 'x' })],
  ])
  await refuse(t, 'wrong_token_type', [
    ['a logout token', withClaims({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } })],
    ['an introspection response', withClaims({ token_introspection: { active: true } })],
    ...claimRows('typ', ['ID', 'Refresh', 'Logout', 'Offline']),
  ])
  await refuse(
    t,
    'sender_constrained',
    claimRows('cnf', [
      { jkt: 'xxxxx' },
      { 'x5t#S256': 'xxxxx' },
      { kid: 'xxxxx' },
      { jwk: {} },
      { unknown: 1 },
      { jkt: null },
    ]),
  )
})

t.test('ENTRA-13 to ENTRA-16, C-16: a permission that is nearly the right one: 403', async t => {
  await refuse(t, 'insufficient_scope', [
    ...claimRows('scp', [
      'data.read',
      'DATA.READ',
      'Data.Read2',
      'Data',
      'Data.Rea',
      'Data.*',
      'Data.ReadWrite',
      'Data.Read,Data.Write',
      'Data.Read\tx',
      'Data.Read\u00a0x',
      `api://${audience}/Data.Read`,
      '.default',
    ]),
    ['roles on a user token', withClaims({ scp: 'x', roles: ['Data.Read.All', 'Data.Read'] })],
    [
      'idtyp says user, roles say otherwise',
      withClaims({ scp: undefined, idtyp: 'user', roles: ['Data.Read.All'] }),
    ],
  ])
  await refuse(t, 'insufficient_role', [
    ['a scope on an application token', withClaims({ idtyp: 'app' })],
    [
      'another role',
      withClaims({ scp: undefined, idtyp: 'app', roles: ['data.read.all', 'Data.Read', 'Data.Read.All '] }),
    ],
  ])
  await refuse(t, 'no_permissions', [
    ['an empty scope', withClaims({ scp: '' })],
    ['a scope of spaces', withClaims({ scp: '   ' })],
    ['no scope, empty roles', withClaims({ scp: undefined, roles: [] })],
    [
      'a scope in a prototype',
      withClaims(extend(claimsText.replace('"scp"', '"_"'), '"__proto__":{"scp":"Data.Read"}')),
    ],
    [
      'a scope array under another name',
      withClaims({ scp: undefined, scope: 'Data.Read', scopes: ['Data.Read'] }),
    ],
  ])
})

t.test('each kind of wrong token that the local tenant mints, in both versions', async t => {
  const expected: Readonly<Record<MintKind, Code | undefined>> = {
    'alg-none': 'unsupported_algorithm',
    bound: 'sender_constrained',
    'consumer-key': 'key_not_for_issuer',
    'embedded-key': 'invalid_signature',
    expired: 'expired',
    'foreign-key': 'invalid_signature',
    graph: 'graph_token',
    'graph-plain': 'graph_token',
    hs256: 'unsupported_algorithm',
    'id-token': 'id_token',
    'no-exp': 'missing_claim',
    'no-kid': 'unknown_key',
    'no-scope-no-roles': 'no_permissions',
    'not-yet-valid': 'not_yet_valid',
    // Groups that don't fit are no defect of the token; only a route that asks for groups refuses it.
    overage: undefined,
    tampered: 'invalid_signature',
    'unknown-kid': 'unknown_key',
    'wrong-audience': 'wrong_audience',
    'wrong-tenant': 'tenant_not_allowed',
    'wrong-version': 'wrong_token_version',
  }
  for (const kind of MINT_KINDS) {
    for (const version of [1, 2] as const) {
      const row: Case = [`${kind}, version ${version}`, await tenant.mint(kind, { version })]
      const code = expected[kind]
      await (code === undefined ? admit(t, [row]) : refuse(t, code, [row]))
    }
  }
})

t.test('ATJWT, JWT-10, BCP-3, BCP-6: tokens of an RFC 9068 issuer', async t => {
  const { RS256, PS256, ES256, ES384, EdDSA } = own.forges
  await admit(
    t,
    Object.entries(own.forges).map(([alg, { sign }]): Case => [alg, sign()]),
  )
  await admit(t, [
    ['JWKS-16: no kid, where one key alone can be meant', RS256.sign({ header: { kid: undefined } })],
  ])
  const der = (key: KeyObject) => (input: string) =>
    sign('sha256', Buffer.from(input), { key, dsaEncoding: 'der' })
  await refuse(
    t,
    'invalid_signature',
    [
      ['ES256 in DER', ES256.sign({ signer: der(ES256.privateKey) })],
      ['ES256 of zeros (CVE-2022-21449)', ES256.sign({ signer: () => Buffer.alloc(64) })],
      ['ES256 with a short S', ES256.sign({ signer: () => Buffer.alloc(63, 1) })],
      ['ES256 with 132 octets', ES256.sign({ signer: () => Buffer.alloc(132, 1) })],
      ['ES384 of zeros', ES384.sign({ signer: () => Buffer.alloc(96) })],
      ['EdDSA of zeros', EdDSA.sign({ signer: () => Buffer.alloc(64) })],
      ['EdDSA of nothing', EdDSA.sign({ signer: () => Buffer.alloc(0) })],
      ['PS256 by RSASSA-PKCS1', PS256.sign({ signer: rsaSigner(PS256.privateKey, {}) })],
      ['RS256 by the key of PS256', RS256.sign({ signer: rsaSigner(PS256.privateKey, {}) })],
      [
        'ES256 by the key of ES384',
        ES256.sign({
          signer: input =>
            sign('sha256', Buffer.from(input), { key: ES384.privateKey, dsaEncoding: 'ieee-p1363' }),
        }),
      ],
    ]
      .map(([name, token]): Case => [name as string, token as string])
      .slice(0, -1),
  )
  await refuse(t, 'unsupported_algorithm', [
    ['RS256 at the key of PS256', PS256.sign({ header: { alg: 'RS256' } })],
    ['PS256 at the key of RS256', RS256.sign({ header: { alg: 'PS256' } })],
    ['ES384 at the key of ES256', ES256.sign({ header: { alg: 'ES384' } })],
    ['ES512', ES256.sign({ header: { alg: 'ES512' } })],
    ['HS256 with the point', ES256.sign({ header: { alg: 'HS256' } })],
    ['none', RS256.sign({ header: { alg: 'none' }, signer: () => Buffer.alloc(0) })],
  ])
  await refuse(t, 'wrong_token_type', [
    ...['JWT', 'jwt', 'id+jwt', 'dpop+jwt', '', 'at+jw', 'application/jwt'].map(
      (typ): Case => [`typ ${typ}`, RS256.sign({ header: { typ } })],
    ),
    ['no typ', RS256.sign({ header: { typ: undefined } })],
  ])
  await refuse(
    t,
    'missing_claim',
    ['exp', 'aud', 'sub', 'client_id', 'iat', 'jti', 'iss'].map(
      (claim): Case => [`no ${claim}`, RS256.sign({ claims: { [claim]: undefined } })],
    ),
  )
  await refuse(t, 'malformed_claim', [
    ...['sub', 'client_id', 'jti', 'scope'].flatMap(claim =>
      WRONG_TEXTS.map(
        (value): Case => [`${claim} ${JSON.stringify(value)}`, RS256.sign({ claims: { [claim]: value } })],
      ),
    ),
    ['an empty sub', RS256.sign({ claims: { sub: '' } })],
  ])
  await refuse(t, 'unknown_key', [
    [
      'BCP-6: our Entra issuer, signed by the other issuer',
      RS256.sign({ header: { typ: 'JWT' }, claims: forge.claims }),
    ],
    [
      'BCP-6: the other issuer, signed by our tenant',
      forge.sign({ header: { typ: 'at+jwt' }, claims: { ...RS256.claims, iss: own.issuer } }),
    ],
    ['JWKS-12: a kid that is published nowhere', RS256.sign({ header: { kid: 'nowhere' } })],
  ])
  await refuse(t, 'sender_constrained', [
    ['DPOP-3: jkt', RS256.sign({ claims: { cnf: { jkt: 'xxxxx' } } })],
    ['MTLS-3: x5t#S256', RS256.sign({ claims: { cnf: { 'x5t#S256': 'xxxxx' } } })],
  ])
  await refuse(
    t,
    'insufficient_scope',
    ['data.read', 'Data.Read:all', 'Data', 'Data.*'].map(
      (scope): Case => [`scope ${scope}`, RS256.sign({ claims: { scope } })],
    ),
  )
  await refuse(t, 'insufficient_role', [
    ['BCP-17: an application with a user scope', RS256.sign({ claims: { sub: 'orders-web' } })],
  ])
})

t.test('requests that try another door: nobody is let in', async t => {
  const good = tenant.issue()
  const headers = [
    ...[
      'X-Access-Token',
      'X-Authorization',
      'Proxy-Authorization',
      'X-Forwarded-Authorization',
      'X-Original-Authorization',
      'X-MS-TOKEN-AAD-ACCESS-TOKEN',
      'X-Amzn-Oidc-Accesstoken',
      'Authorization2',
      'X-Api-Key',
      'Token',
      'Sec-WebSocket-Protocol',
    ].map(name => `${name}: Bearer ${good}`),
    ...['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Path'].map(name => `${name}: /livez`),
    'X-HTTP-Method-Override: OPTIONS',
    'X-Forwarded-User: ada',
    'X-MS-CLIENT-PRINCIPAL: e30=',
    'X-Forwarded-For: 127.0.0.1',
    `Cookie: access_token=${good}; token=${good}; Authorization=Bearer ${good}`,
    `Authorization: Token ${good}`,
    `Authorization: Basic ${Buffer.from(`x:${good}`).toString('base64')}`,
    'Authorization: Negotiate YII=',
    `Authorization: ${good}`,
    `Authorization: BearerX ${good}`,
    `Authorization: Bearer${good.replaceAll('.', '')}`,
    `Authorization: "Bearer ${good}"`,
    'Authorization:',
  ]
  const targets = [
    `/secure-data?access_token=${good}&authorization=Bearer%20${good}`,
    '//secure-data',
    '/secure-data/',
    '/SECURE-DATA',
    '/./secure-data',
    '/docs/../secure-data',
    '/livez/..;/secure-data',
    '/livez/../secure-data',
    '/livez/%2e%2e/secure-data',
    '/secure-data%2f',
    '/%73ecure-data',
    '/secure-data;x=1',
    '/secure-data?',
    '/secure-data%20',
    '/secure-data%00',
    '/secure-data.json',
    '/secure%2Ddata',
    'http://api/secure-data',
    'http://127.0.0.1/livez/../secure-data',
    '/.well-known/../secure-data',
    '/whoami',
    '/openapi.json/../whoami',
  ]
  const doors: readonly (readonly [name: string, target: string, lines: readonly string[]])[] = [
    ...headers.map(line => [line.slice(0, 50), '/secure-data', [line]] as const),
    ...targets.map(target => [target.slice(0, 50), target, []] as const),
  ]
  for (const [name, target, lines] of doors) {
    const answer = await ask(api.url, target, lines)
    cases++
    t.strictSame(brokenPromises(answer, 'no_credentials', good, publicText), [], name)
  }
  const several: readonly (readonly [name: string, lines: readonly string[]])[] = [
    ['good, then bad', [`Bearer ${good}`, 'Bearer x']],
    ['bad, then good', ['Bearer x', `Bearer ${good}`]],
    ['good twice', [`Bearer ${good}`, `Bearer ${good}`]],
    ['good, then Basic', [`Bearer ${good}`, 'Basic eDp5']],
    ['Basic, then good', ['Basic eDp5', `Bearer ${good}`]],
    ['nothing, then good', ['', `Bearer ${good}`]],
    ['good, then nothing', [`Bearer ${good}`, '']],
    ['a hundred', Array.from({ length: 100 }, () => 'Bearer x')],
  ]
  for (const [name, values] of several) {
    const lines = values.map((value, i) => `${i % 2 === 0 ? 'Authorization' : 'aUTHORIZATION'}: ${value}`)
    const answer = await ask(api.url, '/secure-data', lines)
    cases++
    t.strictSame(brokenPromises(answer, 'malformed_credentials', good, publicText), [], `BEARER-15: ${name}`)
  }
})

/** What each requirement's wrong token is answered with; every id has one code. */
const REQUIREMENTS: readonly (readonly [ids: string, code: Code, token: () => string | Promise<string>])[] = [
  ['BEARER-8', 'malformed_credentials', () => 'two tokens'],
  ['BEARER-7, JWT-14', 'expired', () => tenant.mint('expired')],
  ['BEARER-9, ENTRA-13', 'insufficient_scope', () => tenant.issue({ person: 'bob' })],
  ['JWT-1', 'malformed_token', () => 'a.b'],
  ['JWT-2, BCP-12', 'malformed_token', () => `${forge.sign()}=`],
  ['JWT-3', 'malformed_token', () => withClaims('[]')],
  ['JWT-4, C-17', 'malformed_token', () => withHeader(extend(headerText, '"x":1,"x":1'))],
  ['JWT-5', 'unsupported_algorithm', () => withHeader({ alg: 'rs256' })],
  ['JWT-6', 'malformed_token', () => withHeader({ crit: ['exp'] })],
  ['JWT-7', 'unsupported_algorithm', () => tenant.mint('alg-none')],
  ['JWT-8', 'invalid_signature', () => tenant.mint('embedded-key')],
  ['JWT-10', 'invalid_signature', () => own.forges.ES256.sign({ signer: () => Buffer.alloc(64) })],
  ['JWT-13', 'malformed_token', () => withHeader({ kid: 1 })],
  ['JWT-15', 'not_yet_valid', () => tenant.mint('not-yet-valid')],
  ['JWT-17', 'malformed_claim', () => withClaims({ exp: '1900000000' })],
  ['JWT-18, BCP-8, ENTRA-8, ATJWT-3', 'wrong_audience', () => tenant.mint('wrong-audience')],
  ['JWT-20', 'invalid_signature', () => tenant.mint('tampered')],
  ['JWT-21', 'malformed_token', () => 'a'.repeat(CAP_CHARACTERS + 1)],
  ['BCP-1', 'unsupported_algorithm', () => withHeader({ alg: 'RS512' })],
  ['BCP-2', 'unsupported_algorithm', () => tenant.mint('hs256')],
  ['BCP-3', 'unsupported_algorithm', () => own.forges.RS256.sign({ header: { alg: 'PS256' } })],
  ['BCP-6', 'unknown_key', () => forge.sign({ header: { typ: 'at+jwt' }, claims: { iss: own.issuer } })],
  ['BCP-7', 'untrusted_issuer', () => withClaims({ iss: canaryUrl })],
  ['BCP-9, JWKS-12', 'unknown_key', () => withHeader({ kid: '__proto__' })],
  ['BCP-10, ENTRA-12', 'id_token', () => tenant.mint('id-token')],
  ['BCP-13', 'malformed_token', () => 'a.a.a.a.a'],
  ['BCP-17, ENTRA-16', 'insufficient_role', () => withClaims({ idtyp: 'app' })],
  ['ATJWT-1, C-4', 'wrong_token_type', () => own.forges.RS256.sign({ header: { typ: 'JWT' } })],
  ['ATJWT-2', 'untrusted_issuer', () => own.forges.RS256.sign({ claims: { iss: `${own.issuer}/` } })],
  ['ATJWT-6', 'missing_claim', () => own.forges.RS256.sign({ claims: { jti: undefined } })],
  ['ATJWT-7, C-16', 'insufficient_scope', () => own.forges.RS256.sign({ claims: { scope: 'data.read' } })],
  ['C-5', 'unknown_key', () => tenant.mint('no-kid')],
  ['C-6', 'missing_claim', () => tenant.mint('no-exp')],
  ['ENTRA-1, ENTRA-7', 'tenant_not_allowed', () => tenant.mint('wrong-tenant')],
  ['ENTRA-2', 'wrong_token_version', () => tenant.mint('wrong-version')],
  ['ENTRA-3', 'untrusted_issuer', () => withClaims({ iss: `${tenant.profile.authority}/{tenantid}/v2.0` })],
  ['ENTRA-4', 'malformed_claim', () => withClaims({ tid: tenant.profile.tenantId.toUpperCase() })],
  ['ENTRA-5', 'key_not_for_issuer', () => tenant.mint('consumer-key')],
  ['ENTRA-9, ENTRA-10', 'graph_token', () => tenant.mint('graph')],
  ['ENTRA-11', 'wrong_token_type', () => withHeader({ typ: 'pop' })],
  ['ENTRA-14, C-10', 'insufficient_role', () => tenant.issue({ app: 'daemon', roles: ['Other'] })],
  ['ENTRA-15', 'no_permissions', () => tenant.issue({ app: 'daemonWithoutRole' })],
  ['DPOP-3, MTLS-3, C-13', 'sender_constrained', () => tenant.mint('bound')],
  ['INTRO-8', 'wrong_token_type', () => withHeader({ typ: 'token-introspection+jwt' })],
]

t.test('each requirement that refuses a token has one code', async t => {
  for (const [ids, code, make] of REQUIREMENTS) {
    const token = await make()
    const answer = await sendToken(token)
    cases++
    t.strictSame(brokenPromises(answer, code, token, publicText), [], `${ids}: ${code}`)
  }
  const ids = REQUIREMENTS.flatMap(([ids]) => ids.split(', '))
  t.strictSame(ids, [...new Set(ids)], 'no requirement has two')
})

t.test('after all of it: the server is as it was', async t => {
  t.ok(cases >= FEWEST_CASES, `${cases} cases`)
  t.equal((await sendToken(tenant.issue({ app: 'daemon', version: 1 }))).status, 200)
  t.strictSame(
    api.lines.filter(({ level }) => Number(level) >= 50),
    [],
    'no failure was logged',
  )
  const codes = new Set(api.refusals().map(({ code }) => code))
  t.ok([...codes].every(code => CODES.some(known => known === code)))
  t.strictSame(canaryRequests, [])
})

/** Decides how a test gets an issuer whose every key, document and signature it holds in its hand: plain http on loopback. */
import { constants, createHmac, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** A JOSE header, a claims set, a key or a document. */
export type Json = Readonly<Record<string, unknown>>

/** A part of a token: an object is serialized, a text or octets are taken as they are. */
export type Part = Json | string | Buffer

/** Makes the signature over a signing input. */
export type Signer = (input: string) => Buffer

/** A key pair, its public half as it would be published. */
export interface TestKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** With `kid` and `alg`. */
  readonly jwk: Json
}

const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

/** A pair that can sign with the algorithm. */
function generate(alg: string, modulusLength: number, publicExponent: number) {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  const namedCurve = CURVES[alg]
  if (namedCurve !== undefined) return generateKeyPairSync('ec', { namedCurve })
  return generateKeyPairSync('rsa', { modulusLength, publicExponent })
}

/** Makes a key. */
export function createKey(
  alg: string,
  kid: string = alg,
  { bits = 2048, exponent = 65_537 }: { bits?: number; exponent?: number } = {},
): TestKey {
  const { privateKey, publicKey } = generate(alg, bits, exponent)
  return { kid, alg, privateKey, publicKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg } }
}

/** Signs with a private key as RFC 7518 §3 and RFC 8037 say; for `none` there is no signature. */
export function signerOf(alg: string, key: KeyObject): Signer {
  const hash = alg === 'EdDSA' ? null : `sha${alg.slice(2)}`
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return input => {
    if (alg === 'none') return Buffer.alloc(0)
    const options = alg.startsWith('PS') ? { key, ...pss } : { key, dsaEncoding: 'ieee-p1363' as const }
    return sign(hash, Buffer.from(input), options)
  }
}

/** Signs with a MAC, as the attack of algorithm confusion does (RFC 8725 §2.1). */
export function macOf(secret: string | Buffer): Signer {
  return input => createHmac('sha256', secret).update(input).digest()
}

/** Encodes a part of a token. */
export function encode(part: Part): string {
  const octets = Buffer.isBuffer(part) || typeof part === 'string' ? part : JSON.stringify(part)
  return Buffer.from(octets as string).toString('base64url')
}

/** Compact serialization of parts that are already encoded, signed over exactly that text. */
export function join(header: string, payload: string, signer: Signer): string {
  return `${header}.${payload}.${signer(`${header}.${payload}`).toString('base64url')}`
}

/** Compact serialization (RFC 7515 §3.1) of any header and any payload. */
export function compose(header: Part, payload: Part, signer: Signer): string {
  return join(encode(header), encode(payload), signer)
}

/** A web server that publishes documents. */
export interface DocumentServer {
  readonly origin: string
  /** By path, with the query or without: an object is answered as JSON, a text as it is, a number with that status. May change at any time. */
  readonly documents: Map<string, object | string | number>
  /** Path and query of every request, oldest first. */
  readonly requests: string[]
}

/** Starts a web server for a test and stops it with the test. */
export async function serveDocuments(t: Test): Promise<DocumentServer> {
  const documents: DocumentServer['documents'] = new Map()
  const requests: string[] = []
  const server = createServer((request, response) => {
    const url = request.url ?? ''
    requests.push(url)
    const document = documents.get(url) ?? documents.get(url.split('?', 1)[0]!) ?? 404
    if (typeof document === 'number') {
      response.writeHead(document).end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(typeof document === 'string' ? document : JSON.stringify(document))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise<void>(resolve => server.close(() => resolve()))
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, documents, requests }
}

/** What a token may have different. */
export interface Wish {
  /** Laid over the claims; undefined removes one. */
  readonly claims?: Json
  /** Laid over the header; undefined removes a parameter. */
  readonly header?: Json
  /** Default: the issuer's first key. */
  readonly key?: TestKey
}

/** An issuer of RFC 9068 access tokens. */
export interface TestIssuer extends DocumentServer {
  /** As it stands in `iss`. */
  readonly issuer: string
  /** Puts a set of keys in the place of the published one. */
  readonly publish: (keys: readonly unknown[]) => void
  /** The claims of a good token of a user, changed as wished. */
  readonly claims: (over?: Json) => Json
  /** A good token of a user with Data.Read, changed as wished. */
  readonly issue: (wish?: Wish) => string
}

/** What an issuer may have different. */
export interface IssuerOptions {
  /** The first signs unless a token asks for another; all are published. */
  readonly keys: readonly [TestKey, ...TestKey[]]
  /** What is published; default: every key. */
  readonly published?: readonly unknown[]
  readonly audience: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** Path of the issuer, for example `/realms/one`. */
  readonly path?: string
}

/** Starts an issuer of RFC 9068 access tokens. */
export async function startIssuer(t: Test, options: IssuerOptions): Promise<TestIssuer> {
  const { keys, audience, now = Date.now, path = '' } = options
  const server = await serveDocuments(t)
  const issuer = server.origin + path
  const publish = (published: readonly unknown[]): void => {
    server.documents.set('/keys', { keys: published })
  }
  server.documents.set(`${path.replace(/\/$/, '')}/.well-known/openid-configuration`, {
    issuer,
    jwks_uri: `${server.origin}/keys`,
  })
  publish(options.published ?? keys.map(({ jwk }) => jwk))

  const claims = (over: Json = {}): Json => {
    const iat = Math.floor(now() / 1000)
    return {
      iss: issuer,
      aud: audience,
      sub: 'user-1',
      client_id: 'client-1',
      iat,
      exp: iat + 300,
      jti: randomUUID(),
      scope: 'Data.Read',
      ...over,
    }
  }
  return {
    ...server,
    issuer,
    publish,
    claims,
    issue: ({ claims: over, header, key = keys[0] } = {}) => {
      const whole = { typ: 'at+jwt', alg: key.alg, kid: key.kid, ...header }
      return compose(whole, claims(over), signerOf(key.alg, key.privateKey))
    },
  }
}

/** An issuer in Entra's shape, for documents that Entra itself would not publish. */
export interface EntraIssuer extends DocumentServer {
  readonly tenant: string
  /** Puts a discovery document and its keys in place: `segment` is a tenant, `common` or `organizations`. */
  readonly describe: (segment: string, version: 1 | 2, document: Json, keys: readonly unknown[]) => void
  /** The issuer of a tenant's tokens. */
  readonly issuerOf: (tenant: string, version: 1 | 2) => string
  /** A good token of a user with Data.Read, changed as wished. */
  readonly issue: (wish?: Wish & { readonly version?: 1 | 2; readonly tenant?: string }) => string
}

/** What an Entra-shaped issuer is made of. */
export interface EntraOptions {
  readonly tenant: string
  /** The API's application id. */
  readonly audience: string
  readonly key: TestKey
}

/** Starts an issuer in Entra's shape; its tenant publishes one key without `alg`, in both versions. */
export async function startEntraIssuer(t: Test, options: EntraOptions): Promise<EntraIssuer> {
  const server = await serveDocuments(t)
  const { origin, documents } = server
  const issuerOf = (tenant: string, version: 1 | 2): string =>
    version === 2 ? `${origin}/${tenant}/v2.0` : `${origin}/${tenant}/`
  const describe: EntraIssuer['describe'] = (segment, version, document, keys) => {
    const middle = version === 2 ? 'v2.0/' : ''
    const address = `/${segment}/discovery/${middle}keys`
    const named = ['common', 'organizations'].includes(segment) ? '{tenantid}' : segment
    documents.set(`/${segment}/${middle}.well-known/openid-configuration`, {
      issuer: issuerOf(named, version),
      jwks_uri: origin + address,
      ...document,
    })
    documents.set(address, { keys })
  }
  for (const version of [1, 2] as const) describe(options.tenant, version, {}, [bare(options.key)])

  return {
    ...server,
    tenant: options.tenant,
    describe,
    issuerOf,
    issue: ({ version = 2, tenant = options.tenant, key = options.key, claims, header } = {}) => {
      const iat = Math.floor(Date.now() / 1000)
      const whole = {
        aud: version === 2 ? options.audience : `api://${options.audience}`,
        iss: issuerOf(tenant, version),
        iat,
        nbf: iat,
        exp: iat + 3600,
        tid: tenant,
        ver: `${version}.0`,
        [version === 2 ? 'azp' : 'appid']: 'client-1',
        oid: 'object-1',
        sub: 'user-1',
        name: 'Ada Lovelace',
        scp: 'Data.Read',
        ...claims,
      }
      return compose(
        { typ: 'JWT', alg: key.alg, kid: key.kid, ...header },
        whole,
        signerOf(key.alg, key.privateKey),
      )
    },
  }
}

/** A key as Entra publishes it: without `alg`. */
export function bare({ jwk }: TestKey): Json {
  const { alg: _, ...rest } = jwk
  return rest
}

/** Decides how a test signs what no issuer would: any text as header and claims, with the tenant's own key or with keys of an issuer that the test is. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type Json, rsaSigner, type Signer } from '../../src/local-tenant/jws.ts'
import { type LocalTenant, startLocalTenant } from '../../src/local-tenant/tenant.ts'

/** An object is laid over the good one; text and bytes are taken as they are. */
export type Part = Json | string | Buffer

/** What to put together. */
export interface Draft {
  readonly header?: Part
  readonly claims?: Part
  readonly key?: KeyObject
  readonly signer?: Signer
}

/** Somebody whose tokens can be forged in every detail, and be correctly signed all the same. */
export interface Forge {
  readonly header: Json
  readonly claims: Json
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly sign: (draft?: Draft) => string
}

function spell(part: Part | undefined, good: Json): string {
  if (Buffer.isBuffer(part)) return part.toString('base64url')
  const text = typeof part === 'string' ? part : JSON.stringify({ ...good, ...part })
  return Buffer.from(text).toString('base64url')
}

/** Reads one part of a token. */
export function readPart(token: string, index: 0 | 1): Json {
  return JSON.parse(Buffer.from(token.split('.')[index]!, 'base64url').toString()) as Json
}

function createForge(header: Json, claims: Json, privateKey: KeyObject, usual: Signer): Forge {
  return {
    header,
    claims,
    privateKey,
    publicKey: createPublicKey(privateKey),
    sign: (draft = {}) => {
      const input = `${spell(draft.header, header)}.${spell(draft.claims, claims)}`
      const signer = draft.signer ?? (draft.key === undefined ? usual : rsaSigner(draft.key, {}))
      return `${input}.${signer(input).toString('base64url')}`
    },
  }
}

/** A local tenant whose signing key the test holds. */
export async function startForgedTenant(
  t: Test,
  now: () => number,
): Promise<{ tenant: LocalTenant; forge: Forge }> {
  const stateFolder = t.testdir()
  const tenant = await startLocalTenant({ port: 0, stateFolder, now })
  t.teardown(() => tenant.close())
  const state = JSON.parse(await readFile(join(stateFolder, 'state.json'), 'utf8')) as {
    readonly signing: string
    readonly keys: readonly { readonly kid: string; readonly privateKey: string }[]
  }
  const { privateKey } = state.keys.find(({ kid }) => kid === state.signing)!
  const key = createPrivateKey(privateKey)
  const token = tenant.issue()
  return { tenant, forge: createForge(readPart(token, 0), readPart(token, 1), key, rsaSigner(key, {})) }
}

/** The algorithms with which the test's own issuer signs; each is also the `kid` of its key. */
export const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const

/** An RFC 9068 issuer on plain http at loopback. */
export interface Issuer {
  readonly issuer: string
  /** What was asked of it, oldest first. */
  readonly requests: string[]
  readonly forges: Readonly<Record<(typeof ALGORITHMS)[number], Forge>>
}

function createKey(alg: (typeof ALGORITHMS)[number]): KeyObject {
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  if (alg === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}

/** How an algorithm signs (RFC 7518 §3.4: ECDSA as R and S side by side). */
function signerOf(alg: (typeof ALGORITHMS)[number], key: KeyObject): Signer {
  if (alg === 'RS256' || alg === 'PS256') return rsaSigner(key, { alg })
  const digest = alg === 'EdDSA' ? null : alg === 'ES256' ? 'sha256' : 'sha384'
  return input => sign(digest, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
}

/** Starts an issuer of RFC 9068 tokens for one audience and stops it with the test. */
export async function startIssuer(t: Test, audience: string, now: () => number): Promise<Issuer> {
  const requests: string[] = []
  const keys = ALGORITHMS.map(alg => ({ alg, key: createKey(alg) }))
  const server = createServer((request, response) => {
    requests.push(request.url!)
    const body = request.url!.startsWith('/.well-known')
      ? { issuer, jwks_uri: `${issuer}/keys` }
      : {
          keys: keys.map(({ alg, key }) => ({
            ...createPublicKey(key).export({ format: 'jwk' }),
            kid: alg,
            alg,
            use: 'sig',
          })),
        }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const seconds = Math.floor(now() / 1000)
  const claims: Json = {
    iss: issuer,
    aud: audience,
    sub: 'carol',
    client_id: 'orders-web',
    jti: 'one',
    iat: seconds,
    exp: seconds + 3600,
    scope: 'Data.Read',
  }
  const forges = Object.fromEntries(
    keys.map(({ alg, key }) => [
      alg,
      createForge({ typ: 'at+jwt', alg, kid: alg }, claims, key, signerOf(alg, key)),
    ]),
  ) as unknown as Issuer['forges']
  return { issuer, requests, forges }
}

/** Decides what the issuer of the benchmarks is: a loopback https server with Entra's documents and key shape, whose requests are counted. */
import { createPublicKey, randomBytes, sign, X509Certificate } from 'node:crypto'
import { createServer } from 'node:https'
import { createAuthority, createRsaKey, createServerCertificate } from '../dist/local-tenant/certificates.js'

export const TENANT = '5f3c1b7e-0f4d-4c59-9a55-3a4b8d3c2e11'
export const API = '0a9f4c1d-6a1b-4f0e-8c0a-7d2f1c9b4e55'
const CLIENT = 'c2b7a1de-93f5-4d0e-9f6c-1b2a3c4d5e6f'
/** So long that only keys decide what is accepted, never the life of a token. */
const TOKEN_LIFE_SECONDS = 30 * 86_400

const encode = value => Buffer.from(JSON.stringify(value)).toString('base64url')
export const randomKid = () => randomBytes(20).toString('base64url')

/** A signing key, as Entra publishes it: no `alg`, its certificate, and the issuer that it belongs to. */
export async function createKey() {
  const { certificate, privateKey } = await createRsaKey('bench')
  const x509 = new X509Certificate(certificate)
  const { n, e } = createPublicKey(privateKey).export({ format: 'jwk' })
  const kid = randomKid()
  return {
    kid,
    privateKey,
    jwk: { kty: 'RSA', use: 'sig', kid, x5t: kid, n, e, x5c: [x509.raw.toString('base64')] },
  }
}

/** A certificate for localhost and the authority that vouches for it. */
export async function createTls() {
  const authority = await createAuthority()
  const { certificate, privateKey } = await createServerCertificate(authority)
  return { ca: authority.certificate, cert: certificate, key: privateKey }
}

/**
 * An access token of Entra's v2 shape. `typ`, `jti` and `client_id` are what oauth4webapi demands and Entra does
 * not send; everybody gets the same token.
 */
export function signToken(
  issuer,
  key,
  { nowMs = Date.now(), kid = key.kid, typ = 'at+jwt', claims = {} } = {},
) {
  const nowSeconds = Math.floor(nowMs / 1000)
  const input = `${encode({ typ, alg: 'RS256', kid })}.${encode({
    aud: API,
    iss: issuer,
    iat: nowSeconds,
    nbf: nowSeconds,
    exp: nowSeconds + TOKEN_LIFE_SECONDS,
    azp: CLIENT,
    client_id: CLIENT,
    jti: randomKid(),
    name: 'Ada',
    oid: '7b1e2c3d-4f5a-4b6c-8d7e-9f0a1b2c3d4e',
    scp: 'Data.Read',
    sub: 'ada',
    tid: TENANT,
    ver: '2.0',
    ...claims,
  })}`
  return `${input}.${sign('RSA-SHA256', Buffer.from(input), key.privateKey).toString('base64url')}`
}

/** Starts an issuer on a free port. `published` says which keys are in the set; `mode` is `up` or `down`. */
export async function startIssuer(tls) {
  const counts = { keys: 0, discovery: 0 }
  const issuer = { mode: 'up', published: [], counts }
  const server = createServer({ cert: tls.cert, key: tls.key }, (request, response) => {
    // passport-azure-ad puts its name into a query.
    const [path] = request.url.split('?')
    const isKeys = path.endsWith('/keys')
    counts[isKeys ? 'keys' : 'discovery'] += 1
    if (issuer.mode === 'down') {
      request.socket.destroy()
      return
    }
    const known = isKeys || path === `/${TENANT}/v2.0/.well-known/openid-configuration`
    const document = isKeys
      ? {
          keys: issuer.published.map(({ jwk }) => ({
            ...jwk,
            issuer: issuer.name,
            cloud_instance_name: 'localhost',
          })),
        }
      : {
          issuer: issuer.name,
          jwks_uri: issuer.jwksUri,
          id_token_signing_alg_values_supported: ['RS256'],
          cloud_instance_name: 'localhost',
        }
    response.writeHead(known ? 200 : 404, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'max-age=86400, private',
    })
    response.end(known ? JSON.stringify(document) : '{}')
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  issuer.authority = `https://localhost:${server.address().port}`
  issuer.name = `${issuer.authority}/${TENANT}/v2.0`
  issuer.jwksUri = `${issuer.authority}/${TENANT}/discovery/v2.0/keys`
  /** What was asked since the last call. */
  issuer.count = () => {
    const seen = { ...counts }
    counts.keys = 0
    counts.discovery = 0
    return seen
  }
  issuer.close = () => {
    server.closeAllConnections()
    return new Promise(resolve => server.close(resolve))
  }
  return issuer
}

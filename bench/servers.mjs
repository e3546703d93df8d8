/** Decides whose speed is compared: ours as shipped, bare Fastify, Node stacks as their documentation sets them up, and HAProxy. */
import { createPublicKey, verify } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MESSAGE = { message: 'Hello Ada, this is protected data.' }
const schema = {
  response: { 200: { type: 'object', properties: { message: { type: 'string' } } } },
}
const HOST = '127.0.0.1'

/** Fastify with one route. `prepare` registers plugins and gives what the route has beside its schema. */
const onFastify =
  (prepare, options = {}) =>
  async world => {
    const { default: Fastify } = await import('fastify')
    const app = Fastify(options)
    const route = (await prepare(app, world)) ?? {}
    app.get('/secure-data', { schema, ...route }, async () => MESSAGE)
    await app.listen({ host: HOST, port: world.port })
  }

/** A library's verifier in the hook where Fastify's documentation puts authentication. */
const verifying = create =>
  onFastify(async (_app, world) => {
    const verify = await create(world)
    const onRequest = async (request, reply) => {
      try {
        await verify(request.headers.authorization.slice('Bearer '.length))
      } catch {
        return reply.code(401).send({ error: 'invalid_token' })
      }
    }
    return { onRequest }
  })

const REFUSAL = {
  'content-type': 'application/problem+json',
  'cache-control': 'no-store',
  'www-authenticate': 'Bearer realm="protected-resource", error="invalid_token"',
}
const BATCH = 32

/**
 * What can't be saved: the signature of every token, in batches as ours are checked, and of its claims nothing. A token
 * that does not verify is answered as ours is.
 */
const signatureAlone = create =>
  onFastify(async (_app, world) => {
    const isGood = await create(await readFile(join(world.folder, 'key.pem'), 'utf8'))
    let waiting = []
    const run = () => {
      const jobs = waiting.slice(0, BATCH)
      waiting = waiting.slice(BATCH)
      if (waiting.length > 0) setImmediate(run)
      for (const { token, end } of jobs) end(isGood(token))
    }
    const onRequest = (request, reply, done) => {
      const end = good =>
        good ? done() : reply.code(401).headers(REFUSAL).send('{"code":"invalid_signature"}')
      waiting.push({ token: request.headers.authorization.slice('Bearer '.length), end })
      if (waiting.length === 1) setImmediate(run)
    }
    return { onRequest }
  })

/** Express with one route behind the middleware that `prepare` gives. */
const onExpress = prepare => async world => {
  const { default: express } = await import('express')
  const app = express()
  app.get('/secure-data', await prepare(world, app), (_request, response) => response.json(MESSAGE))
  app.use((error, _request, response, _next) => response.status(error.status ?? 500).end())
  app.listen(world.port, HOST)
}

const jwtWithGetJwks = cache =>
  onFastify(async (app, { issuer, audience }) => {
    const { default: jwt } = await import('@fastify/jwt')
    const { default: buildGetJwks } = await import('get-jwks')
    const getJwks = buildGetJwks({ issuersWhitelist: [issuer], providerDiscovery: true })
    await app.register(jwt, {
      decode: { complete: true },
      secret: (_request, { header: { kid, alg }, payload: { iss } }) =>
        getJwks.getPublicKey({ kid, domain: iss, alg }),
      verify: { algorithms: ['RS256'], allowedIss: issuer, allowedAud: audience, cache },
    })
    return { onRequest: request => request.jwtVerify() }
  })

/** The Node stacks, each in words, with the packages whose versions are told. */
export const STACKS = {
  'bare Fastify': {
    packages: ['fastify'],
    how: 'a route with a response schema; no authentication, no log',
    listen: onFastify(() => {}),
  },
  'bare Fastify, default log': {
    packages: ['fastify'],
    how: 'the same with `logger: true`: two lines a request',
    listen: onFastify(() => {}, { logger: true }),
  },
  'bare Fastify, signature alone': {
    packages: ['fastify'],
    how: '`crypto.verify` with a prepared key, in batches; no claim is looked at, nothing is remembered',
    listen: signatureAlone(pem => {
      const key = createPublicKey(pem)
      return token => {
        const end = token.lastIndexOf('.')
        const signature = Buffer.from(token.slice(end + 1), 'base64url')
        return verify('sha256', Buffer.from(token.slice(0, end)), key, signature)
      }
    }),
  },
  'bare Fastify, @fastify/jwt alone': {
    packages: ['fastify', '@fastify/jwt'],
    how: 'the same with @fastify/jwt as we drive it: one static key, no claim looked at',
    listen: signatureAlone(async pem => {
      const [{ default: Fastify }, { default: jwt }] = await Promise.all([
        import('fastify'),
        import('@fastify/jwt'),
      ])
      const verify = { algorithms: ['RS256'], ignoreExpiration: true, ignoreNotBefore: true, cache: false }
      const inner = Fastify()
      await inner.register(jwt, { secret: { public: pem }, verify })
      await inner.ready()
      return token => {
        try {
          return Boolean(inner.jwt.verify(token))
        } catch {
          return false
        }
      }
    }),
  },
  '@fastify/jwt + get-jwks': {
    packages: ['@fastify/jwt', 'get-jwks'],
    how: '`secret` from `getPublicKey`, `request.jwtVerify()` in `onRequest`, as get-jwks documents',
    listen: jwtWithGetJwks(false),
  },
  '@fastify/jwt + get-jwks, cache': {
    packages: ['@fastify/jwt', 'get-jwks'],
    how: 'the same with `verify.cache`',
    listen: jwtWithGetJwks(true),
  },
  'fast-jwt + get-jwks, cache': {
    packages: ['fast-jwt', 'get-jwks'],
    how: '`createVerifier({ key, cache: true })` with `key` from `getPublicKey`',
    listen: verifying(async ({ issuer, audience }) => {
      const { default: buildGetJwks } = await import('get-jwks')
      const { createVerifier } = await import('fast-jwt')
      const getJwks = buildGetJwks({ issuersWhitelist: [issuer], providerDiscovery: true })
      const key = ({ header: { kid, alg } }) => getJwks.getPublicKey({ kid, alg, domain: issuer })
      const options = { algorithms: ['RS256'], allowedIss: issuer, allowedAud: audience }
      return createVerifier({ key, cache: true, ...options })
    }),
  },
  jose: {
    packages: ['jose'],
    how: '`createRemoteJWKSet`, `jwtVerify` with issuer and audience, in `onRequest`',
    listen: verifying(async ({ issuer, audience, jwksUri }) => {
      const { createRemoteJWKSet, jwtVerify } = await import('jose')
      const keys = createRemoteJWKSet(new URL(jwksUri))
      return token => jwtVerify(token, keys, { issuer, audience })
    }),
  },
  'aws-jwt-verify': {
    packages: ['aws-jwt-verify'],
    how: '`JwtVerifier.create({ issuer, audience, jwksUri })`, `verify` in `onRequest`',
    listen: verifying(async ({ issuer, audience, jwksUri }) => {
      const { JwtVerifier } = await import('aws-jwt-verify')
      const verifier = JwtVerifier.create({ issuer, audience, jwksUri })
      return token => verifier.verify(token)
    }),
  },
  'fastify-jwt-jwks': {
    packages: ['fastify-jwt-jwks'],
    how: 'the plugin with `jwksUrl`, `issuer`, `audience`; `preValidation: authenticate`',
    listen: onFastify(async (app, { issuer, audience, jwksUri }) => {
      const { default: plugin } = await import('fastify-jwt-jwks')
      await app.register(plugin, { jwksUrl: jwksUri, issuer, audience })
      return { preValidation: app.authenticate }
    }),
  },
  'express-oauth2-jwt-bearer': {
    packages: ['express-oauth2-jwt-bearer', 'express'],
    how: '`auth({ issuerBaseURL, audience })` on Express',
    listen: onExpress(async ({ issuer, audience }) => {
      const { auth } = await import('express-oauth2-jwt-bearer')
      return auth({ issuerBaseURL: issuer, audience })
    }),
  },
  'passport-azure-ad': {
    packages: ['passport-azure-ad', 'passport', 'express'],
    how: '`BearerStrategy` with `identityMetadata`, on Express; deprecated, and what we succeed',
    listen: onExpress(async ({ issuer, audience }, app) => {
      const { default: passport } = await import('passport')
      const { default: azure } = await import('passport-azure-ad')
      const options = {
        identityMetadata: `${issuer}/.well-known/openid-configuration`,
        clientID: audience,
        audience,
        issuer,
        loggingLevel: 'error',
        loggingNoPII: true,
      }
      passport.use(new azure.BearerStrategy(options, (token, done) => done(null, token, token)))
      app.use(passport.initialize())
      return passport.authenticate('oauth-bearer', { session: false })
    }),
  },
}

const SERVER = fileURLToPath(new URL('../dist/server.js', import.meta.url))

/** Our server as it is shipped; further variables are what is compared. */
const ours = (how, variables) => ({
  packages: [],
  how,
  command: ({ authority, tenant, audience, port, folder }) => ({
    file: process.execPath,
    args: [SERVER],
    env: {
      AZURE_AUTHORITY_HOST: authority,
      AZURE_TENANT_ID: tenant,
      AZURE_CLIENT_ID: audience,
      TOKEN_VERSIONS: '2.0',
      PORT: String(port),
      KEYS_CACHE_FILE: `${folder}/keys.json`,
      LOG_LEVEL: 'silent',
      RATE_LIMIT_MAX: '0',
      ...variables,
    },
  }),
})

const stack = name => ({
  ...STACKS[name],
  command: world => ({
    file: process.execPath,
    args: [fileURLToPath(new URL('server.mjs', import.meta.url)), JSON.stringify({ ...world, stack: name })],
    env: {},
  }),
})

/** HAProxy's own check of signature, issuer, audience and expiry; it answers by itself, without a server behind. */
export const haproxyConfiguration = ({ port, issuer, audience, folder }) => `global
  nbthread 1
defaults
  mode http
  timeout client 30s
  timeout connect 5s
  timeout server 30s
frontend api
  bind ${HOST}:${port}
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.iss) -m str ${issuer} }
  http-request deny deny_status 401 unless { var(txn.aud) -m str ${audience} }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${folder}/key.pem") -m int 1 }
  http-request return status 200 content-type application/json string '${JSON.stringify(MESSAGE)}'
`

/** Everybody, in the order of the table. `command` says how the process is started. */
export const SERVERS = {
  'protected-resource': ours('`npm start`; log off, `RATE_LIMIT_MAX=0`', {}),
  'protected-resource, log on': ours('the same with its log: one line a request', { LOG_LEVEL: 'info' }),
  // One caller makes all requests here, so the limit is high; counting costs the same.
  'protected-resource, limits on': ours('the same with callers counted', { RATE_LIMIT_MAX: '1000000000' }),
  ...Object.fromEntries(Object.keys(STACKS).map(name => [name, stack(name)])),
  HAProxy: {
    packages: [],
    how: 'native `jwt_verify`, issuer, audience, expiry; the key in a file',
    needs: 'haproxy',
    configuration: haproxyConfiguration,
    command: ({ folder, port }) => ({
      file: 'haproxy',
      args: ['-db', '-f', `${folder}/${port}.cfg`],
      env: {},
    }),
  },
}

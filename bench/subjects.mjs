/** Decides who is compared, and how each is configured: as its own documentation does for an API that accepts access tokens. */
import { request } from 'node:http'

const HOUR_MS = 3_600_000

/** A library's error by its own name for it. */
const errorName = error => error?.code ?? error?.cause?.code ?? error?.name ?? String(error)

/** A function that resolves for a good token, as what a caller sees. */
const library = verify => async token => {
  try {
    await verify(token)
    return { accepted: true, answer: 'accepted' }
  } catch (error) {
    return { accepted: false, answer: `throws ${errorName(error)}` }
  }
}

const bearer = token => ({ authorization: `Bearer ${token}` })
const fastify = app => async token => {
  const { statusCode } = await app.inject({ url: '/secure-data', headers: bearer(token) })
  return { accepted: statusCode === 200, answer: String(statusCode) }
}

/**
 * Each entry: the packages whose versions are printed, the configuration in words, and `create`, which loads the
 * library (after simulated time is in place) and gives a function that judges one token.
 */
export const SUBJECTS = {
  'protected-resource': {
    packages: [],
    configuration: 'the server as it is (`buildApp`), tenant and application id, `TOKEN_VERSIONS=2.0`',
    create: async ({ authority, tenant, audience, ca, clock }) => {
      const { buildApp } = await import('../dist/app.js')
      const { readConfig } = await import('../dist/config.js')
      const config = readConfig({
        AZURE_AUTHORITY_HOST: authority,
        AZURE_TENANT_ID: tenant,
        AZURE_CLIENT_ID: audience,
        TOKEN_VERSIONS: '2.0',
        LOG_LEVEL: 'silent',
      })
      // No jitter, so that the hour is an hour: with it, 54 to 66 minutes.
      const app = await buildApp(config, { clock, ca, random: () => 0.5 })
      await app.ready()
      return { ask: fastify(app), close: () => app.close() }
    },
  },
  jose: {
    packages: ['jose'],
    configuration: '`createRemoteJWKSet(url)`, `jwtVerify` with issuer and audience',
    create: async ({ issuer, audience, jwksUri }) => {
      const { createRemoteJWKSet, jwtVerify } = await import('jose')
      const keys = createRemoteJWKSet(new URL(jwksUri))
      return { ask: library(token => jwtVerify(token, keys, { issuer, audience })) }
    },
  },
  oauth4webapi: {
    packages: ['oauth4webapi'],
    configuration: '`validateJwtAccessToken(as, request, audience)`, `as` from its own discovery',
    create: async ({ issuer, audience }) => {
      const oauth = await import('oauth4webapi')
      const url = new URL(issuer)
      let as
      const discover = async () =>
        oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oidc' }))
      const verify = async token => {
        as ??= discover().catch(error => {
          as = undefined
          throw error
        })
        const asked = new Request('https://api.example/secure-data', { headers: bearer(token) })
        await oauth.validateJwtAccessToken(await as, asked, audience)
      }
      return { ask: library(verify) }
    },
  },
  'aws-jwt-verify': {
    packages: ['aws-jwt-verify'],
    configuration: '`JwtVerifier.create({ issuer, audience, jwksUri })`',
    create: async ({ issuer, audience, jwksUri }) => {
      const { JwtVerifier } = await import('aws-jwt-verify')
      const verifier = JwtVerifier.create({ issuer, audience, jwksUri })
      return { ask: library(token => verifier.verify(token)) }
    },
  },
  'jwks-rsa': {
    packages: ['jwks-rsa', 'jsonwebtoken'],
    configuration: '`jwksClient({ jwksUri, cache, rateLimit, jwksRequestsPerMinute: 5 })` with jsonwebtoken',
    create: world => createJwksRsa(world, {}),
  },
  'jwks-rsa, tuned': {
    packages: ['jwks-rsa', 'jsonwebtoken'],
    configuration: 'the same with `cacheMaxAgeFallback` of 24 hours, which nobody has by default',
    create: world => createJwksRsa(world, { cacheMaxAgeFallback: 24 * HOUR_MS }),
  },
  'get-jwks': {
    packages: ['get-jwks', 'fast-jwt'],
    configuration: '`buildGetJwks({ issuersWhitelist, providerDiscovery: true })` with fast-jwt',
    create: async ({ issuer, audience }) => {
      const { default: buildGetJwks } = await import('get-jwks')
      const { createVerifier } = await import('fast-jwt')
      const getJwks = buildGetJwks({ issuersWhitelist: [issuer], providerDiscovery: true })
      const verify = createVerifier({
        key: ({ header: { kid, alg } }) => getJwks.getPublicKey({ kid, alg, domain: issuer }),
        algorithms: ['RS256'],
        allowedIss: issuer,
        allowedAud: audience,
      })
      return { ask: library(verify) }
    },
  },
  'fastify-jwt-jwks': {
    packages: ['fastify-jwt-jwks', 'fastify'],
    configuration: 'the plugin with `jwksUrl`, `issuer`, `audience`; `preValidation: authenticate`',
    create: async ({ issuer, audience, jwksUri }) => {
      const { default: Fastify } = await import('fastify')
      const { default: plugin } = await import('fastify-jwt-jwks')
      const app = Fastify()
      await app.register(plugin, { jwksUrl: jwksUri, issuer, audience })
      app.get('/secure-data', { preValidation: app.authenticate }, async () => 'hello')
      await app.ready()
      return { ask: fastify(app), close: () => app.close() }
    },
  },
  'express-oauth2-jwt-bearer': {
    packages: ['express-oauth2-jwt-bearer', 'express'],
    configuration: '`auth({ issuerBaseURL, audience })` on Express',
    create: async ({ issuer, audience }) => {
      const { default: express } = await import('express')
      const { auth } = await import('express-oauth2-jwt-bearer')
      const app = express()
      app.get('/secure-data', auth({ issuerBaseURL: issuer, audience }), (_request, response) =>
        response.send('hello'),
      )
      app.use((error, _request, response, _next) => response.status(error.status ?? 500).end())
      const server = app.listen(0, '127.0.0.1')
      await new Promise(resolve => server.once('listening', resolve))
      const { port } = server.address()
      const ask = token =>
        new Promise((resolve, reject) => {
          const outgoing = request({ port, path: '/secure-data', headers: bearer(token) }, response => {
            response.resume()
            const { statusCode } = response
            response.on('end', () => resolve({ accepted: statusCode === 200, answer: String(statusCode) }))
          })
          outgoing.on('error', reject)
          outgoing.end()
        })
      return { ask, close: () => server.close() }
    },
  },
}

async function createJwksRsa({ issuer, audience, jwksUri }, more) {
  const { default: jwksClient } = await import('jwks-rsa')
  const { default: jwt } = await import('jsonwebtoken')
  const client = jwksClient({ jwksUri, cache: true, rateLimit: true, jwksRequestsPerMinute: 5, ...more })
  const getKey = ({ kid }, done) =>
    client.getSigningKey(kid).then(
      key => done(null, key.getPublicKey()),
      error => done(error),
    )
  const verify = token =>
    new Promise((resolve, reject) => {
      const options = { issuer, audience, algorithms: ['RS256'] }
      jwt.verify(token, getKey, options, (error, claims) => (error ? reject(error) : resolve(claims)))
    })
  return { ask: library(verify) }
}

/** Decides what the TLS port serves: documents, tokens, Microsoft Graph, and the switches behind the admin key. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Aadsts } from './aadsts.ts'
import { readClaimsRequest } from './claims-request.ts'
import { equalSecrets } from './client-authentication.ts'
import { findApplication, hasDocuments, hasTokens, issuerOf } from './directory.ts'
import { discoveryDocument } from './documents.ts'
import { type DocumentKind, pause, sendDocument } from './faults.ts'
import { answerTokenRequest, type Desk } from './grants.ts'
import { addGraph } from './graph.ts'
import { createPort, readForm, tenantOf } from './http.ts'
import { readScopes } from './scopes.ts'
import { misbehave } from './services.ts'
import { DEVICE_LIFETIME_MS } from './sign-ins.ts'
import type { SwitchTable } from './switch-table.ts'
import { note, type Weather } from './weather.ts'

/** Builds the TLS port. It does not listen. */
export function createTlsPort(
  desk: Desk,
  weather: Weather,
  switches: SwitchTable,
  adminKey: string,
): FastifyInstance {
  const { directory, signIns } = desk
  const app = createPort(directory.authority, directory)

  const serve =
    (kind: DocumentKind, produce: (tenant: string) => object) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      note(weather.requests, { method: request.method, url: request.url })
      if (!hasDocuments(directory, tenantOf(request))) throw new Aadsts(90002)
      if (weather.delayMs > 0) await pause(weather.delayMs, weather.stop)
      return sendDocument(reply, kind, produce(tenantOf(request)), {
        mode: weather.modes[kind],
        url: request.url,
        otherIssuer: issuerOf(directory, '00000000-0000-4000-8000-000000000000', 2),
        stop: weather.stop,
      })
    }

  const { authority, keys } = directory
  app.get(
    '/:tenant/v2.0/.well-known/openid-configuration',
    serve('discovery', tenant => discoveryDocument(directory, tenant, 2)),
  )
  app.get(
    '/:tenant/.well-known/openid-configuration',
    serve('discovery', tenant => discoveryDocument(directory, tenant, 1)),
  )
  app.get(
    '/:tenant/discovery/v2.0/keys',
    serve('keys', () => keys.document(authority, 2)),
  )
  app.get(
    '/:tenant/discovery/keys',
    serve('keys', () => keys.document(authority, 1)),
  )

  app.post('/:tenant/oauth2/v2.0/token', async (request, reply) => {
    const { method, url, headers } = request
    const form = readForm(request.body)
    note(weather.calls, { method, url, ...(form.grant_type && { grantType: form.grant_type }) })
    if (await misbehave(reply, weather.services.tokens, weather.stop)) return reply
    if (!hasTokens(directory, tenantOf(request))) throw new Aadsts(90002)
    return answerTokenRequest(desk, { form, authorization: headers.authorization, fromPage: false })
  })
  addGraph(app, directory, weather)

  app.post('/:tenant/oauth2/v2.0/devicecode', async request => {
    if (!hasTokens(directory, tenantOf(request))) throw new Aadsts(90002)
    const { client_id = '', scope = '', claims } = readForm(request.body)
    if (!findApplication(directory, client_id)) throw new Aadsts(700016, `Application: ${client_id}.`)
    readScopes(directory, scope)
    const { deviceCode, grant } = signIns.awaitPerson(client_id, scope, readClaimsRequest(claims).acrs)
    const verificationUri = `${directory.pages}/devicelogin`
    return {
      user_code: grant.userCode,
      device_code: deviceCode,
      verification_uri: verificationUri,
      expires_in: DEVICE_LIFETIME_MS / 1000,
      interval: 1,
      message: `To sign in, use a web browser to open the page ${verificationUri} and enter the code ${grant.userCode} to authenticate.`,
    }
  })

  app.post('/_local/:name', async (request, reply) => {
    const sent = request.headers['x-local-tenant-key']
    if (typeof sent !== 'string' || !equalSecrets(sent, adminKey)) {
      return reply.code(401).send({ error: 'unauthorized' })
    }
    const turn = switches.get((request.params as { name: string }).name)
    if (!turn) return reply.code(404).send({ error: 'no_such_switch', switches: [...switches.keys()] })
    try {
      return { result: (await turn((request.body ?? {}) as Record<string, unknown>)) ?? null }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return reply.code(400).send({ error: 'bad_request', detail: error.message })
    }
  })
  return app
}

/** Decides what the local Microsoft Graph answers: the profile of whoever the token is of, or Graph's own refusals. */

import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errors, type JWTPayload, jwtVerify } from 'jose'
import { GRAPH } from './claims.ts'
import type { Directory } from './directory.ts'
import { withHashedNonce } from './jws.ts'
import { PEOPLE, type Person } from './people.ts'
import { isRevoked } from './refresh-tokens.ts'
import { misbehave } from './services.ts'
import { note, type Weather } from './weather.ts'

interface Refusal {
  readonly status: 401 | 403
  readonly code: string
  readonly message: string
}

const invalidToken = (message: string): Refusal => ({
  status: 401,
  code: 'InvalidAuthenticationToken',
  message,
})
const NO_TOKEN = invalidToken('Access token is empty.')
const BAD_TOKEN = invalidToken('Access token validation failure.')
const EXPIRED = invalidToken('Lifetime validation failed, the token is expired.')
const WRONG_AUDIENCE = invalidToken('Access token validation failure. Invalid audience.')
const REVOKED = invalidToken(
  'Continuous access evaluation resulted in challenge with result: InteractionRequired.',
)
const NO_SCOPE: Refusal = {
  status: 403,
  code: 'Authorization_RequestDenied',
  message: 'Insufficient privileges to complete the operation.',
}

/** Reads a token for Graph. Only Graph knows that its signature is over the hash of the nonce. */
async function readToken(directory: Directory, token: string): Promise<{ claims: JWTPayload } | Refusal> {
  const { keys, now } = directory
  try {
    const { payload } = await jwtVerify(withHashedNonce(token), ({ kid = '' }) => keys.find(kid).publicKey, {
      algorithms: ['RS256'],
      currentDate: new Date(now()),
    })
    return payload.aud === GRAPH ? { claims: payload } : WRONG_AUDIENCE
  } catch (error) {
    return error instanceof errors.JWTExpired ? EXPIRED : BAD_TOKEN
  }
}

function refuse(reply: FastifyReply, { status, code, message }: Refusal, claims?: string): FastifyReply {
  if (status === 401) {
    const challenge =
      'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
    const asked =
      claims && `, error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`
    reply.header('www-authenticate', challenge + (asked ?? ''))
  }
  const id = randomUUID()
  const innerError = { 'request-id': id, 'client-request-id': id }
  return reply.code(status).send({ error: { code, message, innerError } })
}

/** A person as Microsoft Graph shows them by default; a guest goes by a name in the tenant they visit. */
function describe(directory: Directory, { handle, name, username, guest }: Person): object {
  const [givenName, surname] = name.split(' ')
  const visiting = `${username.replace('@', '_')}#EXT#@local.localhost`
  return {
    '@odata.context': `${directory.authority}/v1.0/$metadata#users/$entity`,
    businessPhones: [],
    displayName: name,
    givenName,
    jobTitle: null,
    mail: username,
    mobilePhone: null,
    officeLocation: null,
    preferredLanguage: null,
    surname,
    userPrincipalName: guest ? visiting : username,
    id: directory.state.people[handle],
  }
}

/** Adds `GET /v1.0/me`. Photos and everything else of Graph are left out. */
export function addGraph(app: FastifyInstance, directory: Directory, weather: Weather): void {
  app.get('/v1.0/me', async (request: FastifyRequest, reply: FastifyReply) => {
    note(weather.calls, { method: request.method, url: request.url })
    if (await misbehave(reply, weather.services.graph, weather.stop)) return reply
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) return refuse(reply, NO_TOKEN)
    const read = await readToken(directory, token)
    if ('status' in read) return refuse(reply, read)
    const { oid, iat, scp } = read.claims
    const person = PEOPLE.find(({ handle }) => directory.state.people[handle] === oid)
    if (!person || !String(scp).split(' ').includes('User.Read')) return refuse(reply, NO_SCOPE)
    if (isRevoked(directory, person.handle, Number(iat) * 1000)) {
      const value = String(Math.floor(directory.now() / 1000))
      return refuse(reply, REVOKED, JSON.stringify({ access_token: { nbf: { essential: true, value } } }))
    }
    return describe(directory, person)
  })
}

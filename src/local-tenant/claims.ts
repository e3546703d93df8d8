/** Decides the claims of Entra's tokens: what each version says of a person, of an application and of itself. */

import { createHmac, randomBytes, randomInt } from 'node:crypto'
import { type Application, type Directory, issuerOf } from './directory.ts'
import type { Json } from './jws.ts'
import type { Person } from './people.ts'

/** Microsoft Graph, the resource of every request that names no other. */
export const GRAPH = '00000003-0000-0000-c000-000000000000'

/** How the client proved itself: 0 not at all, 1 secret, 2 certificate. */
export type ClientProof = '0' | '1' | '2'

/** For whom a token is, from whom, and in which form. */
export interface TokenFacts {
  readonly client: Application
  readonly proof: ClientProof
  /** `aud`. */
  readonly audience: string
  readonly version: 1 | 2
}

const opaque = (bytes: number): string => randomBytes(bytes).toString('base64url')

// Entra's lifetimes are random between 60 and 90 minutes, so that nobody relies on one.
const lifetimeSeconds = (): number => randomInt(3600, 5400)

/** `sub` of a person is another one for every audience, `oid` the same for all. */
export function pairwiseSubject({ state }: Directory, person: Person, audience: string): string {
  return createHmac('sha256', Buffer.from(state.sealingKey, 'base64url'))
    .update(`sub ${person.handle} ${audience}`)
    .digest('base64url')
}

/** Object id and tenant of a person's home account, which for a guest is in the partner tenant. */
export function homeOf({ state }: Directory, person: Person): { uid: string; utid: string } {
  return {
    uid: state.people[person.handle]!,
    utid: person.guest ? state.partnerTenantId : state.tenantId,
  }
}

function envelope(directory: Directory, audience: string, version: 1 | 2): Json {
  const { tenantId } = directory.state
  const issuedAt = Math.floor(directory.now() / 1000)
  return {
    aud: audience,
    iss: issuerOf(directory, tenantId, version),
    iat: issuedAt,
    nbf: issuedAt,
    exp: issuedAt + lifetimeSeconds(),
    rh: `1.${opaque(24)}.`,
    tid: tenantId,
    uti: opaque(16),
    ver: `${version}.0`,
  }
}

function clientClaims({ client, proof, version }: TokenFacts): Json {
  return version === 2
    ? { azp: client.clientId, azpacr: proof }
    : { appid: client.clientId, appidacr: proof, app_displayname: client.name }
}

function guestClaims(directory: Directory, person: Person): Json {
  if (!person.guest) return {}
  return { acct: 1, idp: issuerOf(directory, directory.state.partnerTenantId, 1) }
}

/** Claims of an access token by which a client calls on a person's behalf. */
export function userClaims(directory: Directory, facts: TokenFacts, person: Person, scopes: string[]): Json {
  const { version } = facts
  const named =
    version === 2
      ? { preferred_username: person.username }
      : { unique_name: person.username, acr: '1', amr: ['pwd'], ipaddr: '127.0.0.1' }
  return {
    ...envelope(directory, facts.audience, version),
    aio: opaque(30),
    ...clientClaims(facts),
    ...guestClaims(directory, person),
    name: person.name,
    oid: directory.state.people[person.handle],
    ...named,
    ...(scopes.length > 0 && { scp: scopes.join(' ') }),
    sub: pairwiseSubject(directory, person, facts.audience),
  }
}

/** Claims of an access token by which an application calls in its own name; without a role it has no `roles`. */
export function applicationClaims(directory: Directory, facts: TokenFacts, roles: readonly string[]): Json {
  const { objectId } = facts.client
  return {
    ...envelope(directory, facts.audience, facts.version),
    aio: opaque(30),
    ...clientClaims(facts),
    idtyp: 'app',
    oid: objectId,
    ...(roles.length > 0 && { roles: [...roles] }),
    sub: objectId,
  }
}

/** Claims of an ID token. The nonce is there only when the request had one: msal-node refuses any other. */
export function idClaims(directory: Directory, audience: string, person: Person, nonce?: string): Json {
  return {
    ...envelope(directory, audience, 2),
    ...guestClaims(directory, person),
    name: person.name,
    oid: directory.state.people[person.handle],
    preferred_username: person.username,
    sub: pairwiseSubject(directory, person, audience),
    ...(nonce !== undefined && { nonce }),
  }
}

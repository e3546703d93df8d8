/** Decides what a verified token lets its bearer do here, in one vocabulary for users and applications of every issuer. */
import { LRUCache } from 'lru-cache'
import type { Preset } from './issuers.ts'
import type { JsonObject } from './jws.ts'

/**
 * Who is calling. `unknown` is a caller whose token does not say for which client it was issued, or that looks like
 * a service account: it satisfies neither "user only" nor "application only".
 */
export type CallerKind = 'user' | 'application' | 'unknown'

/** What a verified token lets its bearer do here. */
export interface Access {
  readonly kind: CallerKind
  /** `sub`: who this is at this issuer. Together with `issuer` it is the caller's identity. */
  readonly subject: string
  /** Entra's `oid`; together with `tenant` the identity that is the same in every application of the tenant. */
  readonly objectId: string | undefined
  /** Entra's `tid`. */
  readonly tenant: string | undefined
  /** The calling application: `azp`, `appid` or `client_id`. */
  readonly client: string | undefined
  /** Delegated permissions: what the user let the application do. */
  readonly scopes: readonly string[]
  /** Application permissions of an application, or the app roles of a user: never each other's (ENTRA-16). */
  readonly roles: readonly string[]
  /** For display only, never for a decision or as a data key (ENTRA-18). */
  readonly name: string
  readonly issuer: string
  /** `exp`, in seconds since 1970. */
  readonly expiresAt: number
  /** All claims of the token, read-only. */
  readonly claims: JsonObject
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

const NONE: readonly string[] = Object.freeze([])
/** Callers of one application mostly hold the same scopes, so their lists are one. */
const known = new LRUCache<string, readonly string[]>({ max: 1000 })
const MAX_KNOWN_CHARACTERS = 500

function words(value: unknown): readonly string[] {
  if (typeof value !== 'string') return NONE
  const before = known.get(value)
  if (before !== undefined) return before
  const list = Object.freeze(value.split(' ').filter(word => word !== ''))
  if (value.length <= MAX_KNOWN_CHARACTERS) known.set(value, list)
  return list
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? Object.freeze(value.filter(item => typeof item === 'string')) : NONE
}

/** ENTRA-16: `idtyp` when the token has it, else a delegated token is the one with `scp`. */
function kindAtEntra(claims: JsonObject): CallerKind {
  if (claims.idtyp === 'app') return 'application'
  if (claims.idtyp === 'user') return 'user'
  return claims.scp === undefined ? 'application' : 'user'
}

/**
 * Marks of a service account in the tokens of common issuers, where `sub` is not the client itself (Auth0's grant
 * type, Keycloak's user name). They only ever take rights away: such a caller is not taken for a user.
 */
function isServiceAccount({ gty, preferred_username: username }: JsonObject): boolean {
  return (
    gty === 'client-credentials' || (typeof username === 'string' && username.startsWith('service-account-'))
  )
}

/** RFC 9068 §2.2 and §5: where no resource owner is involved, `sub` is the client itself. */
function kindByRfc9068(claims: JsonObject, subject: string, client: string | undefined): CallerKind {
  if (client === undefined) return 'unknown'
  if (subject === client) return 'application'
  return isServiceAccount(claims) ? 'unknown' : 'user'
}

/**
 * B2C puts an application's own permissions into `scp` too (client credentials), so that says nothing of who is
 * calling. `auth_time` and `nonce` come from a sign-in; without either nobody can tell.
 */
const kindAtB2c = (claims: JsonObject): CallerKind =>
  claims.auth_time === undefined && claims.nonce === undefined ? 'unknown' : 'user'

function kindOf(preset: Preset, claims: JsonObject, subject: string, client: string | undefined): CallerKind {
  if (preset === 'entra') return kindAtEntra(claims)
  return preset === 'b2c' ? kindAtB2c(claims) : kindByRfc9068(claims, subject, client)
}

/** Freezes what JSON can hold, all the way down, so that no handler can change what another one reads. */
function freeze(root: JsonObject): JsonObject {
  const pending: object[] = [root]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    for (const value of Object.values(Object.freeze(node))) {
      if (typeof value === 'object' && value !== null) pending.push(value)
    }
  }
  return root
}

/**
 * Reads the access out of claims that have been verified and checked; `iss`, `exp` and one of `sub` and `oid`
 * are there.
 *
 * @param preset whose vocabulary the claims are in
 */
export function readAccess(preset: Preset, claims: JsonObject): Access {
  const subject = text(claims.sub) ?? (claims.oid as string)
  const client =
    preset === 'rfc9068'
      ? (text(claims.client_id) ?? text(claims.azp))
      : (text(claims.azp) ?? text(claims.appid))
  const name =
    text(claims.name) ??
    text(claims.preferred_username) ??
    text(claims.unique_name) ??
    text(claims.app_displayname) ??
    client ??
    subject

  return Object.freeze({
    kind: kindOf(preset, claims, subject, client),
    subject,
    objectId: text(claims.oid),
    tenant: text(claims.tid),
    client,
    scopes: words(preset === 'rfc9068' ? claims.scope : claims.scp),
    roles: strings(claims.roles),
    name,
    issuer: claims.iss as string,
    expiresAt: claims.exp as number,
    claims: freeze(claims),
  })
}

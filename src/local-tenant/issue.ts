/** Decides how a good token is issued without a request: for a person or an application, with any part overridden. */

import type { KeyObject } from 'node:crypto'
import { applicationClaims, idClaims, type TokenFacts, userClaims } from './claims.ts'
import { type ApplicationName, application, type Directory } from './directory.ts'
import { compact, type Json, rsaSigner } from './jws.ts'
import { findPerson } from './people.ts'
import type { SigningKey } from './signing-key.ts'

/** What to issue. Without anything: ada's token with Data.Read, in the version the API asks for. */
export interface IssueOptions {
  /** Handle or username; default `ada` unless `app` is given. */
  readonly person?: string
  /** An application that calls in its own name; with `person`, the client that calls on their behalf. */
  readonly app?: ApplicationName
  readonly version?: 1 | 2
  /** Default: what a person has consented to, Data.Read alone when that is among it. */
  readonly scopes?: readonly string[]
  /** Default: the application's own; none for a person. */
  readonly roles?: readonly string[]
  /** Laid over the claims; undefined removes one. */
  readonly claims?: Json
  /** Laid over the header; undefined removes a parameter. */
  readonly header?: Json
  /** Key id of one of the tenant's keys, or any RSA private key; default: the key that signs. */
  readonly key?: string | KeyObject
}

/** A token taken apart, before it is signed. */
export interface Draft {
  readonly header: Json
  readonly claims: Json
  readonly key: KeyObject
}

/** How tokens for the API name it: v2.0 by client id, v1.0 by App ID URI. */
export function apiAudience({ state }: Directory, version: 1 | 2): string {
  const { clientId } = state.applications.api
  return version === 2 ? clientId : `api://${clientId}`
}

/** The header of Entra's tokens: `typ` is JWT, and v1.0 has `x5t` beside `kid`. */
export function tokenHeader(key: SigningKey, version: 1 | 2): Json {
  return { typ: 'JWT', alg: 'RS256', ...(version === 1 && { x5t: key.kid }), kid: key.kid }
}

/** Signs claims with the key that signs now. */
export function signToken(directory: Directory, claims: Json, version: 1 | 2): string {
  const key = directory.keys.signing()
  const header = tokenHeader(key, version)
  return compact(header, claims, rsaSigner(key.privateKey, header))
}

// JSON leaves out what is undefined, so laying `undefined` over a claim removes it.
const lay = (under: Json, over: Json | undefined): Json => ({ ...under, ...over })

function draftClaims(directory: Directory, options: IssueOptions, version: 1 | 2): Json {
  const audience = apiAudience(directory, version)
  if (options.person === undefined && options.app !== undefined) {
    const client = application(directory, options.app)
    const facts: TokenFacts = { client, proof: '1', audience, version }
    return applicationClaims(directory, facts, options.roles ?? client.roles)
  }
  const person = findPerson(options.person ?? 'ada')
  if (!person)
    throw new RangeError(`nobody called ${JSON.stringify(options.person)} lives in the local tenant`)
  const app = options.app ?? 'publicClient'
  const proof = app === 'publicClient' ? '0' : '1'
  const facts: TokenFacts = { client: application(directory, app), proof, audience, version }
  const scopes = options.scopes ?? person.consents.slice(0, 1)
  const claims = userClaims(directory, facts, person, [...scopes])
  return options.roles ? { ...claims, roles: [...options.roles] } : claims
}

/** Drafts an access token for the API. */
export function draftToken(directory: Directory, options: IssueOptions = {}): Draft {
  const version = options.version ?? directory.settings.accessTokenVersion
  const { keys } = directory
  const named = typeof options.key === 'string' ? keys.find(options.key) : keys.signing()
  return {
    header: lay(tokenHeader(named, version), options.header),
    claims: lay(draftClaims(directory, options, version), options.claims),
    key: typeof options.key === 'object' ? options.key : named.privateKey,
  }
}

/** Drafts an ID token that names the API as its audience. */
export function draftIdToken(directory: Directory, options: IssueOptions, nonce: string): Draft {
  const draft = draftToken(directory, { ...options, version: 2 })
  const person = findPerson(options.person ?? 'ada')!
  const claims = idClaims(directory, apiAudience(directory, 2), person, nonce)
  return { ...draft, claims: lay(claims, options.claims) }
}

/** Issues an access token for the API. */
export function issueToken(directory: Directory, options: IssueOptions = {}): string {
  const { header, claims, key } = draftToken(directory, options)
  return compact(header, claims, rsaSigner(key, header))
}

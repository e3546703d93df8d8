/** Decides what there is to know of an issuer before one of its tokens is judged. */
import type { Refusal } from '../errors.ts'
import type { TokenVersion } from './clouds.ts'
import type { JsonObject } from './jws.ts'

/** Whose rules and vocabulary a token follows. */
export type Preset = 'entra' | 'b2c' | 'rfc9068'

/** One issuer, or one form of the issuers of an Entra authority. */
export interface TrustedIssuer {
  readonly preset: Preset
  /** What `ver` says; Entra and B2C only. */
  readonly version: TokenVersion | undefined
  /** How logs and `/readyz` call it: the issuer itself, or the metadata address for Entra. */
  readonly name: string
  /** The discovery document is `<metadata>/.well-known/openid-configuration`; no trailing slash. */
  readonly metadata: string
  /** Entra application whose own signing keys are published under `?appid=` (ENTRA-26). */
  readonly appId?: string | undefined
  /** Whether the discovery document may name this `issuer`; for many tenants it holds `{tenantid}` literally. */
  readonly mayClaim: (documentIssuer: string) => boolean
  /** The tenant that an issuer value names in either of Entra's forms, if it is one of this authority. */
  readonly tenantOf: (issuer: string) => string | undefined
  /** RFC 8725 §3.1: the only algorithms that are looked at. */
  readonly algorithms: readonly string[]
  /** Accepted `typ`, in lower case and without `application/`. */
  readonly types: readonly string[]
  /** Accepted `aud`, compared exactly. */
  readonly audiences: readonly string[]
  /** Whether RFC 9068 §2.2's required claims are demanded. */
  readonly strict: boolean
  /** Whether a discovery document that answers 404 switches this form off instead of being an outage. */
  readonly optional: boolean
  /** Time that earns one more forced key refresh, in milliseconds (C-7). */
  readonly forcedRefreshWindowMs: number
}

/** A trusted issuer that a token claims to come from, and the tenant that its `iss` names (Entra only). */
export interface IssuerMatch {
  readonly issuer: TrustedIssuer
  readonly tenant: string | undefined
}

/**
 * Finds the trusted issuer that an unverified `iss` names; costs no fetch, whatever it holds (BCP-7).
 *
 * @param claims the token's claims, unverified: B2C's `iss` does not say which policy's keys signed, they do
 */
export type FindIssuer = (iss: unknown, claims?: JsonObject) => IssuerMatch | Refusal

/** What makes an Entra authority trusted. */
export interface EntraTrust {
  /** Origin of the login host, without a trailing slash. */
  readonly authority: string
  /** Tenant GUID, or `common`/`organizations`. */
  readonly tenant: string
  /** Tenants that may call when `tenant` is none itself; `*` is any. */
  readonly allowedTenants: readonly string[] | '*'
  readonly versions: readonly TokenVersion[]
  /** Accepted audiences by token version. */
  readonly audiences: Readonly<Record<TokenVersion, readonly string[]>>
  /** Application whose own signing keys are trusted too (ENTRA-26). */
  readonly signingKeysAppId?: string | undefined
  /** Names of the user flows and custom policies whose tokens are accepted; with any, the authority is Azure AD B2C. */
  readonly b2cPolicies?: readonly string[] | undefined
}

/** What makes an issuer of RFC 9068 tokens trusted. */
export interface Rfc9068Trust {
  /** Exactly as it stands in `iss`. */
  readonly issuer: string
  readonly audiences: readonly string[]
  /** `at+jwt`, or `JWT` for issuers that do not type their access tokens. */
  readonly tokenType: 'at+jwt' | 'JWT'
}

/** Time that earns one more forced refresh of Entra's keys, in milliseconds (C-7). */
export const ENTRA_WINDOW_MS = 300_000

/** The refusal of an `iss` that nobody here answers to. */
export function untrusted(iss: unknown, issuers: readonly TrustedIssuer[]): Refusal {
  if (iss === undefined) return { code: 'missing_claim', about: 'iss' }
  if (typeof iss !== 'string') {
    return { code: 'malformed_claim', about: 'iss', received: typeof iss, expected: 'a string' }
  }
  return { code: 'untrusted_issuer', about: 'iss', received: iss, expected: issuers.map(({ name }) => name) }
}

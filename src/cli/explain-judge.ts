/** Decides what `explain` knows of the server whose judgement it explains: the server's own functions, handed in as values. */
import type { Refusal } from '../errors.ts'
import type { Access } from '../token/access.ts'
import type { Authenticate } from '../token/authenticate.ts'
import type { FindIssuer, TrustedIssuer } from '../token/issuers.ts'
import type { KeySet } from '../token/keys/fetch.ts'
import type { RouteAccess } from '../token/policy.ts'
import type { Trust } from '../token/trust.ts'
import type { Io } from './io.ts'

/** One route of the server. */
export interface Route {
  /** For example `GET /orders`. */
  readonly route: string
  readonly access: RouteAccess
}

/** What an issuer says of itself at the moment. */
export interface Discovery {
  /** Where it was asked. */
  readonly address: string
  readonly status: number
  /** The `issuer` of the document. */
  readonly issuer: unknown
  /** This machine's time minus the issuer's, in seconds; absent when the answer has no usable date. */
  readonly aheadSeconds: number | undefined
}

/** A server that has been built from a configuration and does not listen. */
export interface Judge {
  readonly trust: Trust
  /** AZURE_CLIENT_ID. */
  readonly clientId: string | undefined
  readonly issuers: readonly TrustedIssuer[]
  readonly findIssuer: FindIssuer
  readonly authenticate: Authenticate
  readonly enforce: (access: Exclude<RouteAccess, 'public'>, caller: Access) => Refusal | undefined
  readonly routes: readonly Route[]
  /** How a refusal is answered. */
  readonly answer: (
    refusal: Refusal,
    access?: RouteAccess,
  ) => { readonly status: number; readonly detail: string }
  /** The issuer's keys as the server fetches them, anew. @throws {Error} that says what was wrong */
  readonly fetchKeys: (issuer: TrustedIssuer, appId?: string) => Promise<KeySet>
  /** @throws {Error} that says why the issuer can't be asked */
  readonly discover: (issuer: TrustedIssuer) => Promise<Discovery>
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Whether keys come from a file, and nothing is asked over the network. */
  readonly offline: boolean
  /** Whether the configuration is that of the local tenant that runs here. */
  readonly local: boolean
  readonly close: () => Promise<void>
}

/** A JWK Set that was read from a file, and the token that is judged by it. */
export interface OfflineKeys {
  readonly keys: unknown
  readonly token: string
}

/** Builds the server that this environment means. @throws {Misconfigured} */
export type OpenJudge = (io: Io, offline?: OfflineKeys) => Promise<Judge>

/** Decides what the command line needs to know of a running local tenant; the local tenant's profile has this shape. */

/** A running local tenant. */
export interface LocalTenant {
  /** Origin of its TLS port. */
  readonly authority: string
  /** Origin of its page port: plain http, where people sign in. */
  readonly pages: string
  /** Base address of its Microsoft Graph. */
  readonly graph: string
  readonly tenantId: string
  /** PEM of the certificate authority behind the TLS port. */
  readonly ca: string
  readonly api: Application
  readonly publicClient: Application
  readonly daemon: Application
  readonly daemonWithoutRole: Application
  readonly people: readonly Person[]
}

/** A registered application; a public client has no secret. */
export interface Application {
  readonly clientId: string
  readonly clientSecret?: string
}

/** Somebody who can sign in there. */
export interface Person {
  /** What `--as` takes. */
  readonly handle: string
  readonly username: string
  readonly about: string
}

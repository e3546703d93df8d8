/** Decides what can be done to a running tenant: keys, outages, faults, sessions, and tokens without a request. */

import { createPublicKey, X509Certificate } from 'node:crypto'
import type { AddedCredential, ApplicationName, Directory } from './directory.ts'
import type { DocumentKind, FaultMode } from './faults.ts'
import { type IssueOptions, issueToken } from './issue.ts'
import type { KeyStatus, Rotation } from './key-ring.ts'
import type { OpenPort } from './listen.ts'
import { type MintKind, mintToken } from './mint.ts'
import { findPerson } from './people.ts'
import type { Service, ServiceMode } from './services.ts'
import type { Weather } from './weather.ts'

/** What can be done to a running tenant, in the process or over HTTP. */
export interface Switches {
  /** Makes a new signing key; the old ones stay published. @returns its key id */
  rotate(rotation?: Rotation): Promise<string>
  /** Publishes a key that `rotate({ publish: false })` made. */
  publish(kid: string): Promise<void>
  /** Signs with a key that `rotate({ use: false })` made. */
  use(kid: string): Promise<void>
  /** Withdraws a key; default: the oldest that does not sign. @returns its key id */
  retire(kid?: string): Promise<string>
  keys(): KeyStatus[]
  /** The TLS port resets every connection, until `comeUp`. */
  goDown(): void
  comeUp(): void
  /** Delays every document by this many milliseconds; 0 ends it. */
  slow(ms: number): void
  /** Makes discovery documents, keys or both misbehave, until `answer('all', 'ok')`. */
  answer(kind: DocumentKind | 'all', mode: FaultMode): void
  /** Decides the form of the API's access tokens, as requestedAccessTokenVersion does. */
  accessTokenVersion(version: 1 | 2): void
  /** Revokes the refresh tokens of a person. */
  revokeSessions(handle: string): void
  /** Grants or takes back the consent that lets the API call Microsoft Graph on behalf of people. */
  graphConsent(given: boolean): void
  /** Guards Microsoft Graph with an authentication context (`c1` to `c99`); undefined ends it. */
  graphContext(context: string | undefined): void
  /** Makes Microsoft Graph or the token endpoint misbehave, until mode `ok`. */
  service(service: Service, mode: ServiceMode, retryAfterSeconds?: number): void
  /** Adds a certificate or a federated credential to an application. @throws RangeError when its PEM is none */
  addCredential(app: ApplicationName, credential: AddedCredential): void
  /** A good access token for the API, with any part overridden; without any request. */
  issue(options?: IssueOptions): string
  /** A token that is deliberately wrong in one thing. */
  mint(kind: MintKind, overrides?: IssueOptions): Promise<string>
}

function checkPem(credential: AddedCredential): void {
  try {
    if ('certificate' in credential) new X509Certificate(credential.certificate)
    else createPublicKey(credential.publicKey)
  } catch (cause) {
    throw new RangeError('expected PEM of a certificate or of a public key', { cause })
  }
}

/** Wires the switches to what they change. */
export function assembleSwitches(directory: Directory, weather: Weather, port: OpenPort): Switches {
  const { rotate, publish, use, retire, statuses } = directory.keys
  return {
    rotate,
    publish,
    use,
    retire,
    keys: statuses,
    goDown: port.goDown,
    comeUp: port.comeUp,
    slow(ms) {
      weather.delayMs = ms
    },
    answer(kind, mode) {
      if (kind !== 'keys') weather.modes.discovery = mode
      if (kind !== 'discovery') weather.modes.keys = mode
    },
    accessTokenVersion(version) {
      directory.settings.accessTokenVersion = version
    },
    revokeSessions(handle) {
      if (!findPerson(handle)) throw new RangeError(`nobody called ${JSON.stringify(handle)} lives here`)
      directory.settings.revokedBefore.set(handle, directory.now())
    },
    graphConsent(given) {
      directory.settings.graphConsent = given
    },
    graphContext(context) {
      directory.settings.graphContext = context
    },
    service(service, mode, retryAfterSeconds) {
      weather.services[service] = { mode, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) }
    },
    addCredential(app, credential) {
      const { addedCredentials } = directory.settings
      checkPem(credential)
      addedCredentials.set(app, [...(addedCredentials.get(app) ?? []), credential])
    },
    issue: options => issueToken(directory, options),
    mint: (kind, overrides) => mintToken(directory, kind, overrides),
  }
}

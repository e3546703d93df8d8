/** Decides what the rooms of the local tenant share: who is registered, where it answers, and which clock it reads. */

import type { KeyRing } from './key-ring.ts'
import { API_ROLE } from './people.ts'
import { CONSUMER_TENANT } from './signing-key.ts'
import type { State } from './state.ts'

/** An application registered here. */
export interface Application {
  readonly clientId: string
  readonly objectId: string
  readonly name: string
  /** Absent for a public client. */
  readonly secret?: string
  /** PEM of the certificates it may prove itself with. */
  readonly certificates: readonly string[]
  /** Whose tokens it may prove itself with (workload identity federation). */
  readonly federated: readonly FederatedCredential[]
  /** Application permissions it holds on the protected API. */
  readonly roles: readonly string[]
}

/** An outside issuer that vouches for an application. */
export interface FederatedCredential {
  /** `iss` of its tokens, exactly. */
  readonly issuer: string
  /** `sub` of its tokens, exactly. */
  readonly subject: string
  /** PEM of the key that signs them. */
  readonly publicKey: string
}

/** A certificate or a federated credential, as somebody adds it to a registration in the portal. */
export type AddedCredential = { readonly certificate: string } | FederatedCredential

/** What can be changed while the tenant runs. */
export interface Settings {
  /** Which form the protected API's access tokens take. */
  accessTokenVersion: 1 | 2
  /** Origins of the API's docs page: may receive codes, and may redeem them from a browser. */
  docsOrigins: readonly string[]
  /** By handle: refresh tokens issued before this moment (ms) are dead. */
  readonly revokedBefore: Map<string, number>
  /** Whether the protected API may call Microsoft Graph on behalf of people. */
  graphConsent: boolean
  /** The authentication context that Microsoft Graph is guarded with, for example `c1`. */
  graphContext: string | undefined
  /** By application. */
  readonly addedCredentials: Map<ApplicationName, readonly AddedCredential[]>
}

/** Where the tenant says what becomes of it: one line each. */
export interface TenantLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** The local tenant, as its rooms see it. */
export interface Directory {
  readonly state: State
  /** Origin of the TLS port, on the host of v2.0 issuers. */
  readonly authority: string
  /** Origin of the TLS port, on the host of v1.0 issuers. */
  readonly v1Authority: string
  /** Origin of the page port. */
  readonly pages: string
  readonly keys: KeyRing
  readonly settings: Settings
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: TenantLog | undefined
}

/** The names under which the applications are known in the profile and to `issue`. */
export type ApplicationName = keyof State['applications']

const NAMES: Readonly<Record<ApplicationName, string>> = {
  api: 'Protected API (local)',
  publicClient: 'Command line and docs (local)',
  daemon: 'Daemon (local)',
  daemonWithoutRole: 'Daemon without a role (local)',
}

/** @returns the application of that name */
export function application({ state, settings }: Directory, name: ApplicationName): Application {
  const added = settings.addedCredentials.get(name) ?? []
  const certificates = added.flatMap(one => ('certificate' in one ? [one.certificate] : []))
  return {
    ...state.applications[name],
    name: NAMES[name],
    roles: name === 'daemon' ? [API_ROLE] : [],
    certificates: name === 'daemon' ? [state.daemonCertificate.certificate, ...certificates] : certificates,
    federated: added.filter(one => 'issuer' in one),
  }
}

/** @returns the application with this client id, if it is registered here */
export function findApplication(directory: Directory, clientId: string): Application | undefined {
  const names = Object.keys(NAMES) as ApplicationName[]
  return names.map(name => application(directory, name)).find(one => one.clientId === clientId)
}

/** The issuer of a tenant's tokens; v1.0 tokens are issued under another host, as at Entra. */
export function issuerOf(directory: Directory, tenant: string, version: 1 | 2): string {
  return version === 2 ? `${directory.authority}/${tenant}/v2.0` : `${directory.v1Authority}/${tenant}/`
}

/** Whether a path may name this tenant to read documents. */
export function hasDocuments({ state }: Directory, tenant: string): boolean {
  return [state.tenantId, state.partnerTenantId, CONSUMER_TENANT].includes(tenant) || isShared(tenant)
}

/** Whether a path may name this tenant to obtain a token. */
export function hasTokens({ state }: Directory, tenant: string): boolean {
  return tenant === state.tenantId || isShared(tenant)
}

/** Whether this is a name for every tenant rather than one. */
export function isShared(tenant: string): boolean {
  return tenant === 'common' || tenant === 'organizations'
}

/** Decides how the local tenant is put together: state, two loopback ports, and the switches over them. */

import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type CertifiedKey, createServerCertificate } from './certificates.ts'
import { application, type Directory, type TenantLog } from './directory.ts'
import type { Desk } from './grants.ts'
import { openKeyRing } from './key-ring.ts'
import { openPort, portsFrom } from './listen.ts'
import { createPagePort } from './page-port.ts'
import { describePeople } from './people.ts'
import {
  type LocalApplication,
  type LocalTenantProfile,
  readProfile,
  removeProfile,
  writeProfile,
} from './profile.ts'
import { createSignIns } from './sign-ins.ts'
import { openState } from './state.ts'
import { tabulateSwitches } from './switch-table.ts'
import { assembleSwitches, type Switches } from './switches.ts'
import { createTlsPort } from './tls-port.ts'
import { createWeather, type DocumentRequest, type ServiceCall } from './weather.ts'

/** How to start a local tenant. */
export interface LocalTenantOptions {
  /** Where keys, ids and secrets outlive a restart, and the profile is written; absent: nothing on disk. */
  readonly stateFolder?: string
  /** TLS port; 0: any. When it is busy, the next free one. The page port is the one after it when that is free. */
  readonly port: number
  /** Milliseconds since the epoch; default: the real clock. */
  readonly now?: () => number
  readonly log?: TenantLog
  /** Origin of the API beside it, for the profile. */
  readonly apiUrl?: string
  /** Origins whose docs page may sign people in and redeem the code from the browser. */
  readonly docsOrigins?: readonly string[]
}

/** A running local tenant. */
export interface LocalTenant extends Switches {
  readonly profile: LocalTenantProfile
  /** The tenant that gus comes from, and that wrong-tenant tokens are of. */
  readonly partnerTenantId: string
  /** Key and certificate with which the daemon may prove itself. */
  readonly daemonCertificate: CertifiedKey
  /** The latest requests for discovery documents and keys, oldest first. */
  readonly requests: DocumentRequest[]
  /** The latest calls of the token endpoint and of Microsoft Graph, oldest first. */
  readonly calls: ServiceCall[]
  /** Says in the profile where the API is. */
  setApiUrl(url: string): Promise<void>
  setDocsOrigins(origins: readonly string[]): void
  close(): Promise<void>
}

function registration(directory: Directory, name: Parameters<typeof application>[1]): LocalApplication {
  const { clientId, name: displayName, secret } = application(directory, name)
  return { clientId, name: displayName, ...(secret !== undefined && { clientSecret: secret }) }
}

function describe(directory: Directory, adminKey: string, apiUrl: string | undefined): LocalTenantProfile {
  return {
    authority: directory.authority,
    pages: directory.pages,
    graph: `${directory.authority}/v1.0`,
    tenantId: directory.state.tenantId,
    ca: directory.state.authority.certificate,
    api: registration(directory, 'api'),
    publicClient: registration(directory, 'publicClient'),
    daemon: registration(directory, 'daemon'),
    daemonWithoutRole: registration(directory, 'daemonWithoutRole'),
    people: describePeople(),
    adminKey,
    ...(apiUrl !== undefined && { apiUrl }),
  }
}

/**
 * Starts a local tenant on loopback: an issuer shaped like Microsoft Entra ID, for development and tests.
 * @returns when both ports answer and, with a state folder, the profile is written
 */
export async function startLocalTenant(options: LocalTenantOptions): Promise<LocalTenant> {
  const { stateFolder, port, now = Date.now, log, docsOrigins = [] } = options
  const store = await openState(stateFolder)
  const leaf = await createServerCertificate(store.state.authority)
  const tls = await openPort(
    createTlsServer({ cert: leaf.certificate, key: leaf.privateKey }),
    portsFrom(port),
  )
  const page = await openPort(createServer(), [...portsFrom(tls.port + 1), 0])
  const directory: Directory = {
    state: store.state,
    authority: `https://localhost:${tls.port}`,
    v1Authority: `https://127.0.0.1:${tls.port}`,
    pages: `http://localhost:${page.port}`,
    keys: openKeyRing(store),
    settings: {
      accessTokenVersion: 2,
      docsOrigins,
      revokedBefore: new Map(),
      graphConsent: true,
      graphContext: undefined,
      addedCredentials: new Map(),
    },
    now,
    log,
  }
  const desk: Desk = { directory, signIns: createSignIns(now) }
  const stop = new AbortController()
  const weather = createWeather(stop.signal)
  const adminKey = randomBytes(32).toString('base64url')
  const switches = assembleSwitches(directory, weather, tls)
  const apps = [
    createTlsPort(desk, weather, tabulateSwitches(switches), adminKey),
    createPagePort(desk),
  ] as const
  await Promise.all(apps.map(app => app.ready()))
  tls.serve(apps[0].routing)
  page.serve(apps[1].routing)

  let profile = describe(directory, adminKey, options.apiUrl)
  if (stateFolder !== undefined) await writeProfile(stateFolder, profile)
  log?.info({ authority: directory.authority, pages: directory.pages }, 'local tenant listens')

  return {
    ...switches,
    get profile() {
      return profile
    },
    partnerTenantId: store.state.partnerTenantId,
    daemonCertificate: store.state.daemonCertificate,
    requests: weather.requests,
    calls: weather.calls,
    async setApiUrl(apiUrl) {
      profile = { ...profile, apiUrl }
      if (stateFolder !== undefined) await writeProfile(stateFolder, profile)
    },
    setDocsOrigins(origins) {
      directory.settings.docsOrigins = origins
    },
    async close() {
      stop.abort()
      await Promise.all([tls.close(), page.close(), ...apps.map(app => app.close())])
      if (stateFolder === undefined) return
      // Another tenant may have taken the folder over in the meantime: its profile is not ours to remove.
      if ((await readProfile(stateFolder))?.adminKey === adminKey) await removeProfile(stateFolder)
    },
  }
}

/** Decides what a running local tenant says of itself to the processes beside it, and where that is written. */

import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writePrivateFile } from './files.ts'

/** An application registered in the local tenant. */
export interface LocalApplication {
  readonly clientId: string
  readonly name: string
  /** Absent for a public client. */
  readonly clientSecret?: string
}

/** A person who can sign in at the local tenant. */
export interface LocalPerson {
  /** What `--as` takes: `ada`, `bob`, `gus`. */
  readonly handle: string
  readonly name: string
  readonly username: string
  /** What this person is here to show, for the sign-in page and `--help`. */
  readonly about: string
}

/** Written to `<state folder>/profile.json` (0600) while the local tenant runs, and removed when it stops. */
export interface LocalTenantProfile {
  /** Origin of the TLS port, for example `https://localhost:8443`. */
  readonly authority: string
  /** Origin of the plain-http page port (sign-in pages, and POST /token for public clients), for example `http://localhost:8444`. */
  readonly pages: string
  /** Base URL of the local Microsoft Graph, for GRAPH_URL. */
  readonly graph: string
  readonly tenantId: string
  /** PEM of the certificate authority that signed the TLS port's certificate. */
  readonly ca: string
  /** The protected API: `clientId` is AZURE_CLIENT_ID; scopes are `api://<clientId>/<scope>`. */
  readonly api: LocalApplication
  /** Public client for people: interactive, device code, and the docs page. */
  readonly publicClient: LocalApplication
  /** Daemon with the application permission Data.Read.All. */
  readonly daemon: LocalApplication
  /** Daemon with no application permission. */
  readonly daemonWithoutRole: LocalApplication
  readonly people: readonly LocalPerson[]
  /** Random key that the admin requests must carry in the header `x-local-tenant-key`. */
  readonly adminKey: string
  /** URL of the API that runs beside it, once it listens. */
  readonly apiUrl?: string
}

const FILE = 'profile.json'

/** Writes the profile for the processes beside it: `<folder>/profile.json` 0600, the folder 0700. */
export async function writeProfile(folder: string, profile: LocalTenantProfile): Promise<void> {
  await writePrivateFile(folder, FILE, `${JSON.stringify(profile, null, 2)}\n`)
}

/** @returns the profile of the local tenant that runs with this state folder, or undefined when none runs */
export async function readProfile(folder: string): Promise<LocalTenantProfile | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, FILE), 'utf8')) as LocalTenantProfile
  } catch {
    // Absent or half a file: either way there is no tenant to talk to.
    return undefined
  }
}

/** Says that no local tenant runs with this state folder any more. */
export async function removeProfile(folder: string): Promise<void> {
  await rm(join(folder, FILE), { force: true })
}

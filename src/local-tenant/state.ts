/** Decides what of the local tenant outlives a restart, and makes it up at random on the first run. */

import { randomBytes, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CertifiedKey, createAuthority, createRsaKey } from './certificates.ts'
import { createPrivateFile, writePrivateFile } from './files.ts'
import { PEOPLE } from './people.ts'
import { createSigningKey, type StoredKey } from './signing-key.ts'

/** An application registration as it is stored. */
export interface StoredApplication {
  readonly clientId: string
  /** Object id of the service principal: `oid` and `sub` of the application's own tokens. */
  readonly objectId: string
  readonly secret?: string
}

/** `state.json`. Everything in it is random, and most of it secret. */
export interface State {
  readonly tenantId: string
  /** Home of the guest, and the other tenant of tokens that are deliberately of the wrong one. */
  readonly partnerTenantId: string
  readonly applications: {
    readonly api: StoredApplication
    readonly publicClient: StoredApplication
    readonly daemon: StoredApplication
    readonly daemonWithoutRole: StoredApplication
  }
  /** Object id of each person, by handle. */
  readonly people: Readonly<Record<string, string>>
  /** 32 bytes, base64url: seals refresh tokens and derives pairwise subjects. */
  readonly sealingKey: string
  readonly authority: CertifiedKey
  readonly daemonCertificate: CertifiedKey
  keys: StoredKey[]
  /** Key id of the key that signs. */
  signing: string
}

/** The state, and the way back to disk after a change. */
export interface StateStore {
  readonly state: State
  /** Writes the state where it came from; nothing when it is not kept on disk. */
  save(): Promise<void>
}

const FILE = 'state.json'

function registerApplication(withSecret: boolean): StoredApplication {
  const ids = { clientId: randomUUID(), objectId: randomUUID() }
  // The tilde is how a secret of Entra's is told from an id at a glance; ours looks alike.
  return withSecret ? { ...ids, secret: `local~${randomBytes(24).toString('base64url')}` } : ids
}

async function createState(): Promise<State> {
  const [authority, daemonCertificate, first, second, consumer] = await Promise.all([
    createAuthority(),
    createRsaKey('local tenant daemon'),
    createSigningKey('any'),
    createSigningKey('any'),
    createSigningKey('consumers'),
  ])
  return {
    tenantId: randomUUID(),
    partnerTenantId: randomUUID(),
    applications: {
      api: registerApplication(true),
      publicClient: registerApplication(false),
      daemon: registerApplication(true),
      daemonWithoutRole: registerApplication(true),
    },
    people: Object.fromEntries(PEOPLE.map(person => [person.handle, randomUUID()])),
    sealingKey: randomBytes(32).toString('base64url'),
    authority,
    daemonCertificate,
    keys: [first, second, consumer],
    signing: first.kid,
  }
}

async function readState(folder: string): Promise<State | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, FILE), 'utf8')) as State
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function loadState(folder: string): Promise<State> {
  const kept = await readState(folder)
  if (kept) return kept
  const fresh = await createState()
  if (await createPrivateFile(folder, FILE, JSON.stringify(fresh, null, 2))) return fresh
  // Another tenant started with this folder at the same moment and was first.
  return loadState(folder)
}

/**
 * Opens the state of a folder, made up on the first run; beside it lie `ca.pem`, for NODE_EXTRA_CA_CERTS, and
 * `daemon-cert.pem` (key and certificate), for AZURE_CLIENT_CERTIFICATE_PATH.
 * @param folder absent: a state that is not kept
 */
export async function openState(folder?: string): Promise<StateStore> {
  if (folder === undefined) return { state: await createState(), save: async () => {} }
  const state = await loadState(folder)
  const { certificate, privateKey } = state.daemonCertificate
  await writePrivateFile(folder, 'ca.pem', `${state.authority.certificate}\n`)
  await writePrivateFile(folder, 'daemon-cert.pem', `${privateKey}\n${certificate}\n`)
  return { state, save: () => writePrivateFile(folder, FILE, JSON.stringify(state, null, 2)) }
}

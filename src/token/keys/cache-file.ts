/** Decides which keys outlive a restart: the last good public keys of every issuer, in one file that is believed no more than a fresh answer. */
import { createPublicKey } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { writePrivateFile } from '../../private-file.ts'
import type { TrustedIssuer } from '../issuers.ts'
import type { JsonObject } from '../jws.ts'
import type { Clock } from './clock.ts'
import type { OnKeyEvent } from './events.ts'
import { judgeKeys, type KeySet } from './fetch.ts'
import type { VerificationKey } from './usable.ts'

/** Keys on disk. */
export interface KeysCache {
  /** What was kept, by issuer name; empty when the file is absent, damaged or foreign. Never rejects. */
  readonly read: () => Promise<ReadonlyMap<string, KeySet>>
  /** Keeps a set. Never rejects; a failure is an event. */
  readonly write: (name: string, set: KeySet) => Promise<void>
}

/** What the cache needs. */
export interface KeysCacheOptions {
  readonly file: string
  readonly issuers: readonly TrustedIssuer[]
  readonly maxStaleMs: number
  readonly clock: Clock
  readonly onEvent: OnKeyEvent
}

const FORMAT = 'protected-resource keys 1'
const MAX_FILE_BYTES = 16 * 1024 * 1024
/** Permission bits that let anybody but the owner write. */
const OTHERS_MAY_WRITE = 0o022

function publish({ kid, alg, issuer, cloud, pem }: VerificationKey): JsonObject {
  return { ...createPublicKey(pem).export({ format: 'jwk' }), kid, alg, issuer, cloud_instance_name: cloud }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Judges what stands in the file as if it had just been fetched; its age counts from the original fetch. */
function restore(
  entry: unknown,
  { mayClaim, algorithms }: TrustedIssuer,
  { maxStaleMs, clock }: KeysCacheOptions,
): KeySet | undefined {
  if (!isObject(entry)) return undefined
  const { issuer, cloud, fetchedAt, keys: entries } = entry
  if (typeof issuer !== 'string' || !mayClaim(issuer) || !Array.isArray(entries)) return undefined
  const ageMs = typeof fetchedAt === 'number' ? clock.now() - fetchedAt : Number.NaN
  // A time in the future would make the keys serve for longer than they may.
  if (!(ageMs >= 0 && ageMs <= maxStaleMs)) return undefined
  const { keys, ignored } = judgeKeys(entries, algorithms)
  if (keys.length === 0) return undefined
  const known = typeof cloud === 'string' ? cloud : undefined
  return { issuer, cloud: known, keys, ignored, fetchedAt: fetchedAt as number, maxAgeSeconds: undefined }
}

async function load(file: string): Promise<JsonObject> {
  const { mode, size } = await stat(file)
  if ((mode & OTHERS_MAY_WRITE) !== 0) throw new Error(`others may write ${file}: chmod 600 it`)
  if (size > MAX_FILE_BYTES) throw new Error(`${file} is larger than ${MAX_FILE_BYTES} bytes`)
  const content: unknown = JSON.parse(await readFile(file, 'utf8'))
  if (isObject(content) && content.format === FORMAT && isObject(content.issuers)) return content.issuers
  throw new Error(`${file} was not written by this server`)
}

/** Opens the cache; the file need not exist, its folder must. */
export function openKeysCache(options: KeysCacheOptions): KeysCache {
  const { file, issuers, clock, onEvent } = options
  const kept = new Map<string, JsonObject>()
  let writing = Promise.resolve()

  const complain = (error: unknown): void => {
    const failure = error instanceof SyntaxError ? `${file} is damaged` : String((error as Error).message)
    onEvent({ event: 'keys_cache_unusable', failure })
  }

  const save = async (): Promise<void> => {
    const content = { format: FORMAT, issuers: Object.fromEntries(kept) }
    await writePrivateFile(file, `${JSON.stringify(content, null, 1)}\n`).catch(complain)
  }

  return {
    read: async () => {
      const entries = await load(file).catch((error: unknown): JsonObject => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') complain(error)
        return {}
      })
      const sets = new Map<string, KeySet>()
      for (const issuer of issuers) {
        const { name } = issuer
        if (!Object.hasOwn(entries, name)) continue
        const set = restore(entries[name], issuer, options)
        if (set === undefined) {
          complain(new Error(`${file} holds no usable keys of ${name}`))
          continue
        }
        sets.set(name, set)
        kept.set(name, entries[name] as JsonObject)
        const ageSeconds = Math.round((clock.now() - set.fetchedAt) / 1000)
        onEvent({ event: 'keys_restored', issuer: name, keys: set.keys.length, ageSeconds })
      }
      return sets
    },
    write: (name, { issuer, cloud, keys, fetchedAt }) => {
      kept.set(name, { issuer, cloud, fetchedAt, keys: keys.map(publish) })
      writing = writing.then(save)
      return writing
    },
  }
}

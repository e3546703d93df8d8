/** Decides which key signs, which are published, and how that changes: rotation, publication and withdrawal. */

import {
  CONSUMER_TENANT,
  createSigningKey,
  openKey,
  type PublishedKey,
  publishKey,
  type SigningKey,
  type StoredKey,
} from './signing-key.ts'
import type { StateStore } from './state.ts'

/** How a rotation departs from the usual: publish the new key and sign with it at once. */
export interface Rotation {
  /** false: the new key signs before it is published (follow with `publish`). */
  readonly publish?: boolean
  /** false: the new key is published before it signs (follow with `use`). */
  readonly use?: boolean
}

/** What a key is doing at the moment. */
export interface KeyStatus {
  readonly kid: string
  readonly published: boolean
  readonly signing: boolean
  /** The tenant the key may sign for; absent: any. */
  readonly boundTo?: string
}

/** The signing keys of the tenant. Changes are saved before they return. */
export interface KeyRing {
  /** The key that signs now. */
  signing(): SigningKey
  /** The published key that is bound to the consumer tenant. */
  consumer(): SigningKey
  /** @throws RangeError when there is no such key */
  find(kid: string): SigningKey
  /** A key that is published nowhere, the same on every call. */
  foreign(): Promise<SigningKey>
  document(authority: string, version: 1 | 2): { keys: PublishedKey[] }
  statuses(): KeyStatus[]
  /** @returns the new key's id */
  rotate(rotation?: Rotation): Promise<string>
  publish(kid: string): Promise<void>
  use(kid: string): Promise<void>
  /**
   * Withdraws a key. Two keys stay published at all times, so a new one may take its place.
   * @param kid default: the oldest published key that does not sign
   * @returns the id of the key that was withdrawn
   */
  retire(kid?: string): Promise<string>
}

/** Opens the keys of a state. */
export function openKeyRing({ state, save }: StateStore): KeyRing {
  const opened = new Map<string, SigningKey>()
  let foreign: Promise<SigningKey> | undefined

  const usable = (): StoredKey[] => state.keys.filter(key => key.published && key.boundTo === 'any')

  const stored = (kid: string): StoredKey => {
    const key = state.keys.find(one => one.kid === kid)
    if (!key) throw new RangeError(`the local tenant has no key ${JSON.stringify(kid)}`)
    return key
  }

  const find = (kid: string): SigningKey => {
    const key = opened.get(kid) ?? openKey(stored(kid))
    opened.set(kid, key)
    return key
  }

  return {
    find,
    signing: () => find(state.signing),
    consumer: () => find(state.keys.find(key => key.boundTo === 'consumers')!.kid),

    foreign() {
      foreign ??= createSigningKey('any').then(openKey)
      return foreign
    },

    document: (authority, version) => ({
      keys: state.keys.filter(key => key.published).map(key => publishKey(key, authority, version)),
    }),

    statuses: () =>
      state.keys.map(({ kid, published, boundTo }) => ({
        kid,
        published,
        signing: kid === state.signing,
        ...(boundTo === 'consumers' && { boundTo: CONSUMER_TENANT }),
      })),

    async rotate({ publish = true, use = true } = {}) {
      const key = { ...(await createSigningKey('any')), published: publish }
      state.keys.push(key)
      if (use) state.signing = key.kid
      await save()
      return key.kid
    },

    async publish(kid) {
      stored(kid).published = true
      await save()
    },

    async use(kid) {
      state.signing = stored(kid).kid
      await save()
    },

    async retire(kid = usable().find(key => key.kid !== state.signing)!.kid) {
      const key = stored(kid)
      if (usable().filter(one => one !== key).length < 2) state.keys.push(await createSigningKey('any'))
      key.published = false
      if (state.signing === kid) state.signing = usable()[0]!.kid
      await save()
      return kid
    },
  }
}

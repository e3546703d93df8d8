/** Decides what is said of keys, to the log and to the counters. */
import type { KeySet } from './fetch.ts'

/** Why a fetch was made. */
export type RefreshReason = 'start' | 'background' | 'forced'

/** What happens to the keys of one issuer. No event holds a token. */
export type KeyEvent =
  | {
      readonly event: 'keys_refreshed'
      readonly issuer: string
      readonly reason: RefreshReason
      readonly set: KeySet
      readonly added: readonly string[]
      readonly withdrawn: readonly string[]
    }
  | {
      readonly event: 'keys_refresh_failed'
      readonly issuer: string
      readonly reason: RefreshReason
      readonly failure: string
      readonly retryInMs: number
      /** Whether older keys go on serving. */
      readonly usable: boolean
    }
  | { readonly event: 'token_version_off'; readonly issuer: string; readonly failure: string }
  | {
      readonly event: 'unknown_key'
      readonly issuer: string
      readonly kid: string
      /** Whether the budget allowed no fetch. */
      readonly coolingDown: boolean
    }
  | {
      readonly event: 'keys_restored'
      readonly issuer: string
      readonly keys: number
      readonly ageSeconds: number
    }
  | { readonly event: 'keys_cache_unusable'; readonly failure: string }

/** Receives the events. */
export type OnKeyEvent = (event: KeyEvent) => void

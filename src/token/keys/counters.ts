/** Decides under which names the events of keys are counted; the names stay, whoever exports them. */
import type { KeyEvent } from './events.ts'

/** Counters by issuer, then by name. */
export type KeyCounters = ReadonlyMap<string, Readonly<Record<KeyCounterName, number>>>

/** Names in the form of Prometheus. */
export const KEY_COUNTER_NAMES = [
  'protected_resource_key_refreshes_total',
  'protected_resource_key_refresh_failures_total',
  'protected_resource_keys_added_total',
  'protected_resource_keys_withdrawn_total',
  'protected_resource_unknown_key_ids_total',
  'protected_resource_key_refresh_cool_downs_total',
] as const

/** One of {@link KEY_COUNTER_NAMES}. */
export type KeyCounterName = (typeof KEY_COUNTER_NAMES)[number]

const zeros = (): Record<KeyCounterName, number> => ({
  protected_resource_key_refreshes_total: 0,
  protected_resource_key_refresh_failures_total: 0,
  protected_resource_keys_added_total: 0,
  protected_resource_keys_withdrawn_total: 0,
  protected_resource_unknown_key_ids_total: 0,
  protected_resource_key_refresh_cool_downs_total: 0,
})

/** Counts events; the issuers are the configured ones, so the number of counters is bounded. */
export function createKeyCounters(): {
  readonly count: (event: KeyEvent) => void
  readonly read: () => KeyCounters
} {
  const counters = new Map<string, Record<KeyCounterName, number>>()
  return {
    count: event => {
      if (!('issuer' in event)) return
      const of = counters.get(event.issuer) ?? zeros()
      counters.set(event.issuer, of)
      if (event.event === 'keys_refreshed') {
        of.protected_resource_key_refreshes_total += 1
        of.protected_resource_keys_added_total += event.added.length
        of.protected_resource_keys_withdrawn_total += event.withdrawn.length
      } else if (event.event === 'keys_refresh_failed') {
        of.protected_resource_key_refresh_failures_total += 1
      } else if (event.event === 'unknown_key') {
        of.protected_resource_unknown_key_ids_total += 1
        if (event.coolingDown) of.protected_resource_key_refresh_cool_downs_total += 1
      }
    },
    read: () => counters,
  }
}

/** Decides when keys are fetched again in the background: hourly after a success, sooner and sooner apart after failures. */

/** What lies between two background refreshes, in milliseconds (C-7). */
export const REFRESH_INTERVAL_MS = 3_600_000

/** How long a server that has kept keys answers with them before it asks for new ones, in milliseconds. */
export const START_DELAY_MS = 250

const HOUR_SECONDS = REFRESH_INTERVAL_MS / 1000
const MIN_SECONDS = 300
const FIRST_RETRY_MS = 1000

/**
 * Delay until the next background fetch after a success: one hour ± 10 % (C-7), so that a fleet does not ask at
 * once. `Cache-Control: max-age` may only shorten it, not below five minutes.
 *
 * @param random a number in [0, 1)
 */
export function refreshDelayMs(maxAgeSeconds: number | undefined, random: number): number {
  const seconds = Math.min(HOUR_SECONDS, Math.max(MIN_SECONDS, maxAgeSeconds ?? HOUR_SECONDS))
  return seconds * 1000 * (0.9 + 0.2 * random)
}

/**
 * Delay until the next try after `failures` failures in a row: doubles from one second to five minutes, half of
 * it jittered.
 *
 * @param random a number in [0, 1)
 */
export function retryDelayMs(failures: number, random: number): number {
  const longest = Math.min(MIN_SECONDS * 1000, FIRST_RETRY_MS * 2 ** (failures - 1))
  return longest * (0.5 + 0.5 * random)
}

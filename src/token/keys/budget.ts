/** Decides how often a token may cause a key fetch: a bucket that holds a small burst and earns one more each window. */
import type { Clock } from './clock.ts'

/** A token bucket. */
export interface Budget {
  /** Whether one more is affordable now. */
  readonly has: () => boolean
  /** Spends one; only after `has`. */
  readonly spend: () => void
}

/** A bucket of `burst` that earns one more every `windowMs`. */
export function createBudget(burst: number, windowMs: number, clock: Clock): Budget {
  let left = burst
  let at = clock.now()
  const earn = (): void => {
    const now = clock.now()
    left = Math.min(burst, left + Math.max(0, now - at) / windowMs)
    at = now
  }
  return {
    has: () => {
      earn()
      return left >= 1
    },
    spend: () => {
      left -= 1
    },
  }
}

/** Several budgets of which each must afford it: an issuer's own and the process's. */
export function joinBudgets(budgets: readonly Budget[]): Budget {
  return {
    has: () => budgets.every(budget => budget.has()),
    spend: () => {
      for (const budget of budgets) budget.spend()
    },
  }
}

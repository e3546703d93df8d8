/** Decides when the Redis in which instances count together is asked, and when it is left alone because it does not answer. */
import type { FastifyBaseLogger } from 'fastify'
import { Redis } from 'ioredis'
import type { Clock } from '../token/keys/clock.ts'

/** A place to count in that may fail. */
export interface SharedCount {
  /** The client, as @fastify/rate-limit takes it. */
  readonly redis: Redis
  /** Whether to ask now; while it fails, true for one question in {@link PAUSE_MS}. */
  readonly mayAsk: () => boolean
  /** To be told that it answered. */
  readonly answered: () => void
  /** To be told that it did not. */
  readonly failed: (error: unknown) => void
}

/** The longest that a request waits for it. */
const ANSWER_MS = 200
const PAUSE_MS = 5000
const CONNECT_MS = 2000
const LONGEST_RECONNECT_MS = 5000

/**
 * Connects in the background and for as long as it takes; closing the client is the caller's.
 *
 * @param url redis or rediss; appears in no message, since it may hold a password
 */
export function openShared(url: string, clock: Clock, log: FastifyBaseLogger): SharedCount {
  const redis = new Redis(url, {
    connectTimeout: CONNECT_MS,
    commandTimeout: ANSWER_MS,
    enableOfflineQueue: false,
    // A request that gave up has been counted elsewhere.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: times => Math.min(times * ANSWER_MS, LONGEST_RECONNECT_MS),
  })
  let state: 'connecting' | 'up' | 'down' = 'connecting'
  let pauseUntil = 0
  const answered = (): void => {
    if (state === 'up') return
    state = 'up'
    log.info({ event: 'limits_shared' })
  }
  const failed = (error: unknown): void => {
    pauseUntil = clock.now() + PAUSE_MS
    if (state === 'down') return
    state = 'down'
    // Nothing but the text: the error itself may hold the command, and that the password.
    log.warn({ event: 'limits_not_shared', reason: String(error) })
  }
  redis.on('ready', answered)
  redis.on('error', failed)
  return {
    redis,
    mayAsk: () => {
      if (redis.status !== 'ready') return false
      if (state === 'up') return true
      if (clock.now() < pauseUntil) return false
      pauseUntil = clock.now() + PAUSE_MS
      return true
    },
    answered,
    failed,
  }
}

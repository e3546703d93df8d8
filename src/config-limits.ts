/** Decides what the environment means for pages of other origins and for how often anybody may call. */
import type { Problem } from './errors.ts'
import { isLoopback } from './token/issuers.ts'
import { quote } from './token/trust.ts'

/** Who may call from a browser, and how often anybody may. */
export interface LimitSettings {
  /** Origins whose pages may read answers. */
  readonly corsOrigins: readonly string[]
  /** Requests a minute for each verified caller, and refusals a minute for each address; 0 for no limit. */
  readonly rateLimitMax: number
  /** Where instances count together; may hold a password. */
  readonly redisUrl: string | undefined
}

/** How a variable is read. */
interface Reader {
  readonly text: (name: string) => string | undefined
  readonly number: (name: string) => number | undefined
  readonly names: (name: string) => readonly string[] | undefined
}

const DEFAULT_RATE_LIMIT_MAX = 6000

/** As browsers send it: in small letters, without a path, and without the port that goes without saying. */
function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  return url.origin === text && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url)))
}

const isRedisUrl = (text: string): boolean => URL.canParse(text) && /^rediss?:$/.test(new URL(text).protocol)

/** Reads CORS_ORIGINS, RATE_LIMIT_MAX and REDIS_URL; what is wrong with them goes to `problems`. */
export function readLimits({ text, number, names }: Reader, problems: Problem[]): LimitSettings {
  const corsOrigins = names('CORS_ORIGINS') ?? []
  for (const origin of corsOrigins.filter(item => !isOrigin(item))) {
    problems.push({
      name: 'CORS_ORIGINS',
      found: quote(origin),
      expected: 'origins as browsers send them, each written out: https (http on loopback), no path, no *',
      example: 'https://app.example.com',
    })
  }
  const rateLimitMax = number('RATE_LIMIT_MAX') ?? DEFAULT_RATE_LIMIT_MAX
  if (!Number.isSafeInteger(rateLimitMax) || rateLimitMax < 0) {
    problems.push({
      name: 'RATE_LIMIT_MAX',
      found: quote(text('RATE_LIMIT_MAX')!),
      expected: 'a whole number of requests a minute, 0 for no limit',
      example: String(DEFAULT_RATE_LIMIT_MAX),
    })
  }
  const redisUrl = text('REDIS_URL')
  if (redisUrl !== undefined && !isRedisUrl(redisUrl)) {
    // It may hold a password, so it is not repeated.
    problems.push({
      name: 'REDIS_URL',
      found: 'no redis URL',
      expected: 'a redis or rediss (TLS) URL',
      example: 'rediss://:PASSWORD@redis.example.com:6380/0',
    })
  }
  return { corsOrigins, rateLimitMax, redisUrl }
}

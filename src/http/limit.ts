/** Decides who calls too often: verified callers by who they are, everybody else by the address that was refused. */
import { createHash } from 'node:crypto'
import rateLimit, { type RateLimitPluginOptions } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Denied, isRefusal, type Refusal } from '../errors.ts'
import type { Access } from '../token/access.ts'
import type { SharedCount } from './limit-shared.ts'
import { MEANINGS } from './problem.ts'
import type { Limit } from './protect.ts'

const WINDOW_MS = 60_000
/** Callers, and addresses, that are counted in memory at a time; of more, those unseen for longest are forgotten. */
const MAX_COUNTED = 20_000

interface Counting {
  readonly about: 'caller' | 'address'
  /** Whom the count is of. Never logged, and only its digest leaves the process. */
  readonly name: string
  /** What the log says of them. */
  readonly shown: string | undefined
}

const COUNTING = Symbol('protected-resource.counting')
type Counted = FastifyRequest & { [COUNTING]: Counting }
/** Counts one request and sets headers; rejects when the place to count in fails. */
type Count = (request: FastifyRequest, reply: FastifyReply) => Promise<Refusal | undefined>

/** ASVS 10.3.3: a caller is issuer and subject together; for an application the client too. */
function countingOf(request: FastifyRequest, judged: Access | Refusal): Counting {
  if (isRefusal(judged)) {
    // A peer that has gone already has no address any more, whatever the type says; all of those are counted as one.
    const ip = String(request.ip)
    return { about: 'address', name: rateLimit.normalizeIP(ip), shown: ip }
  }
  const { kind, issuer, subject, client } = judged
  // The issuer is one of those that are trusted, and none of them has a line break.
  const user = `${issuer}\n${subject}`
  return { about: 'caller', name: kind === 'application' ? `${user}\n${client}` : user, shown: client }
}

const keyOf = (request: FastifyRequest): string => (request as Counted)[COUNTING].name

function digestOf(request: FastifyRequest): string {
  const { about, name } = (request as Counted)[COUNTING]
  return createHash('sha256').update(`${about} ${name}`).digest('base64url')
}

/** What @fastify/rate-limit throws: our refusal, or that its store failed. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof Denied) return error.refusal
  throw error
}

/** @fastify/rate-limit over one place to count in; it writes the RateLimit headers of the IETF draft. */
async function openCount(app: FastifyInstance, max: number, place: RateLimitPluginOptions): Promise<Count> {
  let count: Count | undefined
  await app.register(async scope => {
    await scope.register(rateLimit, {
      global: false,
      enableDraftSpec: true,
      max,
      timeWindow: WINDOW_MS,
      keyGenerator: keyOf,
      errorResponseBuilder: (request, { ttl }) => {
        const { about, shown } = (request as Counted)[COUNTING]
        const expected = `${max} requests a minute`
        const retryAfterSeconds = Math.ceil(ttl / 1000)
        return new Denied({ code: 'rate_limited', about, received: shown, expected, retryAfterSeconds })
      },
      ...place,
    })
    const handler = scope.rateLimit().bind(scope)
    count = (request, reply) => handler(request, reply).then(() => undefined, refusalOf)
  })
  return count!
}

/** Counts where instances count together, and here while that fails. */
function joinCounts(shared: SharedCount, together: Count, here: Count): Count {
  return async (request, reply) => {
    if (!shared.mayAsk()) return here(request, reply)
    try {
      const refusal = await together(request, reply)
      shared.answered()
      return refusal
    } catch (error) {
      shared.failed(error)
      return here(request, reply)
    }
  }
}

/**
 * Opens the counters of an application, before its guard, which is given the result.
 *
 * @param max requests a minute of each verified caller, and refusals a minute of each address
 * @param shared where instances count together; while it fails, each counts for itself
 */
export async function openLimit(app: FastifyInstance, max: number, shared?: SharedCount): Promise<Limit> {
  // Apart, so that no flood of addresses can push a caller out, or the other way round.
  const own = {
    caller: await openCount(app, max, { cache: MAX_COUNTED }),
    address: await openCount(app, max, { cache: MAX_COUNTED }),
  }
  const here: Count = (request, reply) => own[(request as Counted)[COUNTING].about](request, reply)
  const redis = { redis: shared?.redis, nameSpace: 'protected-resource:limit:', keyGenerator: digestOf }
  const count = shared === undefined ? here : joinCounts(shared, await openCount(app, max, redis), here)
  app.decorateRequest(COUNTING, null)

  return (request, reply, judged) => {
    // What is our own fault or the issuer's is counted against nobody.
    if (isRefusal(judged) && MEANINGS[judged.code].status >= 500) return undefined
    ;(request as Counted)[COUNTING] = countingOf(request, judged)
    return count(request, reply)
  }
}

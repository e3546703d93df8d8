/** Decides whose fault it is that another API did not serve a request, and reads the claims challenge that it may have sent. */
import { type Refusal, Unavailable } from '../errors.ts'
import { type Answer, retryAfterOf } from './send.ts'

const SERVED_BELOW = 500

/**
 * What of an answer is not the caller's business: no answer to the request at all.
 *
 * @param api its address, for the log
 * @returns undefined when the answer is one
 */
export function findFault(answer: Answer, api: string, nowMs: number): Unavailable | undefined {
  const { status } = answer
  const isServed =
    status < SERVED_BELOW && status !== 401 && status !== 429 && !(status >= 300 && status < 400)
  if (isServed) return undefined
  const retryAfterSeconds = retryAfterOf(answer, nowMs)
  return unserved(api, `${status}`, {
    code: status === 429 ? 'downstream_throttled' : 'downstream_unavailable',
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(status === 401 && { expected: 'an API that takes the tokens of these scopes' }),
  })
}

/** 503: another API did not serve us. @param received for the operator's log, without a token */
export function unserved(
  api: string,
  received: string,
  more: Partial<Refusal> = {},
  cause?: unknown,
): Unavailable {
  const refusal: Refusal = { code: 'downstream_unavailable', about: api, received, ...more }
  return new Unavailable(`${api}: ${received}`, refusal, { cause })
}

/** The claims that a 401 asks for (Entra's claims challenge), as JSON. */
export function claimsOf({ status, headers }: Answer): string | undefined {
  if (status !== 401) return undefined
  const encoded = /[\s,]claims="([A-Za-z0-9+/_-]+=*)"/.exec(headers['www-authenticate'] ?? '')?.[1]
  if (encoded === undefined) return undefined
  const claims = Buffer.from(encoded, 'base64').toString('utf8')
  try {
    JSON.parse(claims)
    return claims
  } catch {
    return undefined
  }
}

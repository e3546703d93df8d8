/** Decides whether a signature is good: @fastify/jwt, with one prepared verifier for each distinct public key. */
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import { LRUCache } from 'lru-cache'
import type { VerificationKey } from '../token/keys/usable.ts'

type Check = (token: string) => boolean

/** A verifier costs about 145 KB, so this many stay below 40 MB; tenants of one authority share its few keys. */
const MAX_VERIFIERS = 256

/** Failures of @fastify/jwt's own checks mean that the token is not good; anything else is our fault, and thrown. */
function isVerdict(error: unknown): boolean {
  return error instanceof Error && /^(FAST|FST)_JWT_/.test(String((error as NodeJS.ErrnoException).code))
}

/**
 * Prepares a private instance for one key. Its options are fixed when it is registered: the key is static, the
 * algorithm is the key's own, and no claim is looked at, because claims.ts decides those by its own clock.
 */
async function prepare(key: VerificationKey): Promise<Check> {
  const instance = Fastify()
  await instance.register(fastifyJwt, {
    secret: { public: key.pem },
    verify: {
      algorithms: [key.alg as 'RS256'],
      ignoreExpiration: true,
      ignoreNotBefore: true,
      cache: false,
      errorCacheTTL: -1,
    },
  })
  await instance.ready()
  const findFailure = (token: string): unknown => {
    try {
      instance.jwt.verify(token)
      return undefined
    } catch (error) {
      return error
    }
  }
  return token => {
    const { stackTraceLimit } = Error
    // A verdict is thrown, and writing down where from would cost as much as the signature does.
    Error.stackTraceLimit = 0
    const failure = findFailure(token)
    Error.stackTraceLimit = stackTraceLimit
    if (failure === undefined) return true
    if (isVerdict(failure)) return false
    throw failure
  }
}

/** Whether a token's signature was made with this key: at once when the key is known, else as soon as it is prepared. */
export type CheckSignature = (key: VerificationKey, token: string) => boolean | Promise<boolean>

/** A signature check that answers at once for a key it has met, and after a few milliseconds for a new one. */
export function createCheckSignature(): CheckSignature {
  const checks = new LRUCache<string, Check | Promise<Check>>({ max: MAX_VERIFIERS })
  return (key, token) => {
    const name = `${key.alg} ${key.thumbprint}`
    const known = checks.get(name)
    if (typeof known === 'function') return known(token)
    const preparing = known ?? prepare(key)
    checks.set(name, preparing)
    return preparing.then(
      check => {
        checks.set(name, check)
        return check(token)
      },
      (error: unknown) => {
        checks.delete(name)
        throw error
      },
    )
  }
}

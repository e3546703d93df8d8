/** Decides on whose behalf this API may call on: of a user of Entra whose token is on the request, and of nobody else. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Denied, isRefusal, type Refusal } from '../errors.ts'
import { readCredential } from '../token/credential.ts'

/** A user, and what their token says that an exchange needs. */
export interface Caller {
  readonly assertion: string
  /** Milliseconds since 1970. */
  readonly assertionExpiresAtMs: number
  readonly tenant: string
}

const notEntra: Refusal = {
  code: 'wrong_caller_kind',
  about: 'iss',
  received: 'a user of another issuer',
  expected: 'a user of the Entra tenant, since only Entra exchanges its tokens',
}

/**
 * Reads the caller of a guarded request. `request.access` is null on a public route, whatever its type says.
 *
 * @throws Denied for an application and for a user of another issuer
 * @throws Error on a public route, which is a bug of ours
 */
export function readCaller({ protectedResource }: FastifyInstance, request: FastifyRequest): Caller {
  const access = request.access as FastifyRequest['access'] | null
  const credential = readCredential(request.raw.rawHeaders)
  if (access === null || isRefusal(credential)) {
    throw new Error('a public route has no caller: its config.access must ask for a user')
  }
  if (access.kind !== 'user') {
    throw new Denied({ code: 'wrong_caller_kind', received: access.kind, expected: 'user' })
  }
  const found = protectedResource.findIssuer(access.issuer, access.claims)
  // The tenant of the issuer and not the claim `tid`, which any issuer may put into its tokens.
  if (isRefusal(found) || found.issuer.preset !== 'entra' || found.tenant === undefined)
    throw new Denied(notEntra)
  return {
    assertion: credential.token,
    assertionExpiresAtMs: access.expiresAt * 1000,
    tenant: found.tenant,
  }
}

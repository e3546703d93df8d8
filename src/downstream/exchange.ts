/** Decides how the caller's token becomes one for another API: msal-node's on-behalf-of flow, at the tenant of the caller. */
import { ConfidentialClientApplication } from '@azure/msal-node'
import { Unavailable } from '../errors.ts'
import type { Clock } from '../token/keys/clock.ts'
import { withDeadline } from './deadline.ts'
import { judgeExchange } from './judge-exchange.ts'
import { createMsalNetwork } from './msal-network.ts'
import type { Proof } from './proof.ts'
import type { Send } from './send.ts'

/** One exchange. */
export interface ExchangeRequest {
  /** The caller's access token, verified. */
  readonly assertion: string
  /** Its `exp`, in milliseconds since 1970. */
  readonly assertionExpiresAtMs: number
  /** Its own tenant: at `common` a guest would be looked for in their home. */
  readonly tenant: string
  readonly scopes: readonly string[]
  /** What the other API has asked for in a claims challenge, as JSON. */
  readonly claims?: string | undefined
}

/** A token for another API. */
export interface ExchangedToken {
  readonly token: string
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number
}

/** Exchanges a token. @throws Denied, Unavailable */
export type Exchange = (request: ExchangeRequest) => Promise<ExchangedToken>

/** What an exchange is made with. */
export interface ExchangeOptions {
  /** Origin of the login host. */
  readonly authority: string
  readonly clientId: string
  /** The variable or option that holds the credential. */
  readonly credential: string
  readonly prove: () => Promise<Proof>
  readonly send: Send
  readonly clock: Clock
}

const DEADLINE_MS = 10_000

/** What discovery would say; at the hosts of Entra the endpoints stand under the tenant. */
function metadataOf(base: string): string {
  return JSON.stringify({
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    token_endpoint: `${base}/oauth2/v2.0/token`,
    issuer: `${base}/v2.0`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
  })
}

/**
 * An exchanger of tokens.
 *
 * Each exchange has an msal-node client of its own, because one that lives on keeps every token in an unbounded
 * cache, and answers from memory after a 429 or 5xx: for up to an hour, and to every user alike, since who is asking
 * is not part of what it remembers.
 */
export function createExchange(options: ExchangeOptions): Exchange {
  const { authority, clientId, credential, prove, send, clock } = options
  const exchange = async (
    { assertion, assertionExpiresAtMs, tenant, scopes, claims }: ExchangeRequest,
    signal: AbortSignal,
  ): Promise<ExchangedToken> => {
    const base = `${authority}/${tenant}`
    const proof = await prove()
    // An exchange changes nothing at the issuer, so it may be repeated.
    const network = createMsalNetwork(question => send({ ...question, signal, repeatable: true }))
    try {
      const client = new ConfidentialClientApplication({
        auth: {
          clientId,
          authority: base,
          knownAuthorities: [new URL(authority).host],
          authorityMetadata: metadataOf(base),
          // We pass claims challenges on, so the other API may send them.
          clientCapabilities: ['cp1'],
          ...proof,
        },
        system: { networkClient: network.module },
      })
      const request = { oboAssertion: assertion, scopes: [...scopes], skipCache: true }
      const result = await client.acquireTokenOnBehalfOf({
        ...request,
        ...(claims !== undefined && { claims }),
      })
      // msal-node takes an answer without a token for one whose token is empty.
      if (!result?.accessToken) throw new Error('no token in the answer')
      const lifetimeMs = Number(network.seen().body?.expires_in) * 1000
      return { token: result.accessToken, expiresAtMs: clock.now() + lifetimeMs }
    } catch (error) {
      const facts = { credential, scopes, assertionExpiresAtMs, nowMs: clock.now() }
      throw judgeExchange(error, network.seen(), facts)
    }
  }
  return request => withDeadline(clock, DEADLINE_MS, signal => exchange(request, signal))
}

/** Stands in for the exchange at an authority that msal-node does not talk to. */
export function refusePlainHttp(authority: string): Exchange {
  return async () => {
    const expected = 'an https authority: msal-node sends no credential over plain http'
    const refusal = { code: 'downstream_unavailable', about: 'AZURE_AUTHORITY_HOST', expected } as const
    throw new Unavailable(`no token on behalf of anybody at ${authority}`, {
      ...refusal,
      received: authority,
    })
  }
}

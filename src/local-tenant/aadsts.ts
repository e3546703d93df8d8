/** Decides how the local tenant says no: Entra's numbers, words and error document. */

import { randomUUID } from 'node:crypto'

interface Answer {
  readonly error: string
  readonly text: string
  readonly status?: number
  readonly suberror?: string
}

interface AadstsOptions extends ErrorOptions {
  /** Where one number goes by another OAuth code in this flow. */
  readonly error?: string
  /** What a new sign-in has to ask for, as JSON. */
  readonly claims?: string
}

const ANSWERS = {
  28000: { error: 'invalid_scope', text: 'The scope contains more than one resource.' },
  50011: {
    error: 'invalid_request',
    text: 'The redirect URI specified in the request does not match the redirect URIs configured for the application.',
  },
  50013: {
    error: 'invalid_grant',
    text: 'Assertion failed signature validation.',
  },
  50034: { error: 'invalid_grant', text: 'The user account does not exist in the directory.' },
  50058: { error: 'login_required', text: 'A silent sign-in request was sent but no user is signed in.' },
  50076: {
    error: 'interaction_required',
    text: 'Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource.',
    suberror: 'basic_action',
  },
  50173: {
    error: 'invalid_grant',
    text: 'The provided grant has expired due to it being revoked. The user might have changed or reset their password.',
    suberror: 'bad_token',
  },
  54005: { error: 'invalid_grant', text: 'OAuth2 Authorization code was already redeemed.' },
  65001: {
    error: 'invalid_grant',
    text: 'The user or administrator has not consented to use the application.',
    suberror: 'consent_required',
  },
  65004: { error: 'access_denied', text: 'User declined to consent to access the app.' },
  70003: { error: 'unsupported_grant_type', text: 'The app returned an unsupported grant type.' },
  70007: { error: 'unsupported_response_mode', text: 'The response_mode is not supported.' },
  70008: { error: 'invalid_grant', text: 'The provided authorization code or refresh token has expired.' },
  70011: { error: 'invalid_scope', text: 'The provided value for the input parameter scope is not valid.' },
  70016: {
    error: 'authorization_pending',
    text: 'OAuth 2.0 device flow error. Authorization is pending. Continue polling.',
  },
  70018: { error: 'bad_verification_code', text: 'Invalid verification code.' },
  70019: { error: 'expired_token', text: 'The verification code has expired.' },
  90002: { error: 'invalid_tenant', text: 'Tenant not found.' },
  90014: { error: 'invalid_request', text: 'A required field is missing.' },
  500011: { error: 'invalid_resource', text: 'The resource principal was not found in the tenant.' },
  500131: {
    error: 'invalid_grant',
    text: 'Assertion audience does not match the Client app presenting the assertion.',
  },
  500133: {
    error: 'invalid_grant',
    text: 'Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion, or request a new token.',
  },
  501481: {
    error: 'invalid_grant',
    text: 'The Code_Verifier does not match the code_challenge supplied in the authorization request.',
  },
  700016: { error: 'unauthorized_client', text: 'Application was not found in the directory.' },
  700025: {
    error: 'invalid_client',
    text: 'Client is public so neither client_assertion nor client_secret should be presented.',
    status: 401,
  },
  700027: {
    error: 'invalid_client',
    text: 'The client assertion failed validation: unregistered certificate, signature, audience, issuer or lifetime.',
    status: 401,
  },
  700082: { error: 'invalid_grant', text: 'The refresh token has expired due to inactivity.' },
  700213: {
    error: 'invalid_client',
    text: 'No matching federated identity record found for presented assertion issuer and subject.',
    status: 401,
  },
  1002012: {
    error: 'invalid_scope',
    text: 'The scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier.',
  },
  7000114: {
    error: 'invalid_grant',
    text: 'Application is not allowed to make application on-behalf-of calls.',
  },
  7000215: { error: 'invalid_client', text: 'Invalid client secret provided.', status: 401 },
  7000218: {
    error: 'invalid_client',
    text: 'The request body must contain the following parameter: client_assertion or client_secret.',
    status: 401,
  },
  9002313: { error: 'invalid_request', text: 'Invalid request. Request is malformed or invalid.' },
  9002325: {
    error: 'invalid_request',
    text: 'Proof Key for Code Exchange is required for cross-origin authorization code redemption.',
  },
  9002326: {
    error: 'invalid_request',
    text: 'Cross-origin token redemption is permitted only for the single-page application of a known origin.',
  },
} as const satisfies Record<number, Answer>

/** The refusals this tenant knows, by the number after AADSTS. */
export type AadstsNumber = keyof typeof ANSWERS

/** Entra's error document. */
export interface ErrorDocument {
  readonly error: string
  readonly error_description: string
  readonly error_codes: readonly number[]
  readonly timestamp: string
  readonly trace_id: string
  readonly correlation_id: string
  readonly suberror?: string
  readonly claims?: string
}

/** A request that the tenant refuses. */
export class Aadsts extends Error {
  override readonly name = 'Aadsts'
  readonly number: AadstsNumber
  readonly error: string
  readonly status: number
  readonly suberror: string | undefined
  readonly claims: string | undefined

  /** @param detail what was found, added to Entra's words; never a secret */
  constructor(number: AadstsNumber, detail?: string, options?: AadstsOptions) {
    const { error, text, status = 400, suberror }: Answer = ANSWERS[number]
    super(`AADSTS${number}: ${text}${detail ? ` ${detail}` : ''}`, options)
    this.number = number
    this.error = options?.error ?? error
    this.status = status
    this.suberror = suberror
    this.claims = options?.claims
  }

  /**
   * The error document.
   * @param nowMs milliseconds since the epoch
   * @param correlationId the client's own id of the request
   */
  toDocument(nowMs: number, correlationId: string = randomUUID()): ErrorDocument {
    const timestamp = `${new Date(nowMs).toISOString().slice(0, 19).replace('T', ' ')}Z`
    const traceId = randomUUID()
    return {
      error: this.error,
      error_description: `${this.message} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
      error_codes: [this.number],
      timestamp,
      trace_id: traceId,
      correlation_id: correlationId,
      ...(this.suberror !== undefined && { suberror: this.suberror }),
      ...(this.claims !== undefined && { claims: this.claims }),
    }
  }
}

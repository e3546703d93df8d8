/** Decides whose fault a failure is, and the closed list of reasons that body, log, metric and `explain` share. */

/**
 * Every reason for which this server turns a request away. The list is closed: an entry is added only together
 * with a test and a line in the documentation.
 */
export const CODES = [
  'no_credentials',
  'malformed_credentials',
  'malformed_token',
  'unsupported_algorithm',
  'wrong_token_type',
  'unknown_key',
  'key_not_for_issuer',
  'invalid_signature',
  'untrusted_issuer',
  'tenant_not_allowed',
  'wrong_audience',
  'graph_token',
  'id_token',
  'missing_claim',
  'malformed_claim',
  'expired',
  'not_yet_valid',
  'sender_constrained',
  'invalid_proof',
  'insufficient_scope',
  'insufficient_role',
  'no_permissions',
  'client_not_allowed',
  'groups_undetermined',
  'insufficient_group',
  'insufficient_authentication',
  'wrong_caller_kind',
  'wrong_token_version',
  'revoked',
  'consent_required',
  'interaction_required',
  'keys_unavailable',
  'downstream_unavailable',
  'downstream_throttled',
  'not_found',
  'method_not_allowed',
  'bad_request',
  'rate_limited',
  'overloaded',
  'internal_error',
] as const

/** One reason of {@link CODES}. */
export type Code = (typeof CODES)[number]

/**
 * Why a request is turned away, as a value. `received` and `expected` are for the log and for `explain`; they
 * never reach the caller, and neither may hold a token.
 */
export interface Refusal {
  readonly code: Code
  /** The claim, header parameter or check that the reason is about, for example `aud`. */
  readonly about?: string
  /** What was found. Log only. */
  readonly received?: unknown
  /** What would have been accepted. Log only. */
  readonly expected?: unknown
  /** Seconds after which trying again makes sense; only for the reasons that answer 503 or 429. */
  readonly retryAfterSeconds?: number
  /** What a new sign-in would have to bring; makes any refusal a 401 that asks for it. */
  readonly stepUp?: StepUp
}

/** What a caller must come back with: facts of the route, not of the token, so the challenge says them. */
export interface StepUp {
  /** Entra's claims request, as JSON. The challenge is then Entra's, and the next two are not in it (C-11). */
  readonly claims?: string
  /** RFC 9470 §3: values of `acr`, the preferred one first. */
  readonly acrValues?: readonly string[]
  /** RFC 9470 §3: most seconds since the user signed in. */
  readonly maxAgeSeconds?: number
  /** Whether the scopes of the route are lacking too, so that one sign-in can mend both. */
  readonly scope?: boolean
}

/** Tells a refusal from the value that a check would have produced. */
export function isRefusal(outcome: object): outcome is Refusal {
  return 'code' in outcome
}

/** The caller's fault, thrown: a handler that must refuse for a reason of its own throws this. */
export class Denied extends Error {
  override readonly name = 'Denied'
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.code)
    this.refusal = refusal
  }
}

/** The fault of somebody we depend on (issuer, Graph): answered 503, never 401. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
  readonly refusal: Refusal

  /** @param message for the operator's log; names what could not be reached and why, holds no token */
  constructor(message: string, refusal: Refusal, options?: ErrorOptions) {
    super(message, options)
    this.refusal = refusal
  }
}

/** One thing wrong with the configuration, in the words of the person who must mend it. */
export interface Problem {
  /** The variable or option, for example `AZURE_TENANT_ID`. */
  readonly name: string
  /** What was found; a secret is never repeated here. */
  readonly found: string
  /** What was expected. */
  readonly expected: string
  /** A value that would do. */
  readonly example: string
}

/** The operator's fault: the server does not start. Lists every problem at once. */
export class Misconfigured extends Error {
  override readonly name = 'Misconfigured'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const lines = problems.map(
      p => `  ${p.name}: found ${p.found}; expected ${p.expected}; for example ${p.example}`,
    )
    super(`${problems.length} configuration problem${problems.length === 1 ? '' : 's'}:\n${lines.join('\n')}`)
    this.problems = problems
  }
}

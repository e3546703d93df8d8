/** Decides whose fault a failed exchange is, and what caller and operator are told. */
import { InteractionRequiredAuthError } from '@azure/msal-node'
import { Denied, type Refusal, Unavailable } from '../errors.ts'
import type { Seen } from './msal-network.ts'
import { retryAfterOf } from './send.ts'

/** What the judgement depends on. */
export interface ExchangeCase {
  /** The variable or option that holds this API's credential. */
  readonly credential: string
  readonly scopes: readonly string[]
  /** `exp` of the caller's token, in milliseconds since 1970. */
  readonly assertionExpiresAtMs: number
  readonly nowMs: number
}

/** What mends an error of Entra that is the operator's to mend: number after AADSTS → advice. */
const ADVICE: Readonly<Record<string, string>> = {
  50013: 'a caller token of this authority: check AZURE_AUTHORITY_HOST and AZURE_TENANT_ID',
  65005: 'the delegated permission in this registration: API permissions > Add a permission',
  70011: 'scopes of one API, by their full names',
  90002: 'AZURE_AUTHORITY_HOST of the cloud that the tenant is in',
  500011: 'an API that the tenant knows: check the scopes, and that its administrator has consented',
  500131: 'callers that ask for a token of AZURE_CLIENT_ID itself: AUDIENCE accepts more than that',
  700016: 'AZURE_CLIENT_ID of an application that the tenant of the caller knows',
  700027: 'a certificate that the registration has: Certificates & secrets > Certificates',
  700213:
    'a federated credential with this issuer and subject: Certificates & secrets > Federated credentials',
  7000215: 'the value of the secret, not its id; the portal shows it only once',
  7000222: 'a secret that has not expired: Certificates & secrets > New client secret',
}

const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 100) : '')

/** What the log says of the issuer's answer: never its description, which may name people. */
function summarize({
  error,
  suberror,
  error_codes: codes,
  correlation_id: id,
}: NonNullable<Seen['body']>): string {
  const numbers = Array.isArray(codes) ? codes.map(code => `AADSTS${String(code).slice(0, 10)}`) : []
  const correlation = text(id) && `correlation id ${text(id)}`
  return [text(error), text(suberror), ...numbers, correlation].filter(Boolean).join(', ')
}

const unavailable = (received: string, more: Partial<Refusal>, cause: unknown): Unavailable =>
  new Unavailable(
    `no token on behalf of the caller: ${received}`,
    { code: 'downstream_unavailable', about: 'token endpoint', received, ...more },
    { cause },
  )

/** Judges what msal-node has thrown by what it has seen. */
export function judgeExchange(error: unknown, { answer, body, failure }: Seen, facts: ExchangeCase): Error {
  if (failure !== undefined) return unavailable(failure.message, {}, error)
  // Before the first byte: what msal-node makes of a key or a secret that can't be used.
  if (answer === undefined) {
    const received = text((error as { errorCode?: unknown }).errorCode)
    return unavailable(
      received,
      { about: facts.credential, expected: 'a credential that can be used' },
      error,
    )
  }
  const { status } = answer
  const retryAfterSeconds = retryAfterOf(answer, facts.nowMs)
  const again = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  const received = `${status} ${body === undefined ? '' : summarize(body)}`.trim()
  if (status === 429) return unavailable(received, { code: 'downstream_throttled', ...again }, error)
  if (status >= 500 || typeof body?.error !== 'string') return unavailable(received, again, error)
  const { error: code, suberror, claims, error_codes: numbers } = body
  if (code === 'consent_required' || suberror === 'consent_required') {
    const expected = `an administrator's consent to ${facts.scopes.join(' ')}`
    return new Denied({ code: 'consent_required', about: 'scope', received, expected })
  }
  if (error instanceof InteractionRequiredAuthError) {
    const stepUp = typeof claims === 'string' && claims !== '' ? { stepUp: { claims } } : {}
    return new Denied({ code: 'interaction_required', about: 'sign-in', received, ...stepUp })
  }
  // Our clock forgives a minute that the issuer's does not.
  if (code === 'invalid_grant' && facts.assertionExpiresAtMs <= facts.nowMs) {
    return new Denied({ code: 'expired', about: 'exp', received })
  }
  const advice = Array.isArray(numbers) ? ADVICE[String(numbers[0])] : undefined
  const about = code === 'invalid_client' ? facts.credential : 'token endpoint'
  const expected =
    advice ?? 'the registration of this API in order: see README, "Call on, on behalf of the caller"'
  return unavailable(received, { about, expected }, error)
}

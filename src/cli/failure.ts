/** Decides what people read when no token came: the issuer's own words, the true cause, and what to do. */
import { AuthError, InteractionRequiredAuthError } from '@azure/msal-node'
import { GaveUp } from './deadline.ts'
import { plain } from './io.ts'
import type { Network, OAuthError } from './network.ts'
import type { TokenSettings } from './settings.ts'

/** What mends an error of Entra: number after AADSTS → advice. */
const BY_NUMBER: Record<string, string> = {
  '7000215': 'the secret must be its value, not its id; the portal shows the value only once',
  '7000222': 'the secret or certificate has expired: add a new one to the app registration',
  '7000218':
    'allow public client flows in the app registration, or ask as an application with its credential',
  '700016': 'check the client id, and that AZURE_TENANT_ID is the tenant in which it is registered',
  '700027': 'the certificate is not the one that the app registration has: upload it there',
  '700030': 'the certificate is not the one that the app registration has: upload it there',
  '700213': 'the app registration has no federated credential for this issuer and subject: add it there',
  '50013': "the caller's token is not one of this tenant: see what explain says of it",
  '500131': "the caller's token is not for this API: ask for one whose audience is AZURE_CLIENT_ID",
  '500133': "the caller's token is over: ask for another",
  '7000114': 'an application called, and nobody is behind it: on-behalf-of takes the token of a person',
  '90002': 'check AZURE_TENANT_ID: this cloud (AZURE_AUTHORITY_HOST) knows no such tenant',
  '900023': 'check AZURE_TENANT_ID: a GUID or a domain of the tenant',
  '50011': 'register http://localhost as a redirect URI of the platform "Mobile and desktop applications"',
  '50173': 'the sign-in was revoked, perhaps by a new password: use interactive',
  '50034': 'this person has no account in the tenant: sign in as somebody else, or check AZURE_TENANT_ID',
  '50076': 'a second factor is asked for: use interactive',
  '50079': 'a second factor has to be set up: use interactive',
  '50105': 'the application demands an assignment: assign this person to it',
  '500011': 'check AZURE_CLIENT_ID and the scope: no API of that name is known in the tenant',
  '53003': 'a conditional access policy forbids it: ask an administrator',
  '65001': 'nobody has consented: use interactive, or have an administrator grant the permission',
  '65004': 'the person declined the permission: sign in again and accept it',
  '65005': 'add the permission to the app registration of the calling application',
  '70011': 'check --scope or TOKEN_SCOPE: full scope names, all of one API',
  '700082': 'the cached sign-in is too old: use interactive',
  '70019': 'the code has expired: ask for another',
  '90094': 'an administrator has to grant this permission',
  '1002012': 'an application asks for everything that it was granted: a single scope that ends in /.default',
}

/** The same by the error codes of OAuth, for an issuer without numbers and for the device code flow. */
const BY_WORD: Record<string, string> = {
  access_denied: 'the sign-in was cancelled or declined: try again, and accept it',
  authorization_declined: 'the sign-in was declined on the other device: try again, and accept it',
  expired_token: 'the code was not entered in time: ask for another',
  code_expired: 'the code was not entered in time: ask for another',
  consent_required: 'use interactive, or have an administrator grant the permission',
  interaction_required: 'use interactive',
  invalid_client: 'check the client id and its credential',
  unauthorized_client: 'check the client id, and that this application may ask in this way',
  invalid_scope: 'check --scope or TOKEN_SCOPE',
  invalid_tenant: 'check AZURE_TENANT_ID',
}

/** Advice for causes on our side of the wire. */
const BY_CAUSE: readonly (readonly [cause: RegExp, advice: string])[] = [
  [/ECONNREFUSED/, 'nothing listens there: check the address'],
  [/ENOTFOUND|EAI_AGAIN/, 'the host name is not known: check AZURE_AUTHORITY_HOST and the network'],
  [
    /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS/,
    'its certificate is not trusted: name the certificate authority in NODE_EXTRA_CA_CERTS',
  ],
  [
    /no complete answer|TIMEOUT/i,
    'the network or the issuer is slow: try again; behind a proxy set HTTPS_PROXY',
  ],
]

/** What codes of MSAL mean here: its own texts are links. */
const BY_CODE: Record<string, readonly [what: string, advice: string]> = {
  nonce_mismatch: [
    'the ID token is not good: its nonce is not the one that was sent; nothing of this sign-in is kept',
    'try again; if it stays so, somebody may be replaying an earlier sign-in',
  ],
  no_tokens_found: ['nothing that is kept is good for this', 'use interactive or device-code'],
}

/** Codes behind which MSAL hides what the network saw. */
const HIDING = ['endpoints_resolution_error', 'post_request_failed']

/**
 * Writes the text for a failed attempt. Holds no secret and no token: of what the issuer said only the first line.
 *
 * @param settings where it was tried
 */
export function describeFailure(error: Error, network: Network, settings: TokenSettings): string {
  if (error instanceof GaveUp)
    return lines(error.message, settings, 'try again, or wait longer with --timeout SECONDS')
  const hides = error instanceof AuthError && HIDING.includes(error.errorCode)
  const refusal = refusalOf(error) ?? (hides ? network.refusals.at(-1) : undefined)
  if (refusal) return describeRefusal(refusal, error as AuthError, settings)
  const known = error instanceof AuthError ? BY_CODE[error.errorCode] : undefined
  if (known) return lines(known[0], settings, known[1])
  const cause = hides ? network.failures.at(-1) : undefined
  const text = cause ?? (error instanceof AuthError ? error.errorMessage : error.message)
  return describeCause(plain(text), settings)
}

function describeRefusal(refusal: OAuthError, error: AuthError, settings: TokenSettings): string {
  const { correlationId } = error
  const description = plain(refusal.error_description ?? '')
  const number = /^AADSTS(\d+)/.exec(description)?.[1] ?? ''
  const code = plain([refusal.error, refusal.suberror].filter(Boolean).join(', '))
  const said = description ? `${description} (${code})` : code
  const claims = error instanceof InteractionRequiredAuthError ? error.claims : ''
  const wanted = claims && `\n  the person has to sign in again, with --claims '${plain(claims)}'`
  const id = correlationId && `\n  correlation id: ${plain(correlationId)}`
  return lines(said, settings, BY_NUMBER[number] ?? BY_WORD[refusal.error]) + wanted + id
}

function describeCause(cause: string, settings: TokenSettings): string {
  const advice = BY_CAUSE.find(([pattern]) => pattern.test(cause))?.[1]
  const mended = advice && (adviceFor(settings) ?? advice)
  return lines(advice ? `could not reach the issuer: ${cause}` : cause, settings, mended)
}

/** Where the likely reason is another one than with an issuer somewhere. */
function adviceFor({ local, managedIdentity }: TokenSettings): string | undefined {
  if (managedIdentity) return 'this way is for machines and services on Azure that have a managed identity'
  return local && 'the local tenant has stopped or moved: start it with `npm run dev`'
}

function lines(what: string, { authority, clientId }: TokenSettings, advice?: string): string {
  return `${what}${advice ? `\n  what to do: ${advice}` : ''}\n  asked: ${authority} as client ${clientId}`
}

/** Finds the issuer's words in an error of MSAL, which wraps those of the token endpoint in a line of its own. */
function refusalOf(error: Error): OAuthError | undefined {
  if (!(error instanceof AuthError)) return undefined
  const { errorCode, errorMessage, subError } = error
  const wrapped = / - Description: (.*?) - Correlation ID: /s.exec(errorMessage)?.[1]
  const said = wrapped ?? errorMessage
  if (wrapped === undefined && !/^AADSTS\d/.test(said) && !(errorCode in BY_WORD)) return undefined
  return { error: errorCode, error_description: said, ...(subError && { suberror: subError }) }
}

/** Decides what is said to mend a refusal, in the words of the portal: one entry for every reason that a token can be refused for. */
import type { Code, Refusal } from '../errors.ts'
import type { TrustedIssuer } from '../token/issuers.ts'
import type { JsonObject } from '../token/jws.ts'
import { showClock, showDuration, showText, showValue } from './explain-values.ts'

/** Reasons that have nothing to do with a token. */
type Unrelated =
  | 'consent_required'
  | 'interaction_required'
  | 'downstream_unavailable'
  | 'downstream_throttled'
  | 'not_found'
  | 'method_not_allowed'
  | 'bad_request'
  | 'rate_limited'
  | 'overloaded'
  | 'internal_error'

/** Everything that is known of a refused token. Its claims are not verified. */
export interface Case {
  readonly refusal: Refusal
  readonly claims: JsonObject
  /** How many parts the token has, joined by dots. */
  readonly parts: number
  /** The trusted issuer that it names. */
  readonly issuer: TrustedIssuer | undefined
  /** Every issuer that is trusted. */
  readonly issuers: readonly TrustedIssuer[]
  /** The tenant of the configuration, `common` and `organizations` included. */
  readonly tenant: string | undefined
  readonly tenants: readonly string[]
  /** Scopes that this API asks for, ready to be requested; of the route when it is about one. */
  readonly scopes: readonly string[]
  readonly nowSeconds: number
  /** This machine's time minus the issuer's, in seconds. */
  readonly aheadSeconds: number | undefined
  /** The application under whose `?appid=` the key is published. */
  readonly customKeyOf: string | undefined
  /** Why the issuer's keys could not be fetched. */
  readonly failure: string | undefined
  readonly offline: boolean
  readonly local: boolean
}

const PORTAL = 'Entra admin center > App registrations'
const ACCESS_TOKEN = 'the access token (access_token, in MSAL accessToken)'

const scope = ({ scopes }: Case): string => scopes[0] ?? 'a scope of this API'
const words = (value: unknown): string[] => [value].flat().filter(item => typeof item === 'string')

function clockAdvice({ aheadSeconds, offline }: Case): string {
  if (aheadSeconds === undefined) {
    return offline ? 'The clocks were not compared (offline).' : "The issuer's clock could not be read."
  }
  const said = `${showClock(aheadSeconds)}.`
  const sentence = said[0]!.toUpperCase() + said.slice(1)
  return Math.abs(aheadSeconds) < 2 ? sentence : `${sentence} Set it by NTP.`
}

function audience(one: Case): string {
  const { refusal, claims, issuer } = one
  const [received = 'nothing'] = words(refusal.received)
  const expected = words(refusal.expected)
  const near = expected.find(
    ours => ours.trim().replace(/\/$/, '').toLowerCase() === received.trim().replace(/\/$/, '').toLowerCase(),
  )
  if (near !== undefined) {
    return `The audience is ${showText(received)}, this API is ${near}: they differ only in a slash, a space or in case. Audiences are compared exactly: set AUDIENCE to ${showText(received)}.`
  }
  if (issuer?.version === '2.0' && expected.includes(`api://${received}`)) {
    return `The audience is ${received}, this API is ${expected.join(' or ')}. v2 tokens always carry the client id: add ${received} to AUDIENCE.`
  }
  if (issuer?.version === '1.0' && received.startsWith('api://') && expected.includes(received.slice(6))) {
    return `The audience is ${received}, this API is ${expected.join(' or ')}. v1 tokens carry the Application ID URI: add it to AUDIENCE, or set requestedAccessTokenVersion to 2.`
  }
  const told = `The audience is ${showText(received)}, this API is ${expected.join(' or ')}: the token is for another API.`
  if (received === (claims.azp ?? claims.appid)) {
    return `${told} The application asked for a token for itself: ask for scope ${scope(one)}.`
  }
  return `${told} Ask for scope ${scope(one)}. If ${showText(received)} is a name of this API (Expose an API > Application ID URI), add it to AUDIENCE.`
}

function foreignIssuer({ refusal, issuers, claims }: Case): string {
  const iss = showValue(claims.iss)
  if (refusal.about === 'tid')
    return 'The claims iss and tid name different tenants; Entra issues no such token. Get a new one.'
  const names = issuers.map(({ name }) => name)
  const near = names.find(name => name.replace(/\/$/, '') === iss.replace(/\/$/, ''))
  if (near !== undefined)
    return `The issuer is ${iss}, configured is ${near}: write it in ISSUERS exactly as it stands in iss.`
  if (/\{|microsoftonline\.|sts\.(windows\.net|chinacloudapi\.cn)|ciamlogin\.com|b2clogin\.com/.test(iss)) {
    return `The issuer is ${iss}, trusted is ${names.join(' and ')}. Check AZURE_AUTHORITY_HOST (each cloud has its own) and AZURE_TENANT_ID, and from which authority the client asks its token.`
  }
  return `The issuer is ${iss}, trusted is ${names.join(' and ')}. Get the token from a trusted issuer, or add this one to ISSUERS.`
}

function unknownKey({ refusal, customKeyOf, local, offline, issuer }: Case): string {
  if (refusal.received === undefined)
    return 'The header names no key (kid), and several could have signed. Entra always names its key: get the token from the issuer itself.'
  if (customKeyOf !== undefined) {
    return `The token is signed by a key published only under ?appid=${customKeyOf}: the application has custom signing keys, because of a claims mapping policy or a SAML certificate. Remove the policy (use ${PORTAL} > Token configuration > optional claims instead), so that the tenant's own keys sign; or give the plugin the option signingKeysAppId.`
  }
  if (offline)
    return 'The key is not in the file: save the present keys of the issuer (jwks_uri of its discovery document) and try again.'
  const older = `The issuer publishes ${words(refusal.expected).length} keys, and not this one: the token is older than a change of keys, or of another environment, or forged. Get a new token.`
  if (local) return `${older} The local tenant makes new keys when its state folder is new.`
  return issuer?.preset === 'entra' ? `${older} It is not published under ?appid= either.` : older
}

const FIXES: Readonly<Record<Exclude<Code, Unrelated>, (one: Case) => string>> = {
  no_credentials: () => 'Send the header Authorization: Bearer TOKEN.',
  malformed_credentials: () =>
    'A token has letters, digits, "-", "_" and dots only. Copy it again, whole, and nothing beside it.',
  malformed_token: ({ refusal, parts }) => {
    if (refusal.about === 'size')
      return 'Make it shorter: Token configuration > groups claim > Groups assigned to the application.'
    if (parts === 5)
      return 'The token is encrypted (JWE): switch off Token encryption of this API, or send the token that is issued for it.'
    if (parts === 1)
      return `This is no JWT: an opaque token is for its issuer only (of Microsoft Graph for a personal account, or of an Auth0 request without audience), or something else was copied. Send ${ACCESS_TOKEN} for this API.`
    return 'A part of the token was cut off or changed. Copy it again, whole.'
  },
  unsupported_algorithm: ({ refusal }) => {
    if (refusal.received === 'none')
      return 'The token has no signature: no issuer makes such access tokens. Get one from the issuer.'
    if (/^HS/.test(`${refusal.received}`))
      return "The token is signed with a shared secret, which everybody who can check it could forge with. Have the issuer sign with RS256 (Auth0: the API's Signing Algorithm)."
    return `Have the issuer sign with ${showValue(refusal.expected)}.`
  },
  wrong_token_type: one => {
    const { refusal, issuer } = one
    if (refusal.about === 'typ' && issuer?.strict)
      return `This is an ID token, or the issuer does not type its access tokens (Keycloak's default, Auth0's too): send ${ACCESS_TOKEN}, or have the issuer follow RFC 9068 (typ at+jwt), or set ISSUERS_TOKEN_TYP=JWT.`
    return `This signed JWT is no access token. Send ${ACCESS_TOKEN}.`
  },
  unknown_key: unknownKey,
  key_not_for_issuer: ({ refusal }) =>
    `The key belongs to ${showValue(refusal.received)}, and the token names another issuer: it is forged, or of a personal Microsoft account. Sign in with a work or school account of the tenant.`,
  invalid_signature: () =>
    'The token was changed after it was signed (edited, cut off, or decoded and encoded again), or signed with another key under this key id. Copy the original, whole.',
  untrusted_issuer: foreignIssuer,
  tenant_not_allowed: ({ refusal, tenant }) => {
    const received = showValue(refusal.received)
    if (tenant === 'common' || tenant === 'organizations')
      return `The token is of tenant ${received}: add it to ALLOWED_TENANTS, or sign in with an account of an allowed tenant.`
    return `The token is of tenant ${received}, this API accepts ${tenant} alone. Sign in at the authority of that tenant (not common or organizations). For several tenants: Supported account types "multiple Entra ID tenants", AZURE_TENANT_ID=organizations and ALLOWED_TENANTS.`
  },
  wrong_audience: audience,
  graph_token: one =>
    `This token is for Microsoft Graph: ask for scope ${scope(one)} instead. Scopes without a prefix (User.Read, openid, profile) are Graph's, and one token is for one API.`,
  id_token: one => `This is an ID token: send ${ACCESS_TOKEN}; ask for it with scope ${scope(one)}.`,
  missing_claim: ({ refusal, issuer }) =>
    issuer?.strict
      ? `The claim ${refusal.about} is missing, which RFC 9068 requires: have the issuer add it, or set ISSUERS_TOKEN_TYP=JWT if it follows no standard for access tokens.`
      : `The claim ${refusal.about} is missing, which every access token of Entra has: this is another kind of token, or one made by hand. Get one from the issuer.`,
  malformed_claim: ({ refusal }) =>
    `The claim ${refusal.about} has a form that is not allowed; expected is ${showValue(refusal.expected)}. Remove the claims mapping or the custom claim that changes it.`,
  expired: one => {
    const { claims, nowSeconds } = one
    return `Expired ${showDuration(nowSeconds - Number(claims.exp))} ago: get a new token; the client's library renews it (MSAL: acquireTokenSilent before each call). ${clockAdvice(one)}`
  },
  not_yet_valid: one =>
    `Valid in ${showDuration(Number(one.claims.nbf) - one.nowSeconds)} only. ${clockAdvice(one)} CLOCK_TOLERANCE_SECONDS forgives up to 300.`,
  sender_constrained: () =>
    'The token is bound to a key of the client (DPoP, mutual TLS or proof of possession). Have the client ask for a bearer token (MSAL: authenticationScheme BEARER).',
  invalid_proof: () =>
    'The proof in the DPoP header does not belong to this token and request. explain sees the token only.',
  wrong_token_version: ({ refusal, claims, issuer }) => {
    if (issuer !== undefined && issuer.version !== claims.ver)
      return `The claim ver says ${showValue(claims.ver)}, iss is of a ${issuer.version} token: the token is no original of Entra. Get a new one.`
    if (refusal.received === '1.0')
      return `v1 token: set requestedAccessTokenVersion to 2 (${PORTAL} > this API > Manifest > api), or keep v1 accepted: TOKEN_VERSIONS=1.0,2.0. The API decides, not the endpoint that the client asks.`
    return `v2 token, and ${showValue(refusal.expected)} alone is accepted: set TOKEN_VERSIONS=1.0,2.0, or requestedAccessTokenVersion to null (${PORTAL} > this API > Manifest > api).`
  },
  revoked: () => 'The token has been revoked: sign in again.',
  insufficient_scope: one =>
    `The token has ${showValue(one.refusal.received)}: ask for scope ${one.scopes.join(' ') || showValue(one.refusal.expected)} (${PORTAL} > the calling application > API permissions > Delegated permissions, then consent).`,
  insufficient_role: ({ refusal }) =>
    `The token has role ${showValue(refusal.received)}: add ${showValue(refusal.expected)} (${PORTAL} > the calling application > API permissions > Application permissions, then Grant admin consent).`,
  no_permissions: one =>
    `The token has neither scp nor roles. As a person: ask for scope ${scope(one)}. As an application: ${PORTAL} > the calling application > API permissions > Application permissions, then Grant admin consent, and ask for a new token.`,
  client_not_allowed: ({ refusal }) =>
    `The calling application is ${showValue(refusal.received)}: add it to ALLOWED_CLIENTS, or call with one that is on it.`,
  groups_undetermined: () =>
    'The caller is in more groups than a token holds (more than 200), so Entra left them out: Token configuration > groups claim > Groups assigned to the application, or use app roles.',
  insufficient_group: ({ refusal }) =>
    `The caller must be in group ${showValue(refusal.expected)} (object id). Add them, and emit the claim: Token configuration > Add groups claim; the claim then holds object ids, not names.`,
  insufficient_authentication: ({ refusal: { stepUp } }) => {
    if (stepUp === undefined)
      return `No new sign-in by this client is asked for, because it does not say that it can: set clientCapabilities to CP1 in MSAL, and add the optional claim xms_cc to the access token (${PORTAL} > this API > Token configuration).`
    if (stepUp.claims !== undefined)
      return 'The route asks for an authentication context (Entra admin center > Conditional Access > Authentication contexts): hand the claims of the challenge to MSAL (claims), and the person signs in once more.'
    return 'The sign-in is not strong or not fresh enough: ask for another with the acr_values and max_age of the challenge.'
  },
  wrong_caller_kind: ({ refusal }) =>
    `The caller is ${showValue(refusal.received)}, this route is for ${showValue(refusal.expected)} only: ${refusal.received === 'application' ? 'sign a person in (delegated permission)' : 'call as an application with a role (client credentials)'}.`,
  keys_unavailable: ({ failure, offline }) =>
    offline
      ? `The file gives no key for this issuer: ${showText(failure ?? 'no usable key')}.`
      : `The issuer can't be asked for its keys: ${showText(failure ?? 'no answer')}. Check AZURE_AUTHORITY_HOST, AZURE_TENANT_ID, the network and HTTPS_PROXY; nothing is wrong with the token so far.`,
}

/** The sentence that mends a refusal. */
export function fixOf(one: Case): string {
  const fix = FIXES[one.refusal.code as keyof typeof FIXES] as ((one: Case) => string) | undefined
  return fix?.(one) ?? 'This has nothing to do with the token; the log of the server says more.'
}

/** The reasons that have a fix. */
export const FIXED_CODES = Object.keys(FIXES) as readonly Code[]

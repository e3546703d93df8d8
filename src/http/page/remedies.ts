/** Decides what is said to do about each refusal, in a line: the page of the API description shows it, and README.md has the same for every code that is given. */
import type { Code } from '../../errors.ts'

/** One line for each code; what stands in backticks is code. */
export const REMEDIES: Readonly<Record<Code, string>> = {
  no_credentials: 'get a token; the challenge names scope and metadata',
  malformed_credentials: "look at the header: two of them, another scheme's syntax, `Bearer` twice",
  malformed_token: 'send the access token as it came; opaque and encrypted tokens are not accepted',
  unsupported_algorithm: 'Entra: RS256; others: RS256, PS256, ES256, ES384, EdDSA',
  wrong_token_type: 'send an access token; for issuers that do not type theirs set `ISSUERS_TOKEN_TYP=JWT`',
  unknown_key:
    "get a new token; an application's own signing key at Entra needs the option `signingKeysAppId`",
  key_not_for_issuer: 'get the token from the tenant itself',
  invalid_signature: 'send the token unchanged; a cut or edited token ends here',
  untrusted_issuer:
    "compare `iss` with the log's `expected`; check `AZURE_TENANT_ID`, `AZURE_AUTHORITY_HOST`, `ISSUERS`",
  tenant_not_allowed: 'sign in to the right tenant, or add it to `ALLOWED_TENANTS`',
  wrong_audience:
    'ask for a scope of this API: `api://<AZURE_CLIENT_ID>/…`; another App ID URI with v1 tokens goes into `AUDIENCE`',
  graph_token: 'ask for `api://<AZURE_CLIENT_ID>/Data.Read`, not for `User.Read`',
  id_token: 'send `access_token` of the token response, not `id_token`',
  missing_claim: 'the log names it; RFC 9068 §2.2 says which are needed',
  malformed_claim: 'the log names it',
  expired: 'get a new token; check the clocks',
  not_yet_valid: 'check the clocks; `CLOCK_TOLERANCE_SECONDS`',
  sender_constrained: 'ask for a token without proof of possession',
  invalid_proof: 'send a new proof with each request, made for this token, method and address',
  insufficient_scope: 'ask for the scope in the challenge; the user or an administrator consents',
  insufficient_role: 'give the caller the app role, and admin consent',
  no_permissions: 'as for `insufficient_role`; at Entra any application of the tenant gets such a token',
  client_not_allowed: 'add it to `ALLOWED_CLIENTS`',
  groups_undetermined: 'too many groups: give the API app roles, or limit the groups in the token',
  insufficient_group: 'add the user to the group',
  insufficient_authentication:
    "401 when a new sign-in can mend it: pass the challenge's `claims`, `acr_values` or `max_age` on",
  wrong_caller_kind: 'users only, or applications only: use the other kind of sign-in',
  wrong_token_version: '`requestedAccessTokenVersion` in the manifest, or `TOKEN_VERSIONS`',
  revoked: 'sign in again',
  consent_required:
    'an administrator consents in the portal, under API permissions; the log names the permission',
  interaction_required: "401 when a new sign-in by this client can mend it: pass the challenge's `claims` on",
  keys_unavailable: 'wait `Retry-After` seconds; the operator looks for `keys_refresh_failed` in the log',
  downstream_unavailable: 'wait `Retry-After` seconds; the operator reads `about` and `expected` in the log',
  downstream_throttled: "wait `Retry-After` seconds, which are that service's own",
  not_found: 'look at `/docs`; without a token an unknown path answers 401',
  method_not_allowed: 'use one of `Allow`',
  bad_request: 'the status may also be 408, 413, 415 or 431',
  rate_limited: 'wait `Retry-After` seconds; `RATE_LIMIT_MAX` is the limit',
  overloaded: 'wait `Retry-After` seconds; nothing is wrong with the token',
  internal_error: 'look for `failed` in the log',
}

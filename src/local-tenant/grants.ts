/** Decides what the token endpoint answers to each grant. */

import { Aadsts } from './aadsts.ts'
import { readClaimsRequest } from './claims-request.ts'
import { type AuthenticatedClient, authenticateClient, type Form } from './client-authentication.ts'
import type { Directory } from './directory.ts'
import { readAssertion } from './on-behalf-of.ts'
import { findPerson } from './people.ts'
import { openRefreshToken } from './refresh-tokens.ts'
import { readScopes } from './scopes.ts'
import type { SignIns } from './sign-ins.ts'
import { answerApplication, answerPerson, type TokenAnswer } from './token-answer.ts'

/** What the grants work with. */
export interface Desk {
  readonly directory: Directory
  readonly signIns: SignIns
}

/** A request to the token endpoint. */
export interface TokenRequest {
  readonly form: Form
  readonly authorization: string | undefined
  /** Whether it came to the page port, which serves public clients with PKCE and nobody else. */
  readonly fromPage: boolean
}

const required = (form: Form, name: string): string => {
  const value = form[name]
  if (!value) throw new Aadsts(90014, `The request body must contain the following parameter: ${name}.`)
  return value
}

type GrantHandler = (desk: Desk, caller: AuthenticatedClient, request: TokenRequest) => Promise<TokenAnswer>

const clientCredentials: GrantHandler = async ({ directory }, caller, { form }) => {
  if (caller.proof === '0') throw new Aadsts(7000218)
  const scope = required(form, 'scope')
  const { resource, names, oidc } = readScopes(directory, scope)
  if (oidc.length > 0 || names.join() !== '.default') throw new Aadsts(1002012, `Scope: ${scope}.`)
  return answerApplication(directory, caller, resource, readClaimsRequest(form.claims).capabilities)
}

const authorizationCode: GrantHandler = async (desk, caller, { form, fromPage }) => {
  const grant = desk.signIns.redeem(required(form, 'code'), {
    clientId: caller.client.clientId,
    redirectUri: form.redirect_uri,
    codeVerifier: form.code_verifier,
    pkce: fromPage,
  })
  return answerPerson(desk.directory, caller, form, { ...grant, scope: form.scope || grant.scope })
}

const deviceCode: GrantHandler = async (desk, caller, { form }) => {
  const code = required(form, 'device_code')
  return answerPerson(desk.directory, caller, form, desk.signIns.poll(code, caller.client.clientId))
}

const refreshToken: GrantHandler = async (desk, caller, { form }) => {
  const token = required(form, 'refresh_token')
  const grant = await openRefreshToken(desk.directory, token, caller.client.clientId)
  return answerPerson(desk.directory, caller, form, {
    person: findPerson(grant.handle)!,
    scope: form.scope || grant.scope,
    acrs: grant.acrs,
  })
}

const onBehalfOf: GrantHandler = async ({ directory }, caller, { form }) => {
  if (caller.proof === '0') throw new Aadsts(7000218)
  const use = required(form, 'requested_token_use')
  if (use !== 'on_behalf_of') throw new Aadsts(9002313, `Requested token use: ${use}.`)
  const scope = required(form, 'scope')
  const grant = await readAssertion(directory, caller.client, required(form, 'assertion'))
  return answerPerson(directory, caller, form, { ...grant, scope })
}

const grants = new Map<string, GrantHandler>([
  ['client_credentials', clientCredentials],
  ['authorization_code', authorizationCode],
  // msal-node sends the short form, RFC 8628 §3.4 the other.
  ['device_code', deviceCode],
  ['urn:ietf:params:oauth:grant-type:device_code', deviceCode],
  ['refresh_token', refreshToken],
  ['urn:ietf:params:oauth:grant-type:jwt-bearer', onBehalfOf],
])

/**
 * Answers a token request.
 * @throws Aadsts
 */
export async function answerTokenRequest(desk: Desk, request: TokenRequest): Promise<TokenAnswer> {
  const type = required(request.form, 'grant_type')
  const grant = grants.get(type)
  if (!grant || (request.fromPage && grant !== authorizationCode))
    throw new Aadsts(70003, `Grant type: ${type}.`)
  const caller = await authenticateClient(desk.directory, request.form, request.authorization)
  if (request.fromPage && caller.proof !== '0') throw new Aadsts(9002326)
  return grant(desk, caller, request)
}

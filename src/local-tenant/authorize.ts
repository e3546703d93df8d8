/** Decides whether a sign-in request is one, and where its answer may go. */

import { Aadsts } from './aadsts.ts'
import { homeOf } from './claims.ts'
import { readClaimsRequest } from './claims-request.ts'
import type { Form } from './client-authentication.ts'
import { type Application, type Directory, findApplication } from './directory.ts'
import { isLoopback } from './http.ts'
import { findPerson, type Person } from './people.ts'
import { readScopes } from './scopes.ts'
import type { SignIns } from './sign-ins.ts'

/** An application, and the address of its own that the answer goes to. */
export interface ReturnAddress {
  readonly client: Application
  readonly redirectUri: string
  readonly mode: 'query' | 'form_post'
  readonly state: string | undefined
}

// What the page carries from the first request to the choice; whatever else a client sends is ignored.
const CARRIED = [
  ...['client_id', 'redirect_uri', 'response_type', 'response_mode', 'scope', 'state', 'nonce', 'prompt'],
  ...['code_challenge', 'code_challenge_method', 'client_info', 'claims'],
]

/** The parameters that the sign-in page carries along. */
export function carriedParameters(form: Form): Form {
  return Object.fromEntries(Object.entries(form).filter(([name]) => CARRIED.includes(name)))
}

/**
 * Finds the application and where it wants the answer. As at Entra the port of a loopback redirect does not count
 * and the path does; an origin of the API's docs may use any path. Nothing else, so nothing leaves this machine.
 * @throws Aadsts 90014, 700016, 50011: the person sees these, the application does not
 */
export function findReturnAddress(directory: Directory, form: Form): ReturnAddress {
  if (!form.client_id) throw new Aadsts(90014, 'The request must contain the parameter: client_id.')
  const client = findApplication(directory, form.client_id)
  if (!client) throw new Aadsts(700016, `Application: ${form.client_id}.`)
  const redirectUri = form.redirect_uri ?? ''
  const url = URL.canParse(redirectUri) ? new URL(redirectUri) : undefined
  const known =
    url !== undefined &&
    client.secret === undefined &&
    isLoopback(url) &&
    !redirectUri.includes('#') &&
    url.username === '' &&
    url.password === '' &&
    (url.pathname === '/' || directory.settings.docsOrigins.includes(url.origin))
  if (!known) throw new Aadsts(50011, `Redirect URI: ${redirectUri}.`)
  const mode = form.response_mode === 'form_post' ? 'form_post' : 'query'
  return { client, redirectUri, mode, state: form.state }
}

/**
 * Checks the rest of a sign-in request.
 * @throws Aadsts the application gets these
 */
export function checkSignIn(directory: Directory, form: Form): void {
  if (form.response_type !== 'code') throw new Aadsts(9002313, 'Only response_type=code is served.')
  if (!['query', 'form_post', undefined].includes(form.response_mode)) throw new Aadsts(70007)
  if (form.code_challenge !== undefined && form.code_challenge_method !== 'S256')
    throw new Aadsts(9002313, 'Only code_challenge_method=S256 is served.')
  readScopes(directory, form.scope ?? '')
  readClaimsRequest(form.claims)
  // There are no sessions here: a person is always asked, so nobody can be signed in silently.
  if (form.prompt === 'none') throw new Aadsts(50058)
}

/**
 * The choice, when there is one: of the page, or of the API's docs, where the person was picked before they came
 * here and named by `login_hint`.
 */
export function findChoice(directory: Directory, form: Form, isFromPage: boolean): Form | undefined {
  if (isFromPage && ('person' in form || 'cancel' in form)) return form
  const { login_hint: person, prompt, redirect_uri: redirectUri = '' } = form
  const isDocs = directory.settings.docsOrigins.includes(new URL(redirectUri).origin)
  return person !== undefined && prompt === undefined && isDocs ? { ...form, person } : undefined
}

/**
 * The answer to a choice on the sign-in page: a code.
 * @param form checked by {@link checkSignIn}, with `person` or `cancel` in it
 * @throws Aadsts 65004, 50034
 */
export function completeSignIn(
  directory: Directory,
  signIns: SignIns,
  form: Form,
): { code: string; person: Person } {
  if (form.cancel !== undefined) throw new Aadsts(65004)
  const person = findPerson(form.person!)
  if (!person) throw new Aadsts(50034)
  const { client, redirectUri } = findReturnAddress(directory, form)
  const code = signIns.remember({
    clientId: client.clientId,
    redirectUri,
    scope: form.scope!,
    person,
    // Whoever picks themselves on the page is taken to have done all that the contexts ask for.
    acrs: readClaimsRequest(form.claims).acrs,
    ...(form.nonce !== undefined && { nonce: form.nonce }),
    ...(form.code_challenge !== undefined && { codeChallenge: form.code_challenge }),
  })
  return { code, person }
}

/** `client_info` of a person, when the request asks for it. */
export function clientInfoFor(directory: Directory, form: Form, person: Person): Form {
  if (form.client_info !== '1') return {}
  return { client_info: Buffer.from(JSON.stringify(homeOf(directory, person))).toString('base64url') }
}

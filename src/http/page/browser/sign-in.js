/** Decides how a person signs in with one click: authorization code with PKCE (RFC 7636), redeemed by swagger-ui itself. */
import { element } from './elements.js'

/** @typedef {{ name: string, about: string, username: string }} Person */
/** @typedef {{ clientId: string, people: readonly Person[] }} SignIn */
/** @typedef {{ get(name: 'authorizationUrl' | 'flow'): string, get(name: 'scopes'): Map<string, string> }} Flow */
/**
 * @typedef {object} System what of swagger-ui is used
 * @property {() => { oauth2RedirectUrl: string }} getConfigs
 * @property {{ definitionsToAuthorize(): Iterable<Map<string, Flow>> }} authSelectors
 * @property {{ authorizeAccessCodeWithFormParams(redirected: object): void, logout(names: string[]): void }} authActions
 * @property {{ newAuthErr(error: object): void }} errActions
 * @property {(options: object) => void} initOAuth
 */

const SCHEME = 'entra'

/** @param {Uint8Array} bytes */
const base64url = bytes =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)))

/** @param {string} verifier */
async function challengeOf(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))))
}

/** The page offers a sign-in only where the description has this scheme. @param {System} system */
const flowOf = system =>
  /** @type {Flow} */ (
    [...system.authSelectors.definitionsToAuthorize()].map(one => one.get(SCHEME)).find(Boolean)
  )

/** Opens the tenant's window; swagger-ui takes the code from it. @param {System} system @param {string} clientId @param {Person} [person] */
async function openSignIn(system, clientId, person) {
  const flow = flowOf(system)
  const { oauth2RedirectUrl: redirectUrl } = system.getConfigs()
  const [state, codeVerifier] = [random(), random()]
  const scopes = [...flow.get('scopes').keys()]
  const url = new URL(flow.get('authorizationUrl'))
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUrl,
    scope: scopes.join(' '),
    state,
    code_challenge: await challengeOf(codeVerifier),
    code_challenge_method: 'S256',
    ...(person && { login_hint: person.username }),
  }).toString()
  const auth = { schema: flow, name: SCHEME, clientId, codeVerifier, scopes, person: person?.name }
  // The name under which swagger-ui's own return page looks for what it was opened for.
  Object.assign(window, {
    swaggerUIRedirectOauth2: {
      auth,
      state,
      redirectUrl,
      callback: system.authActions.authorizeAccessCodeWithFormParams,
      errCb: system.errActions.newAuthErr,
    },
  })
  if (window.open(url) === null) {
    system.errActions.newAuthErr({ authId: SCHEME, message: 'the browser did not open the window' })
  }
}

/** @param {() => void} act @param {readonly (Node | string)[]} label */
function button(act, ...label) {
  const made = element('button', { type: 'button' }, ...label)
  made.addEventListener('click', act)
  return made
}

/** @param {Person} person */
const describe = ({ name, about }) => [`Sign in as ${name}`, element('small', {}, about)]

/**
 * Puts the sign-in at the head of the page, and makes swagger-ui's own dialog ready for it.
 * @param {System} system
 * @param {SignIn} signIn
 * @returns what to tell it: who came in, who went, what went wrong
 */
export function addSignIn(system, { clientId, people }) {
  const scopes = [...flowOf(system).get('scopes').keys()]
  system.initOAuth({ clientId, scopes, usePkceWithAuthorizationCodeGrant: true })
  const said = element('p', { role: 'status' }, 'Not signed in.')
  const signOut = button(() => system.authActions.logout([SCHEME]), 'Sign out')
  signOut.hidden = true
  const ways =
    people.length === 0
      ? [button(() => openSignIn(system, clientId), 'Sign in')]
      : people.map(one => button(() => openSignIn(system, clientId, one), ...describe(one)))
  const who = element('div', {}, said, signOut)
  document.body.prepend(element('section', { class: 'sign-in', 'aria-label': 'Sign in' }, who, ...ways))

  /** @param {string} text @param {boolean} isIn */
  const say = (text, isIn) => {
    said.textContent = text
    signOut.hidden = !isIn
  }
  return {
    /** @param {string} [name] */
    cameIn: name => say(name === undefined ? 'Signed in.' : `Signed in as ${name}.`, true),
    wentOut: () => say('Not signed in.', false),
    /** Whoever was signed in still is. @param {string} message */
    failed: message => {
      said.textContent = `The sign-in failed: ${message}`
    },
  }
}

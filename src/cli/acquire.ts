/** Decides which calls to msal-node make a token: one function per way. */
import {
  AuthError,
  type AuthenticationResult,
  ConfidentialClientApplication,
  PublicClientApplication,
} from '@azure/msal-node'
import { accountsOf, reuse } from './accounts.ts'
import { readCertificate } from './certificate.ts'
import { within } from './deadline.ts'
import type { Network } from './network.ts'
import { ask, configure, type Wish } from './wish.ts'

/** As an application. MSAL answers from the cache while the token is good, unless there are claims. */
export async function acquireAsApplication(wish: Wish): Promise<AuthenticationResult> {
  const { settings, timeoutSeconds } = wish
  const { auth, ...rest } = configure(wish)
  const credential = settings.credential!
  const app = new ConfidentialClientApplication({
    auth: {
      ...auth,
      ...('secret' in credential
        ? { clientSecret: credential.secret }
        : { clientCertificate: await readCertificate(credential.certificatePath) }),
    },
    ...rest,
  })
  // MSAL_FORCE_REGION in the environment would move the token endpoint to a host of another name.
  const request = { ...ask(wish), azureRegion: 'DisableMsalForceRegion' as const }
  return settle(within(app.acquireTokenByClientCredential(request), timeoutSeconds))
}

/**
 * As a person, by the code flow with a loopback redirect.
 *
 * @param show opens the authorization URL; what it throws ends the sign-in
 * @param username reuse this person's cached sign-in; absent: always ask
 */
export async function acquireInteractively(
  wish: Wish,
  show: (url: string) => Promise<void>,
  username?: string,
): Promise<AuthenticationResult> {
  const app = new PublicClientApplication(configure(wish))
  const accounts = username === undefined ? [] : await accountsOf(app, wish.settings)
  const account = accounts.find(one => one.username === username)
  const kept = account && (await reuse(app, wish, account))
  if (kept) return kept

  let shown: string | undefined
  const pending = app.acquireTokenInteractive({
    ...ask(wish),
    openBrowser: url => {
      shown = url
      return show(url)
    },
    successTemplate: 'Signed in. You can close this window and go back to the terminal.',
    errorTemplate: 'Not signed in. You can close this window; the terminal says why.',
  })
  return settle(within(pending, wish.timeoutSeconds, () => abandon(shown, wish.network)))
}

/**
 * MSAL listens until an answer comes, and none comes from a closed window. So answer in the browser's place, with
 * the state that only the two of us know; that closes the listener.
 */
async function abandon(shown: string | undefined, network: Network): Promise<void> {
  if (shown === undefined) return
  const query = new URL(shown).searchParams
  const answer = new URLSearchParams({ error: 'timed_out', state: query.get('state')! })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  // The listener may be gone, or go while it answers: either is what we want.
  await network
    .send('POST', `${query.get('redirect_uri')}/`, { headers, body: `${answer}` })
    .catch(() => undefined)
}

/**
 * As a person, on another device. Reuses the cached sign-in if there is exactly one.
 *
 * @param show tells the person the URL and the code
 */
export async function acquireByDeviceCode(
  wish: Wish,
  show: (message: string) => void,
): Promise<AuthenticationResult> {
  const app = new PublicClientApplication(configure(wish))
  const [account, ...others] = await accountsOf(app, wish.settings)
  const kept = account && others.length === 0 && (await reuse(app, wish, account))
  if (kept) return kept

  const request = {
    ...ask(wish),
    cancel: false,
    deviceCodeCallback: ({ message, userCode }: { message: string; userCode: string }) => {
      // MSAL takes an error answer for a device code without code, and would poll with it.
      if (!userCode) throw new AuthError('post_request_failed', '', 'no device code was issued')
      show(message)
    },
  }
  const pending = app.acquireTokenByDeviceCode(request)
  const stop = async () => {
    request.cancel = true
  }
  return settle(within(pending, wish.timeoutSeconds, stop))
}

/** MSAL's types allow null, for requests that its code answers with an error. */
async function settle(pending: Promise<AuthenticationResult | null>): Promise<AuthenticationResult> {
  return (await pending)!
}

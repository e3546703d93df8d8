/** Decides which calls to msal-node make a token for a person, and that nobody counts as signed in unverified. */
import { randomUUID } from 'node:crypto'
import {
  type AccountInfo,
  AuthError,
  type AuthenticationResult,
  PublicClientApplication,
} from '@azure/msal-node'
import type { JWTPayload } from 'jose'
import { abandon } from './abandon.ts'
import { accountsOf, chooseAccount } from './accounts.ts'
import { within } from './deadline.ts'
import { verifyIdToken } from './id-token.ts'
import { ask, askForEach, configure, type Wish } from './wish.ts'

/** Tokens of a person. */
export interface Person {
  readonly tokens: readonly AuthenticationResult[]
  /** Claims of the ID token that came with the first token; absent when that is an earlier sign-in's, from the cache. */
  readonly idClaims?: JWTPayload
}

/**
 * By the code flow with a loopback redirect.
 *
 * @param show opens the authorization URL; what it throws ends the sign-in
 * @param username reuse this person's cached sign-in; absent: always ask
 */
export async function acquireInteractively(
  wish: Wish,
  show: (url: string) => Promise<void>,
  username?: string,
): Promise<Person> {
  const app = new PublicClientApplication(configure(wish))
  const accounts = username === undefined ? [] : await accountsOf(app, wish.settings)
  const account = accounts.find(one => one.username === username)
  const kept = account && (await reuse(app, wish, account))
  if (kept) return kept

  let shown: string | undefined
  return signIn(
    app,
    wish,
    scopes =>
      app.acquireTokenInteractive({
        ...ask(wish, scopes),
        nonce: randomUUID(),
        openBrowser: url => {
          shown = url
          return show(url)
        },
        successTemplate: 'Signed in. You can close this window and go back to the terminal.',
        errorTemplate: 'Not signed in. You can close this window; the terminal says why.',
      }),
    () => abandon(shown, wish.network),
  )
}

/**
 * On another device. Reuses the cached sign-in if there is exactly one.
 *
 * @param show tells the person the URL and the code
 */
export async function acquireByDeviceCode(wish: Wish, show: (message: string) => void): Promise<Person> {
  const app = new PublicClientApplication(configure(wish))
  const [account, ...others] = await accountsOf(app, wish.settings)
  const kept = account && others.length === 0 && (await reuse(app, wish, account))
  if (kept) return kept

  const request = {
    cancel: false,
    deviceCodeCallback: ({ message, userCode }: { message: string; userCode: string }) => {
      // MSAL takes an error answer for a device code without code, and would poll with it.
      if (!userCode) throw new AuthError('post_request_failed', '', 'no device code was issued')
      show(message)
    },
  }
  return signIn(
    app,
    wish,
    // MSAL looks at `cancel` of the very object it was handed.
    scopes => app.acquireTokenByDeviceCode(Object.assign(request, ask(wish, scopes))),
    async () => {
      request.cancel = true
    },
  )
}

/**
 * From a sign-in of an earlier run, without the person.
 *
 * @param username whose; absent: there must be exactly one
 */
export async function acquireSilently(wish: Wish, username?: string): Promise<Person> {
  const app = new PublicClientApplication(configure(wish))
  const account = chooseAccount(await accountsOf(app, wish.settings), username)
  return askSilently(app, wish, account)
}

/** The first resource by a sign-in, the others by the refresh token that comes of it. */
async function signIn(
  app: PublicClientApplication,
  wish: Wish,
  request: (scopes: readonly string[]) => Promise<AuthenticationResult | null>,
  stop: () => Promise<void>,
): Promise<Person> {
  const [first, ...others] = wish.resources
  const signedIn = await within(askForEach([first!], request), wish.timeoutSeconds, stop)
  const account = signedIn[0]!.account!
  const person = await verify(app, wish, signedIn, false)
  const { tokens } = await askSilently(app, { ...wish, resources: others }, account)
  return { ...person, tokens: [...signedIn, ...tokens] }
}

/** @returns undefined when it does not do: whatever speaks against it, asking the person mends it or says why not */
async function reuse(
  app: PublicClientApplication,
  wish: Wish,
  account: AccountInfo,
): Promise<Person | undefined> {
  return askSilently(app, wish, account).catch(() => undefined)
}

async function askSilently(app: PublicClientApplication, wish: Wish, account: AccountInfo): Promise<Person> {
  const work = askForEach(wish.resources, scopes =>
    app.acquireTokenSilent({ ...ask(wish, scopes), account, forceRefresh: wish.refresh }),
  )
  return verify(app, wish, await within(work, wish.timeoutSeconds), true)
}

/** Verifies every ID token that came over the wire; those of the cache were verified when they did. @param isKept whether the sign-in has been verified before */
async function verify(
  app: PublicClientApplication,
  wish: Wish,
  tokens: readonly AuthenticationResult[],
  isKept: boolean,
): Promise<Person> {
  const fresh = tokens.filter(token => !token.fromCache)
  try {
    const [idClaims] = await Promise.all(fresh.map(token => verifyIdToken(token, wish)))
    return { tokens, ...(idClaims && { idClaims }) }
  } catch (error) {
    // MSAL has written the sign-in to the cache already. That keys can't be had says nothing of one that was good before.
    if (!isKept || !(error instanceof AuthError)) await app.getTokenCache().removeAccount(fresh[0]!.account!)
    throw error
  }
}

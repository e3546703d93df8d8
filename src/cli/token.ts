/** Decides what the token command does: from its words to one line on stdout and an exit code. */
import type { AccountInfo, AuthenticationResult } from '@azure/msal-node'
import { Misconfigured } from '../errors.ts'
import { acquireAsApplication, acquireByDeviceCode, acquireInteractively } from './acquire.ts'
import { isShowable, openInBrowser } from './browser.ts'
import { cacheFile, fileCache } from './cache.ts'
import { describeFailure } from './failure.ts'
import { helpText } from './help.ts'
import { complain, type Io, plain, tell } from './io.ts'
import type { Person } from './local.ts'
import { createNetwork } from './network.ts'
import { readOptions, type TokenOptions, Usage } from './options.ts'
import { findLocal, namesNoTenant, readTokenSettings, type TokenSettings } from './settings.ts'
import { signInAs } from './sign-in.ts'
import type { Wish } from './wish.ts'

/** What the shell is told. */
const EXIT = { ok: 0, failed: 1, usage: 2, configuration: 78 } as const

/**
 * Runs the token command: writes an access token to stdout, and everything else to stderr.
 *
 * @param args the words after `token`
 * @returns the exit code: 0 done, 1 refused or failed, 2 usage, 78 configuration
 */
export async function runToken(args: readonly string[], io: Io): Promise<number> {
  try {
    const options = readOptions(args)
    if (options.help) {
      io.stdout.write(helpText(io.localTenant))
      return EXIT.ok
    }
    const person = findPerson(options, io)
    const settings = readTokenSettings(io.env, io.localTenant, options.how, options.scopes)
    return await obtain(options, settings, person, io)
  } catch (error) {
    if (error instanceof Usage) {
      complain(io, `${error.message}\nTry --help.`)
      return EXIT.usage
    }
    if (error instanceof Misconfigured) {
      complain(io, error.message)
      return EXIT.configuration
    }
    throw error
  }
}

async function obtain(
  options: TokenOptions,
  settings: TokenSettings,
  person: Person | undefined,
  io: Io,
): Promise<number> {
  const { local, proxy, noProxy } = settings
  const network = createNetwork({ ca: local?.ca, proxy, noProxy })
  const cache = options.cache
    ? fileCache(cacheFile(io, local !== undefined), text => tell(io, `note: ${text}`))
    : undefined
  const wish: Wish = {
    settings,
    network,
    cache,
    claims: options.claims,
    timeoutSeconds: options.timeoutSeconds,
  }
  const outcome = await acquire(options, wish, person, io)
    .catch((error: Error) => error)
    .finally(() => network.close())
  if (outcome instanceof Misconfigured) throw outcome
  if (outcome instanceof Error) {
    complain(io, describeFailure(outcome, network, settings))
    return EXIT.failed
  }
  io.stdout.write(`${render(outcome, options.json)}\n`)
  return EXIT.ok
}

async function acquire(
  { how, browser }: TokenOptions,
  wish: Wish,
  person: Person | undefined,
  io: Io,
): Promise<AuthenticationResult> {
  if (how === 'client-credentials') return acquireAsApplication(wish)
  if (how === 'device-code') return acquireByDeviceCode(wish, message => tell(io, plain(message)))
  if (person) {
    const { settings, network } = wish
    return acquireInteractively(wish, url => signInAs(person, url, settings.local!, network), person.username)
  }
  return acquireInteractively(wish, url => show(url, browser, wish.timeoutSeconds, io))
}

async function show(url: string, browser: boolean, seconds: number, io: Io): Promise<void> {
  if (!isShowable(url))
    throw new Error(`the issuer names a sign-in page that is not https: ${new URL(url).origin}`)
  if (!browser) return tell(io, `Sign in here, within ${seconds} s:\n${url}`)
  tell(io, `Sign in in the browser, within ${seconds} s; --no-browser prints the URL instead.`)
  const failed = (why: string) => tell(io, `No browser opens (${plain(why)}). Sign in here:\n${url}`)
  if (!io.openBrowser) return openInBrowser(url, io.platform, io.env, failed)
  await io.openBrowser(url).catch((error: Error) => failed(error.message))
}

function render(
  { accessToken, tokenType, expiresOn, scopes, account }: AuthenticationResult,
  json: boolean,
): string {
  if (!json) return accessToken
  const { name, username }: Partial<AccountInfo> = account ?? {}
  const result = {
    access_token: accessToken,
    token_type: tokenType,
    expires_on: expiresOn,
    scopes,
    account: name ?? username ?? null,
  }
  return JSON.stringify(result, null, 2)
}

function findPerson({ as: handle }: TokenOptions, io: Io): Person | undefined {
  if (handle === undefined) return undefined
  const people = findLocal(io.env, io.localTenant)?.people
  if (!people) {
    if (namesNoTenant(io.env)) return undefined // the settings will say that nothing runs here
    throw new Usage(
      '--as works at the local tenant only: unset AZURE_TENANT_ID, AZURE_AUTHORITY_HOST and AZURE_CLIENT_ID, or leave out --as',
    )
  }
  const person = people.find(one => one.handle === handle)
  if (!person)
    throw new Usage(`nobody here is called ${handle}. Known: ${people.map(one => one.handle).join(', ')}`)
  return person
}

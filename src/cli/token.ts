/** Decides what the token command does: from its words to tokens on stdout and an exit code. */
import { Misconfigured } from '../errors.ts'
import { acquireAsApplication, acquireOnBehalfOf } from './as-application.ts'
import { acquireByDeviceCode, acquireInteractively, acquireSilently, type Person } from './as-person.ts'
import { isShowable, openInBrowser } from './browser.ts'
import { cacheFile, fileCache } from './cache.ts'
import { describeFailure } from './failure.ts'
import { helpText } from './help.ts'
import { complain, type Io, plain, tell } from './io.ts'
import type { Person as LocalPerson } from './local.ts'
import { acquireByManagedIdentity } from './managed-identity.ts'
import { createNetwork } from './network.ts'
import { isPersonal, readOptions, type TokenOptions, Usage } from './options.ts'
import { splitByResource } from './resources.ts'
import { introduce, render } from './result.ts'
import { findLocal, namesNoTenant, readTokenSettings, type TokenSettings } from './settings.ts'
import { signInAs } from './sign-in.ts'
import { isSignInsCommand, runSignIns } from './sign-ins-command.ts'
import type { Wish } from './wish.ts'

/** What the shell is told. */
const EXIT = { ok: 0, failed: 1, usage: 2, configuration: 78 } as const

/**
 * Runs the token command: writes access tokens to stdout, and everything else to stderr.
 *
 * @param args the words after `token`
 * @returns the exit code: 0 done, 1 refused or failed, 2 usage, 78 configuration
 */
export async function runToken(args: readonly string[], io: Io): Promise<number> {
  try {
    if (isSignInsCommand(args)) return (await runSignIns(args, io)) ? EXIT.ok : EXIT.failed
    const options = readOptions(args)
    if (options.help) {
      io.stdout.write(helpText(io.localTenant))
      return EXIT.ok
    }
    const person = findPerson(options, io)
    // On-behalf-of reads the caller's token from where a person would type.
    const canAsk = io.stdin.isTTY === true && options.how !== 'on-behalf-of'
    const settings = readTokenSettings(io.env, io.localTenant, options.how, options.scopes, canAsk)
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
  person: LocalPerson | undefined,
  io: Io,
): Promise<number> {
  const { local, proxy, noProxy } = settings
  const network = createNetwork({ ca: local?.ca, proxy, noProxy })
  const cache = options.cache
    ? fileCache(cacheFile(io, local !== undefined), text => tell(io, `note: ${text}`))
    : undefined
  const wish: Wish = {
    settings,
    resources: splitByResource(settings.scopes),
    network,
    cache,
    claims: options.claims,
    // An ID token is verified when it arrives; one of the cache may be over.
    refresh: options.refresh || options.idToken,
    timeoutSeconds: options.timeoutSeconds,
  }
  const outcome = await acquire(options, wish, person, io)
    .catch((error: Error) => error)
    .finally(() => network.close())
  if (outcome instanceof Misconfigured || outcome instanceof Usage) throw outcome
  if (outcome instanceof Error) {
    complain(io, describeFailure(outcome, network, settings))
    return EXIT.failed
  }
  if (isPersonal(options.how)) introduce(outcome, options, io)
  io.stdout.write(`${render(outcome, options)}\n`)
  return EXIT.ok
}

async function acquire(
  { how, account, browser }: TokenOptions,
  wish: Wish,
  person: LocalPerson | undefined,
  io: Io,
): Promise<Person> {
  const { settings, network, timeoutSeconds } = wish
  switch (how) {
    case 'client-credentials':
      return { tokens: await acquireAsApplication(wish, io) }
    case 'on-behalf-of':
      return { tokens: await acquireOnBehalfOf(wish, io) }
    case 'managed-identity':
      return { tokens: await acquireByManagedIdentity(wish) }
    case 'silent':
      return acquireSilently(wish, account)
    case 'device-code':
      return acquireByDeviceCode(wish, message => tell(io, plain(message)))
    case 'interactive':
      return person
        ? acquireInteractively(wish, url => signInAs(person, url, settings.local!, network), person.username)
        : acquireInteractively(wish, url => show(url, browser, timeoutSeconds, io))
  }
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

function findPerson({ as: handle }: TokenOptions, io: Io): LocalPerson | undefined {
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

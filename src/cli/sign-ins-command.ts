/** Decides what `accounts` and `sign-out` do with the sign-ins that the cache file keeps. */
import { parseArgs } from 'node:util'
import { type AccountInfo, PublicClientApplication } from '@azure/msal-node'
import { chooseAccount } from './accounts.ts'
import { cacheFile, fileCache } from './cache.ts'
import { helpText } from './help.ts'
import { complain, type Io, plain, tell } from './io.ts'
import { Usage } from './options.ts'
import { findLocal } from './settings.ts'
import { GUID_EXAMPLE } from './variables.ts'

const COMMANDS: readonly (string | undefined)[] = ['accounts', 'sign-out']

/** Tells whether the words after `token` are one of these two commands. */
export function isSignInsCommand([word]: readonly string[]): boolean {
  return COMMANDS.includes(word)
}

/**
 * Lists who is signed in, or signs somebody out: in the cache file that the other ways use here.
 *
 * @returns whether it was done
 * @throws {Usage} naming what is allowed
 */
export async function runSignIns(args: readonly string[], io: Io): Promise<boolean> {
  const { command, name, json, help } = read(args)
  if (help) {
    io.stdout.write(helpText(io.localTenant))
    return true
  }
  const file = cacheFile(io, findLocal(io.env, io.localTenant) !== undefined)
  // Nothing is asked: which application and which authority does not matter to what is in the file.
  const app = new PublicClientApplication({
    auth: { clientId: GUID_EXAMPLE },
    cache: { cachePlugin: fileCache(file, text => tell(io, `note: ${text}`)) },
  })
  const accounts = await app.getAllAccounts()
  if (command === 'accounts') {
    list(accounts, json, file, io)
    return true
  }
  try {
    const account = chooseAccount(accounts, usernameOf(name, io))
    await app.getTokenCache().removeAccount(account)
    tell(io, farewell(account, file))
    return true
  } catch (error) {
    complain(io, plain((error as Error).message))
    return false
  }
}

const OPTIONS = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const

function read(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
    const [command = '', name, ...more] = positionals
    if (more.length > 0 || (command === 'accounts' && name !== undefined)) throw new Error('too many words')
    return { command, name, json: values.json ?? false, help: values.help ?? false }
  } catch {
    throw new Usage('accounts takes the option --json, sign-out takes a username or nothing')
  }
}

/** At the local tenant people go by their handle too. */
function usernameOf(name: string | undefined, { env, localTenant }: Io): string | undefined {
  return findLocal(env, localTenant)?.people.find(one => one.handle === name)?.username ?? name
}

function list(accounts: readonly AccountInfo[], json: boolean, file: string, io: Io): void {
  const rows = accounts.map(({ username, name, tenantId, environment }) => ({
    username,
    tenant: tenantId,
    authority: `https://${environment}`,
    name,
  }))
  if (json) {
    io.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
    return
  }
  const isText = (value: string | undefined): value is string => Boolean(value)
  for (const row of rows) io.stdout.write(`${Object.values(row).filter(isText).map(plain).join('\t')}\n`)
  if (rows.length === 0) tell(io, `Nobody is signed in (${file}).`)
}

function farewell({ username, environment }: AccountInfo, file: string): string {
  return plain(
    `Signed out here: ${username}. The account and its tokens are gone from ${file}. Not ended: the session in the ` +
      `browser and at https://${environment}, and access tokens that were handed out, which are good until they expire.`,
  )
}

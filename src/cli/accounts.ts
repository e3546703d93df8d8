/** Decides which sign-ins of earlier runs there are, and which one is meant. */
import type { AccountInfo, PublicClientApplication } from '@azure/msal-node'
import type { TokenSettings } from './settings.ts'
import { isGuid } from './variables.ts'

/**
 * Finds the cached accounts of the tenant. One cache file holds those of every authority, and a silent call for a
 * foreign one fails confusingly.
 */
export async function accountsOf(
  app: PublicClientApplication,
  { host, tenant }: Pick<TokenSettings, 'host' | 'tenant'>,
): Promise<AccountInfo[]> {
  const accounts = await app.getAllAccounts()
  return accounts.filter(({ environment, tenantId, tenantProfiles }) => {
    // A guest's account is at home elsewhere and has a profile here; a domain or `common` says nothing of GUIDs.
    const isHere = tenantId === tenant || tenantProfiles?.has(tenant) || !isGuid(tenant)
    return environment === host && isHere
  })
}

/**
 * Chooses the account that is meant.
 *
 * @param username absent: there must be exactly one
 * @throws {Error} naming those there are
 */
export function chooseAccount(accounts: readonly AccountInfo[], username?: string): AccountInfo {
  const meant = accounts.filter(one => username === undefined || one.username === username)
  const [account, ...others] = meant
  if (account && others.length === 0) return account
  const names = accounts.map(one => one.username).join(', ')
  if (names === '') throw new Error('nobody is signed in: use interactive or device-code')
  throw new Error(
    account
      ? `more than one is signed in: name one of ${names}`
      : `${username} is not signed in; those are: ${names}`,
  )
}

/** Decides whether a sign-in of an earlier run is good for this one. */
import type { AccountInfo, AuthenticationResult, PublicClientApplication } from '@azure/msal-node'
import { within } from './deadline.ts'
import type { TokenSettings } from './settings.ts'
import { ask, type Wish } from './wish.ts'

const GUID = /^[0-9a-f-]{36}$/i

/**
 * Finds the cached accounts of the tenant. One cache file holds those of every authority, and a silent call for a
 * foreign one fails confusingly.
 */
export async function accountsOf(
  app: PublicClientApplication,
  { host, tenant }: TokenSettings,
): Promise<AccountInfo[]> {
  const accounts = await app.getAllAccounts()
  return accounts.filter(({ environment, tenantId, tenantProfiles }) => {
    // A guest's account is at home elsewhere and has a profile here; a domain or `common` says nothing of GUIDs.
    const isHere = tenantId === tenant || tenantProfiles?.has(tenant) || !GUID.test(tenant)
    return environment === host && isHere
  })
}

/** @returns undefined when it is not: whatever speaks against it, asking the person mends it or says why not */
export async function reuse(
  app: PublicClientApplication,
  wish: Wish,
  account: AccountInfo,
): Promise<AuthenticationResult | undefined> {
  const silent = app.acquireTokenSilent({ ...ask(wish), account })
  return within(silent, wish.timeoutSeconds).catch(() => undefined)
}

/** Decides what every call to msal-node has in common. */
import type { Configuration, ICachePlugin } from '@azure/msal-node'
import type { Network } from './network.ts'
import type { TokenSettings } from './settings.ts'

/** One wish for a token, and what it takes to fulfil it. */
export interface Wish {
  readonly settings: TokenSettings
  readonly network: Network
  /** Absent: nothing is kept. */
  readonly cache?: ICachePlugin | undefined
  readonly claims?: string | undefined
  readonly timeoutSeconds: number
}

/** MSAL's configuration; the credential of an application comes on top. */
export function configure({ settings, network, cache }: Wish): Configuration {
  return {
    auth: {
      clientId: settings.clientId,
      authority: settings.authority,
      // With the port: otherwise MSAL asks login.microsoftonline.com whether it knows this host.
      knownAuthorities: [settings.host],
      // We can act on a claims challenge, by --claims; a server sends one only to clients that say so.
      clientCapabilities: ['cp1'],
    },
    ...(cache && { cache: { cachePlugin: cache } }),
    system: { networkClient: network.msal },
  }
}

/** MSAL's request. */
export function ask({ settings, claims }: Wish) {
  return { scopes: [...settings.scopes], ...(claims !== undefined && { claims }) }
}

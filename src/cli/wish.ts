/** Decides what every call to msal-node has in common. */
import type { AuthenticationResult, Configuration, ICachePlugin } from '@azure/msal-node'
import type { Network } from './network.ts'
import type { TokenSettings } from './settings.ts'

/** One wish for tokens, and what it takes to fulfil it. */
export interface Wish {
  readonly settings: TokenSettings
  /** The scopes by resource: each is a request and a token of its own. */
  readonly resources: readonly (readonly string[])[]
  readonly network: Network
  /** Absent: nothing is kept. */
  readonly cache?: ICachePlugin | undefined
  readonly claims?: string | undefined
  /** Whether to ask the issuer although an access token is cached. */
  readonly refresh: boolean
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

/** MSAL's request for a token of one resource. */
export function ask({ claims }: Wish, scopes: readonly string[]) {
  return { scopes: [...scopes], ...(claims !== undefined && { claims }) }
}

/**
 * Asks for one token after the other, in the order of the resources: only the first request may have to open a
 * sign-in that the others live on.
 */
export async function askForEach(
  resources: Wish['resources'],
  request: (scopes: readonly string[]) => Promise<AuthenticationResult | null>,
): Promise<AuthenticationResult[]> {
  const results: AuthenticationResult[] = []
  // MSAL's types allow null, for requests that its code answers with an error.
  for (const scopes of resources) results.push((await request(scopes))!)
  return results
}

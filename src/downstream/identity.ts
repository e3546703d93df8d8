/** Decides how a managed identity vouches for this API: its token for the token exchange, asked of the machine itself. */
import { ManagedIdentityApplication } from '@azure/msal-node'
import type { Connections } from '../connections.ts'
import type { Clock } from '../token/keys/clock.ts'
import { singleFlight } from '../token/keys/single-flight.ts'
import { withDeadline } from './deadline.ts'
import { createMsalNetwork } from './msal-network.ts'
import { unproven } from './proof.ts'
import { createSend } from './send.ts'

/** What asking takes from outside. */
export interface IdentityOptions {
  /** Reaches the machine's own endpoints; never a proxy. */
  readonly dispatcher: Connections
  readonly clock: Clock
  readonly random: () => number
}

const AUDIENCE = 'api://AzureADTokenExchange'
const DEADLINE_MS = 5000
const MAX_BYTES = 64 * 1024

/**
 * Asks the platform's endpoint for a token. msal-node finds the endpoint by the platform's own variables, once in
 * the life of the process, talks to it through the first network that it was given, and keeps the token while it is
 * good; so there is one network here for all requests, and one request at a time.
 */
export function createAskIdentity(
  options: IdentityOptions,
): (name: string, clientId: string) => Promise<string> {
  const send = createSend({ ...options, maxBytes: MAX_BYTES })
  const network = createMsalNetwork(question =>
    withDeadline(options.clock, DEADLINE_MS, signal => send({ ...question, signal, repeatable: true })),
  )
  const { run } = singleFlight(async (clientId: string) => {
    const identity = new ManagedIdentityApplication({
      managedIdentityIdParams: { userAssignedClientId: clientId },
      system: { networkClient: network.module, disableInternalRetries: true },
    })
    const { accessToken } = await identity.acquireToken({ resource: AUDIENCE })
    // msal-node takes an answer without a token for one whose token is empty.
    if (!accessToken) throw new Error('no token in the answer')
    return accessToken
  })
  return (name, clientId) =>
    run(clientId).catch((error: Error) => {
      const { failure } = network.seen()
      const received = failure?.message ?? error.message
      const expected = 'a user-assigned managed identity that this machine has'
      throw unproven(name, received, expected, error)
    })
}

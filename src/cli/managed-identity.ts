/** Decides how a machine on Azure gets a token by its managed identity, which is the platform's to prove. */
import { type AuthenticationResult, ManagedIdentityApplication } from '@azure/msal-node'
import { within } from './deadline.ts'
import { askForEach, type Wish } from './wish.ts'

/**
 * Asks the endpoint of the platform; msal-node finds it by the platform's variables (IDENTITY_ENDPOINT,
 * AZURE_POD_IDENTITY_AUTHORITY_HOST and the like), once per process. The tokens are never in the cache on disk.
 */
export async function acquireByManagedIdentity({
  settings,
  resources,
  network,
  claims,
  refresh,
  timeoutSeconds,
}: Wish): Promise<AuthenticationResult[]> {
  const { userAssigned } = settings.managedIdentity!
  const app = new ManagedIdentityApplication({
    clientCapabilities: ['cp1'],
    ...(userAssigned && { managedIdentityIdParams: { userAssignedClientId: userAssigned } }),
    system: { networkClient: network.msal },
  })
  const request = { forceRefresh: refresh, ...(claims !== undefined && { claims }) }
  const work = askForEach(resources, ([resource]) => app.acquireToken({ ...request, resource: resource! }))
  return within(work, timeoutSeconds)
}

/** Decides which calls to msal-node make a token for an application: in its own name, or on behalf of its caller. */
import { type AuthenticationResult, ConfidentialClientApplication } from '@azure/msal-node'
import { decodeJwt } from 'jose'
import { proofOf } from './credential.ts'
import { within } from './deadline.ts'
import type { Io } from './io.ts'
import { Usage } from './options.ts'
import { readToken } from './token-input.ts'
import { isGuid, isShared } from './variables.ts'
import { ask, askForEach, configure, type Wish } from './wish.ts'

/** In its own name. MSAL answers from the cache while the token is good, unless there are claims. */
export async function acquireAsApplication(wish: Wish, io: Io): Promise<AuthenticationResult[]> {
  const app = await confidential(wish, io)
  const work = askForEach(wish.resources, scopes =>
    app.acquireTokenByClientCredential({
      ...ask(wish, scopes),
      skipCache: wish.refresh,
      // MSAL_FORCE_REGION in the environment would move the token endpoint to a host of another name.
      azureRegion: 'DisableMsalForceRegion',
    }),
  )
  return within(work, wish.timeoutSeconds)
}

/**
 * On behalf of the caller whose token comes from stdin or a prompt, as this API would with a token it was sent.
 * Always asks anew: on disk, a caller's token would count as a sign-in.
 */
export async function acquireOnBehalfOf(wish: Wish, io: Io): Promise<AuthenticationResult[]> {
  const oboAssertion = await readToken('-', io)
  const { settings } = wish
  const here = isShared(settings.tenant)
    ? { ...settings, authority: authorityOf(wish, oboAssertion) }
    : settings
  const app = await confidential({ ...wish, settings: here, cache: undefined }, io)
  const work = askForEach(wish.resources, scopes =>
    app.acquireTokenOnBehalfOf({ ...ask(wish, scopes), oboAssertion }),
  )
  return within(work, wish.timeoutSeconds)
}

async function confidential(wish: Wish, io: Io): Promise<ConfidentialClientApplication> {
  const { auth, ...rest } = configure(wish)
  return new ConfidentialClientApplication({
    auth: { ...auth, ...(await proofOf(wish.settings.credential!, io)) },
    ...rest,
  })
}

/** The tenant of the token itself: at a shared endpoint a guest would be looked for in their home. */
function authorityOf({ settings: { authority, tenant } }: Wish, assertion: string): string {
  const tid = tenantOf(assertion)
  if (tid === undefined)
    throw new Usage(`with AZURE_TENANT_ID=${tenant} the caller's token must say its tenant (tid)`)
  return authority.replace(/[^/]+$/, tid)
}

function tenantOf(assertion: string): string | undefined {
  try {
    const { tid } = decodeJwt(assertion)
    return typeof tid === 'string' && isGuid(tid) ? tid : undefined
  } catch {
    return undefined
  }
}

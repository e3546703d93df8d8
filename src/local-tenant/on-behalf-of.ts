/** Decides on whose behalf an API may ask for tokens: of whoever the access token is that it was called with. */

import { errors, jwtVerify } from 'jose'
import { Aadsts } from './aadsts.ts'
import { type Application, type Directory, issuerOf } from './directory.ts'
import { PEOPLE, type Person } from './people.ts'
import { isRevoked } from './refresh-tokens.ts'

/** What an assertion grants to the API that presents it. */
export interface AssertionGrant {
  readonly person: Person
  /** Authentication contexts that the person's sign-in satisfied. */
  readonly acrs: readonly string[]
}

async function verifyAssertion(directory: Directory, assertion: string) {
  const { keys, state, now } = directory
  const published = keys.statuses().filter(key => key.published)
  const { payload } = await jwtVerify(
    assertion,
    // Refuses a key that was withdrawn, by looking for one that has never been.
    ({ kid }) => keys.find(published.find(key => key.kid === kid)?.kid ?? '').publicKey,
    {
      algorithms: ['RS256'],
      issuer: [issuerOf(directory, state.tenantId, 1), issuerOf(directory, state.tenantId, 2)],
      requiredClaims: ['exp', 'iat', 'aud', 'oid'],
      currentDate: new Date(now()),
    },
  ).catch((cause: unknown) => {
    throw new Aadsts(cause instanceof errors.JWTExpired ? 500133 : 50013, undefined, { cause })
  })
  return payload
}

/** What guards Microsoft Graph: an administrator's consent, and a conditional access policy. */
function checkGraphPolicies({ settings }: Directory, acrs: readonly string[]): void {
  if (!settings.graphConsent) throw new Aadsts(65001)
  const { graphContext } = settings
  if (graphContext === undefined || acrs.includes(graphContext)) return
  const request = { access_token: { acrs: { essential: true, value: graphContext } } }
  throw new Aadsts(50076, undefined, { claims: JSON.stringify(request) })
}

/**
 * Reads the access token that an API presents in order to call on (Entra's on-behalf-of flow).
 * @param client the API, which must be the token's audience
 * @throws Aadsts 50013, 500133, 500131, 7000114, 50173, 65001, 50076
 */
export async function readAssertion(
  directory: Directory,
  client: Application,
  assertion: string,
): Promise<AssertionGrant> {
  const { aud, oid, iat, scp, acrs } = await verifyAssertion(directory, assertion)
  if (aud !== client.clientId && aud !== `api://${client.clientId}`) throw new Aadsts(500131)
  if (scp === undefined) throw new Aadsts(7000114)
  const person = PEOPLE.find(({ handle }) => directory.state.people[handle] === oid)
  if (!person) throw new Aadsts(50034)
  if (isRevoked(directory, person.handle, Number(iat) * 1000)) throw new Aadsts(50173)
  const satisfied = Array.isArray(acrs) ? acrs.map(String) : []
  checkGraphPolicies(directory, satisfied)
  return { person, acrs: satisfied }
}

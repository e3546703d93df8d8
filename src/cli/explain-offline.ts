/** Decides what is answered in an issuer's place when its keys come from a file: no byte leaves the machine. */
import { readFile } from 'node:fs/promises'
import { type Dispatcher, MockAgent } from 'undici'
import { isRefusal } from '../errors.ts'
import type { FindIssuer } from '../token/issuers.ts'
import { decodeJws } from '../token/jws.ts'
import type { OfflineKeys } from './explain-judge.ts'
import { Usage } from './options.ts'

/** Reads the `keys` of a file that holds a JWK Set (RFC 7517 §5). @throws {Usage} */
export async function readJwks(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Usage(`--jwks: the file cannot be read (${error.code})`)
  })
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown }
    if (Array.isArray(keys)) return keys
  } catch {}
  throw new Usage('--jwks: the file holds no JWK Set, {"keys":[…]}')
}

/**
 * The documents that the issuer of a token would publish, if its keys were these.
 *
 * @returns by address; none when the token names no trusted issuer
 */
function documentsOf({ keys, token }: OfflineKeys, findIssuer: FindIssuer): ReadonlyMap<string, object> {
  const jws = decodeJws(token)
  if (isRefusal(jws)) return new Map()
  const match = findIssuer(jws.claims.iss, jws.claims)
  if (isRefusal(match)) return new Map()
  const iss = jws.claims.iss as string
  const general = match.tenant === undefined ? iss : iss.replace(match.tenant, '{tenantid}')
  // The configuration decides which form the document may have: one tenant's, or the one for many.
  const issuer = [general, iss].find(match.issuer.mayClaim)
  const { metadata } = match.issuer
  const address = `${metadata}/jwks-from-file`
  return new Map<string, object>([
    [new URL(`${metadata}/.well-known/openid-configuration`).href, { issuer, jwks_uri: address }],
    [new URL(address).href, { keys }],
  ])
}

/** An issuer that is played by a file: a dispatcher that answers from it and never connects. */
export interface Offline {
  readonly dispatcher: Dispatcher
  /** Puts the file in the place of the issuer's documents, once it is known who is trusted. */
  readonly serve: (findIssuer: FindIssuer) => void
}

/** Plays the issuer of a token with the keys of a file. */
export function createOffline(offline: OfflineKeys): Offline {
  const dispatcher = new MockAgent()
  dispatcher.disableNetConnect()
  const headers = { 'content-type': 'application/json' }
  const serve = (findIssuer: FindIssuer): void => {
    for (const [address, document] of documentsOf(offline, findIssuer)) {
      const { origin, pathname, search } = new URL(address)
      dispatcher
        .get(origin)
        .intercept({ path: pathname + search })
        .reply(200, document, { headers })
        .persist()
    }
  }
  return { dispatcher, serve }
}

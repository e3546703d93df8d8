/** Decides what is answered in an issuer's place when its keys come from a file: no byte leaves the machine. */
import { readFile } from 'node:fs/promises'
import { Agent, type Dispatcher } from 'undici'
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
export function offlineDocuments(
  { keys, token }: OfflineKeys,
  findIssuer: FindIssuer,
): ReadonlyMap<string, object> {
  const jws = decodeJws(token)
  const match = isRefusal(jws) ? jws : findIssuer(jws.claims.iss)
  if (isRefusal(jws) || isRefusal(match)) return new Map()
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

/** A dispatcher that answers from these documents and never connects. */
export function createOfflineDispatcher(documents: () => ReadonlyMap<string, object>): Dispatcher {
  return new Agent().compose(() => ({ path, origin = '' }, handler) => {
    const document = documents().get(new URL(path, origin).href)
    const controller: Dispatcher.DispatchController = {
      aborted: false,
      paused: false,
      reason: null,
      abort: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
      rawHeaders: [],
      rawTrailers: [],
    }
    queueMicrotask(() => {
      if (document === undefined) {
        handler.onResponseError?.(controller, new Error('not in the file of --jwks'))
        return
      }
      const headers = { 'content-type': 'application/json' }
      handler.onRequestStart?.(controller, {})
      handler.onResponseStart?.(controller, 200, headers, 'OK')
      handler.onResponseData?.(controller, Buffer.from(JSON.stringify(document)))
      handler.onResponseEnd?.(controller, {})
    })
    return true
  })
}

/** Decides which requests a key fetch may make and which answers it may use, and keeps what it read as it passes. */
import { isIP } from 'node:net'
import type { Dispatcher } from 'undici'
import { isLoopback, type TrustedIssuer } from '../issuers.ts'
import type { JsonObject } from '../jws.ts'

/** Largest document that is read, in bytes (JWKS-4). */
const MAX_BODY_BYTES = 512 * 1024

/** A document as it came, with what its answer said of its freshness. */
export interface Document {
  readonly body: JsonObject
  /** `Cache-Control: max-age` in seconds, when the answer has one. */
  readonly maxAgeSeconds: number | undefined
}

/** Why a fetch gave no usable keys. The message is for the operator's log. */
export class FetchFailure extends Error {
  override readonly name = 'FetchFailure'
  /** The status of the discovery document's answer, when it was not 200. */
  readonly metadataStatus: number | undefined

  constructor(message: string, metadataStatus?: number, options?: ErrorOptions) {
    super(message, options)
    this.metadataStatus = metadataStatus
  }
}

/** What one fetch has seen so far. */
export interface Exchange {
  /** Passes to `compose` of an undici dispatcher. */
  readonly interceptor: Dispatcher.DispatcherComposeInterceptor
  readonly discovery: () => Document | undefined
  readonly keys: () => Document | undefined
  /** The first thing that was wrong. */
  readonly failure: () => FetchFailure | undefined
}

/** A host literal that is no name and no loopback: fetched only from the issuer's own origin. */
const isAddress = (url: URL): boolean => isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0

/** JWKS-3: https on a public host, loopback only for a loopback issuer, the metadata's own origin always. */
export function mayServeKeys(keys: URL, metadata: URL): boolean {
  if (keys.username !== '' || keys.password !== '') return false
  if (keys.origin === metadata.origin) return true
  if (isLoopback(keys))
    return isLoopback(metadata) && (keys.protocol === 'https:' || keys.protocol === 'http:')
  return keys.protocol === 'https:' && !isAddress(keys)
}

/** The address of the keys, once the discovery document has proved to be this issuer's (OpenID Discovery §4.3). */
function keysAddress(issuer: TrustedIssuer, discovery: JsonObject): URL | FetchFailure {
  const { issuer: claimed, jwks_uri: address } = discovery
  if (typeof claimed !== 'string' || !issuer.mayClaim(claimed)) {
    return new FetchFailure(
      `the discovery document of ${issuer.metadata} names another issuer: ${String(claimed).slice(0, 200)}`,
    )
  }
  if (typeof address !== 'string' || !URL.canParse(address)) {
    return new FetchFailure(`the discovery document of ${issuer.metadata} names no jwks_uri`)
  }
  const url = new URL(address)
  return mayServeKeys(url, new URL(issuer.metadata))
    ? url
    : new FetchFailure(`the jwks_uri of ${issuer.metadata} is not allowed: ${address.slice(0, 200)}`)
}

function header(headers: Record<string, string | string[] | undefined>, name: string): string {
  return String(headers[name] ?? '')
}

function parse(address: string, body: Buffer): JsonObject | FetchFailure {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  } catch {}
  return new FetchFailure(`${address} did not answer with a JSON object`)
}

/**
 * Watches the two requests of one key fetch (discovery document, then key set) on their way through a
 * dispatcher: refuses every other request, redirects, wrong statuses and oversized bodies, and keeps both
 * documents, so that one fetch yields the whole set and not only the key that was looked for.
 */
export function watchExchange(issuer: TrustedIssuer, query: string): Exchange {
  const discoveryAddress = `${issuer.metadata}/.well-known/openid-configuration`
  let discovery: Document | undefined
  let keys: Document | undefined
  let keysAt: string | undefined
  let failure: FetchFailure | undefined

  const fail = (error: FetchFailure): FetchFailure => {
    failure ??= error
    return failure
  }

  const admit = (address: string): void => {
    if (discovery === undefined) return
    if (failure !== undefined) throw failure
    if (keysAt !== address) throw fail(new FetchFailure(`${address} is not the jwks_uri`))
  }

  const keep = (address: string, body: Buffer, cacheControl: string): void => {
    const parsed = parse(address, body)
    if (parsed instanceof FetchFailure) {
      fail(parsed)
      return
    }
    const maxAge = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec(cacheControl)?.[1]
    const document = { body: parsed, maxAgeSeconds: maxAge === undefined ? undefined : Number(maxAge) }
    if (discovery !== undefined) {
      keys = document
      return
    }
    discovery = document
    const named = keysAddress(issuer, parsed)
    if (named instanceof FetchFailure) fail(named)
    else keysAt = named.href
  }

  const interceptor: Dispatcher.DispatcherComposeInterceptor = dispatch => (options, handler) => {
    const address = new URL(options.path, options.origin).href
    admit(address)
    const chunks: Buffer[] = []
    let size = 0
    let cacheControl = ''
    const target = discovery === undefined ? { ...options, path: options.path + query } : options
    return dispatch(target, {
      onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
      onResponseStart: (controller, status, headers, message) => {
        const encoding = header(headers, 'content-encoding')
        if (status !== 200) {
          const code = address === discoveryAddress ? status : undefined
          controller.abort(fail(new FetchFailure(`${address} answered ${status}`, code)))
        } else if (encoding !== '' && encoding !== 'identity') {
          controller.abort(
            fail(new FetchFailure(`${address} answered in an encoding that was not asked for`)),
          )
        } else {
          cacheControl = header(headers, 'cache-control')
          handler.onResponseStart?.(controller, status, headers, message)
        }
      },
      onResponseData: (controller, chunk) => {
        size += chunk.length
        if (size > MAX_BODY_BYTES) {
          controller.abort(
            fail(new FetchFailure(`${address} answered with more than ${MAX_BODY_BYTES} bytes`)),
          )
          return
        }
        chunks.push(chunk)
        handler.onResponseData?.(controller, chunk)
      },
      onResponseEnd: (controller, trailers) => {
        keep(address, Buffer.concat(chunks), cacheControl)
        handler.onResponseEnd?.(controller, trailers)
      },
      onResponseError: (controller, error) => {
        // An AggregateError of several addresses has a code and no message.
        const cause = [(error as NodeJS.ErrnoException).code, error.message].filter(Boolean).join(' ')
        fail(new FetchFailure(`${address} could not be read: ${cause}`, undefined, { cause: error }))
        handler.onResponseError?.(controller, error)
      },
    })
  }
  return { interceptor, discovery: () => discovery, keys: () => keys, failure: () => failure }
}

/** Decides how a backend calls the API: one token for as long as it is good, and a second try only where it can help. */
import { setTimeout as sleepFor } from 'node:timers/promises'

/** As whom and for what the token is, and what the calls need of the outside. */
export interface BackendOptions {
  /** For example `https://login.microsoftonline.com/<tenant>/oauth2/v2.0/token`. */
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: string
  /** `api://<application id of the API>/.default`. */
  readonly scope: string
  readonly fetch?: typeof fetch
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly sleep?: (ms: number) => Promise<unknown>
  /** From 0 to 1. */
  readonly random?: () => number
}

interface Token {
  readonly value: string
  readonly goodUntilMs: number
}

/** A token is renewed so long before it expires: a call takes time, and clocks differ. */
const EARLY_MS = 5 * 60_000
const TIMEOUT_MS = 10_000
const ATTEMPTS = 4
const LONGEST_WAIT_MS = 60_000
const JITTER_MS = 1000

/**
 * Builds the calling side.
 *
 * @returns a GET with a token; its answer is the API's, whatever the status
 * @throws {Error} from the GET when there is no token, or no answer within 10 s
 */
export function createBackendClient(options: BackendOptions): (url: string) => Promise<Response> {
  const { tokenUrl, clientId, clientSecret, scope } = options
  const { fetch = globalThis.fetch, now = Date.now, sleep = sleepFor, random = Math.random } = options
  let kept: Token | undefined
  let pending: Promise<Token> | undefined

  /** Waits out 429 and 503, which say nothing about the token. Only for what may be sent twice. */
  async function send(url: string, init: RequestInit, attempt = 1): Promise<Response> {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) })
    if (![429, 503].includes(response.status) || attempt === ATTEMPTS) return response
    await response.body?.cancel()
    // Without seconds in it (or with a date) the header leaves the choice to us.
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
    const waitMs = Number.isNaN(seconds) ? 1000 * 2 ** attempt : seconds * 1000
    // The jitter keeps many callers from coming back in one moment.
    await sleep(Math.min(waitMs, LONGEST_WAIT_MS) + random() * JITTER_MS)
    return send(url, init, attempt + 1)
  }

  async function fetchToken(): Promise<Token> {
    const askedMs = now()
    const credential = { client_id: clientId, client_secret: clientSecret }
    const body = new URLSearchParams({ grant_type: 'client_credentials', scope, ...credential })
    const response = await send(tokenUrl, { method: 'POST', body })
    if (!response.ok) throw new Error(`no token: ${tokenUrl} answered ${response.status}`)
    const answer = (await response.json()) as { access_token: string; expires_in: number }
    return { value: answer.access_token, goodUntilMs: askedMs + answer.expires_in * 1000 - EARLY_MS }
  }

  /** The kept token while it is good, else a new one, for all who wait at once. */
  async function token(refused?: Token): Promise<Token> {
    if (kept && kept !== refused && now() < kept.goodUntilMs) return kept
    pending ??= fetchToken().finally(() => {
      pending = undefined
    })
    kept = await pending
    return kept
  }

  const call = (url: string, { value }: Token) => send(url, { headers: { authorization: `Bearer ${value}` } })

  return async url => {
    const first = await token()
    const response = await call(url, first)
    // 403 is about permissions, and any other 401 about the request: a new token of the same kind changes neither.
    const challenge = response.headers.get('www-authenticate') ?? ''
    if (response.status !== 401 || !challenge.includes('error="invalid_token"')) return response
    await response.body?.cancel()
    return call(url, await token(first))
  }
}

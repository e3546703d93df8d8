/** Decides how this side asks token endpoints and APIs: up to a size, without following a redirect, and again where that is safe. */
import type { Dispatcher } from 'undici'
import { type Connections, dispatcherOf } from '../connections.ts'
import type { Clock } from '../token/keys/clock.ts'

/** One answer, as text. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** One request. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** Ends the whole exchange, from name to last byte. */
  readonly signal: AbortSignal
  /** Whether it may be sent again when nobody knows whether it arrived. */
  readonly repeatable: boolean
}

/** No answer came. The message names method, address without query, and cause; for the operator's log. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

/** Sends one request. @throws {NoAnswer} */
export type Send = (asked: Asked) => Promise<Answer>

/** What sending takes from outside. */
export interface SendOptions {
  /** Brings trust, proxy and connections. */
  readonly dispatcher: Connections
  readonly clock: Clock
  /** A number in [0, 1), for jitter. */
  readonly random: () => number
  readonly maxBytes: number
}

const BACK_OFF_MS = 100
/** An answer that says nothing of when to come back, of somebody who may be well again in a moment. */
const PASSING = [500, 502, 503, 504]

async function readText(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Leaving the loop destroys the body, and with it the connection.
    if (bytes > maxBytes) throw new Error(`an answer of more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The innermost code is what an operator can search for: ECONNREFUSED, not "fetch failed". */
function causeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  // A DOMException has a number for a code, which says nothing.
  return [typeof code === 'string' ? code : '', message].filter(Boolean).join(': ')
}

/** A sender of requests. One that may be repeated is sent a second time after a moment, and never a third. */
export function createSend({ dispatcher, clock, random, maxBytes }: SendOptions): Send {
  const once: Send = async ({ method, url, headers = {}, body = null, signal }) => {
    try {
      const [{ request }, opened] = await Promise.all([import('undici'), dispatcherOf(dispatcher)])
      const answer = await request(url, { method, dispatcher: opened, signal, headers, body })
      const texts = Object.entries(answer.headers).map(([name, value]) => [name, String(value)])
      const text = await readText(answer.body, maxBytes)
      return { status: answer.statusCode, headers: Object.fromEntries(texts), text }
    } catch (error) {
      throw new NoAnswer(`${method} ${url.split('?', 1)[0]}: ${causeOf(error)}`, { cause: error })
    }
  }

  return async asked => {
    const { repeatable, signal } = asked
    const first = await once(asked).catch((error: NoAnswer) => error)
    const isPassing =
      first instanceof NoAnswer
        ? !signal.aborted
        : PASSING.includes(first.status) && first.headers['retry-after'] === undefined
    if (!repeatable || !isPassing) return settle(first)
    await new Promise<void>(resolve => clock.after(BACK_OFF_MS * (1 + random()), resolve))
    return once(asked)
  }
}

function settle(outcome: Answer | NoAnswer): Answer {
  if (outcome instanceof NoAnswer) throw outcome
  return outcome
}

/** What an answer says of when to come back: `Retry-After` in seconds, given either way (RFC 9110 §10.2.3). */
export function retryAfterOf({ headers }: Answer, nowMs: number): number | undefined {
  const value = headers['retry-after'] ?? ''
  if (/^\d{1,6}$/.test(value)) return Number(value)
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - nowMs) / 1000))
}

/** Decides how the command line talks to an issuer: whom it trusts, for how long, how much, and what it remembers of failures. */
import { rootCertificates } from 'node:tls'
import { AuthError, type INetworkModule, type NetworkRequestOptions } from '@azure/msal-node'
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici'
import { isLoopback } from './io.ts'

/** The members of an OAuth error answer (RFC 6749 §5.2, and Entra's own) that people are told. */
export interface OAuthError {
  readonly error: string
  readonly error_description?: string
  readonly suberror?: string
}

/** One answer, as text. */
export interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly text: string
}

/** A request; `form` makes it a POST. */
export interface Asked {
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** MSAL's network, and what it would have forgotten. */
export interface Network {
  readonly msal: INetworkModule
  /** Sends one request; follows no redirect. @throws {Error} with the true cause as its message */
  send(method: 'GET' | 'POST', url: string, asked?: Asked): Promise<Answer>
  /** Why requests failed, in order: MSAL swallows the cause of a failed discovery. */
  readonly failures: readonly string[]
  /** The issuer's error answers, in order: MSAL reduces those of the device code flow to a word. */
  readonly refusals: readonly OAuthError[]
  close(): Promise<void>
}

/** What a network is made of. */
export interface NetworkOptions {
  /** PEM of one more certificate authority to trust. Absent: Node's own choice, NODE_EXTRA_CA_CERTS included. */
  readonly ca?: string | undefined
  readonly proxy?: string | undefined
  readonly noProxy?: string
  /** For the whole exchange, from name to last byte. */
  readonly timeoutMs?: number
  readonly maxBytes?: number
}

const TIMEOUT_MS = 10_000
const MAX_BYTES = 1024 * 1024

/** Builds the network of one run; call `close` when done. */
export function createNetwork(options: NetworkOptions): Network {
  const { ca, proxy = '', noProxy = '', timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES } = options
  const tls = ca ? { ca: [...rootCertificates, ca] } : {}
  const common = { connect: { ...tls, timeout: timeoutMs }, maxResponseSize: maxBytes }
  const direct = new Agent(common)
  // The empty strings keep undici from reading the environment behind our back.
  const outside = new EnvHttpProxyAgent({
    ...common,
    requestTls: tls,
    httpProxy: '',
    httpsProxy: proxy,
    noProxy,
  })
  const failures: string[] = []
  const refusals: OAuthError[] = []

  async function send(method: 'GET' | 'POST', url: string, asked: Asked = {}): Promise<Answer> {
    const { origin, pathname, hostname } = new URL(url)
    try {
      const dispatcher: Dispatcher = isLoopback(hostname) ? direct : outside
      const signal = AbortSignal.timeout(timeoutMs)
      const answer = await request(url, {
        method,
        dispatcher,
        signal,
        headers: asked.headers ?? {},
        body: asked.body ?? null,
      })
      const headers = Object.fromEntries(
        Object.entries(answer.headers).map(([name, value]) => [name, `${value}`]),
      )
      return { status: answer.statusCode, headers, text: await answer.body.text() }
    } catch (error) {
      // Without the query: it may hold codes.
      const failure = `${method} ${origin}${pathname}: ${causeOf(error, timeoutMs, maxBytes)}`
      failures.push(failure)
      throw new Error(failure, { cause: error })
    }
  }

  async function exchange<T>(method: 'GET' | 'POST', url: string, options?: NetworkRequestOptions) {
    // Any other class of error is replaced by MSAL with a text that says nothing.
    const failed = (text: string) => new AuthError('network_error', options?.correlationId ?? '', text)
    const answer = await send(method, url, options).catch((error: Error) => {
      throw failed(error.message)
    })
    const body = readJson(answer.text)
    if (!body) {
      const { origin, pathname } = new URL(url)
      const type = answer.headers['content-type'] ?? 'no content type'
      const failure = `${method} ${origin}${pathname}: answered ${answer.status} with ${type}, not a JSON object`
      failures.push(failure)
      throw failed(failure)
    }
    if (typeof body.error === 'string') refusals.push(body as unknown as OAuthError)
    return { status: answer.status, headers: answer.headers, body: body as T }
  }

  return {
    msal: {
      sendGetRequestAsync: (url, options) => exchange('GET', url, options),
      sendPostRequestAsync: (url, options) => exchange('POST', url, options),
    },
    send,
    failures,
    refusals,
    async close() {
      await Promise.all([direct.destroy(), outside.destroy()])
    },
  }
}

function readJson(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** The innermost code is what an operator can search for: ECONNREFUSED, not "fetch failed". */
function causeOf(error: unknown, timeoutMs: number, maxBytes: number): string {
  const { name, code, message } = error as NodeJS.ErrnoException
  if (name === 'TimeoutError') return `no complete answer within ${timeoutMs / 1000} s`
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return `an answer of more than ${maxBytes} bytes`
  return [code, message].filter(text => text).join(': ')
}

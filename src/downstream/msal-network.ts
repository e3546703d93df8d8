/** Decides how msal-node reaches an issuer here, and keeps what it would have forgotten: the answer itself and why none came. */
import { AuthError, type INetworkModule, type NetworkRequestOptions } from '@azure/msal-node'
import type { JsonObject } from '../token/jws.ts'
import type { Answer, Asked, NoAnswer } from './send.ts'

/** What one conversation of msal-node has seen. */
export interface Seen {
  /** The last answer, whatever it was. */
  readonly answer?: Answer
  /** Its body, when that was a JSON object. */
  readonly body?: JsonObject
  /** Why no answer came, instead. */
  readonly failure?: NoAnswer
}

/** What msal-node asks; for how long and whether again is not its business. */
export type Question = Omit<Asked, 'signal' | 'repeatable'>

/** msal-node's network, for one conversation. */
export interface MsalNetwork {
  readonly module: INetworkModule
  readonly seen: () => Seen
}

/** The members of a JSON object; none of any other JSON, and undefined for what is none. */
function parse(text: string): JsonObject | undefined {
  try {
    return { ...(JSON.parse(text) as object) }
  } catch {
    return undefined
  }
}

/** Connects msal-node to a sender. */
export function createMsalNetwork(send: (asked: Question) => Promise<Answer>): MsalNetwork {
  let seen: Seen = {}
  const exchange = async <T>(method: string, url: string, options: NetworkRequestOptions = {}) => {
    const { headers = {}, body } = options
    try {
      const answer = await send({ method, url, headers, body })
      const parsed = parse(answer.text)
      seen = { answer, ...(parsed !== undefined && { body: parsed }) }
      return { status: answer.status, headers: { ...answer.headers }, body: (parsed ?? {}) as T }
    } catch (error) {
      seen = { failure: error as NoAnswer }
      // Any other class of error is replaced by msal-node with a text that says nothing.
      throw new AuthError('network_error', '', (error as NoAnswer).message)
    }
  }
  return {
    module: {
      sendGetRequestAsync: (url, options) => exchange('GET', url, options),
      sendPostRequestAsync: (url, options) => exchange('POST', url, options),
    },
    seen: () => seen,
  }
}

/** Decides what a claims request asks of an access token: authentication contexts, and what the client can handle. */
import { Aadsts } from './aadsts.ts'

/** A claims request (OpenID Connect Core §5.5, with Entra's `access_token` member), understood. */
export interface ClaimsRequest {
  /** Authentication contexts that the token must have. */
  readonly acrs: readonly string[]
  /** What the client says it can handle, for `xms_cc`. */
  readonly capabilities: readonly string[]
}

const CONTEXT_ID = /^c[1-9][0-9]?$/

const membersOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}

const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter(item => typeof item === 'string') : []

/** `value` and `values` of the request for one claim. */
function wanted(request: unknown): string[] {
  const { value, values } = membersOf(request)
  return [...textsOf([value]), ...textsOf(values)]
}

/**
 * Reads a `claims` parameter. Whatever else it asks for is ignored, as by any issuer that can not give it.
 * @throws Aadsts 9002313 when it is not a JSON object
 */
export function readClaimsRequest(text: string | undefined): ClaimsRequest {
  if (text === undefined || text === '') return { acrs: [], capabilities: [] }
  let request: unknown
  try {
    request = JSON.parse(text)
  } catch {
    request = undefined
  }
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    throw new Aadsts(9002313, 'The claims parameter is not a JSON object.')
  }
  const { acrs, xms_cc } = membersOf(membersOf(request).access_token)
  return {
    acrs: [...new Set(wanted(acrs).filter(id => CONTEXT_ID.test(id)))],
    capabilities: [...new Set(wanted(xms_cc))],
  }
}

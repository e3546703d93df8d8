/** Decides what a person means by claims: a claims request as JSON, as a challenge carries it, or the whole challenge. */

// As RFC 9110 §11.2 has it, and as somebody copied it who left the quotes out.
const CLAIMS_PARAMETER = /(?:^|[\s,])claims="?([A-Za-z0-9+/_-]+={0,2})"?(?=\s|,|$)/i
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/

/** The text, if it is a JSON object. */
function asObject(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? text : undefined
  } catch {
    return undefined
  }
}

/**
 * Finds the claims request in what was given.
 *
 * @param given JSON, base64 of it, or the value of a WWW-Authenticate header
 * @returns the JSON, as it goes to the issuer; undefined when there is none
 */
export function readClaims(given: string): string | undefined {
  const text = given.trim()
  if (text.startsWith('{')) return asObject(text)
  const encoded = BASE64.test(text) ? text : CLAIMS_PARAMETER.exec(text)?.[1]
  return encoded === undefined ? undefined : asObject(Buffer.from(encoded, 'base64').toString())
}

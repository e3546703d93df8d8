/** Decides in which ways the ID token of a sign-in can be made wrong. */

/** How the ID tokens of sign-ins are: as they should be, or wrong in one thing. */
export const ID_TOKEN_MODES = [
  'ok',
  'wrong-audience',
  'wrong-issuer',
  'wrong-nonce',
  'foreign-key',
  'expired',
] as const

/** One of {@link ID_TOKEN_MODES}. */
export type IdTokenMode = (typeof ID_TOKEN_MODES)[number]

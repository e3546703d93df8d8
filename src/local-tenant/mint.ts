/** Decides every kind of token that is deliberately wrong in one thing, and otherwise perfect. */

import { randomBytes, randomUUID } from 'node:crypto'
import { GRAPH } from './claims.ts'
import { type Directory, issuerOf } from './directory.ts'
import { type Draft, draftIdToken, draftToken, type IssueOptions } from './issue.ts'
import { compact, hashedNonceSigner, type Json, macSigner, noSigner, rsaSigner } from './jws.ts'

/** The kinds, in alphabetical order. */
export const MINT_KINDS = [
  'alg-none',
  'bound',
  'consumer-key',
  'embedded-key',
  'expired',
  'foreign-key',
  'graph',
  'graph-plain',
  'hs256',
  'id-token',
  'no-exp',
  'no-kid',
  'no-scope-no-roles',
  'not-yet-valid',
  'overage',
  'tampered',
  'unknown-kid',
  'wrong-audience',
  'wrong-tenant',
  'wrong-version',
] as const

/** One kind of {@link MINT_KINDS}. */
export type MintKind = (typeof MINT_KINDS)[number]

const HOUR_SECONDS = 3600

type Recipe = (directory: Directory, options: IssueOptions) => string | Promise<string>

const assemble = ({ header, claims, key }: Draft): string => compact(header, claims, rsaSigner(key, header))

/** A recipe that changes claims only; what the caller overrides wins. */
function withClaims(change: (directory: Directory, good: Json) => Json): Recipe {
  return (directory, options) => {
    const good = draftToken(directory, options)
    return assemble({
      ...good,
      claims: { ...good.claims, ...change(directory, good.claims), ...options.claims },
    })
  }
}

/** A recipe that changes header and key only; what the caller overrides wins. */
function withHeader(change: Json, sign: (directory: Directory, draft: Draft) => string): Recipe {
  return (directory, options) => {
    const good = draftToken(directory, options)
    return sign(directory, { ...good, header: { ...good.header, ...change, ...options.header } })
  }
}

const graph: Recipe = withClaims(() => ({ aud: GRAPH, scp: 'User.Read profile openid email' }))

const recipes: Readonly<Record<MintKind, Recipe>> = {
  'alg-none': withHeader({ alg: 'none' }, (_, { header, claims }) => compact(header, claims, noSigner)),
  bound: withClaims(() => ({ cnf: { jkt: randomBytes(32).toString('base64url') } })),
  'consumer-key': (directory, options) =>
    assemble(draftToken(directory, { ...options, key: directory.keys.consumer().kid })),
  'embedded-key': async (directory, options) => {
    const foreign = await directory.keys.foreign()
    const jwk = foreign.publicKey.export({ format: 'jwk' })
    const header = { jwk, ...options.header }
    return assemble(draftToken(directory, { ...options, key: foreign.privateKey, header }))
  },
  expired: withClaims((_, { iat }) => ({
    iat: Number(iat) - 2 * HOUR_SECONDS,
    nbf: Number(iat) - 2 * HOUR_SECONDS,
    exp: Number(iat) - HOUR_SECONDS,
  })),
  'foreign-key': async (directory, options) =>
    assemble(draftToken(directory, { ...options, key: (await directory.keys.foreign()).privateKey })),
  graph: (directory, options) => {
    const header = { nonce: randomBytes(32).toString('base64url'), ...options.header }
    const claims = { aud: GRAPH, scp: 'User.Read profile openid email', ...options.claims }
    const draft = draftToken(directory, { version: 1, ...options, header, claims })
    return compact(draft.header, draft.claims, hashedNonceSigner(draft.key, draft.header))
  },
  'graph-plain': (directory, options) => graph(directory, { version: 1, ...options }),
  // Algorithm confusion: the public key, which everybody has, as the secret of a MAC (RFC 8725 §2.1).
  hs256: withHeader({ alg: 'HS256' }, ({ keys }, { header, claims }) => {
    const pem = keys.signing().publicKey.export({ type: 'spki', format: 'pem' }).toString()
    return compact(header, claims, macSigner(pem))
  }),
  'id-token': (directory, options) => assemble(draftIdToken(directory, options, randomUUID())),
  'no-exp': withClaims(() => ({ exp: undefined })),
  'no-kid': withHeader({ kid: undefined, x5t: undefined }, (_, draft) => assemble(draft)),
  'no-scope-no-roles': withClaims(() => ({ scp: undefined, roles: undefined })),
  'not-yet-valid': withClaims((_, { iat }) => ({
    nbf: Number(iat) + HOUR_SECONDS,
    exp: Number(iat) + 2 * HOUR_SECONDS,
  })),
  overage: withClaims((_, { tid, oid }) => ({
    _claim_names: { groups: 'src1' },
    _claim_sources: {
      src1: { endpoint: `https://graph.windows.net/${tid}/users/${oid}/getMemberObjects` },
    },
  })),
  // Signed first, changed afterwards: the scope is one that was never granted.
  tampered: (directory, options) => {
    const draft = draftToken(directory, options)
    const signature = assemble(draft).split('.')[2]!
    const changed = { ...draft.claims, scp: 'Data.Read Data.Write' }
    return compact(draft.header, changed, () => Buffer.from(signature, 'base64url'))
  },
  'unknown-kid': (directory, options) => {
    const kid = randomBytes(20).toString('base64url')
    return assemble(draftToken(directory, { ...options, header: { kid, ...options.header } }))
  },
  'wrong-audience': withClaims(() => ({ aud: randomUUID() })),
  'wrong-tenant': withClaims((directory, { ver }) => {
    const tid = directory.state.partnerTenantId
    return { tid, iss: issuerOf(directory, tid, ver === '1.0' ? 1 : 2) }
  }),
  'wrong-version': withClaims(() => ({ ver: '3.0' })),
}

/**
 * Mints a token that is deliberately wrong in one thing.
 * @param overrides as for `issue`; what is overridden wins over what makes the token wrong
 */
export async function mintToken(
  directory: Directory,
  kind: MintKind,
  overrides: IssueOptions = {},
): Promise<string> {
  // A kind may arrive over HTTP: one that is inherited from Object is no kind.
  if (!MINT_KINDS.includes(kind))
    throw new RangeError(`no kind ${JSON.stringify(kind)}: ${MINT_KINDS.join(' ')}`)
  return recipes[kind](directory, overrides)
}

/** Decides what others may import: the plugin, the types, the errors. */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { addDownstream, type DownstreamWorld } from './downstream/downstream.ts'
import { Misconfigured } from './errors.ts'
import { type ProtectedResourceOptions as GuardOptions, protect } from './http/protect.ts'
import { addMetadata } from './http/routes/metadata.ts'
import { findCountProblems } from './token/count.ts'
import { type DownstreamSettings, readDownstream } from './token/own-credential.ts'

export { type Api, type ApiAnswer, type ApiCall, type ApiOptions, callOn } from './downstream/call-on.ts'
export {
  CODES,
  type Code,
  Denied,
  Misconfigured,
  type Problem,
  type Refusal,
  type StepUp,
  Unavailable,
} from './errors.ts'
export type { Limit, ProtectedResource } from './http/protect.ts'
export type { Access, CallerKind } from './token/access.ts'
export type { Implies } from './token/implied.ts'
export type { Clock } from './token/keys/clock.ts'
export type { Names } from './token/names.ts'
export type { Policy, RouteAccess } from './token/policy.ts'
export type { Acrs } from './token/step-up.ts'

/** Options of the plugin. Without a tenant, an issuer or an audience it does not start. */
export interface ProtectedResourceOptions
  extends GuardOptions,
    DownstreamSettings,
    Pick<DownstreamWorld, 'downstreamTokens'> {
  /** Name of this API in its metadata (RFC 9728). Plugin option only. Default `protected-resource`. */
  readonly resourceName?: string
}

async function plugin(app: FastifyInstance, options: ProtectedResourceOptions): Promise<void> {
  const downstream = readDownstream(options, options, setting => `option ${setting}`)
  const problems = [
    ...('graphUrl' in downstream ? [] : downstream),
    ...findCountProblems('downstreamTokens', options.downstreamTokens, 1),
  ]
  try {
    await app.register(protect, options)
  } catch (error) {
    throw error instanceof Misconfigured ? new Misconfigured([...error.problems, ...problems]) : error
  }
  if (!('graphUrl' in downstream) || problems.length > 0) throw new Misconfigured(problems)
  await addDownstream(app, downstream, options)
  addMetadata(app, options.resourceName ?? 'protected-resource')
}

/**
 * Guards a Fastify application: every route says in `config: { access }` what it asks for, `request.access` says
 * who is calling, and `GET /.well-known/oauth-protected-resource` says it to clients.
 *
 * Register it first, and await it. Throws {@link Misconfigured} with every problem of the options at once.
 */
const protectedResource = fp(plugin, { name: 'protected-resource', fastify: '5.x' })

export default protectedResource

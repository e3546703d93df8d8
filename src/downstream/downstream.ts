/** Decides what an application has to call on with: a cache of exchanged tokens and a sender, or the reason why not. */
import type { FastifyInstance } from 'fastify'
import { type Connections, endConnections, plainConnections } from '../connections.ts'
import { onFirstUse } from '../first-use.ts'
import { type Clock, systemClock } from '../token/keys/clock.ts'
import type { Downstream, OwnCredential } from '../token/own-credential.ts'
import { createTokenCache, type TokenCache } from './cache.ts'
import type { Exchange } from './exchange.ts'
import { proveSelf } from './proof.ts'
import { createSend, type Send } from './send.ts'

/** What calls are made with. */
export interface DownstreamDesk {
  readonly tokens: TokenCache
  readonly send: Send
  readonly clock: Clock
}

declare module 'fastify' {
  interface FastifyInstance {
    downstream: {
      /** How it stands, for the start line: the kind of the credential, or why nobody is called. */
      readonly state: string
      /** Absent without a credential. */
      readonly desk: DownstreamDesk | undefined
      readonly graphUrl: string
    }
  }
}

/** What the application takes from outside. */
export interface DownstreamWorld {
  /** Carries the requests; whoever gives it closes it. Default: a plain undici Agent. */
  readonly dispatcher?: Connections | undefined
  readonly clock?: Clock | undefined
  readonly random?: (() => number) | undefined
  /** Most exchanged tokens that are kept at once, at about 3 KB each. Plugin option only. Default 10,000. */
  readonly downstreamTokens?: number | undefined
}

const MAX_BYTES = 1024 * 1024
const MAX_TOKENS = 10_000

/** Adds what {@link callOn} works with; the guard must be there already. */
export async function addDownstream(
  app: FastifyInstance,
  { credential, clientId, graphUrl }: Downstream,
  world: DownstreamWorld,
): Promise<void> {
  const { entra } = app.protectedResource.trust
  if (credential === undefined || entra === undefined) {
    app.decorate('downstream', { state: 'off, no credential is configured', desk: undefined, graphUrl })
    return
  }
  const { clock = systemClock, random = Math.random, downstreamTokens: maxEntries = MAX_TOKENS } = world
  const own = plainConnections()
  // The machine's own endpoints are never behind a proxy.
  const local = plainConnections()
  app.addHook('onClose', async () => {
    await Promise.all([own, local].map(endConnections))
  })
  const send = createSend({ dispatcher: world.dispatcher ?? own.get, clock, random, maxBytes: MAX_BYTES })
  const isPlain = entra.authority.startsWith('http:')
  // Not above: a server that has called nobody yet has no use for msal-node, which takes a while to load.
  const exchanger = onFirstUse(async (): Promise<Exchange> => {
    const [{ createExchange, refusePlainHttp }, { createAskIdentity }] = await Promise.all([
      import('./exchange.ts'),
      import('./identity.ts'),
    ])
    if (isPlain) return refusePlainHttp(entra.authority)
    const askIdentity = createAskIdentity({ dispatcher: local.get, clock, random })
    return createExchange({
      authority: entra.authority,
      clientId: clientId!,
      credential: credential.name,
      prove: () => proveSelf(credential, askIdentity),
      send,
      clock,
    })
  })
  const exchange: Exchange = async request => (await exchanger.get())(request)
  const tokens = createTokenCache({ exchange, clock, maxEntries })
  app.decorate('downstream', {
    state: describe(credential, isPlain),
    desk: { tokens, send, clock },
    graphUrl,
  })
}

const describe = ({ kind }: OwnCredential, isPlain: boolean): string =>
  isPlain ? 'off, the authority is plain http' : kind

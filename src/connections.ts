/** Decides when connections to others are opened: with the first request that needs one, since what makes them takes a while to load. */
import type { Agent, Dispatcher } from 'undici'
import { type FirstUse, onFirstUse } from './first-use.ts'

/** What carries requests: an undici dispatcher, or what gives one when the first request needs it. */
export type Connections = Dispatcher | (() => Promise<Dispatcher>)

/** The dispatcher of one request. */
export async function dispatcherOf(connections: Connections): Promise<Dispatcher> {
  return typeof connections === 'function' ? connections() : connections
}

/** A plain undici Agent, for where nobody gives connections. */
export function plainConnections(): FirstUse<Agent> {
  return onFirstUse(async () => new (await import('undici')).Agent())
}

/** Ends connections that were opened, or are being opened. */
export async function endConnections({ made }: FirstUse<Dispatcher>): Promise<void> {
  const opened = await made()
  await opened?.destroy()
}

/** Decides where the tenant listens: on loopback and nowhere else, at a port that stays its own through an outage. */

import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

// Not an option: there is no address but loopback at which this tenant may answer.
const LOOPBACK = '127.0.0.1'
const TRIES = 100
const LAST_PORT = 65_535

/** Handles a request. */
export type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** A port that is listening. */
export interface OpenPort {
  readonly port: number
  /** Starts to answer. Until then requests wait. */
  serve(listener: Listener): void
  /** Resets every connection, open or new, but keeps the port so that nobody else gets it. */
  goDown(): void
  comeUp(): void
  close(): Promise<void>
}

/** Ports to try, in order: this one, or the next ones; any, for 0. */
export function portsFrom(port: number): number[] {
  if (port === 0) return [0]
  return Array.from({ length: TRIES }, (_, offset) => port + offset).filter(one => one <= LAST_PORT)
}

/** @returns whether the port was free */
async function listen(server: Server, port: number): Promise<boolean> {
  try {
    await once(server.listen(port, LOOPBACK), 'listening')
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return false
  }
}

/** Listens at the first of these ports that is free. @throws RangeError when none is */
export async function openPort(server: Server, ports: readonly number[]): Promise<OpenPort> {
  const sockets = new Set<Socket>()
  const waiting: Parameters<Listener>[] = []
  let serve: Listener = (...exchange) => waiting.push(exchange)
  let down = false

  const resetAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }

  server.on('request', (request, response) => serve(request, response))
  server.prependListener('connection', (socket: Socket) => {
    if (down) return socket.resetAndDestroy()
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })

  for (const port of ports) {
    if (!(await listen(server, port))) continue
    return {
      port: (server.address() as { port: number }).port,
      serve(listener) {
        serve = listener
        for (const exchange of waiting) listener(...exchange)
      },
      goDown() {
        down = true
        resetAll()
      },
      comeUp() {
        down = false
      },
      close: () =>
        new Promise(resolve => {
          server.close(() => resolve())
          resetAll()
        }),
    }
  }
  throw new RangeError(`no free port from ${ports[0]} on`)
}

/** Decides how a request that one application has admitted is answered by another one behind it: with the headers of the first, and refused as the first refuses. */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Denied } from '../../errors.ts'

/** Deals with one request. */
type Handle = (request: FastifyRequest, reply: FastifyReply) => void

/** What two applications have to do with each other. */
export interface HandOver {
  /** Passes a request of the first application on, to be answered by the one behind. */
  readonly pass: Handle
  /** Gives a request back, for the first application to say that there is nothing. */
  readonly deny: Handle
}

/**
 * Puts an application behind another one. Bodies go straight to the connection, so that whoever reads slowly costs no
 * memory; what is not found or fails is given back to the first application.
 *
 * @param behind has no routes yet, since handlers of errors are theirs who come later; it must be ready when it answers
 */
export function createHandOver(behind: FastifyInstance): HandOver {
  const fronts = new WeakMap<IncomingMessage, FastifyReply>()
  const giveBack = (error: unknown, { raw }: FastifyRequest, reply: FastifyReply): void => {
    reply.hijack()
    fronts.get(raw)!.send(error)
  }
  const deny: Handle = (request, reply) => giveBack(new Denied({ code: 'not_found' }), request, reply)
  behind.setErrorHandler(giveBack)
  behind.setNotFoundHandler(deny)
  return {
    pass: ({ raw }, reply) => {
      fronts.set(raw, reply)
      for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value!)
      behind.routing(raw, reply.raw)
    },
    deny,
  }
}

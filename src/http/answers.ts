/** Decides what a request gets that no route answered: unknown path, wrong method, unreadable request, failure. */
import type { Socket } from 'node:net'
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Denied, type Refusal, Unavailable } from '../errors.ts'
import { logRequest, showPath } from './log.ts'
import { type AnswerProblem, sendProblem } from './problem.ts'

/** What Fastify itself refuses keeps its status (400, 413, 415 …) and gets our document. */
function refusalOf(error: FastifyError): { refusal: Refusal; status?: number } {
  if (error instanceof Denied || error instanceof Unavailable) return { refusal: error.refusal }
  // Whatever a handler threw comes here, null included.
  const status = error?.statusCode ?? 500
  if (status >= 400 && status < 500) {
    // The message of a bad URL repeats it, query and all.
    return { refusal: { code: 'bad_request', about: error.code, received: showPath(error.message) }, status }
  }
  return { refusal: { code: 'internal_error', about: error?.code } }
}

/** Answers framework errors, thrown errors and unknown paths with the one problem writer. */
export function addAnswers(app: FastifyInstance): void {
  const { refuse, routes } = app.protectedResource

  // RFC 9110 §7.2, which node would answer with an empty 400 of its own.
  app.addHook('onRequest', (request, reply, done) => {
    const { httpVersion, headers } = request.raw
    if (httpVersion !== '1.1' || headers.host !== undefined) done()
    else refuse(request, reply, { code: 'bad_request', about: 'host', expected: 'a Host header' })
  })
  // RFC 9110 §10.1.1: an expectation that we do not know is ignored rather than answered 417 by node.
  app.server.on('checkExpectation', (request, response) => app.routing(request, response))

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { refusal, status } = refusalOf(error)
    if (refusal.code === 'internal_error') request.log.error({ event: 'failed', err: error })
    return refuse(request, reply, refusal, status)
  })

  app.setNotFoundHandler((request, reply) => {
    const { methods } = routes.methodsAt(request.url)
    if (methods.length === 0) return refuse(request, reply, { code: 'not_found' })
    reply.header('allow', methods.join(', '))
    return refuse(request, reply, { code: 'method_not_allowed', received: request.method, expected: methods })
  })
}

/**
 * For Fastify's `frameworkErrors`: a request so malformed that it has no route and runs no hook.
 *
 * @param answerProblem called late, because these options exist before the application does
 */
export function createFrameworkErrors(
  answerProblem: () => AnswerProblem,
): (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => void {
  return (error, request, reply) => {
    const { refusal, status } = refusalOf(error)
    sendProblem(reply, answerProblem()(refusal, 'any', status))
    logRequest(request, reply, null, refusal)
  }
}

const STATUS_BY_PARSER_CODE: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

/** For Fastify's `clientErrorHandler`: bytes that node could not read as a request. */
export function createClientErrorHandler(
  answerProblem: () => AnswerProblem,
  log: () => FastifyBaseLogger,
): (error: Error & { code?: string }, socket: Socket) => void {
  return (error, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const status = STATUS_BY_PARSER_CODE[error.code ?? ''] ?? 400
    const answer = answerProblem()({ code: 'bad_request' }, 'any', status)
    log().info({ event: 'refused', status, code: 'bad_request', about: error.code })
    const headers = {
      ...answer.headers,
      'content-length': String(Buffer.byteLength(answer.body)),
      connection: 'close',
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.end(
      `HTTP/1.1 ${status} ${(JSON.parse(answer.body) as { title: string }).title}\r\n${lines.join('')}\r\n${answer.body}`,
    )
  }
}

/** Decides what the plain-http port serves: the pages a browser opens, and tokens for public clients with PKCE. */

import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Aadsts } from './aadsts.ts'
import {
  carriedParameters,
  checkSignIn,
  clientInfoFor,
  completeSignIn,
  findChoice,
  findReturnAddress,
  type ReturnAddress,
} from './authorize.ts'
import type { Form } from './client-authentication.ts'
import { findApplication, hasTokens } from './directory.ts'
import { answerTokenRequest, type Desk } from './grants.ts'
import {
  correlationOf,
  createPort,
  isLoopback,
  loopbackOrigins,
  readForm,
  sendPage,
  tenantOf,
} from './http.ts'
import { findPerson } from './people.ts'
import { deviceCodePage, devicePersonPage, donePage, errorPage, formPostPage, signInPage } from './views.ts'

function goBack(
  reply: FastifyReply,
  { redirectUri, mode, state }: ReturnAddress,
  answer: Form,
): FastifyReply {
  const fields = state === undefined ? answer : { ...answer, state }
  if (mode === 'form_post') return sendPage(reply, formPostPage(redirectUri, fields))
  const url = new URL(redirectUri)
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value)
  return reply.redirect(url.href)
}

/** Builds the page port. It does not listen. */
export function createPagePort(desk: Desk): FastifyInstance {
  const { directory, signIns } = desk
  const app = createPort(directory.pages, directory)
  const ownOrigins = loopbackOrigins(directory.pages)

  const refuseOtherSites = async (request: FastifyRequest, reply: FastifyReply) => {
    const { origin } = request.headers
    if (origin !== undefined && !ownOrigins.includes(origin))
      return reply.code(403).send({ error: 'wrong_origin' })
  }

  const signIn = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    let address: ReturnAddress | undefined
    try {
      const form = readForm(request.method === 'POST' ? request.body : request.query)
      if (!hasTokens(directory, tenantOf(request))) throw new Aadsts(90002)
      address = findReturnAddress(directory, form)
      checkSignIn(directory, form)
      const choice = findChoice(directory, form, request.method === 'POST')
      if (choice === undefined) {
        const action = `/${tenantOf(request)}/oauth2/v2.0/authorize`
        const { origin } = new URL(address.redirectUri)
        return sendPage(reply, signInPage(action, address.client.name, carriedParameters(form), origin))
      }
      const { code, person } = completeSignIn(directory, signIns, choice)
      const answer = { code, ...clientInfoFor(directory, form, person), session_state: randomUUID() }
      return goBack(reply, address, answer)
    } catch (error) {
      if (!(error instanceof Aadsts)) throw error
      const document = error.toDocument(directory.now(), correlationOf(request))
      if (!address) return sendPage(reply, errorPage(document), error.status)
      return goBack(reply, address, { error: document.error, error_description: document.error_description })
    }
  }

  const pickForDevice = async (request: FastifyRequest, reply: FastifyReply) => {
    const form = readForm(request.body)
    const device = signIns.findDevice(form.user_code ?? '')
    if (!device) return sendPage(reply, deviceCodePage(form.user_code ?? '', true), 400)
    if (form.cancel !== undefined) {
      device.outcome = 'declined'
      return sendPage(reply, donePage('Declined', 'The device gets nothing. You can close this page.'))
    }
    const { name } = findApplication(directory, device.clientId)!
    const person = findPerson(form.person ?? '')
    if (!person) return sendPage(reply, devicePersonPage(name, device.userCode))
    device.outcome = person
    return sendPage(
      reply,
      donePage('Signed in', `The device continues as ${person.name}. You can close this page.`),
    )
  }

  const allowOrigin = (request: FastifyRequest, reply: FastifyReply): boolean => {
    const { origin } = request.headers
    reply.header('vary', 'origin')
    if (origin === undefined) return true
    if (!directory.settings.docsOrigins.includes(origin)) return false
    reply.header('access-control-allow-origin', origin)
    return true
  }

  app.get('/:tenant/oauth2/v2.0/authorize', signIn)
  app.post('/:tenant/oauth2/v2.0/authorize', { onRequest: refuseOtherSites }, signIn)

  app.get('/devicelogin', async (request, reply) => {
    const { user_code = '' } = readForm(request.query)
    return sendPage(reply, deviceCodePage(user_code, false))
  })
  app.post('/devicelogin', { onRequest: refuseOtherSites }, pickForDevice)

  app.get('/:tenant/oauth2/v2.0/logout', async (request, reply) => {
    const { post_logout_redirect_uri: target = '' } = readForm(request.query)
    if (URL.canParse(target) && isLoopback(new URL(target))) return reply.redirect(target)
    return sendPage(
      reply,
      donePage('Signed out', 'There is no session here to end. You can close this page.'),
    )
  })

  app.options('/:tenant/oauth2/v2.0/token', async (request, reply) => {
    if (!allowOrigin(request, reply)) return reply.code(403).send()
    const asked = request.headers['access-control-request-headers']
    if (asked !== undefined) reply.header('access-control-allow-headers', asked)
    return reply.code(204).header('access-control-allow-methods', 'POST').send()
  })
  app.post('/:tenant/oauth2/v2.0/token', async (request, reply) => {
    if (!hasTokens(directory, tenantOf(request))) throw new Aadsts(90002)
    if (!allowOrigin(request, reply)) throw new Aadsts(9002326)
    const { authorization } = request.headers
    return answerTokenRequest(desk, { form: readForm(request.body), authorization, fromPage: true })
  })
  return app
}

/** Decides how a test gets a real server beside a real local tenant, and what must hold in every test: answers keep the description, no token is logged. */
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { Agent } from 'undici'
import { buildApp, type World } from '../../src/app.ts'
import { type Environment, readConfig } from '../../src/config.ts'
import { createLogger } from '../../src/http/logger.ts'
import type { ProtectedResourceOptions } from '../../src/index.ts'
import { type LocalTenant, startLocalTenant } from '../../src/local-tenant/tenant.ts'
import { type CheckAnswer, createCheckAnswer } from './contract.ts'

/** One line of the server's log. */
export type Line = Readonly<Record<string, unknown>>

/** An answer as fetch gives it, its body read. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server sent
  readonly json: any
  readonly challenge: string | null
}

/** A server that listens on a free port of loopback. */
export interface Api {
  readonly app: FastifyInstance
  readonly tenant: LocalTenant
  readonly url: string
  readonly lines: Line[]
  /** The lines of refused requests. */
  readonly refusals: () => Line[]
  /** GET with a bearer token, or without one. */
  readonly get: (path: string, token?: string, init?: RequestInit) => Promise<Answer>
  /** Sends bytes over a raw socket and gives everything that came back until the server closed. */
  readonly raw: (request: string) => Promise<string>
  /** Resolves once every issuer has keys. */
  readonly ready: () => Promise<void>
}

/** What a test may want different. */
export interface ApiOptions {
  readonly env?: Environment
  readonly world?: World
  /** A tenant that is shared; it stays open. */
  readonly tenant?: LocalTenant
  /** Adds routes before the server listens. */
  readonly routes?: (app: FastifyInstance) => void | Promise<void>
  /** Whether to wait for the first keys; default true. */
  readonly waitForKeys?: boolean
}

/** `REMEMBERED_TOKENS=0` or `=1` runs a suite without remembered tokens, or with one: `.ci/run` does both. */
const { REMEMBERED_TOKENS } = process.env
const remembering: World =
  REMEMBERED_TOKENS === undefined ? {} : { rememberedTokens: Number(REMEMBERED_TOKENS) }

// Compact JWS with a payload that matters: header and payload are enough to be recognized in a log.
const TOKEN = /ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}/

/** Starts a local tenant for a test and stops it with the test. */
export async function startTenant(t: Test, options: { now?: () => number } = {}): Promise<LocalTenant> {
  const tenant = await startLocalTenant({ port: 0, ...options })
  t.teardown(() => tenant.close())
  return tenant
}

/** Options of the plugin for an application that trusts this tenant; its connections end with the test. */
export function pluginOptions(t: Test, { profile }: LocalTenant): ProtectedResourceOptions {
  const dispatcher = new Agent({ connect: { ca: profile.ca } })
  t.teardown(() => dispatcher.destroy())
  return {
    azureTenantId: profile.tenantId,
    azureClientId: profile.api.clientId,
    azureAuthorityHost: profile.authority,
    publicUrl: 'https://api.example.com',
    dispatcher,
  }
}

/** The variables that make a server trust a tenant. */
export function trusting({ profile }: LocalTenant): Record<string, string> {
  return {
    AZURE_AUTHORITY_HOST: profile.authority,
    AZURE_TENANT_ID: profile.tenantId,
    AZURE_CLIENT_ID: profile.api.clientId,
  }
}

/** Starts a server for a test, with a tenant of its own unless one is given, and stops both with the test. */
export async function startApi(t: Test, options: ApiOptions = {}): Promise<Api> {
  const tenant = options.tenant ?? (await startTenant(t))
  const lines: Line[] = []
  const secrets = new Set<string>()
  const log = createLogger('trace', {
    write: (line: string) => {
      lines.push(JSON.parse(line) as Line)
      const found = TOKEN.exec(line)?.[0] ?? [...secrets].find(secret => line.includes(secret))
      if (found !== undefined) t.fail(`a token stands in the log: ${line}`)
    },
  })
  const env = { ...trusting(tenant), PORT: '0', PUBLIC_URL: 'https://api.example.com', ...options.env }
  const app = await buildApp(readConfig(env), {
    log,
    ca: tenant.profile.ca,
    ...remembering,
    ...options.world,
  })
  await options.routes?.(app)
  let check: CheckAnswer | undefined
  // Beside the answers, which must not wait until the description has been made.
  let checked = Promise.resolve()
  app.addHook('onSend', async (request, reply, payload) => {
    const body = typeof payload === 'string' || Buffer.isBuffer(payload) ? String(payload) : ''
    const path = request.routeOptions.url
    if (path === undefined || request.is404) return
    const { method } = request
    const answered = { method, path, status: reply.statusCode, headers: reply.getHeaders(), body }
    const judge = async (): Promise<void> => {
      check ??= await createCheckAnswer(app)
      check(answered)
    }
    checked = checked.then(judge).catch((error: unknown) => {
      t.fail(`an answer breaks the description: ${String(error)}`)
    })
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(async () => {
    await checked
    await app.close()
  })

  const ready = async (): Promise<void> => {
    while (app.protectedResource.keys().some(({ state }) => state === 'missing')) {
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
  if (options.waitForKeys !== false) await ready()

  return {
    app,
    tenant,
    url,
    lines,
    ready,
    refusals: () => lines.filter(({ event }) => event === 'refused'),
    get: async (path, token, init = {}) => {
      const headers = new Headers(init.headers)
      if (token !== undefined) {
        headers.set('authorization', `Bearer ${token}`)
        const signature = token.split('.')[2]
        if (signature !== undefined && signature.length > 40) secrets.add(signature)
      }
      const response = await fetch(url + path, { ...init, headers })
      const text = await response.text()
      await checked
      const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== ''
      return {
        status: response.status,
        headers: response.headers,
        text,
        json: isJson ? JSON.parse(text) : undefined,
        challenge: response.headers.get('www-authenticate'),
      }
    },
    raw: request =>
      new Promise((resolve, reject) => {
        const { hostname, port } = new URL(url)
        const chunks: Buffer[] = []
        const socket = connect(Number(port), hostname)
        socket.on('data', chunk => chunks.push(chunk))
        socket.on('end', () => resolve(Buffer.concat(chunks).toString('latin1')))
        socket.on('error', reject)
        socket.end(request, 'latin1')
      }),
  }
}

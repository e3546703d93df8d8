/** Decides how `npm run dev` runs: a local tenant and the server that trusts it, side by side, with nothing to set up. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { promisify } from 'node:util'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { type Config, type Environment, readConfig } from './config.ts'
import { Misconfigured } from './errors.ts'
import { createLogger } from './http/logger.ts'
import { loopbackOrigins } from './local-tenant/http.ts'
import { readProfile } from './local-tenant/profile.ts'
import { startLocalTenant } from './local-tenant/tenant.ts'

const STATE_FOLDER = '.local-tenant'
const GRACE_MS = 2000
const PROBE_MS = 1000
/** sysexits.h: EX_CONFIG. */
const EXIT_CONFIG = 78
const ELSEWHERE =
  /^(AZURE_.*|ALLOWED_.*|ISSUERS.*|AUDIENCE|TOKEN_VERSIONS|SCOPE_PREFIX|PUBLIC_URL|HOST|GRAPH_URL|DOCS_CLIENT_ID)$/
const EXAMPLE_GUID = '11111111-2222-3333-4444-555555555555'

/** A port that nobody listens on. */
async function anyPort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  await promisify(probe.close.bind(probe))()
  return port
}

/** Listens on the first port from `first` on that is free; whoever asked for a busy one is told where to go instead. */
async function listenFrom(
  first: number,
  build: (port: number) => Promise<FastifyInstance>,
): Promise<FastifyInstance> {
  const app = await build(first)
  try {
    await app.listen({ host: '127.0.0.1', port: first })
    return app
  } catch (error) {
    await app.close()
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return listenFrom(first + 1, build)
  }
}

/** What of the environment counts here: nothing that would point to another tenant. */
function ignored(env: Environment): string[] {
  return Object.keys(env).filter(name => ELSEWHERE.test(name) && env[name] !== '')
}

/** Settings of the server beside a tenant; whatever is wrong with them is known before anything starts. */
function configure(env: Environment, tenant: Environment): Config {
  const config = readConfig({
    ...tenant,
    CLOCK_TOLERANCE_SECONDS: env.CLOCK_TOLERANCE_SECONDS,
    LOG_LEVEL: env.LOG_LEVEL,
    PORT: env.PORT,
  })
  const { LOCAL_TENANT_PORT: tenantPort = '' } = env
  if (/^\d*$/.test(tenantPort) && Number(tenantPort) <= 65_535) return config
  const found = JSON.stringify(tenantPort)
  throw new Misconfigured([
    { name: 'LOCAL_TENANT_PORT', found, expected: 'a port from 0 to 65535', example: '8443' },
  ])
}

/** Two in one folder would take each other's profile, and the token command would serve the wrong one. */
async function refuseSecond(): Promise<void> {
  const { apiUrl } = (await readProfile(STATE_FOLDER)) ?? {}
  if (apiUrl === undefined) return
  const answers = await fetch(`${apiUrl}/livez`, { signal: AbortSignal.timeout(PROBE_MS) }).then(
    ({ ok }) => ok,
    () => false,
  )
  if (answers)
    throw new Error(`npm run dev runs in this folder already, with the API at ${apiUrl}: stop that one first`)
}

/** Starts both, prints how to use them, and ends both together. */
async function develop(env: Environment): Promise<void> {
  const say = (text: string): boolean => process.stderr.write(`${text}\n`)
  const wanted = configure(env, { AZURE_TENANT_ID: EXAMPLE_GUID, AZURE_CLIENT_ID: EXAMPLE_GUID })
  await refuseSecond()
  const tenant = await startLocalTenant({
    stateFolder: STATE_FOLDER,
    port: Number(env.LOCAL_TENANT_PORT || 8443),
    log: createLogger('warn'),
  })
  const { profile } = tenant
  const build = (port: number): Promise<FastifyInstance> =>
    buildApp(
      configure(
        { ...env, PORT: String(port) },
        {
          AZURE_AUTHORITY_HOST: profile.authority,
          AZURE_TENANT_ID: profile.tenantId,
          AZURE_CLIENT_ID: profile.api.clientId,
          DOCS_CLIENT_ID: profile.publicClient.clientId,
          AZURE_CLIENT_SECRET: profile.api.clientSecret,
          GRAPH_URL: profile.graph,
        },
      ),
      { ca: profile.ca, pages: { origin: profile.pages, people: profile.people } },
    )
  const app = await listenFrom(wanted.port === 0 ? await anyPort() : wanted.port, build)
  const url = app.protectedResource.trust.publicUrl
  closeWithGrace({ delay: GRACE_MS, logger: false }, async ({ err }) => {
    if (err) app.log.fatal({ event: 'crashed', err })
    await Promise.all([app.close(), tenant.close()])
  })
  await tenant.setApiUrl(url)
  tenant.setDocsOrigins(loopbackOrigins(url))

  const names = ignored(env)
  if (names.length > 0) {
    say(`Ignored here, because development has a tenant of its own: ${names.join(', ')}`)
    say(`The token command does read them; in its shell, first: unset ${names.join(' ')}`)
  }
  say(`
The API is guarded by the local tenant ${profile.authority}/${profile.tenantId}

  API description   ${url}/docs
  call it           curl -H "Authorization: Bearer $(npm run -s token)" ${url}/secure-data
  as a person       curl -H "Authorization: Bearer $(npm run -s token -- interactive --as ada)" ${url}/secure-data
  on their behalf   curl -H "Authorization: Bearer $(npm run -s token -- --as ada)" ${url}/me
  people            ${profile.people.map(({ handle, about }) => `${handle}: ${about}`).join('\n                    ')}

Every refused request is logged below with the reason. Stop with Ctrl-C.
`)
}

develop(process.env).catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exit(error instanceof Misconfigured ? EXIT_CONFIG : 1)
})

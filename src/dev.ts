/** Decides how `npm run dev` runs: a local tenant and the server that trusts it, side by side, with nothing to set up. */
import { createServer } from 'node:net'
import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { type Environment, readConfig } from './config.ts'
import { startLocalTenant } from './local-tenant/tenant.ts'

const STATE_FOLDER = '.local-tenant'
const GRACE_MS = 2000

/** The first free port from `first` on; whoever asked for a busy one is told where to go instead. */
async function freePort(first: number): Promise<number> {
  for (let port = first; port < 65_536; port++) {
    const free = await new Promise<boolean>(resolve => {
      const probe = createServer()
      probe.once('error', () => resolve(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
    })
    if (free) return port
  }
  throw new Error(`no free port from ${first} on`)
}

/** What of the environment counts here: nothing that would point to another tenant. */
function ignored(env: Environment): string[] {
  return Object.keys(env).filter(
    name =>
      /^(AZURE_|ALLOWED_|ISSUERS|AUDIENCE$|TOKEN_VERSIONS$|SCOPE_PREFIX$|PUBLIC_URL$|HOST$)/.test(name) &&
      env[name] !== '',
  )
}

async function develop(env: Environment): Promise<void> {
  const say = (text: string): boolean => process.stderr.write(`${text}\n`)
  const tenant = await startLocalTenant({
    stateFolder: STATE_FOLDER,
    port: Number(env.LOCAL_TENANT_PORT || 8443),
  })
  const port = await freePort(Number(env.PORT || 3000))
  const url = `http://127.0.0.1:${port}`
  const { profile } = tenant
  const config = readConfig({
    AZURE_AUTHORITY_HOST: profile.authority,
    AZURE_TENANT_ID: profile.tenantId,
    AZURE_CLIENT_ID: profile.api.clientId,
    CLOCK_TOLERANCE_SECONDS: env.CLOCK_TOLERANCE_SECONDS,
    LOG_LEVEL: env.LOG_LEVEL || 'info',
    PORT: String(port),
  })
  const app = await buildApp(config, { ca: profile.ca })
  closeWithGrace({ delay: GRACE_MS, logger: false }, async ({ err }) => {
    if (err) app.log.fatal({ event: 'crashed', err })
    await Promise.all([app.close(), tenant.close()])
  })
  await app.listen({ host: config.host, port })
  await tenant.setApiUrl(url)
  tenant.setDocsOrigins([url])

  const names = ignored(env)
  if (names.length > 0) say(`Ignored here, because development has a tenant of its own: ${names.join(', ')}`)
  say(`
The API is guarded by the local tenant ${profile.authority}/${profile.tenantId}

  API description   ${url}/docs
  call it           curl -H "Authorization: Bearer $(npm run -s token)" ${url}/secure-data
  as a person       curl -H "Authorization: Bearer $(npm run -s token -- interactive --as ada)" ${url}/secure-data
  people            ${profile.people.map(({ handle, about }) => `${handle}: ${about}`).join('\n                    ')}

Every refused request is logged below with the reason. Stop with Ctrl-C.
`)
}

develop(process.env).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})

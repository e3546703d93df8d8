/** Decides how the server runs as a process: reads the environment, listens, and closes with grace. */
import { existsSync } from 'node:fs'
import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { readConfig } from './config.ts'
import { Misconfigured } from './errors.ts'
import { keepTickShape } from './tick-shape.ts'

/** Time that requests under way get to finish after SIGTERM, in milliseconds. */
const GRACE_MS = 10_000
/** sysexits.h: EX_CONFIG. */
const EXIT_CONFIG = 78

async function serve(): Promise<void> {
  keepTickShape()
  // The environment wins over the file.
  if (existsSync('.env')) process.loadEnvFile('.env')
  const config = readConfig(process.env)
  const app = await buildApp(config)
  closeWithGrace({ delay: GRACE_MS, logger: false }, async ({ err }) => {
    if (err) app.log.fatal({ event: 'crashed', err })
    await app.close()
  })
  const url = await app.listen({ host: config.host, port: config.port })
  const { trust, keys } = app.protectedResource
  app.log.info({
    event: 'listening',
    url,
    publicUrl: trust.publicUrl,
    issuers: keys().map(({ issuer }) => issuer),
    onBehalfOf: app.downstream.state,
  })
}

serve().catch((error: unknown) => {
  const told = (error as Error).message
  const isOperators = error instanceof Misconfigured
  process.stderr.write(isOperators ? `${told}\nTo try it without a tenant: npm run dev\n` : `${told}\n`)
  process.exit(isOperators ? EXIT_CONFIG : 1)
})

/** Decides how the committed openapi.yaml is made: from the routes, with example values for tenant, application and address. */
import { writeFileSync } from 'node:fs'
import { buildApp } from './app.ts'
import { readConfig } from './config.ts'

const EXAMPLE = {
  AZURE_TENANT_ID: '11111111-2222-3333-4444-555555555555',
  AZURE_CLIENT_ID: '66666666-7777-8888-9999-000000000000',
  // Without a credential there is no /me.
  AZURE_CLIENT_SECRET: 'example',
  PUBLIC_URL: 'https://api.example.org',
  LOG_LEVEL: 'silent',
  // The application asks for its tenant's keys as soon as it is ready; behind port 9 nobody hears it.
  HTTPS_PROXY: 'http://127.0.0.1:9',
}

const app = await buildApp(readConfig(EXAMPLE))
await app.ready()
const docs = await app.openDocs()
writeFileSync('openapi.yaml', docs.app.swagger({ yaml: true }))
await app.close()

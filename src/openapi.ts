/** Decides how the committed openapi.yaml is made: from the routes, with example values for the tenant. */
import { writeFileSync } from 'node:fs'
import { buildApp } from './app.ts'
import { readConfig } from './config.ts'

/** The tenant, application and address that stand in the committed description. */
const EXAMPLE = {
  AZURE_TENANT_ID: '11111111-2222-3333-4444-555555555555',
  AZURE_CLIENT_ID: '66666666-7777-8888-9999-000000000000',
  PUBLIC_URL: 'https://api.example.com',
  LOG_LEVEL: 'silent',
}

/** The API description with example values, as YAML. */
export async function describeExample(): Promise<string> {
  const app = await buildApp(readConfig(EXAMPLE))
  // Not `ready`: that would start to fetch the example tenant's keys.
  const yaml = app.swagger({ yaml: true })
  await app.close()
  return yaml
}

const [, script, file] = process.argv
if (script !== undefined && import.meta.filename.endsWith('openapi.js') && script.endsWith('openapi.js')) {
  writeFileSync(file ?? 'openapi.yaml', await describeExample())
}

/** Calls the API as the daemon of the local tenant; in production these five values come from the environment. */
import { readFile } from 'node:fs/promises'
import { createBackendClient } from './backend-client.ts'

const { authority, tenantId, daemon, api, apiUrl } = JSON.parse(
  await readFile('.local-tenant/profile.json', 'utf8'),
)

const get = createBackendClient({
  tokenUrl: `${authority}/${tenantId}/oauth2/v2.0/token`,
  clientId: daemon.clientId,
  clientSecret: daemon.clientSecret,
  scope: `api://${api.clientId}/.default`,
})

const response = await get(`${apiUrl}/secure-data`)
console.log(response.status, await response.text())

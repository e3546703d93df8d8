/** Decides what the environment means: one frozen configuration, or every problem with it at once. */
import { isIP } from 'node:net'
import { type LimitSettings, readLimits } from './config-limits.ts'
import { Misconfigured, type Problem } from './errors.ts'
import { type Downstream, readDownstream } from './token/own-credential.ts'
import { quote, readTrust, type TrustSettings } from './token/trust.ts'

/** Variables as the process has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Everything that the server is told from outside. */
export interface Config extends LimitSettings {
  /** Whose tokens are accepted, and how this API calls itself. */
  readonly trust: TrustSettings
  /** With what this API calls on behalf of its callers. */
  readonly downstream: Downstream
  readonly host: string
  readonly port: number
  readonly logLevel: string
  /** Peers whose forwarding headers are believed; CIDR or address. */
  readonly trustProxy: readonly string[]
  /** The public client with which the page of the API description signs people in. */
  readonly docsClientId: string | undefined
  /** Proxy for the server's own requests. */
  readonly proxy: {
    readonly https: string | undefined
    readonly http: string | undefined
    readonly no: string | undefined
  }
}

const DEFAULT_PORT = 3000
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

/** `azureTenantId` → `AZURE_TENANT_ID`. */
const variableName = (setting: string): string => setting.replace(/[A-Z]/g, '_$&').toUpperCase()

const isLoopbackHost = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

function isNetwork(value: string): boolean {
  const [address, bits, ...rest] = value.split('/')
  const family = isIP(address!)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/**
 * Reads the configuration of the server.
 *
 * A variable that is set but empty counts as not set, except AUDIENCE, where an empty value would be a mistake
 * that decides who may call.
 *
 * @throws Misconfigured with every problem: what was found, what was expected, an example
 */
export function readConfig(env: Environment): Config {
  const problems: Problem[] = []
  const text = (name: string): string | undefined => {
    const value = env[name]?.trim()
    return value === '' ? undefined : value
  }
  const list = (name: string): readonly string[] | undefined =>
    text(name)
      ?.split(',')
      .map(item => item.trim())
  const number = (name: string): number | undefined => {
    const value = text(name)
    if (value === undefined) return undefined
    return /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN
  }
  const names = (name: string): readonly string[] | undefined => {
    const items = list(name)
    if (items?.includes('')) {
      problems.push({
        name,
        found: 'an empty item',
        expected: 'items separated by single commas',
        example: 'a,b',
      })
    }
    return items?.filter(item => item !== '')
  }

  const host = text('HOST') ?? '127.0.0.1'
  const port = number('PORT') ?? DEFAULT_PORT
  const isPort = Number.isInteger(port) && port >= 0 && port <= 65_535
  if (!isPort) {
    problems.push({
      name: 'PORT',
      found: JSON.stringify(env.PORT),
      expected: 'a port from 0 to 65535',
      example: '3000',
    })
  }
  const logLevel = text('LOG_LEVEL') ?? 'info'
  if (!LOG_LEVELS.includes(logLevel)) {
    problems.push({
      name: 'LOG_LEVEL',
      found: JSON.stringify(logLevel),
      expected: LOG_LEVELS.join(', '),
      example: 'info',
    })
  }
  const trustProxy = names('TRUST_PROXY') ?? []
  for (const network of trustProxy.filter(item => !isNetwork(item))) {
    problems.push({
      name: 'TRUST_PROXY',
      found: JSON.stringify(network),
      expected: 'addresses or networks (CIDR), not a number of hops',
      example: '10.0.0.0/8',
    })
  }

  const docsClientId = text('DOCS_CLIENT_ID')
  if (docsClientId !== undefined && text('AZURE_TENANT_ID') === undefined) {
    problems.push({
      name: 'DOCS_CLIENT_ID',
      found: 'no AZURE_TENANT_ID beside it',
      expected: 'the tenant in which that application signs people in, or neither of the two',
      example: '00000000-0000-0000-0000-000000000000',
    })
  }
  const publicUrl = text('PUBLIC_URL')
  // BEARER-17: to listen beyond this machine is to say that TLS ends in front of us.
  if (!isLoopbackHost(host) && !publicUrl?.startsWith('https://')) {
    problems.push({
      name: 'PUBLIC_URL',
      found: publicUrl === undefined ? `nothing, with HOST=${host}` : quote(publicUrl),
      expected: 'the https address under which TLS is terminated in front of this server',
      example: 'https://api.example.com',
    })
  }
  const localUrl = `http://${isIP(host) === 6 ? `[${host}]` : host}:${isPort ? port : DEFAULT_PORT}`
  const trust: TrustSettings = {
    azureTenantId: text('AZURE_TENANT_ID'),
    azureClientId: text('AZURE_CLIENT_ID'),
    azureAuthorityHost: text('AZURE_AUTHORITY_HOST'),
    audience: env.AUDIENCE === undefined ? undefined : env.AUDIENCE.split(',').map(item => item.trim()),
    allowedTenants: names('ALLOWED_TENANTS'),
    allowedClients: names('ALLOWED_CLIENTS'),
    issuers: names('ISSUERS'),
    issuersTokenTyp: text('ISSUERS_TOKEN_TYP'),
    tokenVersions: names('TOKEN_VERSIONS'),
    clockToleranceSeconds: number('CLOCK_TOLERANCE_SECONDS'),
    keysMaxStaleHours: number('KEYS_MAX_STALE_HOURS'),
    keysCacheFile: text('KEYS_CACHE_FILE'),
    scopePrefix: text('SCOPE_PREFIX'),
    publicUrl: publicUrl ?? (isLoopbackHost(host) ? localUrl : 'https://public-url.invalid'),
  }
  const checked = readTrust(trust, variableName)
  if (!('others' in checked)) problems.push(...checked)

  const downstream = readDownstream(
    {
      azureClientSecret: text('AZURE_CLIENT_SECRET'),
      azureClientCertificatePath: text('AZURE_CLIENT_CERTIFICATE_PATH'),
      azureFederatedTokenFile: text('AZURE_FEDERATED_TOKEN_FILE'),
      azureManagedIdentityClientId: text('AZURE_MANAGED_IDENTITY_CLIENT_ID'),
      graphUrl: text('GRAPH_URL'),
    },
    trust,
    variableName,
  )
  if (!('graphUrl' in downstream)) problems.push(...downstream)

  const proxies = {
    https: text('HTTPS_PROXY') ?? text('https_proxy'),
    http: text('HTTP_PROXY') ?? text('http_proxy'),
  }
  for (const [kind, address] of Object.entries(proxies)) {
    if (address === undefined || /^https?:$/.test(URL.canParse(address) ? new URL(address).protocol : ''))
      continue
    // The address may hold a password, so it is not repeated.
    problems.push({
      name: `${kind}_proxy`.toUpperCase(),
      found: 'no http URL',
      expected: 'an http URL',
      example: 'http://proxy:3128',
    })
  }
  const limits = readLimits({ text, number, names }, problems)
  if (problems.length > 0 || !('graphUrl' in downstream)) throw new Misconfigured(problems)
  return Object.freeze({
    trust: Object.freeze(trust),
    downstream: Object.freeze(downstream),
    host,
    port,
    logLevel,
    trustProxy,
    ...limits,
    docsClientId,
    proxy: { ...proxies, no: text('NO_PROXY') ?? text('no_proxy') },
  })
}

/** Decides with which credential this API may call on behalf of its callers, and where Microsoft Graph is; says everything that is wrong at once. */
import { readFileSync } from 'node:fs'
import { readCertificate } from '../certificate.ts'
import { Misconfigured, type Problem } from '../errors.ts'
import { GUID, isLoopback } from './issuers.ts'
import { quote } from './trust.ts'

/** What an operator sets. The plugin takes these as they are; the server reads them from the variables of the same names. */
export interface DownstreamSettings {
  /** Secret of this API's registration. At most one of the four credentials is given. AZURE_CLIENT_SECRET. */
  readonly azureClientSecret?: string | undefined
  /** PEM file with this API's private key (no pass phrase) and certificate; read at each use. AZURE_CLIENT_CERTIFICATE_PATH. */
  readonly azureClientCertificatePath?: string | undefined
  /** File with a token of an issuer that the registration is federated with; read at each use. AZURE_FEDERATED_TOKEN_FILE. */
  readonly azureFederatedTokenFile?: string | undefined
  /** Client id of the user-assigned managed identity that the registration is federated with. AZURE_MANAGED_IDENTITY_CLIENT_ID. */
  readonly azureManagedIdentityClientId?: string | undefined
  /** Microsoft Graph, with its version. Default `https://graph.microsoft.com/v1.0`. GRAPH_URL. */
  readonly graphUrl?: string | undefined
}

/** How this API proves itself to the issuer. A secret must never reach a message. */
export type OwnCredential = Named &
  (
    | { readonly kind: 'secret'; readonly secret: string }
    | { readonly kind: 'certificate'; readonly path: string }
    | { readonly kind: 'federated token'; readonly path: string }
    | { readonly kind: 'managed identity'; readonly clientId: string }
  )

interface Named {
  /** The variable or option that holds it, for the operator's log. */
  readonly name: string
}

/** Settings that have been checked. */
export interface Downstream {
  /** Absent: this API calls nobody on behalf of anybody. */
  readonly credential: OwnCredential | undefined
  /** This API's own application id; there whenever a credential is. */
  readonly clientId: string | undefined
  /** Without a trailing slash. */
  readonly graphUrl: string
}

const DEFAULT_GRAPH = 'https://graph.microsoft.com/v1.0'
const EXAMPLE_GUID = '11111111-2222-3333-4444-555555555555'

/** Why an address can't be that of an API that is called with callers' rights; undefined when it can. */
export function findApiAddressProblem(value: string): string | undefined {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !['https:', 'http:'].includes(url.protocol)) return 'an https URL'
  if (url.protocol === 'http:' && !isLoopback(url)) return 'https (plain http is for loopback only)'
  if (url.username !== '' || url.password !== '') return 'a URL without a user name or password'
  return /[?#]/.test(value) ? 'a URL without query and fragment' : undefined
}

/** What is wrong with a file that must be there at start. */
function findFileProblem(credential: OwnCredential): Problem | undefined {
  if (!('path' in credential)) return undefined
  const { kind, name, path } = credential
  try {
    if (kind === 'certificate') readCertificate(path, name)
    else readFileSync(path)
    return undefined
  } catch (error) {
    if (error instanceof Misconfigured) return error.problems[0]
    const found = `${(error as NodeJS.ErrnoException).code} at ${path}`
    return { name, found, expected: 'a readable file with a token', example: '/var/run/secrets/token' }
  }
}

/**
 * Checks an operator's settings.
 *
 * @param registration this API's tenant and application id, as they are set
 * @param nameOf how a setting is called where the operator wrote it: a variable or an option
 * @returns the checked settings, or every problem
 */
export function readDownstream(
  settings: DownstreamSettings,
  registration: { readonly azureTenantId?: string | undefined; readonly azureClientId?: string | undefined },
  nameOf: (setting: keyof DownstreamSettings | 'azureClientId') => string,
): Downstream | readonly Problem[] {
  const problems: Problem[] = []
  const { azureClientSecret: secret, graphUrl = DEFAULT_GRAPH } = settings
  const { azureClientCertificatePath: certificate, azureFederatedTokenFile: token } = settings
  const { azureManagedIdentityClientId: identity } = settings
  const credentials = [
    secret && ({ name: nameOf('azureClientSecret'), kind: 'secret', secret } as const),
    certificate &&
      ({ name: nameOf('azureClientCertificatePath'), kind: 'certificate', path: certificate } as const),
    token && ({ name: nameOf('azureFederatedTokenFile'), kind: 'federated token', path: token } as const),
    identity &&
      ({
        name: nameOf('azureManagedIdentityClientId'),
        kind: 'managed identity',
        clientId: identity,
      } as const),
  ].filter(one => typeof one === 'object')

  const [credential, ...others] = credentials
  if (others.length > 0) {
    const names = credentials.map(({ name }) => name)
    problems.push({
      name: names[0]!,
      found: `a value, and ${names.slice(1).join(' and ')} too`,
      expected: 'one credential',
      example: `${names[0]} alone`,
    })
  }
  problems.push(...credentials.flatMap(one => findFileProblem(one) ?? []))
  if (identity && !GUID.test(identity.toLowerCase())) {
    problems.push({
      name: nameOf('azureManagedIdentityClientId'),
      found: 'no GUID',
      expected: 'the client id of a user-assigned managed identity, a GUID',
      example: EXAMPLE_GUID,
    })
  }
  const { azureTenantId, azureClientId } = registration
  if (credential !== undefined && (azureTenantId === undefined || azureClientId === undefined)) {
    problems.push({
      name: nameOf('azureClientId'),
      found: `${credential.name} without the tenant and the application id that it belongs to`,
      expected: 'both of them, since only Entra exchanges tokens',
      example: EXAMPLE_GUID,
    })
  }
  const expected = findApiAddressProblem(graphUrl)
  if (expected !== undefined) {
    problems.push({ name: nameOf('graphUrl'), found: quote(graphUrl), expected, example: DEFAULT_GRAPH })
  }
  if (problems.length > 0) return problems
  return { credential, clientId: azureClientId, graphUrl: graphUrl.replace(/\/$/, '') }
}

/** Decides what is told of a configuration: whether each issuer can be asked and is who it should be, and whether the rest can work. */
import { GUID, type TrustedIssuer } from '../token/issuers.ts'
import type { Discovery, Judge } from './explain-judge.ts'
import { showClock, showText, showValue } from './explain-values.ts'

/** One thing that was looked at. */
export interface ConfigurationCheck {
  /** An issuer, or `Who may call`. */
  readonly about: string
  readonly check: string
  readonly outcome: 'passed' | 'failed' | 'not reached'
  /** Absent when the check was not reached. */
  readonly found?: string
  readonly fix?: string
}

/** Everything that is told of a configuration. */
export interface ConfigurationReport {
  readonly accepted: boolean
  readonly checks: readonly ConfigurationCheck[]
}

const ISSUER_CHECKS = ['reachable', 'issuer equal', 'keys usable', 'clock'] as const
const GRAPH = /^(https:\/\/graph\.microsoft\.com\/?|00000003-0000-0000-c000-000000000000)$/

/** Checks the configuration against the live issuers. */
export async function explainConfiguration(judge: Judge): Promise<ConfigurationReport> {
  const ofIssuers = await Promise.all(
    judge.issuers.map(async issuer => [...(await checkIssuer(issuer, judge)), checkAudience(issuer, judge)]),
  )
  const checks = [...ofIssuers.flat(), ...checkCallers(judge)]
  return { accepted: checks.every(({ outcome }) => outcome !== 'failed'), checks }
}

async function checkIssuer(issuer: TrustedIssuer, judge: Judge): Promise<ConfigurationCheck[]> {
  const checks: ConfigurationCheck[] = []
  const about = issuer.name
  const add = (check: (typeof ISSUER_CHECKS)[number], good: boolean, found: string, fix?: string): void => {
    checks.push({ about, check, outcome: good ? 'passed' : 'failed', found, ...(!good && fix && { fix }) })
  }
  const rest = (): ConfigurationCheck[] =>
    ISSUER_CHECKS.slice(checks.length).map(check => ({ about, check, outcome: 'not reached' }))

  const discovery = await judge.discover(issuer).catch((error: Error) => error)
  if (discovery instanceof Error) {
    add('reachable', false, causeOf(discovery), unreachable(issuer, judge))
    return [...checks, ...rest()]
  }
  const { status } = discovery
  // As the server sees it: this form is switched off, and that is no outage.
  if (status === 404 && issuer.optional) {
    add('reachable', true, 'answered 404: this form of token is off')
    return checks
  }
  add('reachable', status === 200, `answered ${status}`, unknownTenant(issuer, discovery))
  if (status !== 200) return [...checks, ...rest()]

  const claimed = typeof discovery.issuer === 'string' ? discovery.issuer : ''
  const mend =
    issuer.preset === 'entra'
      ? 'Check AZURE_AUTHORITY_HOST and AZURE_TENANT_ID: another authority answers here, or a proxy does.'
      : `Write the issuer in ISSUERS exactly as its document states it: ${showText(claimed)}.`
  add('issuer equal', issuer.mayClaim(claimed), showValue(discovery.issuer), mend)

  const set = await judge.fetchKeys(issuer).catch((error: Error) => error)
  if (set instanceof Error) {
    add(
      'keys usable',
      false,
      causeOf(set),
      'The server has no keys either, and answers 503. Look at the jwks_uri of the discovery document.',
    )
  } else {
    const ignored = set.ignored.map(({ kid, reason }) => `${showValue(kid)}: ${reason}`)
    const also = ignored.length === 0 ? '' : `; not used: ${showText(ignored.join(', '))}`
    add('keys usable', true, `${set.keys.length} key${set.keys.length === 1 ? '' : 's'}${also}`)
  }
  const { aheadSeconds } = discovery
  if (aheadSeconds === undefined) return [...checks, ...rest()]
  const { toleranceSeconds } = judge.trust
  const told = `${showClock(aheadSeconds)} (${toleranceSeconds} s are forgiven)`
  add('clock', Math.abs(aheadSeconds) <= toleranceSeconds, told, "Set this machine's clock by NTP.")
  return checks
}

function causeOf(error: Error): string {
  const { code, message, cause } = error as NodeJS.ErrnoException & { cause?: unknown }
  const inner = cause instanceof Error ? causeOf(cause) : ''
  return showText([code, message, inner].filter(text => text).join(': '))
}

function unreachable({ preset }: TrustedIssuer, { local }: Judge): string {
  if (local) return 'The local tenant has stopped or moved: start it with `npm run dev`.'
  const where = preset === 'entra' ? 'AZURE_AUTHORITY_HOST' : 'ISSUERS'
  return `Check ${where}, the network and HTTPS_PROXY; for a certificate of your own, NODE_EXTRA_CA_CERTS.`
}

function unknownTenant({ preset }: TrustedIssuer, { address }: Discovery): string {
  return preset === 'entra'
    ? 'Check AZURE_TENANT_ID (Entra admin center > Overview > Tenant ID) and AZURE_AUTHORITY_HOST: this cloud has no such tenant.'
    : `An issuer has its discovery document at ${showText(address)}: check ISSUERS.`
}

/** ENTRA-8: what stands in `aud` is decided by the version of the token. */
function checkAudience({ name, version, audiences }: TrustedIssuer, { clientId }: Judge): ConfigurationCheck {
  const common = { about: name, check: 'audience', found: audiences.join(', ') }
  const mend = (): string | undefined => {
    if (audiences.some(one => GRAPH.test(one))) {
      return 'Microsoft Graph is not this API: set AUDIENCE to the Application (client) ID or the Application ID URI of this API.'
    }
    if (audiences.some(one => /\s/.test(one))) {
      return 'An audience holds a space, and audiences are compared exactly: correct AUDIENCE.'
    }
    if (version === '2.0' && !audiences.some(one => GUID.test(one))) {
      return `v2 tokens always carry the Application (client) ID: add ${clientId ?? 'it'} to AUDIENCE, or accept v1 only with TOKEN_VERSIONS=1.0.`
    }
    if (version === '1.0' && audiences.every(one => GUID.test(one))) {
      return 'v1 tokens mostly carry the Application ID URI (Expose an API): add it to AUDIENCE, or accept v2 only with TOKEN_VERSIONS=2.0.'
    }
    return undefined
  }
  const fix = mend()
  return fix === undefined ? { ...common, outcome: 'passed' } : { ...common, outcome: 'failed', fix }
}

/** Who may call at all; nothing here is wrong, but it should be known. */
function checkCallers({ trust }: Judge): ConfigurationCheck[] {
  const { entra, allowedClients } = trust
  const tenants =
    entra === undefined
      ? []
      : [
          entra.allowedTenants === '*'
            ? `${entra.tenant}, any tenant (ALLOWED_TENANTS=*): whoever has a permission for this API`
            : entra.allowedTenants.length > 0
              ? `${entra.tenant}, these only: ${showText(entra.allowedTenants.join(', '))}`
              : `one tenant: ${entra.tenant}`,
        ]
  const clients =
    allowedClients.length === 0 ? 'any that has a permission' : showText(allowedClients.join(', '))
  return [
    ...tenants.map(found => ({
      about: 'Who may call',
      check: 'tenants',
      outcome: 'passed' as const,
      found,
    })),
    { about: 'Who may call', check: 'clients', outcome: 'passed', found: clients },
  ]
}

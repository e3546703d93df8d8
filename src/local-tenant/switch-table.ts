/** Decides by which names, and with which bodies, the switches of the tenant are thrown over HTTP. */

import type { AddedCredential, ApplicationName } from './directory.ts'
import { FAULT_MODES } from './faults.ts'
import type { IssueOptions } from './issue.ts'
import { MINT_KINDS } from './mint.ts'
import { SERVICE_MODES, SERVICES } from './services.ts'
import type { Switches } from './switches.ts'

/** Switches by the last segment of their path. */
export type SwitchTable = ReadonlyMap<string, (body: Readonly<Record<string, unknown>>) => unknown>

// Long enough for the answer to get out before the port goes down.
const GRACE_MS = 50

function among<T extends string | number>(value: unknown, values: readonly T[], name: string): T {
  const found = values.find(one => one === value)
  if (found === undefined) throw new RangeError(`${name}: expected one of ${values.join(' ')}`)
  return found
}

const APPLICATIONS = [
  'api',
  'publicClient',
  'daemon',
  'daemonWithoutRole',
] as const satisfies readonly ApplicationName[]

function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new RangeError(`${name}: expected a string`)
  return value
}

function amount(value: unknown, unit: string, name: string): number {
  if (typeof value !== 'number' || !(value >= 0)) throw new RangeError(`${name}: expected ${unit}`)
  return value
}

const milliseconds = (value: unknown, name: string): number => amount(value, 'milliseconds', name)

function credentialOf(body: Readonly<Record<string, unknown>>): AddedCredential {
  if (body.certificate !== undefined) return { certificate: text(body.certificate, 'certificate') }
  return {
    issuer: text(body.issuer, 'issuer'),
    subject: text(body.subject, 'subject'),
    publicKey: text(body.publicKey, 'publicKey'),
  }
}

function issueOptions(body: Readonly<Record<string, unknown>>): IssueOptions {
  // JSON has no undefined: over HTTP null removes a claim or a header parameter.
  const lay = (value: unknown) =>
    Object.fromEntries(Object.entries((value ?? {}) as object).map(([name, one]) => [name, one ?? undefined]))
  const { person, app, version, scopes, roles, key } = body
  return {
    ...(person !== undefined && { person: text(person, 'person') }),
    ...(app !== undefined && {
      app: among(app, APPLICATIONS, 'app'),
    }),
    ...(version !== undefined && { version: among(version, [1, 2] as const, 'version') }),
    ...(Array.isArray(scopes) && { scopes: scopes.map(String) }),
    ...(Array.isArray(roles) && { roles: roles.map(String) }),
    ...(key !== undefined && { key: text(key, 'key') }),
    claims: lay(body.claims),
    header: lay(body.header),
  }
}

/** The switches as `POST /_local/<name>` throws them. A switch throws RangeError for a body that it cannot read. */
export function tabulateSwitches(switches: Switches): SwitchTable {
  const kidOf = ({ kid }: Readonly<Record<string, unknown>>) => text(kid, 'kid')
  return new Map<string, (body: Readonly<Record<string, unknown>>) => unknown>([
    ['rotate', ({ publish, use }) => switches.rotate({ publish: publish !== false, use: use !== false })],
    ['publish', body => switches.publish(kidOf(body))],
    ['use', body => switches.use(kidOf(body))],
    ['retire', body => switches.retire(body.kid === undefined ? undefined : kidOf(body))],
    ['keys', () => switches.keys()],
    [
      'go-down',
      // A port that is down cannot be told to come up: over HTTP an outage says beforehand how long it is.
      ({ forMs }) => {
        const outageMs = milliseconds(forMs, 'forMs')
        setTimeout(() => switches.goDown(), GRACE_MS).unref()
        setTimeout(() => switches.comeUp(), GRACE_MS + outageMs).unref()
      },
    ],
    ['slow', ({ ms }) => switches.slow(milliseconds(ms, 'ms'))],
    [
      'answer',
      ({ document = 'all', mode }) =>
        switches.answer(
          among(document, ['discovery', 'keys', 'all'] as const, 'document'),
          among(mode, FAULT_MODES, 'mode'),
        ),
    ],
    [
      'access-token-version',
      ({ version }) => switches.accessTokenVersion(among(version, [1, 2] as const, 'version')),
    ],
    ['revoke-sessions', ({ person }) => switches.revokeSessions(text(person, 'person'))],
    [
      'graph-consent',
      ({ given }) => switches.graphConsent(among(String(given), ['true', 'false'], 'given') === 'true'),
    ],
    [
      'graph-context',
      ({ context }) => switches.graphContext(context == null ? undefined : text(context, 'context')),
    ],
    [
      'service',
      ({ service, mode, retryAfterSeconds: seconds }) =>
        switches.service(
          among(service, SERVICES, 'service'),
          among(mode, SERVICE_MODES, 'mode'),
          seconds === undefined ? undefined : amount(seconds, 'seconds', 'retryAfterSeconds'),
        ),
    ],
    [
      'add-credential',
      body => switches.addCredential(among(body.app, APPLICATIONS, 'app'), credentialOf(body)),
    ],
    ['issue', body => switches.issue(issueOptions(body))],
    ['mint', body => switches.mint(among(body.kind, MINT_KINDS, 'kind'), issueOptions(body))],
  ])
}

/** Decides how a report is written for a person at a terminal. */
import { styleText } from 'node:util'
import type { ConfigurationReport } from './explain-configuration.ts'
import type { RefusalReport, TokenReport } from './explain-token.ts'
import { showText } from './explain-values.ts'

type Colour = 'green' | 'red' | 'dim' | 'bold' | 'yellow'

/** Paints, or leaves as it is. */
export type Paint = (colour: Colour, text: string) => string

/** @param coloured whether a person reads it who has not declined colours */
export function createPaint(coloured: boolean): Paint {
  return (colour, text) => (coloured ? styleText(colour, text, { validateStream: false }) : text)
}

const MARKS = { passed: '✓', failed: '✗', 'not reached': '·' } as const
const COLOURS = { passed: 'green', failed: 'red', 'not reached': 'dim' } as const
const NAME_WIDTH = 27

type Outcome = keyof typeof MARKS

function line(paint: Paint, outcome: Outcome, name: string, rest: string): string {
  const text =
    outcome === 'not reached'
      ? paint('dim', `${name.padEnd(NAME_WIDTH)} ${rest}`)
      : `${name.padEnd(NAME_WIDTH)} ${rest}`
  return `  ${paint(COLOURS[outcome], MARKS[outcome])} ${text.trimEnd()}`
}

const beneath = (label: string, text: string): string =>
  `${' '.repeat(NAME_WIDTH + 5)}${label.padEnd(9)}${text}`

function sideBySide(received: string | undefined, expected: string | undefined): string[] {
  if (received === undefined && expected === undefined) return []
  const first = beneath('received', received ?? 'nothing')
  return expected === undefined ? [first] : [first, beneath('expected', expected)]
}

/** Writes the report of a token. */
export function writeToken(report: TokenReport, paint: Paint): string {
  const { issuers, offline, checks, refusal, caller, routes, notes, accepted } = report
  const judged = `Judged as the server that trusts ${issuers.join(' and ')}`
  const lines = [offline ? `${judged}, by the keys of the file` : judged, '', 'Checks, in their order']
  for (const { check, outcome, about, received, expected } of checks) {
    const rest = { passed: received ?? '', failed: about ?? '', 'not reached': 'not reached' }[outcome]
    lines.push(line(paint, outcome, check, rest))
    if (outcome === 'failed') lines.push(...sideBySide(received, expected))
  }
  if (refusal !== undefined) lines.push('', ...writeRefusal(refusal, paint))
  if (caller !== undefined) {
    const { kind, name, client, tenant, subject, scopes, roles, verified } = caller
    const facts = [
      ['kind', kind],
      ['name', name],
      ['subject', subject],
      ['tenant', tenant ?? ''],
      ['application', client ?? ''],
      ['scopes', scopes.join(' ')],
      ['roles', roles.join(' ')],
    ] as const
    lines.push('', verified ? 'Caller' : 'Caller, as the refused token says')
    for (const [label, value] of facts) {
      if (value !== '') lines.push(`  ${label.padEnd(12)}${showText(value)}`)
    }
  }
  lines.push('', 'Routes')
  let told: string | undefined
  for (const { route, admitted, refusal: why } of routes) {
    const said = why === undefined ? 'admitted' : `${why.status} ${why.code}`
    lines.push(line(paint, admitted ? 'passed' : 'failed', route, said))
    // What refuses the token itself has been told above.
    if (why === undefined || refusal !== undefined) continue
    lines.push(...sideBySide(why.received, why.expected))
    lines.push(beneath('fix', why.fix === told ? 'as above' : why.fix))
    told = why.fix
  }
  for (const note of notes) lines.push('', `${paint('yellow', 'note:')} ${note}`)
  const count = routes.filter(({ admitted }) => admitted).length
  const verdict = `${accepted ? 'Accepted' : 'Refused'}: admitted on ${count} of ${routes.length} guarded routes`
  return `${[...lines, '', paint(accepted ? 'green' : 'red', verdict)].join('\n')}\n`
}

function writeRefusal({ code, status, detail, fix }: RefusalReport, paint: Paint): string[] {
  return [
    paint('red', `${status} ${code}: ${detail}`),
    `  ${paint('bold', 'fix:')} ${fix}`,
    paint('dim', `  more: docs/codes/${code}.md`),
  ]
}

/** Writes the report of a configuration. */
export function writeConfiguration({ checks, accepted }: ConfigurationReport, paint: Paint): string {
  const lines: string[] = []
  let last: string | undefined
  for (const { about, check, outcome, found, fix } of checks) {
    if (about !== last) lines.push(...(last === undefined ? [] : ['']), paint('bold', about))
    last = about
    lines.push(line(paint, outcome, check, found ?? 'not reached'))
    if (fix !== undefined) lines.push(beneath('fix', fix))
  }
  const failed = checks.filter(({ outcome }) => outcome === 'failed').length
  const verdict = accepted ? 'The configuration can work' : `${failed} of ${checks.length} checks failed`
  return `${[...lines, '', paint(accepted ? 'green' : 'red', verdict)].join('\n')}\n`
}

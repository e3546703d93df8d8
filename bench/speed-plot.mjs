/** Decides how the costs are drawn: a line for each server, a dot for each kind of work, on a logarithmic scale. */
import { OURS } from './speed-targets.mjs'

const WIDTH = 960
const LEFT = 280
const RIGHT = 40
const TOP = 84
const ROW = 30
const RANGE = [0.25, 32]
/** Told apart without seeing red and green apart. */
const WORKS = [
  { work: 'one', fill: '#3a84b8', title: 'the same token again', down: -5 },
  { work: 'first', fill: '#e6a020', title: 'a token never seen before', down: 5 },
]

const log = value => Math.log2(Math.min(Math.max(value, RANGE[0]), RANGE[1]) / RANGE[0])
const x = value => LEFT + (log(value) / log(RANGE[1])) * (WIDTH - LEFT - RIGHT)

/** Draws what was measured; `note` says when and where. */
export function drawSpeed(figures, note) {
  const bottom = TOP + figures.names.length * ROW
  const grid = [0.25, 0.5, 1, 2, 4, 8, 16, 32]
    .map(
      value =>
        `<path class="${value === 1 ? 'one' : 'grid'}" d="M${x(value).toFixed(1)} ${TOP - 10}V${bottom}"/><text x="${x(value).toFixed(1)}" y="${bottom + 20}" text-anchor="middle">${value}</text>`,
    )
    .join('')
  const rows = figures.names.map((name, index) => {
    const middle = TOP + index * ROW + ROW / 2
    const dots = WORKS.map(({ work, fill, down }) => {
      const y = middle + down
      const { median, low, high } = figures.ratio(name, run => run.works[work].cost)
      return `<path d="M${x(low).toFixed(1)} ${y}H${x(high).toFixed(1)}" stroke="${fill}" stroke-width="4" stroke-opacity=".45" stroke-linecap="round"/><circle cx="${x(median).toFixed(1)}" cy="${y}" r="5" fill="${fill}"><title>${median.toFixed(2)}</title></circle>`
    })
    const weight = name.startsWith(OURS) ? ' class="ours"' : ''
    return `<path class="row" d="M${LEFT} ${middle}H${WIDTH - RIGHT}"/><text x="${LEFT - 14}" y="${middle + 5}" text-anchor="end"${weight}>${name}</text>${dots.join('')}`
  })
  const legend = WORKS.map(
    ({ fill, title }, index) =>
      `<circle cx="${LEFT + 8 + index * 240}" cy="24" r="6" fill="${fill}"/><text x="${LEFT + 22 + index * 240}" y="29">${title}</text>`,
  ).join('')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 72}" width="${WIDTH}" height="${bottom + 72}" role="img" aria-label="Server CPU time of a request in each server, as a multiple of bare Fastify's">
<style>text{font:15px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2733}.ours{font-weight:600}.grid{stroke:#dfe4ec;fill:none}.one{stroke:#1f2733;stroke-width:1.5;stroke-dasharray:4 3;fill:none}.row{stroke:#eef1f6;fill:none}.note{font-size:13px;fill:#4c5868}</style>
<rect width="${WIDTH}" height="${bottom + 72}" rx="8" fill="#fbfcfe"/>
${legend}
<text x="${LEFT}" y="58" class="note">server CPU time of a request; bare Fastify = 1; less is better; bars are quartiles</text>
${grid}
${rows.join('\n')}
<text x="24" y="${bottom + 52}" class="note">${note}</text>
</svg>
`
}

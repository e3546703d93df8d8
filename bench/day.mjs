/** Answers what callers get over a simulated day with a six-hour outage of the issuer, here and behind jose, and draws it. */
import { join } from 'node:path'
import { describeRun, installRivals, keep, startSubject, table, versionOf, withFolder } from './harness.mjs'
import { API, createKey, createTls, randomKid, signToken, startIssuer, TENANT } from './issuer.mjs'

const MINUTE = 60_000
const MINUTES = 24 * 60
const BIN_MINUTES = 10
const OUTAGE = { from: 8 * 60, to: 14 * 60 }
/** When a second key is published and signs, and a third: that one while the issuer can't be reached. */
const ROTATIONS = [4 * 60, 11 * 60]
/** Requests a minute, by kind of token. */
const RATE = { known: 6, second: 3, third: 2, junk: 2 }
const ANSWERS = ['200', '401', '503']

/** What a caller gets: a fetch that failed counts as 503 for jose, kindly; most code around it answers 401. */
const statusOf = ({ accepted, answer }) => {
  if (accepted) return '200'
  if (ANSWERS.includes(answer)) return answer
  if (answer === 'throws ERR_JWKS_NO_MATCHING_KEY') return '401'
  if (/UND_ERR|ECONN|ERR_JWKS_TIMEOUT|ERR_JOSE_GENERIC/.test(answer)) return '503'
  throw new Error(`an answer that the picture has no colour for: ${answer}`)
}

/** Plays the day; a bin holds counts by answer, `byKind` counts by kind of token and answer during the outage. */
async function playDay(name, { tls, keys, caFile }) {
  const issuer = await startIssuer(tls)
  const { name: iss, authority, jwksUri } = issuer
  const world = { subject: name, issuer: iss, authority, jwksUri, tenant: TENANT, audience: API, ca: tls.ca }
  const subject = await startSubject(world, caFile)
  const [first, second, third] = keys
  issuer.published = [first]
  await subject.restart()
  const bins = Array.from({ length: MINUTES / BIN_MINUTES }, () => ({ 200: 0, 401: 0, 503: 0 }))
  const outage = { known: {}, second: {}, third: {}, junk: {} }
  const sign = (key, kid) => signToken(iss, key, { nowMs: subject.now(), kid })
  for (let minute = 0; minute < MINUTES; minute += 1) {
    if (minute === ROTATIONS[0]) issuer.published = [first, second]
    if (minute === ROTATIONS[1]) issuer.published = [first, second, third]
    const isOut = minute >= OUTAGE.from && minute < OUTAGE.to
    issuer.mode = isOut ? 'down' : 'up'
    const kinds = [
      ...Array(RATE.known).fill('known'),
      ...Array(minute >= ROTATIONS[0] ? RATE.second : 0).fill('second'),
      ...Array(minute >= ROTATIONS[1] ? RATE.third : 0).fill('third'),
      ...Array(RATE.junk).fill('junk'),
    ]
    const signed = { known: sign(first), second: sign(second), third: sign(third) }
    const answers = await subject.ask(kinds.map(kind => signed[kind] ?? sign(first, randomKid())))
    for (const [index, answer] of answers.entries()) {
      const status = statusOf(answer)
      bins[Math.floor(minute / BIN_MINUTES)][status] += 1
      if (isOut) outage[kinds[index]][status] = (outage[kinds[index]][status] ?? 0) + 1
    }
    await subject.advance(MINUTE)
  }
  const fetches = issuer.count()
  subject.stop()
  await issuer.close()
  return { bins, outage, fetches }
}

const WIDTH = 960
const LEFT = 64
const RIGHT = 36
const PLOT = { width: WIDTH - LEFT - RIGHT }
/** Told apart without seeing red and green apart. */
const FILL = { 200: '#3a84b8', 401: '#e6b033', 503: '#b8392f' }
const SHADE = '#dcdfe6'
const MEANING = { 200: '200 accepted', 401: '401 refused', 503: '503 nobody can tell' }
const clock = minute => `${String(minute / 60).padStart(2, '0')}:00`
const x = minute => LEFT + (minute / MINUTES) * PLOT.width

/** One panel of stacked bars, `top` pixels from the top. */
function panel({ bins }, { title, top, height, most, marks }) {
  const base = top + height
  const y = count => (count / most) * height
  const width = x(BIN_MINUTES) - x(0)
  const bars = ANSWERS.map((status, index) => {
    const path = bins.map((bin, at) => {
      const below = ANSWERS.slice(0, index).reduce((sum, each) => sum + bin[each], 0)
      const [from, size] = [y(below), y(bin[status])]
      const left = x(at * BIN_MINUTES).toFixed(2)
      return size === 0
        ? ''
        : `M${left} ${(base - from).toFixed(1)}h${width.toFixed(2)}v${(-size).toFixed(1)}h${(-width).toFixed(2)}z`
    })
    return `<path fill="${FILL[status]}" shape-rendering="crispEdges" d="${path.join('')}"/>`
  })
  const grid = [0, 50, 100]
    .filter(count => count <= most)
    .map(
      count =>
        `<path class="grid" d="M${LEFT} ${base - y(count)}H${WIDTH - RIGHT}"/><text x="${LEFT - 8}" y="${base - y(count) + 5}" text-anchor="end">${count}</text>`,
    )
  const shade = `<rect x="${x(OUTAGE.from)}" y="${top - 8}" width="${x(OUTAGE.to) - x(OUTAGE.from)}" height="${height + 8}" fill="${SHADE}"/>`
  const marked = marks
    ? ROTATIONS.map(
        minute =>
          `<path class="mark" d="M${x(minute)} ${top - 24}V${base}"/><text x="${x(minute) + 6}" y="${top - 13}" class="small">new key</text>`,
      ).join('')
    : ''
  return `<text x="${LEFT}" y="${top - 34}" class="title">${title}</text>${shade}${grid.join('')}${bars.join('')}${marked}`
}

/** Draws what was measured. */
function draw(ours, theirs, note) {
  const most = 135
  const first = { top: 106, height: 190, most, marks: true, title: 'protected-resource' }
  const second = {
    top: 386,
    height: 110,
    most,
    marks: false,
    title: 'jose, createRemoteJWKSet as documented',
  }
  const bottom = second.top + second.height
  const hours = [0, 4, 8, 11, 14, 18, 24]
    .map(
      hour => `<text x="${x(hour * 60)}" y="${bottom + 22}" text-anchor="middle">${clock(hour * 60)}</text>`,
    )
    .join('')
  const legend = ANSWERS.map(
    (status, index) =>
      `<rect x="${LEFT + index * 170}" y="18" width="16" height="16" rx="2" fill="${FILL[status]}"/><text x="${LEFT + 23 + index * 170}" y="31">${MEANING[status]}</text>`,
  ).join('')
  const shadeKey = `<rect x="${LEFT + 560}" y="18" width="16" height="16" rx="2" fill="${SHADE}" stroke="#9aa3b2"/><text x="${LEFT + 583}" y="31">issuer unreachable</text>`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 64}" width="${WIDTH}" height="${bottom + 64}" role="img" aria-label="Answers over a simulated day with a six-hour outage of the issuer: with protected-resource every token of a known key stays 200; behind jose none is accepted from the tenth minute of the outage on">
<style>text{font:15px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2733}.title{font-weight:600;font-size:17px}.small{font-size:14px}.grid{stroke:#c9d1dc;stroke-width:1;fill:none}.mark{stroke:#1f2733;stroke-width:1.5;stroke-dasharray:4 3;fill:none}.note{font-size:13px;fill:#4c5868}</style>
<rect width="${WIDTH}" height="${bottom + 64}" rx="8" fill="#fbfcfe"/>
${legend}${shadeKey}
${panel(ours, first)}
${panel(theirs, second)}
${hours}
<text x="${LEFT}" y="${bottom + 50}" class="note">${note}</text>
</svg>
`
}

/** Plays the day with both and writes the picture and its figures. */
export async function drawDay(given) {
  const names = ['protected-resource', 'jose']
  const [ours, theirs] = await Promise.all(names.map(name => playDay(name, given)))
  const day = new Date().toISOString().slice(0, 10)
  const note = `Requests answered in each 10 minutes, ${day}. ${RATE.junk} a minute carry a made-up key id. For jose, a failed fetch counts as 503.`
  const say = counts => ANSWERS.map(status => counts[status] ?? 0).join(' / ')
  const kinds = {
    known: 'key known since midnight',
    second: 'key of 04:00',
    third: 'key of 11:00, published during the outage',
    junk: 'made-up key id',
  }
  const rows = Object.entries(kinds).map(([kind, title]) => [
    title,
    say(ours.outage[kind]),
    say(theirs.outage[kind]),
  ])
  rows.push([
    'requests to the issuer, whole day',
    ...[ours, theirs].map(({ fetches }) => String(fetches.keys + fetches.discovery)),
  ])
  const markdown = `# A simulated day with a six-hour outage

${describeRun()}. jose ${versionOf('jose')}. Written by \`npm run bench -- day\`; the picture is \`day.svg\`.

Answers 200 / 401 / 503 during the outage, 08:00 to 14:00:

${table(['token', ...names], rows)}
`
  process.stdout.write(`\n${markdown}`)
  await keep('day.svg', draw(ours, theirs, note))
  await keep('day.md', markdown)
}

/** Draws the day alone. */
export async function measure() {
  installRivals()
  const tls = await createTls()
  const keys = await Promise.all([createKey(), createKey(), createKey()])
  await withFolder({ 'ca.pem': tls.ca }, folder => drawDay({ tls, keys, caFile: join(folder, 'ca.pem') }))
  return true
}

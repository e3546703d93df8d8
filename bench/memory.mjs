/** Answers whether memory stays bounded through a million distinct good tokens and a million made-up ones, and draws it. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import {
  describeRun,
  freePort,
  installRivals,
  keep,
  leaveServerCore,
  rssBytes,
  sleep,
  startServer,
  table,
  withFolder,
} from './harness.mjs'

const THOUSANDS = 1000
const CONNECTIONS = 32
const SAMPLES = 200
const REST_MS = 5000
const AUDIENCE = 'https://api.example.com'
const LIFE_SECONDS = 3600

const encode = value => Buffer.from(JSON.stringify(value)).toString('base64url')
const random = () => randomBytes(20).toString('base64url')

/** An issuer of RFC 9068 tokens that signs with Ed25519: a million RSA signatures would take a quarter of an hour. */
async function startIssuer() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig' }]
  const server = createServer((request, response) => {
    const isKeys = request.url === '/keys'
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(isKeys ? { keys } : { issuer, jwks_uri: `${issuer}/keys` }))
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${server.address().port}`
  const unsigned = (header = {}, claims = {}) => {
    const iat = Math.floor(Date.now() / 1000)
    const names = { iss: issuer, aud: AUDIENCE, sub: random(), client_id: 'bench', jti: random() }
    const payload = { ...names, iat, exp: iat + LIFE_SECONDS, scope: 'Data.Read', name: 'Ada', ...claims }
    return `${encode({ typ: 'at+jwt', alg: 'EdDSA', kid: 'one', ...header })}.${encode(payload)}`
  }
  return {
    name: issuer,
    issue: () => {
      const input = unsigned()
      return `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`
    },
    unsigned,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Made-up tokens, each unlike every other: bad signatures, unknown keys, strange issuers, junk. */
function createMadeUp({ unsigned }) {
  const signature = () => randomBytes(64).toString('base64url')
  const kinds = [
    () => `${unsigned()}.${signature()}`,
    () => `${unsigned({ kid: random() })}.${signature()}`,
    () => `${unsigned({}, { iss: `https://${random()}.example` })}.${signature()}`,
    () => `${random()}.${random()}.${random()}`,
  ]
  let count = 0
  return () => {
    count += 1
    return kinds[count % kinds.length]()
  }
}

/** Sends tokens as they are made, and notes the memory of the server over the requests. */
async function send(autocannon, { port, pid, amount, make }) {
  const samples = []
  const running = autocannon({
    url: `http://127.0.0.1:${port}/secure-data`,
    connections: CONNECTIONS,
    amount,
    requests: [{ setupRequest: asked => ({ ...asked, headers: { authorization: `Bearer ${make()}` } }) }],
  })
  let sent = 0
  running.on('response', () => {
    sent += 1
    if (sent % (amount / SAMPLES) === 0) samples.push({ sent, bytes: rssBytes(pid) })
  })
  const result = await running
  return { samples, good: result['2xx'], bad: result['4xx'], other: amount - result['2xx'] - result['4xx'] }
}

const mebibytes = bytes => Math.round(bytes / 2 ** 20)
const most = samples => Math.max(...samples.map(({ bytes }) => bytes))
/** The largest of each quarter of a phase. */
const quarters = ({ samples }, amount) =>
  [0, 1, 2, 3].map(quarter =>
    most(samples.filter(({ sent }) => Math.ceil((sent / amount) * 4) === quarter + 1)),
  )

const [WIDTH, LEFT, RIGHT, TOP, HEIGHT] = [960, 90, 30, 60, 240]
const PHASES = [
  { fill: '#3a84b8', title: 'distinct good tokens' },
  { fill: '#e6a020', title: 'made-up tokens' },
]

function draw(phases, amount, startBytes, note) {
  const top = Math.ceil(mebibytes(Math.max(...phases.map(({ samples }) => most(samples)))) / 50 + 0.2) * 50
  const x = sent => LEFT + (sent / (phases.length * amount)) * (WIDTH - LEFT - RIGHT)
  const y = bytes => TOP + HEIGHT - (bytes / 2 ** 20 / top) * HEIGHT
  const lines = phases.map(({ samples }, index) => {
    const points = [{ sent: 0, bytes: index === 0 ? startBytes : phases[0].samples.at(-1).bytes }, ...samples]
    const path = points.map(
      ({ sent, bytes }) => `${x(index * amount + sent).toFixed(1)} ${y(bytes).toFixed(1)}`,
    )
    return `<path d="M${path.join('L')}" fill="none" stroke="${PHASES[index].fill}" stroke-width="2.5"/><text x="${x((index + 0.5) * amount)}" y="${TOP - 16}" text-anchor="middle">${amount.toLocaleString('en')} ${PHASES[index].title}</text>`
  })
  const grid = Array.from({ length: top / 50 + 1 }, (_, step) => step * 50).map(
    size =>
      `<path class="grid" d="M${LEFT} ${y(size * 2 ** 20)}H${WIDTH - RIGHT}"/><text x="${LEFT - 10}" y="${y(size * 2 ** 20) + 5}" text-anchor="end">${size} MiB</text>`,
  )
  const end = TOP + HEIGHT
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${end + 60}" width="${WIDTH}" height="${end + 60}" role="img" aria-label="Resident memory of the server while distinct good tokens and then made-up ones arrive">
<style>text{font:15px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2733}.grid{stroke:#dfe4ec;fill:none}.mark{stroke:#1f2733;stroke-width:1.5;stroke-dasharray:4 3;fill:none}.note{font-size:13px;fill:#4c5868}</style>
<rect width="${WIDTH}" height="${end + 60}" rx="8" fill="#fbfcfe"/>
${grid.join('')}
<path class="mark" d="M${x(amount)} ${TOP}V${end}"/>
${lines.join('\n')}
<text x="${LEFT}" y="${end + 36}" class="note">${note}</text>
</svg>
`
}

/** @param given thousands of tokens of each kind, default 1000 */
export async function measure([thousands]) {
  installRivals()
  const { default: autocannon } = await import('autocannon')
  leaveServerCore()
  const amount = Number(thousands ?? THOUSANDS) * 1000
  const issuer = await startIssuer()
  const { startBytes, phases } = await withFolder({}, async folder => {
    const port = await freePort()
    const env = {
      ISSUERS: issuer.name,
      AUDIENCE,
      PORT: String(port),
      LOG_LEVEL: 'silent',
      RATE_LIMIT_MAX: '1000000000',
    }
    const args = [fileURLToPath(new URL('../dist/server.js', import.meta.url))]
    const command = { file: process.execPath, args, env }
    const { pid, stop } = await startServer(command, { port, token: issuer.issue(), folder })
    const startBytes = rssBytes(pid)
    const phases = []
    for (const make of [issuer.issue, createMadeUp(issuer)]) {
      phases.push(await send(autocannon, { port, pid, amount, make }))
      process.stderr.write(`${mebibytes(most(phases.at(-1).samples))} MiB at most\n`)
      await sleep(REST_MS)
    }
    await stop()
    return { startBytes, phases }
  })
  issuer.close()
  const rows = phases.map((phase, index) => [
    PHASES[index].title,
    `${phase.good} / ${phase.bad} / ${phase.other}`,
    ...quarters(phase, amount).map(bytes => `${mebibytes(bytes)} MiB`),
  ])
  const markdown = `# Memory through floods of tokens

${describeRun()}. ${CONNECTIONS} connections, callers counted, Ed25519. Written by \`npm run bench -- memory\`; the picture is \`memory.svg\`.

Resident memory after the start: ${mebibytes(startBytes)} MiB. The most in each quarter of ${amount.toLocaleString('en')} requests:

${table(['tokens, each sent once', '200 / 4xx / other', 'first quarter', 'second', 'third', 'last'], rows)}
`
  process.stdout.write(`\n${markdown}`)
  await keep('memory.md', markdown)
  await keep(
    'memory.svg',
    draw(phases, amount, startBytes, `Resident memory over requests. ${describeRun()}.`),
  )
  return true
}

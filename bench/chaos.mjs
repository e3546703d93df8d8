/** Answers whether the real server stays right and flat in memory while its issuers are killed, slow, talking garbage and rotating every second, under load. */
import { fork, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import {
  describeRun,
  freePort,
  HERE,
  keep,
  median,
  quantile,
  rssBytes,
  sleep,
  table,
  withFolder,
} from './harness.mjs'
import { API, createKey, createTls, randomKid, signToken, TENANT } from './issuer.mjs'

const CONNECTIONS = 12
/** Beside them, for tokens that may wait for a fetch: so that they never keep the others from asking. */
const COSTLY_CONNECTIONS = 4
const COSTLY_PAUSE_MS = 5
const PHASES = ['healthy', 'killed', 'slow', 'garbage', 'rotating', 'healthy again']
/** Issuers of RFC 9068 tokens beside the Entra-shaped one: so many, because each may be asked so rarely. */
const OTHERS = 11
/** Each of the four bad phases has three issuers to itself that may still be asked. */
const ISSUERS_A_PHASE = 3
const TOKENS_EACH = 20
const ROTATING_KEYS = 4
/** How much larger the process may be at the end than after the warm-up. */
const MAX_GROWTH = 1.25

const pick = list => list[Math.floor(Math.random() * list.length)]

/** The issuers as their clients see them; what is published is sent to the process that serves it. */
async function createWorld() {
  const [tls, port] = await Promise.all([createTls(), freePort()])
  const origin = `https://localhost:${port}`
  const evil = await createKey()
  const entra = `${origin}/${TENANT}/v2.0`
  const names = [entra, ...Array.from({ length: OTHERS }, (_, index) => `${origin}/issuer-${index}`)]
  const issuers = []
  for (const name of names) {
    const key = await createKey()
    const jwksUri = name === entra ? `${origin}/${TENANT}/discovery/v2.0/keys` : `${name}/keys`
    issuers.push({ name, key, jwksUri, rotating: [], strict: name !== entra })
  }
  const sign = (issuer, key, more = {}) => {
    const { claims, ...rest } = more
    const own = issuer.strict ? { scope: 'Data.Read', scp: undefined } : {}
    return signToken(issuer.name, key, { ...rest, claims: { ...own, ...claims } })
  }
  for (const [index, issuer] of issuers.entries()) {
    const neighbour = issuers[(index + 1) % issuers.length]
    issuer.good = Array.from({ length: TOKENS_EACH }, () => sign(issuer, issuer.key))
    const [, payload] = issuer.good[0].split('.')
    const none = Buffer.from(JSON.stringify({ typ: 'at+jwt', alg: 'none', kid: issuer.key.kid }))
    issuer.bad = [
      sign(issuer, evil, { kid: issuer.key.kid }),
      sign(issuer, neighbour.key, { kid: issuer.key.kid }),
      sign(issuer, issuer.key, { claims: { exp: Math.floor(Date.now() / 1000) - 3600 } }),
      sign(issuer, issuer.key, { claims: { aud: 'api://another' } }),
      `${none.toString('base64url')}.${payload}.`,
    ]
    const strangers = [sign(issuer, evil), sign(issuer, evil, { kid: 'evil' }), sign(issuer, neighbour.key)]
    issuer.junk = () => {
      if (Math.random() < 0.3) return pick(strangers)
      const header = { typ: 'at+jwt', alg: 'RS256', kid: randomKid() }
      const encoded = Buffer.from(JSON.stringify(header)).toString('base64url')
      return `${encoded}.${payload}.${randomBytes(256).toString('base64url')}`
    }
  }
  const sets = () =>
    Object.fromEntries(
      issuers.map(({ name, jwksUri, key, rotating }) => [
        name,
        { jwksUri, keys: [key, ...rotating].map(({ jwk }) => jwk) },
      ]),
    )
  return { tls, port, origin, issuers, sets, sign, evilKeys: [evil.jwk, { ...evil.jwk, kid: 'evil' }] }
}

/** The issuers' process, which can be killed and started again. */
function createIssuerProcess({ tls, port, origin, evilKeys, sets }) {
  const { cert, key } = tls
  let child
  let mode = 'up'
  let asked = 0
  const tell = () => {
    if (child?.connected) child.send({ mode, sets: sets() })
  }
  return {
    asked: () => asked,
    tell,
    answer: next => {
      mode = next
      tell()
    },
    start: () =>
      new Promise(resolve => {
        const settings = JSON.stringify({ port, tls: { cert, key }, origin, evilKeys })
        child = fork(join(HERE, 'chaos-issuer.mjs'), { env: { ...process.env, CHAOS_ISSUER: settings } })
        child.on('message', ({ ready }) => {
          if (ready) resolve(tell())
          else asked += 1
        })
      }),
    kill: () => child.kill('SIGKILL'),
  }
}

/** The server as an operator starts it, in an empty folder. */
async function startServer({ issuers, origin }, folder) {
  const port = await freePort()
  const child = spawn(process.execPath, [join(HERE, '../dist/server.js')], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env.PATH,
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
      AZURE_AUTHORITY_HOST: origin,
      AZURE_TENANT_ID: TENANT,
      AZURE_CLIENT_ID: API,
      TOKEN_VERSIONS: '2.0',
      ISSUERS: issuers
        .slice(1)
        .map(({ name }) => name)
        .join(','),
      PORT: String(port),
      RATE_LIMIT_MAX: '0',
      LOG_LEVEL: 'error',
    },
  })
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS + COSTLY_CONNECTIONS })
  const get = (path, token) =>
    new Promise(resolve => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const outgoing = request({ port, path, agent, headers }, response => {
        response.resume()
        response.on('end', () => resolve(response.statusCode))
      })
      outgoing.on('error', () => resolve('none'))
      outgoing.end()
    })
  const ended = new Promise(resolve => child.once('exit', (code, signal) => resolve(code ?? signal)))
  return {
    get,
    rssBytes: () => rssBytes(child.pid),
    stop: () => {
      agent.destroy()
      child.kill('SIGTERM')
      return ended
    },
  }
}

/** What a request is for, and what its answer must not be. */
function createLoad({ issuers }, server, isAimed) {
  const counts = {}
  const broken = {
    'other 5xx': 0,
    'false accept': 0,
    'false 401': 0,
    'known key, not 200': 0,
    'no answer': 0,
  }
  const accepted = new Set()
  const count = (kind, status) => {
    counts[kind] ??= {}
    counts[kind][status] = (counts[kind][status] ?? 0) + 1
  }
  const plans = {
    known: issuer => ({ token: pick(issuer.good), known: () => true }),
    forged: issuer => ({ token: pick(issuer.bad), bad: true }),
    junk: issuer => ({ token: issuer.junk(), bad: true }),
    rotating: issuer => {
      const key = issuer.rotating[issuer.rotating.length - 1]
      const wasKnown = accepted.has(key.kid)
      return { token: key.token, kid: key.kid, known: () => wasKnown && issuer.rotating.includes(key) }
    },
  }
  const waits = []
  const ask = async (kind, issuer) => {
    const { token, kid, bad = false, known = () => false } = plans[kind](issuer)
    const asked = performance.now()
    const status = await server.get('/secure-data', token)
    if (kind === 'known') waits.push(performance.now() - asked)
    count(kind, status)
    if (status === 'none') broken['no answer'] += 1
    if (status >= 500 && status !== 503) broken['other 5xx'] += 1
    if (bad && status === 200) broken['false accept'] += 1
    if (status === 401 && known()) broken['false 401'] += 1
    if (kind === 'known' && status !== 200) broken['known key, not 200'] += 1
    if (kid !== undefined && status === 200) accepted.add(kid)
  }
  return {
    counts,
    broken,
    accepted,
    /** How long each token of a known key waited for its answer, in milliseconds, since the last call. */
    takeWaits: () => waits.splice(0),
    askCheap: () => ask(Math.random() < 0.8 ? 'known' : 'forged', pick(issuers)),
    /** Only to the issuers whose turn it is, so that each phase has some fetches to spend. */
    askCostly: async () => {
      await sleep(COSTLY_PAUSE_MS)
      const aimed = issuers.filter(isAimed)
      if (aimed.length === 0) return
      const issuer = pick(aimed)
      await ask(issuer.rotating.length > 0 && Math.random() < 0.7 ? 'rotating' : 'junk', issuer)
    },
  }
}

/** Runs for `seconds` and says whether all held. */
export async function measure([given = '60']) {
  const seconds = Number(given)
  if (!(seconds >= 12 && seconds <= 3600)) throw new Error('chaos takes a number of seconds from 12 to 3600')
  const world = await createWorld()
  return withFolder({ 'ca.pem': world.tls.ca }, async folder => {
    const issuer = createIssuerProcess(world)
    await issuer.start()
    const server = await startServer(world, folder)
    while ((await server.get('/readyz')) !== 200) await sleep(50)
    const rss = [{ phase: 0, bytes: server.rssBytes() }]
    const phaseMs = (seconds * 1000) / PHASES.length
    let phase = 0
    let running = true
    const group = each => 1 + Math.floor(world.issuers.indexOf(each) / ISSUERS_A_PHASE)
    const isAimed = each => group(each) === phase || phase === PHASES.length - 1
    const load = createLoad(world, server, isAimed)
    const call = async ask => {
      while (running) await ask()
    }
    const callers = [
      ...Array.from({ length: CONNECTIONS }, () => call(load.askCheap)),
      ...Array.from({ length: COSTLY_CONNECTIONS }, () => call(load.askCostly)),
    ]
    const sampling = setInterval(() => rss.push({ phase, bytes: server.rssBytes() }), 250)
    const material = world.issuers.map(({ key }) => key)
    const rotate = () => {
      for (const [index, each] of world.issuers.entries()) {
        const base = material[(index + 1) % material.length]
        const kid = randomKid()
        const key = { kid, jwk: { ...base.jwk, kid }, token: world.sign(each, base, { kid }) }
        each.rotating = [...each.rotating, key].slice(-ROTATING_KEYS)
      }
      issuer.tell()
    }

    const perPhase = []
    for (phase = 0; phase < PHASES.length; phase += 1) {
      const before = { asked: issuer.asked(), total: total(load.counts), broken: sum(load.broken) }
      const name = PHASES[phase]
      if (name === 'killed') issuer.kill()
      else issuer.answer(name === 'slow' || name === 'garbage' ? name : 'up')
      const rotation = name === 'rotating' ? setInterval(rotate, 1000) : undefined
      if (name === 'rotating') rotate()
      await sleep(phaseMs)
      clearInterval(rotation)
      perPhase.push([
        name,
        String(total(load.counts) - before.total),
        String(issuer.asked() - before.asked),
        `${quantile(load.takeWaits(), 0.99).toFixed(0)} ms`,
        String(sum(load.broken) - before.broken),
      ])
      if (name === 'killed') await issuer.start()
    }
    running = false
    await Promise.all(callers)
    clearInterval(sampling)
    const code = await server.stop()
    issuer.kill()

    const of = wanted => rss.filter(each => each.phase === wanted).map(({ bytes }) => bytes)
    const lastThird = list => list.slice(Math.floor((list.length * 2) / 3))
    const [start, warm] = [rss[0].bytes, median(lastThird(of(0)))]
    const end = median(lastThird(of(PHASES.length - 1)))
    const strange = Object.values(load.counts).flatMap(each => Object.keys(each).filter(isStrange))
    const checks = [
      ['no 5xx other than 503', load.broken['other 5xx'] === 0],
      ['no false accept', load.broken['false accept'] === 0],
      ['no false 401 for tokens of known keys', load.broken['false 401'] === 0],
      ['always 200 for keys known from the start', load.broken['known key, not 200'] === 0],
      ['every request answered 200, 401 or 503', strange.length === 0 && load.broken['no answer'] === 0],
      [`flat memory: at most ${MAX_GROWTH} × after warm-up`, end / warm <= MAX_GROWTH],
      ['ends with grace', code === 0],
    ]
    const statuses = [200, 401, 503]
    const markdown = `# Chaos

${describeRun()}. ${seconds} seconds, ${CONNECTIONS + COSTLY_CONNECTIONS} connections, ${OTHERS + 1} issuers. Written by \`npm run bench -- chaos\`.

${table(['issuers', 'requests', 'asked of the issuers', 'p99, known keys', 'broken promises'], perPhase)}

${table(
  ['token', ...statuses.map(String)],
  Object.entries(load.counts).map(([kind, each]) => [
    kind,
    ...statuses.map(status => String(each[status] ?? 0)),
  ]),
)}

Memory (RSS): at start ${mebibytes(start)}, after warm-up ${mebibytes(warm)}, at the end ${mebibytes(end)}; end to warm-up ${(end / warm).toFixed(2)}, highest ${mebibytes(Math.max(...rss.map(({ bytes }) => bytes)))}. Rotating keys that were accepted: ${load.accepted.size}.

${checks.map(([promise, kept]) => `- ${kept ? 'kept' : '**BROKEN**'}: ${promise}`).join('\n')}
`
    process.stdout.write(markdown)
    await keep('chaos.md', markdown)
    return checks.every(([, kept]) => kept)
  })
}

const isStrange = status => !['200', '401', '503'].includes(status)
const sum = counts => Object.values(counts).reduce((all, each) => all + each, 0)
const total = counts => Object.values(counts).reduce((all, each) => all + sum(each), 0)
const mebibytes = bytes => `${Math.round(bytes / 2 ** 20)} MiB`

/** Answers what authorization costs: server CPU time of a request, here, on bare Fastify, in other Node stacks and in HAProxy. */
import { createPublicKey } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  cpuNs,
  describeLoad,
  describeRun,
  freePort,
  hasCommand,
  installRivals,
  keep,
  leaveServerCore,
  load,
  median,
  quantile,
  rssBytes,
  startServer,
  table,
  versionOf,
  withFolder,
} from './harness.mjs'
import { API, createKey, createTls, randomKid, signToken, startIssuer, TENANT } from './issuer.mjs'
import { SERVERS } from './servers.mjs'
import { drawSpeed } from './speed-plot.mjs'
import { BARE, OURS, targets } from './speed-targets.mjs'

const ROUNDS = 5
/** How often a server and bare Fastify take turns at each work: the machine changes within seconds, and both with it. */
const TURNS = 5
const DISTINCT = 10_000
const IN_A_TURN = DISTINCT / TURNS
const MOST_MS = 250

/** What is asked of every server, in this order: the tokens by name, how many requests a turn, and the title in the table. */
const WORKS = {
  one: { tokens: () => 'one', requests: 4000, title: 'one token' },
  first: { tokens: turn => `distinct-${turn}`, requests: IN_A_TURN, title: '10,000 tokens, first sight' },
  again: { tokens: turn => `distinct-${turn}`, requests: 2 * IN_A_TURN, title: 'the same, remembered' },
  forged: { tokens: () => 'forged', requests: 2000, title: 'bad signature', refused: true },
  junk: { tokens: () => 'junk', requests: 4000, title: 'junk', refused: true },
  algorithm: { tokens: () => 'algorithm', requests: 4000, title: 'unknown algorithm', refused: true },
  unknown: { tokens: () => 'unknown', requests: 4000, title: 'unknown key', refused: true },
}

/**
 * Tokens and requests before anything is measured: V8 needs some ten thousand until a server is as fast as it stays.
 * The unknown key spends the budget for fetches.
 */
const WARM_UPS = { one: 20_000, warm: 8000, forged: 10_000, junk: 10_000, algorithm: 10_000, unknown: 10_000 }
const MOST_WARM_UP_MS = 1000

/** Tokens by name, as files of one a line. */
async function writeTokens(folder, issuer, key) {
  // As Entra types them; passport-azure-ad reads no other.
  const sign = more => signToken(issuer.name, key, { typ: 'JWT', ...more })
  const many = count => Array.from({ length: count }, () => sign())
  const good = sign()
  const [, payload, signature] = good.split('.')
  const none = Buffer.from(JSON.stringify({ typ: 'JWT', alg: 'none', kid: key.kid })).toString('base64url')
  const files = {
    one: [good],
    warm: many(WARM_UPS.warm),
    ...Object.fromEntries(Array.from({ length: TURNS }, (_, turn) => [`distinct-${turn}`, many(IN_A_TURN)])),
    forged: [`${sign().split('.', 2).join('.')}.${signature}`],
    junk: ['junk.junk.junk'],
    algorithm: [`${none}.${payload}.${signature}`],
    unknown: [sign({ kid: randomKid() })],
  }
  for (const [name, tokens] of Object.entries(files))
    await writeFile(join(folder, name), `${tokens.join('\n')}\n`)
  return good
}

/** A fresh process of one server. */
async function start(server, world) {
  const port = await freePort()
  const own = { ...world, port }
  if (server.configuration) await writeFile(join(world.folder, `${port}.cfg`), server.configuration(own))
  const { pid, startMs, stop } = await startServer(server.command(own), own)
  const send = (tokens, requests, maxMs) =>
    load({ port, tokenFile: join(world.folder, tokens), requests, maxMs })
  return { pid, startMs, stop, send, turns: {} }
}

/** One turn of a server at one work, in µs of CPU a request. */
async function take({ pid, send }, { tokens, requests, refused = false }, turn, issuer) {
  issuer.count()
  const before = cpuNs(pid)
  const done = await send(tokens(turn), requests, MOST_MS)
  const us = (cpuNs(pid) - before) / 1000 / done.requests
  const fetches = issuer.count()
  const right = done.refused === (refused ? done.requests : 0) && done.failed === 0
  return { us, p99Ms: done.p99Ms, right, fetches: fetches.keys + fetches.discovery }
}

/** What the turns of one server at one work say; `bare` is what bare Fastify needed in the same turns. */
function sumUp(turns, bare) {
  const all = name => turns.map(turn => turn[name])
  return {
    us: median(all('us')),
    /** As a multiple of bare Fastify's, turn by turn. */
    cost: median(turns.map(({ us }, turn) => us / bare[turn].us)),
    p99Ms: median(all('p99Ms')),
    right: all('right').every(Boolean),
    fetches: all('fetches').reduce((sum, count) => sum + count, 0),
  }
}

/**
 * Two fresh processes side by side, bare Fastify and another server. Only two, because one that waits for seconds is
 * another one afterwards: V8 tidies up, and forgets.
 *
 * @returns what is to be said of both
 */
async function compare(server, world, issuer) {
  const pair = []
  try {
    for (const one of [SERVERS[BARE], server]) pair.push(await start(one, world))
    for (const [tokens, requests] of Object.entries(WARM_UPS)) {
      for (const { send } of pair) await send(tokens, requests, MOST_WARM_UP_MS)
    }
    for (const [work, asked] of Object.entries(WORKS)) {
      for (const one of pair) one.turns[work] = []
      for (let turn = 0; turn < TURNS; turn += 1) {
        for (const one of pair) one.turns[work].push(await take(one, asked, turn, issuer))
      }
    }
    const [bare] = pair
    return pair.map(one => ({
      works: Object.fromEntries(
        Object.keys(WORKS).map(work => [work, sumUp(one.turns[work], bare.turns[work])]),
      ),
      startMs: one.startMs,
      startCost: one.startMs / bare.startMs,
      rssBytes: rssBytes(one.pid),
      rssCost: rssBytes(one.pid) / rssBytes(bare.pid),
    }))
  } finally {
    for (const { stop } of pair) await stop()
  }
}

/** One round: every server beside a bare Fastify of its own. */
async function play(chosen, world, issuer, say) {
  const runs = {}
  for (const [name, server] of chosen) {
    if (name === BARE) continue
    try {
      const [bare, run] = await compare(server, world, issuer)
      runs[BARE] ??= bare
      runs[name] = run
      say(`${name} ${run.works.one.us.toFixed(1)} µs, ${twoDigits(run.works.one.cost)} × bare Fastify`)
    } catch (error) {
      say(`${name} is left out: ${error.message}`)
    }
  }
  return Object.fromEntries(chosen.flatMap(([name]) => (runs[name] ? [[name, runs[name]]] : [])))
}

/** Median and quartiles. */
const spread = list => ({ median: median(list), low: quantile(list, 0.25), high: quantile(list, 0.75) })

/** What the rounds say: `of` picks a figure of a run, and a ratio is taken within its round. */
function createFigures(rounds) {
  const list = (name, of) => rounds.flatMap(round => (round[name] ? [of(round[name])] : []))
  return {
    names: Object.keys(rounds[0]),
    has: name => rounds[0][name] !== undefined,
    list,
    spread: (name, of) => spread(list(name, of)),
    /** How many times dearer `name` is than `base`. */
    ratio: (name, of, base = BARE, ofBase = of) =>
      spread(rounds.map(round => of(round[name]) / ofBase(round[base]))),
  }
}

const twoDigits = value => (value < 10 ? value.toFixed(2) : value.toFixed(1))
const sayRatio = ({ median, low, high }) => `${twoDigits(median)} (${twoDigits(low)} to ${twoDigits(high)})`

function tabulate(figures) {
  const cell = (name, work) => {
    const of = run => run.works[work].cost
    // Bare Fastify refuses nobody, so what it does with a bad token is to answer it.
    const right = name.startsWith(BARE) || figures.list(name, run => run.works[work].right).every(Boolean)
    const fetches = figures.list(name, run => run.works[work].fetches)
    const notes = [...(right ? [] : ['answers differ']), ...(median(fetches) > 2 ? ['fetches'] : [])]
    return [sayRatio(figures.ratio(name, of)), ...notes].join('; ')
  }
  const works = Object.keys(WORKS)
  const cpu = table(
    ['server', ...Object.values(WORKS).map(({ title }) => title)],
    figures.names.map(name => [name, ...works.map(work => cell(name, work))]),
  )
  const other = table(
    ['server', 'µs, one token', 'p99, one token', 'p99, first sight', 'RSS at the end', 'start to first 200'],
    figures.names.map(name => [
      name,
      figures.spread(name, run => run.works.one.us).median.toFixed(1),
      `${twoDigits(figures.spread(name, run => run.works.one.p99Ms).median)} ms`,
      `${twoDigits(figures.spread(name, run => run.works.first.p99Ms).median)} ms`,
      `${(figures.spread(name, run => run.rssBytes).median / 2 ** 20).toFixed(0)} MiB`,
      `${figures.spread(name, run => run.startMs).median.toFixed(0)} ms`,
    ]),
  )
  return { cpu, other }
}

/** Who takes part; the rest with the reason. */
function choose(names) {
  const asked = Object.entries(SERVERS).filter(
    ([name]) => names.length === 0 || [OURS, BARE, ...names].includes(name),
  )
  const absent = asked.filter(([, { needs }]) => needs !== undefined && !hasCommand(needs))
  for (const [name, { needs }] of absent) {
    process.stderr.write(`${name} is left out: apt-get install ${needs}\n`)
  }
  return asked.filter(entry => !absent.includes(entry))
}

const sayVersions = packages => packages.map(name => `${name} ${versionOf(name)}`).join(', ')

/**
 * Measures in rounds, every server in a fresh process once a round.
 *
 * @param given number of rounds, default 5; then names of servers, default all. Ours and bare Fastify always play.
 */
export async function measure([count, ...names]) {
  installRivals()
  if (!hasCommand('wrk')) process.stderr.write('autocannon makes the load; apt-get install wrk is better\n')
  const chosen = choose(names)
  leaveServerCore()
  const [tls, key] = await Promise.all([createTls(), createKey()])
  const issuer = await startIssuer(tls)
  issuer.published = [key]
  const pem = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' })
  const rounds = await withFolder({ 'ca.pem': tls.ca, 'key.pem': pem }, async folder => {
    process.stderr.write('Signing tokens …\n')
    const token = await writeTokens(folder, issuer, key)
    const { name, authority, jwksUri } = issuer
    const caFile = join(folder, 'ca.pem')
    const world = { issuer: name, authority, jwksUri, tenant: TENANT, audience: API, folder, token, caFile }
    const played = []
    for (let round = 0; round < Number(count ?? ROUNDS); round += 1) {
      const say = what => process.stderr.write(`round ${round + 1}: ${what}\n`)
      played.push(await play(chosen, world, issuer, say))
    }
    return played
  })
  await issuer.close()
  const figures = createFigures(rounds)
  const { cpu, other } = tabulate(figures)
  const markdown = `# What authorization costs

${describeRun()}. ${describeLoad()}. ${rounds.length} rounds, in each a fresh process of every server beside a fresh bare Fastify; the two take ${TURNS} turns at each work. Written by \`npm run bench -- speed\`; the picture is \`speed.svg\`.

Server CPU time of a request as a multiple of bare Fastify's with the same requests in the same turn, the median of each round's turns: median (and quartiles) of the rounds. Entra-like tokens, RS256 with 2048 bits.

${cpu}

${other}

${table(
  ['server', 'set up as', 'versions'],
  chosen.map(([name, { how, packages }]) => [name, how, sayVersions(packages)]),
)}

## Targets

${table(['target', 'found', 'holds'], targets(figures, sayRatio))}
`
  process.stdout.write(`\n${markdown}`)
  await keep('speed.md', markdown)
  await keep('speed.svg', drawSpeed(figures, describeRun()))
  return true
}

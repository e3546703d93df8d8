/** Decides how a benchmark runs: builds the project, installs the rivals, starts measured processes, loads and reads them, and prints tables. */
import { execFileSync, fork, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { cpus, release, tmpdir, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

export const HERE = fileURLToPath(new URL('.', import.meta.url))
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESULTS = new URL('results/', import.meta.url)

const run = (cwd, ...command) => execFileSync('npm', command, { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
const readJson = file => JSON.parse(readFileSync(file, 'utf8'))

/** Builds what is measured. */
export function build() {
  run(ROOT, 'run', '-s', 'build')
}

/** Installs the rivals beside the benchmarks, unless exactly these are there. */
export function installRivals() {
  const wanted = readJson(`${HERE}package.json`).dependencies
  const missing = Object.entries(wanted).some(([name, version]) => {
    const manifest = `${HERE}node_modules/${name}/package.json`
    return !existsSync(manifest) || readJson(manifest).version !== version
  })
  if (!missing) return
  process.stderr.write('Installing the rivals into bench/node_modules …\n')
  run(HERE, 'ci', '--no-audit', '--no-fund', '--loglevel=error')
}

/** Version of an installed rival. */
export const versionOf = name => readJson(`${HERE}node_modules/${name}/package.json`).version
export const projectVersion = () => readJson(`${ROOT}package.json`).version

/** Where and when, for the head of a result. */
export function describeRun() {
  const [cpu] = cpus()
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  const day = new Date().toISOString().slice(0, 10)
  return `${day}, Node ${process.versions.node}, ${type()} ${release()}, ${cpus().length} × ${cpu.model.trim()}, ${memory}`
}

/** Runs something with the certificate authority in a file, for NODE_EXTRA_CA_CERTS. */
export async function withFolder(files, action) {
  const folder = await mkdtemp(join(tmpdir(), 'protected-resource-bench-'))
  try {
    for (const [name, content] of Object.entries(files))
      await writeFile(join(folder, name), content, { mode: 0o600 })
    return await action(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/**
 * Starts the process of one subject.
 *
 * @returns one function for each command of subject.mjs, `now` in simulated milliseconds, and `stop`
 */
export async function startSubject(world, caFile) {
  const startMs = Date.now()
  const child = fork(join(HERE, 'subject.mjs'), [JSON.stringify({ ...world, startMs })], {
    env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: caFile, NODE_ENV: 'production' },
  })
  const waiting = new Map()
  let now = startMs
  let last = 0
  const answer = id => new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
  child.on('message', message => {
    if (message.now !== undefined) now = message.now
    const { resolve, reject } = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error === undefined) resolve(message.result)
    else reject(new Error(`${world.subject}: ${message.error}`))
  })
  child.on('exit', code => {
    for (const { reject } of waiting.values()) reject(new Error(`${world.subject} ended with code ${code}`))
  })
  await answer(0)
  const send = command => given => {
    last += 1
    child.send({ id: last, command, ...given })
    return answer(last)
  }
  const [restart, advance, ask, askAll, until] = ['restart', 'advance', 'ask', 'askAll', 'until'].map(send)
  return {
    now: () => now,
    restart,
    advance: ms => advance({ ms }),
    ask: tokens => ask({ tokens }),
    askAll: tokens => askAll({ tokens }),
    until,
    stop: () => child.disconnect(),
  }
}

/** Runs at most `limit` jobs at a time; results in the order of the jobs. */
export async function pool(limit, jobs) {
  const results = []
  const queue = jobs.entries()
  const work = async () => {
    for (const [index, job] of queue) results[index] = await job()
  }
  await Promise.all(Array.from({ length: limit }, work))
  return results
}

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
export const quantile = (list, q) => [...list].sort((a, b) => a - b)[Math.floor(list.length * q)] ?? 0
export const median = list => quantile(list, 0.5)

/** A port of loopback that was free a moment ago. */
export async function freePort() {
  const server = createServer()
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

/** Whether a command can be started on this machine. */
export const hasCommand = name => spawnSync('which', [name]).status === 0

/** Linux: the server has a core to itself, and the load another. */
const canPin = hasCommand('taskset') && cpus().length > 1
const onCore = (core, file, args) =>
  canPin ? ['taskset', ['-c', String(core), file, ...args]] : [file, args]
const [SERVER_CORE, LOAD_CORE] = [0, 1]

/** Keeps this process, and the issuer in it, off the server's core. */
export function leaveServerCore() {
  if (canPin) spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)])
}

/** What is kept apart, and what makes the load, for the head of a result. */
export const describeLoad = () =>
  `${hasCommand('wrk') ? 'wrk' : 'autocannon'}, ${CONNECTIONS} connections, ${canPin ? 'a core for the server and one for the load' : 'cores not kept apart'}`

/** The status of one request; undefined while nobody listens. */
export const askOnce = (port, token) =>
  new Promise(resolve => {
    const headers = { authorization: `Bearer ${token}` }
    const outgoing = request({ port, path: '/secure-data', headers, agent: false }, response => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
    })
    outgoing.on('error', () => resolve(undefined))
    outgoing.end()
  })

/** What the kernel says of a process: time on a core in nanoseconds, all its threads together, and memory in bytes. */
export const cpuNs = pid =>
  readdirSync(`/proc/${pid}/task`)
    .map(task => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]))
    .reduce((sum, ns) => sum + ns, 0)
export const rssBytes = pid =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024

const MOST_START_MS = 10_000
const MOST_SAID = 300

/**
 * Starts a server on the server's core and waits for its first 200.
 *
 * @returns its process id, how long it took in ms, and `stop`
 */
export async function startServer({ file, args, env }, { port, token, folder, caFile }) {
  const began = performance.now()
  const child = spawn(...onCore(SERVER_CORE, file, args), {
    cwd: folder,
    env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: caFile, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said = text(child.stderr)
  const ended = new Promise(resolve => child.once('exit', resolve))
  const stop = () => {
    child.kill('SIGKILL')
    return ended
  }
  let status
  while (status !== 200) {
    status = await askOnce(port, token)
    if (child.exitCode !== null || performance.now() - began > MOST_START_MS) {
      await stop()
      throw new Error(`its first answer is ${status}, not 200: ${(await said).slice(0, MOST_SAID)}`)
    }
    if (status !== 200) await sleep(status === undefined ? 1 : 20)
  }
  return { pid: child.pid, startMs: performance.now() - began, stop }
}

const CONNECTIONS = 32

/** Sends SIGINT when everything has been sent, or when it takes too long: wrk itself knows only whole seconds. */
async function loadWithWrk({ port, tokenFile, requests, maxMs }) {
  const options = [
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${Math.ceil(maxMs / 1000) + 5}s`,
    '-s',
    join(HERE, 'wrk.lua'),
  ]
  const given = [`http://127.0.0.1:${port}`, '--', tokenFile, String(requests)]
  const child = spawn(...onCore(LOAD_CORE, 'wrk', [...options, ...given]), {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stop = () => child.kill('SIGINT')
  child.stderr.once('data', stop)
  const late = setTimeout(stop, maxMs)
  const said = await text(child.stdout)
  clearTimeout(late)
  return JSON.parse(said.split('\n').find(line => line.startsWith('{')))
}

/** The same with autocannon, which every connection tells what to send. */
async function loadWithAutocannon({ port, tokenFile, requests, maxMs }) {
  const { default: autocannon } = await import('autocannon')
  const tokens = readFileSync(tokenFile, 'utf8').trim().split('\n')
  let client = 0
  const running = autocannon({
    url: `http://127.0.0.1:${port}/secure-data`,
    connections: CONNECTIONS,
    amount: requests,
    setupClient: each => {
      const own = tokens.filter((_, index) => tokens.length < CONNECTIONS || index % CONNECTIONS === client)
      client += 1
      each.setRequests(own.map(token => ({ headers: { authorization: `Bearer ${token}` } })))
    },
  })
  const late = setTimeout(() => running.stop(), maxMs)
  const result = await running
  clearTimeout(late)
  const answered = result['2xx'] + result.non2xx
  return { requests: answered, refused: result.non2xx, failed: result.errors, p99Ms: result.latency.p99 }
}

/**
 * Sends the tokens of a file in turn, `requests` times or for `maxMs`, whichever is over first.
 *
 * @returns how many were answered, how many of them with an error status, how many failed, and the slowest of 99 %
 */
export const load = hasCommand('wrk') ? loadWithWrk : loadWithAutocannon

/** A duration as people say it, three digits at most. */
export function sayDuration(ms) {
  const units = [
    [86_400_000, 'd', 2],
    [3_600_000, 'h', 2],
    [60_000, 'min', 2],
    [1000, 's', 0],
  ]
  const [size, name] = units.find(([unit, , least]) => ms >= unit * least)
  return `${Number((ms / size).toPrecision(3))} ${name}`
}

/** A Markdown table with aligned columns. */
export function table(head, rows) {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(row => row[column].length)))
  const line = cells => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

/** Writes a result. */
export async function keep(name, content) {
  await writeFile(new URL(name, RESULTS), content)
  process.stderr.write(`wrote bench/results/${name}\n`)
}

/** Decides how a benchmark runs: builds the project, installs the rivals, starts issuers and measured processes, and prints tables. */
import { execFileSync, fork } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, release, tmpdir, totalmem, type } from 'node:os'
import { join } from 'node:path'
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

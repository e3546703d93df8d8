/** Decides which benchmark runs: `npm run bench -- NAME`; without a name it lists what there is. */
import { build } from './harness.mjs'

const BENCHMARKS = {
  keys: 'compares the life of keys with seven other verifiers, and draws the day (about 4 minutes)',
  day: 'draws a simulated day with a six-hour outage (half a minute)',
  speed:
    'measures what authorization costs, beside other stacks: speed [ROUNDS=5] [SERVER …] (about 12 minutes)',
  memory:
    'sends a million tokens and a million made-up ones, and draws memory: memory [THOUSANDS=1000] (about 10 minutes)',
  chaos: 'attacks the real server and its issuer on loopback: chaos [SECONDS=60]',
}

const [name, ...rest] = process.argv.slice(2)
if (name !== undefined && Object.hasOwn(BENCHMARKS, name)) {
  build()
  const { measure } = await import(`./${name}.mjs`)
  const good = await measure(rest)
  process.exitCode = good ? 0 : 1
} else {
  const known = Object.entries(BENCHMARKS).map(
    ([each, does]) => `  npm run bench -- ${each.padEnd(6)} ${does}`,
  )
  process.stderr.write(
    `${name === undefined ? '' : `No benchmark is called ${name}.\n`}Benchmarks:\n${known.join('\n')}\n`,
  )
  process.exitCode = name === undefined ? 0 : 2
}

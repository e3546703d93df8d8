/** Answers how long keys live here and in seven other verifiers: outage, cold start, floods of unknown ids, withdrawal, new keys. */
import { join } from 'node:path'
import { drawDay } from './day.mjs'
import {
  describeRun,
  installRivals,
  keep,
  pool,
  projectVersion,
  sayDuration,
  startSubject,
  table,
  versionOf,
  withFolder,
} from './harness.mjs'
import { API, createKey, createTls, randomKid, signToken, startIssuer, TENANT } from './issuer.mjs'
import { SUBJECTS } from './subjects.mjs'

const [SECOND, MINUTE, DAY] = [1000, 60_000, 86_400_000]
const US = 'protected-resource'
/** What lasts longer is not told apart: three days are the longest that ours can be configured to. */
const CAP = 3 * DAY
/** Outages without traffic end with two requests, because the first one alone may revive what is expired. */
const TWICE_WITHIN = 2 * MINUTE
const STEADY = 30 * SECOND
const COLD = 100
const FLOOD = 200
/** Good tokens among the unknown ids of an hour: one every ten seconds. */
const GOOD_IN_HOUR = 360
const PARALLEL = 2
/** Begun first: one fetches for every request, the other lets every hour of the outage pass. */
const SLOWEST = ['get-jwks', US]

const OVER = `over ${sayDuration(CAP)}`
const sum = ({ keys, discovery }) => keys + discovery
const sayFetches = ({ keys, discovery }) => (discovery === 0 ? `${keys}` : `${keys} + ${discovery}`)
const sayTime = ms => (ms === null ? OVER : ms === 0 ? 'at once' : sayDuration(ms))
const last = list => list[list.length - 1]

/** How good a figure is, the smaller the better. */
const lasting = ms => (ms === null ? Number.NEGATIVE_INFINITY : -ms)
const soon = ms => (ms === null ? Number.POSITIVE_INFINITY : ms)

/** The columns: what is printed, what is compared, and why a rival may be ahead of us there. */
const COLUMNS = [
  {
    name: 'outageSteady',
    title: 'outage survived, steady traffic',
    say: ({ ms }) => (ms === null ? OVER : sayDuration(ms)),
    rank: ({ ms }) => lasting(ms),
    why: 'Our bound of 24 hours is a decision: nobody can withdraw a key while the issuer is silent, so staleness has an end (`KEYS_MAX_STALE_HOURS`, up to 72).',
  },
  {
    name: 'outageQuiet',
    title: 'outage survived, no traffic',
    say: ms => (ms === null ? OVER : sayDuration(ms)),
    rank: lasting,
    why: 'The same bound of 24 hours; whoever lasts longer keeps a withdrawn key as long.',
  },
  {
    name: 'outageAnswer',
    title: 'a good token when it was too long',
    say: answer => answer ?? '',
  },
  {
    name: 'cold',
    title: `fetches, ${COLD} cold requests`,
    say: ({ fetches, accepted }) => sayFetches(fetches) + (accepted === COLD ? '' : `, ${accepted} accepted`),
    rank: ({ fetches }) => sum(fetches),
    why: 'One key set for us too; our second request is the discovery document, which proves the issuer and says where its keys are. Those ahead are handed the address.',
  },
  {
    name: 'floodUp',
    title: `fetches, ${FLOOD} unknown ids, issuer up`,
    say: ({ fetches, good }) => sayFetches(fetches) + (good ? '' : ', **then refuses good tokens**'),
    rank: ({ fetches, good }) => (good ? sum(fetches) : Number.POSITIVE_INFINITY),
    why: 'Our budget holds two forced refreshes, each with its discovery document, so that one made-up id does not make the next new key wait; then one in 5 minutes, where those ahead allow one in 10 to 60 seconds.',
  },
  {
    name: 'floodDown',
    title: `fetches, ${FLOOD} unknown ids, issuer down`,
    say: ({ fetches, good }) => sayFetches(fetches) + (good ? '' : ', **then refuses good tokens**'),
    rank: ({ fetches, good }) => (good ? sum(fetches) : Number.POSITIVE_INFINITY),
    why: 'Its limiter refuses every fetch, the honest ones included.',
  },
  {
    name: 'floodHour',
    title: 'fetches, an hour of unknown ids, one a second',
    say: ({ fetches, refused }) =>
      sayFetches(fetches) + (refused === 0 ? '' : `, **good tokens refused: ${refused} of ${GOOD_IN_HOUR}**`),
    rank: ({ fetches, refused }) => (refused === 0 ? sum(fetches) : Number.POSITIVE_INFINITY),
    why: '',
  },
  {
    name: 'withdrawn',
    title: 'withdrawn key refused after',
    say: sayTime,
    rank: soon,
    why: 'Whoever forgets its keys every few minutes forgets withdrawn ones as soon and, without a fallback, dies in an outage as fast. We ask hourly, as Entra advises (54 to 66 minutes with jitter), and at once when a new key appears.',
  },
  {
    name: 'fresh',
    title: 'new key works after',
    say: sayTime,
    rank: soon,
    why: '',
  },
  {
    name: 'early',
    title: 'new key, seen before it was published',
    say: sayTime,
    rank: soon,
    why: 'An id that a fetch has just shown to be unknown is not asked for again for 5 minutes (Entra asks for at least that between forced refreshes); those ahead ask for every token, or after 10 to 60 seconds.',
  },
  {
    name: 'afterFlood',
    title: `new key, after the ${FLOOD} unknown ids`,
    say: sayTime,
    rank: soon,
    why: 'The price of a budget that a flood has spent: at most one window of 5 minutes. Those ahead pay a fetch for each made-up id, or allow a fetch every 10 to 60 seconds.',
  },
]

const COMPARED = COLUMNS.filter(({ rank }) => rank !== undefined)

/** Runs every scenario on one subject; each starts it anew. */
async function measureSubject(name, { tls, keys, caFile }) {
  const [first, second, third] = keys
  const issuer = await startIssuer(tls)
  const world = { subject: name, issuer: issuer.name, authority: issuer.authority, jwksUri: issuer.jwksUri }
  const subject = await startSubject({ ...world, tenant: TENANT, audience: API, ca: tls.ca }, caFile)
  const token = (key, kid) => signToken(issuer.name, key, { nowMs: subject.now(), kid })
  const junk = () => Array.from({ length: FLOOD }, () => token(second, randomKid()))

  const begin = async (...published) => {
    issuer.mode = 'up'
    issuer.published = published
    await subject.restart()
    const answers = await subject.ask(published.map(key => token(key)))
    const refused = answers.find(({ accepted }) => !accepted)
    if (refused !== undefined) throw new Error(`${name} does not accept a good token: ${refused.answer}`)
  }
  const flood = async () => {
    issuer.count()
    const answers = await subject.ask(junk())
    const fetches = issuer.count()
    if (answers.some(({ accepted }) => accepted)) throw new Error(`${name} accepted a made-up key id`)
    const [{ accepted: good }] = await subject.ask([token(first)])
    return { fetches, good, answer: last(answers).answer }
  }

  const scenarios = {
    cold: async () => {
      issuer.mode = 'up'
      issuer.published = [first]
      issuer.count()
      await subject.restart()
      const answers = await subject.askAll(Array.from({ length: COLD }, () => token(first)))
      return { fetches: issuer.count(), accepted: answers.filter(({ accepted }) => accepted).length }
    },
    outageSteady: async () => {
      await begin(first)
      issuer.mode = 'down'
      const steps = [{ everyMs: STEADY, toMs: CAP }]
      return subject.until({ token: token(first), accepted: false, settled: 2, steps })
    },
    outageQuiet: async () => {
      const survives = async ms => {
        await begin(first)
        issuer.mode = 'down'
        // Some forget what is expired only after it has served once more.
        const pause = Math.min(TWICE_WITHIN, ms / 2)
        await subject.advance(ms - pause)
        const [before] = await subject.ask([token(first)])
        await subject.advance(pause)
        const [after] = await subject.ask([token(first)])
        return before.accepted && after.accepted
      }
      if (await survives(CAP)) return null
      let [good, bad] = [10 * SECOND, CAP]
      while (bad / good > 1.003) {
        const middle = Math.sqrt(good * bad)
        if (await survives(middle)) good = middle
        else bad = middle
      }
      return Math.sqrt(good * bad)
    },
    floodUp: async () => {
      await begin(first)
      await subject.advance(2 * MINUTE)
      await subject.ask([token(first)])
      return flood()
    },
    floodDown: async () => {
      await begin(first)
      await subject.advance(2 * MINUTE)
      await subject.ask([token(first)])
      issuer.mode = 'down'
      return flood()
    },
    floodHour: async () => {
      await begin(first)
      issuer.count()
      let refused = 0
      for (let tens = 0; tens < GOOD_IN_HOUR; tens += 1) {
        for (let each = 0; each < 10; each += 1) {
          await subject.ask([token(second, randomKid())])
          await subject.advance(SECOND)
        }
        const [{ accepted }] = await subject.ask([token(first)])
        if (!accepted) refused += 1
      }
      return { fetches: issuer.count(), refused }
    },
    withdrawn: async () => {
      await begin(first, second)
      issuer.published = [second]
      const steps = [{ everyMs: STEADY, toMs: CAP }]
      const asked = { token: token(first), beside: token(second) }
      return (await subject.until({ ...asked, accepted: false, settled: 3, steps })).ms
    },
    fresh: async () => {
      await begin(first)
      await subject.advance(5 * SECOND)
      issuer.published = [first, third]
      return untilWorks()
    },
    early: async () => {
      await begin(first)
      await subject.advance(5 * MINUTE)
      await subject.ask([token(first), token(third)])
      await subject.advance(5 * SECOND)
      issuer.published = [first, third]
      return untilWorks()
    },
    afterFlood: async () => {
      await begin(first)
      await subject.advance(2 * MINUTE)
      await subject.ask(junk())
      issuer.published = [first, third]
      return untilWorks()
    },
  }
  /** Tries the third key every second, after ten minutes every half. */
  const untilWorks = async () => {
    const steps = [
      { everyMs: SECOND, toMs: 10 * MINUTE },
      { everyMs: STEADY, toMs: CAP },
    ]
    return (await subject.until({ token: token(third), accepted: true, steps })).ms
  }

  const figures = {}
  for (const [scenario, play] of Object.entries(scenarios)) {
    const started = performance.now()
    figures[scenario] = await play()
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    process.stderr.write(`${name}: ${scenario} (${seconds} s)\n`)
  }
  figures.outageAnswer = figures.outageSteady.answer
  subject.stop()
  await issuer.close()
  return figures
}

/** Who is ahead of us, column by column, and whether anybody is in outage, withdrawal and flood together. */
function compare(figures) {
  const rivals = Object.keys(figures).filter(name => name !== US)
  const aheadIn = new Map(
    COMPARED.map(({ name, rank }) => {
      const ours = rank(figures[US][name])
      return [name, rivals.filter(rival => rank(figures[rival][name]) < ours)]
    }),
  )
  const ahead = (rival, ...names) => names.some(name => aheadIn.get(name).includes(rival))
  const wins = rival =>
    [['outageSteady', 'outageQuiet'], ['withdrawn'], ['floodUp', 'floodDown', 'floodHour']].filter(matter =>
      ahead(rival, ...matter),
    ).length
  const together = rivals.filter(rival => wins(rival) === 3)
  const nearly = rivals.filter(rival => wins(rival) === 2)
  return { aheadIn, together, nearly }
}

function report(figures) {
  const { aheadIn, together, nearly } = compare(figures)
  // One row a question: nine columns of figures are read on no screen.
  const names = Object.keys(figures)
  const rows = COLUMNS.map(({ title, name, say }) => [title, ...names.map(of => say(figures[of][name]))])
  const versions = ({ packages }) =>
    packages.length === 0
      ? `protected-resource ${projectVersion()}`
      : packages.map(each => `${each} ${versionOf(each)}`).join(', ')
  const reasons = COMPARED.filter(({ name }) => aheadIn.get(name).length > 0).map(
    ({ name, title, why }) => `- **${title}**: ${aheadIn.get(name).join('; ')}. ${why}`,
  )
  const notes = names.map(name => `- ${name}: ${versions(SUBJECTS[name])}; ${SUBJECTS[name].configuration}`)
  return {
    good: together.length === 0,
    markdown: `# The life of keys, compared

${describeRun()}. Time is simulated; requests and fetches are real, on loopback. Written by \`npm run bench -- keys\`.

${table(['', ...names], rows)}

Fetches are counted at the issuer: key sets + discovery documents. Steady traffic is one request every 30 seconds; no traffic is silence, then two requests within two minutes. What lasts longer than ${sayDuration(CAP)} is not told apart (fastify-jwt-jwks keeps a key for a week, the others without end). A withdrawn key's token is tried beside good traffic, every 30 seconds. A new key is published 5 seconds after the last fetch and tried every second.

## Who is ahead of us, and why

${reasons.join('\n')}

Ahead of us in outage, withdrawal and flood together: **${together.join('; ') || 'nobody'}**; in two of the three: ${nearly.join('; ') || 'nobody'}. A single row is enough to be ahead in a matter.

## Who was measured

${notes.join('\n')}
`,
  }
}

/** Runs the comparison. */
export async function measure(rest) {
  installRivals()
  const tls = await createTls()
  const keys = await Promise.all([createKey(), createKey(), createKey()])
  const chosen = rest.length > 0 ? rest : Object.keys(SUBJECTS)
  return withFolder({ 'ca.pem': tls.ca }, async folder => {
    const given = { tls, keys, caFile: join(folder, 'ca.pem') }
    const order = chosen.toSorted((a, b) => Number(SLOWEST.includes(b)) - Number(SLOWEST.includes(a)))
    const measured = await pool(
      PARALLEL,
      order.map(name => async () => [name, await measureSubject(name, given)]),
    )
    const unordered = Object.fromEntries(measured)
    const figures = Object.fromEntries(chosen.map(name => [name, unordered[name]]))
    if (rest.length > 0) {
      process.stdout.write(`${JSON.stringify(figures, null, 1)}\n`)
      return true
    }
    const { markdown, good } = report(figures)
    process.stdout.write(markdown)
    await keep('keys.md', markdown)
    await drawDay(given)
    return good
  })
}

/** Decides what we aim at, as a multiple of bare Fastify's cost, and whether it was reached. */

export const OURS = 'protected-resource'
export const BARE = 'bare Fastify'
const HAPROXY = 'HAProxy'
const NEWEST_NODE = 26

const cost = work => run => run.works[work].cost
const yes = holds => (holds ? 'yes' : 'no')

/** Rows of target, figure and whether it holds; `say` writes a ratio. */
export function targets(figures, say) {
  const rows = []
  const below = (title, limit, ratio) =>
    rows.push([`${title} ≤ ${limit}`, say(ratio), yes(ratio.median <= limit)])
  const rivals = figures.names.filter(
    name => !name.startsWith(OURS) && !name.startsWith(BARE) && name !== HAPROXY,
  )

  below('one token: bare Fastify ×', 1.1, figures.ratio(OURS, cost('one')))
  if (figures.has(HAPROXY)) below('one token: HAProxy ×', 0.65, figures.ratio(OURS, cost('one'), HAPROXY))
  below('10,000 tokens, first sight: bare Fastify ×', 2, figures.ratio(OURS, cost('first')))
  for (const rival of rivals) below(`first sight: ${rival} ×`, 0.5, figures.ratio(OURS, cost('first'), rival))
  if (figures.has(HAPROXY)) {
    const limit = Number(process.versions.node.split('.')[0]) >= NEWEST_NODE ? 1 : 1.2
    below('first sight: HAProxy ×', limit, figures.ratio(OURS, cost('first'), HAPROXY))
  }
  below('10,000 tokens, remembered: bare Fastify ×', 1.25, figures.ratio(OURS, cost('again')))
  below('bad signature: our own first sight ×', 1, figures.ratio(OURS, cost('forged'), OURS, cost('first')))
  for (const [work, title] of [
    ['junk', 'junk'],
    ['algorithm', 'unknown algorithm'],
    ['unknown', 'unknown key'],
  ]) {
    below(`${title}: bare Fastify ×`, 1.1, figures.ratio(OURS, cost(work)))
    const fetches = Math.max(...figures.list(OURS, run => run.works[work].fetches))
    rows.push([`${title}: fetches = 0`, String(fetches), yes(fetches === 0)])
  }
  const logged = [`${OURS}, log on`, `${BARE}, default log`]
  if (logged.every(figures.has)) {
    below('log on: bare Fastify with its default log ×', 1, figures.ratio(logged[0], cost('one'), logged[1]))
  }
  below(
    'RSS at the end: bare Fastify ×',
    1.5,
    figures.spread(OURS, run => run.rssCost),
  )
  below(
    'start to first 200, keys on disk: bare Fastify ×',
    1.5,
    figures.spread(OURS, run => run.startCost),
  )
  return rows
}

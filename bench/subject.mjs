/** Decides what one measured process does: loads one subject under simulated time, and asks it what the harness says. */
import { SUBJECTS } from './subjects.mjs'
import { createTimeline, installTimeline } from './timeline.mjs'

const world = JSON.parse(process.argv[2])
const { create } = SUBJECTS[world.subject]
const timeline = createTimeline(world.startMs)
installTimeline(timeline)
// Some libraries end a process on a promise that nobody awaits; here it is one more answer.
process.on('unhandledRejection', () => {})

let subject

const commands = {
  restart: async () => {
    await subject?.close?.()
    subject = await create({ ...world, clock: timeline })
  },
  advance: ({ ms }) => timeline.advance(ms),
  /** Asks one after the other. */
  ask: async ({ tokens }) => {
    const answers = []
    for (const token of tokens) answers.push(await subject.ask(token))
    return answers
  },
  /** Asks all at once. */
  askAll: ({ tokens }) => Promise.all(tokens.map(token => subject.ask(token))),
  /**
   * Asks at every step until `accepted` is what it is waiting for, `settled` times in a row; answers how long it
   * took in simulated time, or null at the cap.
   */
  until: async ({ token, beside, accepted, steps, settled = 1 }) => {
    const began = timeline.now()
    let since
    let inRow = 0
    for (const { everyMs, toMs } of steps) {
      while (timeline.now() - began <= toMs) {
        if (beside !== undefined) await subject.ask(beside)
        const got = await subject.ask(token)
        if (got.accepted !== accepted) inRow = 0
        else {
          if (inRow === 0) since = { ms: timeline.now() - began, answer: got.answer }
          inRow += 1
          if (inRow === settled) return since
        }
        await timeline.advance(everyMs)
      }
    }
    return { ms: null, answer: null }
  },
}

let queue = Promise.resolve()
process.on('message', ({ id, command, ...given }) => {
  queue = queue.then(async () => {
    try {
      const result = await commands[command](given)
      process.send({ id, result, now: timeline.now() })
    } catch (error) {
      process.send({ id, error: String(error?.stack ?? error) })
    }
  })
})
process.on('disconnect', () => process.exit())
process.send({ id: 0 })

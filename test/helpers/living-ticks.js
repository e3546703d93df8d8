/** Decides what a process says at SIGWINCH: how many of the objects that its `process.nextTick` ever made are alive after a garbage collection. Loaded with `--import`. */
import { createHook } from 'node:async_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc')
/** @type {WeakRef<object>[]} */
const ticks = []
createHook({
  init: (_id, type, _trigger, resource) => {
    if (type === 'TickObject') ticks.push(new WeakRef(resource))
  },
}).enable()
process.on('SIGWINCH', () => {
  setTimeout(() => {
    collectGarbage()
    const living = ticks.filter(tick => tick.deref() !== undefined).length
    process.stdout.write(`living ticks: ${living} of ${ticks.length}\n`)
  }, 10)
})

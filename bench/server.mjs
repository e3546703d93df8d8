/** Decides what the process of one measured Node stack does: listens on loopback with one route, guarded as its stack is documented. */
import { STACKS } from './servers.mjs'

const world = JSON.parse(process.argv[2])
await STACKS[world.stack].listen(world)

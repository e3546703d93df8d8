/** Decides how a test gets a Redis of its own: the real server, on loopback, nothing on disk; or one that only pretends. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'

export const PASSWORD = 'correct-horse'

/** A server under control. */
export interface RedisServer {
  /** With the password. */
  readonly url: string
  /** Makes it deaf, as a machine that hangs is; and lets it hear again. */
  readonly freeze: () => void
  readonly thaw: () => void
  readonly kill: () => Promise<void>
  readonly start: () => Promise<void>
}

/** Whether this machine has one; why not, when it has none. */
export const noRedis: string | false =
  spawnSync('redis-server', ['--version']).status === 0 ? false : 'redis-server is not installed'

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts a Redis for a test and kills it with the test. */
export async function startRedis(t: Test): Promise<RedisServer> {
  const port = await freePort()
  const options = {
    port,
    bind: '127.0.0.1',
    save: '',
    appendonly: 'no',
    requirepass: PASSWORD,
    dir: t.testdir(),
  }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  let child: ChildProcess
  const start = async (): Promise<void> => {
    child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const line of createInterface(child.stdout!)) {
      if (line.includes('Ready to accept connections')) break
    }
    child.stdout!.resume()
  }
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await start()
  t.teardown(kill)
  return {
    url: `redis://:${PASSWORD}@127.0.0.1:${port}/0`,
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    kill,
    start,
  }
}

/** Speaks as much of the protocol as a client asks for, on machines without the real one. */
export interface PretendedRedis {
  readonly url: string
  /** What scripts are answered with; undefined leaves them without an answer. */
  answer: string | undefined
}

/** Starts a server that takes every command for good and answers every script alike. */
export async function startPretendedRedis(t: Test): Promise<PretendedRedis> {
  const server = createServer(socket => {
    let held = 0
    socket.on('data', chunk => {
      for (const [, command] of String(chunk).matchAll(/^\*\d+\r\n\$\d+\r\n(\w+)/gm)) {
        const reply = /^eval/i.test(command!) ? redis.answer : '+OK'
        held++
        // Answers have no names: one that is late stands before all that come after it.
        if (reply !== undefined) socket.write(`${reply}\r\n`.repeat(held))
        if (reply !== undefined) held = 0
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const redis: PretendedRedis = { url: `redis://127.0.0.1:${port}`, answer: undefined }
  return redis
}

#!/usr/bin/env node
/** Decides which command runs; the only file of the command line that touches the process. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { readProfile } from '../local-tenant/profile.ts'
import type { Io } from './io.ts'

const HELP = `Usage: protected-resource COMMAND

COMMANDS
  serve   the API, configured by the environment
  dev     the API and a local tenant side by side
  token   an access token on stdout, or why one is refused; see token --help and token explain --help
`

const [command, ...args] = process.argv.slice(2)

if (command === 'serve') await import('../server.ts')
else if (command === 'dev') await import('../dev.ts')
else process.exitCode = await run()

async function run(): Promise<number> {
  if (command === 'token') return token()
  const asked = command === '--help' || command === '-h'
  const out = asked ? process.stdout : process.stderr
  out.write(command === undefined || asked ? HELP : `unknown command: ${command}\n${HELP}`)
  return asked ? 0 : 2
}

async function token(): Promise<never> {
  const cwd = process.cwd()
  loadEnvironment(join(cwd, '.env'))
  const { env, stdin, stdout, stderr, platform } = process
  const localTenant = await readProfile(env.LOCAL_TENANT_STATE || join(cwd, '.local-tenant'))
  const io: Io = { env, stdin, stdout, stderr, cwd, platform, home: homedir(), localTenant }
  const code = args[0] === 'explain' ? await explain(args.slice(1), io) : await obtain(io)
  // An abandoned sign-in still listens, and MSAL has no way to end a device code poll at once.
  await new Promise<void>(resolve => stdout.write('', () => resolve()))
  process.exit(code)
}

// Neither is imported above: `serve` has no use for all that comes with them, nor one for the other.
async function obtain(io: Io): Promise<number> {
  const { runToken } = await import('./token.ts')
  return runToken(args, io)
}

async function explain(words: readonly string[], io: Io): Promise<number> {
  const { runExplain } = await import('./explain.ts')
  const { createOpenJudge } = await import('./explain-server.ts')
  return runExplain(words, io, createOpenJudge())
}

/** Reads `.env` if it is there; a variable of the environment wins. */
function loadEnvironment(file: string): void {
  try {
    process.loadEnvFile(file)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return
    process.stderr.write(`error: ${file} cannot be read: ${message}\n`)
    process.exit(78)
  }
}

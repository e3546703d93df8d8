/** Decides what the explain command does: from its words to a report on stdout and an exit code. */
import { Misconfigured } from '../errors.ts'
import { explainConfiguration } from './explain-configuration.ts'
import { explainHelp } from './explain-help.ts'
import type { Judge, OpenJudge } from './explain-judge.ts'
import { readJwks } from './explain-offline.ts'
import { type ExplainOptions, readExplainOptions } from './explain-options.ts'
import { createPaint, writeConfiguration, writeToken } from './explain-text.ts'
import { explainToken } from './explain-token.ts'
import { complain, type Io } from './io.ts'
import { Usage } from './options.ts'
import { readToken } from './token-input.ts'

/** What the shell is told. */
const EXIT = { ok: 0, failed: 1, usage: 2, configuration: 78 } as const

/**
 * Runs the explain command. The token is in memory only; no part of it is written.
 *
 * @param args the words after `explain`
 * @param open builds the server that judges
 * @returns the exit code: 0 admitted somewhere, or configured well; 1 not; 2 usage; 78 configuration
 */
export async function runExplain(args: readonly string[], io: Io, open: OpenJudge): Promise<number> {
  try {
    const options = readExplainOptions(args)
    if (options.help) {
      io.stdout.write(explainHelp)
      return EXIT.ok
    }
    return (await explain(options, io, open)) ? EXIT.ok : EXIT.failed
  } catch (error) {
    if (error instanceof Usage) {
      complain(io, `${error.message}\nTry explain --help.`)
      return EXIT.usage
    }
    if (error instanceof Misconfigured) {
      complain(io, error.message)
      return EXIT.configuration
    }
    throw error
  }
}

async function explain(
  { token: word, jwks, json }: ExplainOptions,
  io: Io,
  open: OpenJudge,
): Promise<boolean> {
  const paint = createPaint(io.stdout.isTTY === true && !io.env.NO_COLOR)
  const say = (report: object, text: string): void => {
    io.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : text)
  }
  if (word === undefined) {
    return using(await open(io), async judge => {
      const report = await explainConfiguration(judge)
      say(report, writeConfiguration(report, paint))
      return report.accepted
    })
  }
  const token = await readToken(word, io)
  const offline = jwks === undefined ? undefined : { keys: await readJwks(jwks), token }
  return using(await open(io, offline), async judge => {
    const report = await explainToken(token, judge)
    say(report, writeToken(report, paint))
    return report.accepted
  })
}

async function using(judge: Judge, work: (judge: Judge) => Promise<boolean>): Promise<boolean> {
  try {
    return await work(judge)
  } finally {
    await judge.close()
  }
}

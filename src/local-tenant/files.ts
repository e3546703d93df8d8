/** Decides how the local tenant puts a secret on disk: readable by its owner only, and whole or not at all. */

import { randomUUID } from 'node:crypto'
import { chmod, link, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

async function stage(folder: string, name: string, text: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // The folder may be older than we are, with the modes of somebody else's umask.
  await chmod(folder, 0o700)
  const staged = join(folder, `.${name}.${randomUUID()}`)
  await writeFile(staged, text, { mode: 0o600, flag: 'wx' })
  return staged
}

/** Writes `<folder>/<name>` (0600, the folder 0700), replacing what was there in one step. */
export async function writePrivateFile(folder: string, name: string, text: string): Promise<void> {
  const staged = await stage(folder, name, text)
  await rename(staged, join(folder, name))
}

/**
 * Writes `<folder>/<name>` unless it is there already, so that of two processes that start together one wins.
 * @returns whether this call wrote it
 */
export async function createPrivateFile(folder: string, name: string, text: string): Promise<boolean> {
  const staged = await stage(folder, name, text)
  try {
    await link(staged, join(folder, name))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    await rm(staged, { force: true })
  }
}

/** Decides how the local tenant puts a secret on disk: readable by its owner only, and whole or not at all. */

import { randomUUID } from 'node:crypto'
import { chmod, link, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writePrivateFile as write } from '../private-file.ts'

/** Writes `<folder>/<name>` (0600, the folder 0700), replacing what was there in one step. */
export async function writePrivateFile(folder: string, name: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // The folder may be older than we are, with the modes of somebody else's umask.
  await chmod(folder, 0o700)
  await write(join(folder, name), text)
}

/**
 * Writes `<folder>/<name>` unless it is there already, so that of two processes that start together one wins.
 * @returns whether this call wrote it
 */
export async function createPrivateFile(folder: string, name: string, text: string): Promise<boolean> {
  const staged = `.new.${randomUUID()}`
  await writePrivateFile(folder, staged, text)
  const taken = (error: NodeJS.ErrnoException): boolean => {
    if (error.code !== 'EEXIST') throw error
    return false
  }
  return link(join(folder, staged), join(folder, name))
    .then(() => true, taken)
    .finally(() => rm(join(folder, staged), { force: true }))
}

/** Decides how a file that only its owner may read gets onto the disk: whole or not at all. */
import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Writes a file with mode 0600 in one step: a reader sees the old text or the new one, never a part, and a crash
 * leaves the old one. The folder must exist.
 */
export async function writePrivateFile(file: string, text: string): Promise<void> {
  const staged = join(dirname(file), `.${basename(file)}.${randomUUID()}`)
  try {
    await writeFile(staged, text, { mode: 0o600, flag: 'wx', flush: true })
    await rename(staged, file)
  } catch (error) {
    await rm(staged, { force: true })
    throw error
  }
}

/** Decides where tokens are kept between runs, and how two runs share one file. */
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import type { ICachePlugin } from '@azure/msal-node'
import { lock } from 'proper-lockfile'
import { writePrivateFile } from '../private-file.ts'
import type { Io } from './io.ts'

/** Another run holds the lock for a few milliseconds; one that died leaves it for `stale`. */
const LOCK = {
  realpath: false,
  stale: 10_000,
  retries: { retries: 150, factor: 1, minTimeout: 50, maxTimeout: 100, randomize: true },
}

/**
 * Says where the cache is: beside the local tenant's state, so that both vanish together, else in the person's
 * cache folder (XDG Base Directory: a relative XDG_CACHE_HOME is ignored).
 */
export function cacheFile({ env, cwd, home }: Pick<Io, 'env' | 'cwd' | 'home'>, local: boolean): string {
  if (local) return join(env.LOCAL_TENANT_STATE || join(cwd, '.local-tenant'), 'msal-cache.json')
  const xdg = env.XDG_CACHE_HOME
  const base = xdg && isAbsolute(xdg) ? xdg : join(home, '.cache')
  return join(base, 'protected-resource', 'msal-cache.json')
}

/**
 * Keeps MSAL's cache in a file: locked from before to after, read anew each time, written only when changed and
 * then by renaming a complete file over it, for its owner's eyes only. A cache that cannot be used costs a
 * sign-in, never the token: it is reported and left alone.
 *
 * @param report takes a sentence for people
 */
export function fileCache(file: string, report: (text: string) => void): ICachePlugin {
  let release: (() => Promise<void>) | undefined
  const lost = (error: Error) => report(`the lock of the token cache ${file} was lost: ${error.message}`)
  return {
    async beforeCacheAccess({ tokenCache }) {
      try {
        await mkdir(dirname(file), { recursive: true, mode: 0o700 })
        release = await lock(file, { ...LOCK, onCompromised: lost })
      } catch (error) {
        report(`the token cache is not used: ${(error as Error).message} (${file})`)
        return
      }
      const text = await readIfThere(file, report)
      try {
        tokenCache.deserialize(text)
      } catch {
        report(`the token cache ${file} is damaged: ignored, and replaced by the next sign-in`)
        tokenCache.deserialize('')
      }
    },
    async afterCacheAccess({ cacheHasChanged, tokenCache }) {
      if (!release) return
      try {
        if (cacheHasChanged) await writePrivateFile(file, tokenCache.serialize())
      } catch (error) {
        report(`the token cache was not written: ${(error as Error).message}`)
      } finally {
        await release().catch(lost)
        release = undefined
      }
    },
  }
}

async function readIfThere(file: string, report: (text: string) => void): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') report(`the token cache was not read: ${message}`)
    return ''
  }
}

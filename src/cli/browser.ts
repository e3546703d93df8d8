/** Decides which program shows a URL to the person, and which URLs may be shown at all. */
import { spawn } from 'node:child_process'
import { isLoopback } from './io.ts'

/** The platform's own opener: program and the arguments before the URL. */
const OPENERS: Record<string, readonly [string, ...string[]]> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
}

/** Tells whether a URL is fit for a browser: https, or plain http on loopback. The issuer named it, not we. */
export function isShowable(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
}

/**
 * Opens a URL in the person's browser, without a shell in between and without waiting for the browser.
 *
 * @param env where the opener is looked up, and what it inherits
 * @param failed is told, at most once, why no browser opens
 */
export function openInBrowser(
  url: string,
  platform: string,
  env: Readonly<Record<string, string | undefined>>,
  failed: (why: string) => void,
): void {
  const [program, ...args] = OPENERS[platform] ?? ['xdg-open']
  // Detached, for the browser may outlive us.
  const child = spawn(program, [...args, url], { env: { ...env }, stdio: 'ignore', detached: true })
  child.once('error', error => failed(error.message))
  child.once('exit', code => {
    if (code !== 0) failed(`${program} ended with ${code}`)
  })
}

/** Decides how a test drives a real browser: one that trusts nothing of ours, and whose every complaint is heard. */
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
]

/** For tap: why a test that needs the browser is skipped, or false. */
export const skip = existsSync(CHROMIUM) ? false : `no browser at ${CHROMIUM}`

/** Starts a browser for a test and ends it with the test. */
export async function startBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS })
  t.teardown(() => browser.close())
  return browser
}

/**
 * Opens a page with a session of its own.
 *
 * @param origins where it and the windows that it opens may send requests
 * @returns the page, and everything that they complain of, a request to another place included
 */
export async function openPage(
  t: Test,
  browser: Browser,
  origins: readonly string[],
  options: BrowserContextOptions,
): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  const complaints: string[] = []
  context.on('weberror', error => complaints.push(`error: ${error.error().message}`))
  context.on('console', message => {
    // A refusal, which the browser logs by itself.
    if (/^Failed to load resource: .* a status of 4\d\d /.test(message.text())) return
    if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()}`)
  })
  context.on('requestfailed', request => complaints.push(`failed: ${request.url()}`))
  context.on('request', request => {
    const url = request.url()
    if (url.startsWith('data:') || origins.some(origin => url.startsWith(`${origin}/`))) return
    complaints.push(`foreign: ${url}`)
  })
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', event => {
      console.error(`violation: ${event.effectiveDirective} ${event.blockedURI}`)
    })
  })
  return { page: await context.newPage(), complaints }
}

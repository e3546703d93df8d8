/** Decides how a person of the local tenant signs in without a browser: by the same pages, filled in here. */
import { isLoopback, plain } from './io.ts'
import type { LocalTenant, Person } from './local.ts'
import type { Network } from './network.ts'

/** A form as a browser would send it. */
interface Form {
  readonly action: string
  readonly hidden: readonly Field[]
  /** What the person chooses: buttons, radio buttons and the like. */
  readonly choices: readonly Field[]
}

type Field = readonly [name: string, value: string]

/**
 * Walks through the sign-in of the code flow: fetches the page, chooses the person, and delivers the answer to
 * the waiting loopback address.
 *
 * @param url the authorization URL that MSAL would have shown in a browser
 * @throws {Error} when a page is not the local tenant's, or offers no such person
 */
export async function signInAs(
  person: Person,
  url: string,
  tenant: LocalTenant,
  network: Network,
): Promise<void> {
  if (new URL(url).origin !== tenant.pages)
    throw new Error(`${new URL(url).origin} is not the local tenant's page port`)
  const page = await network.send('GET', url)
  const [form, choice] = findChoice(readForms(page.text), person)
  const sent = await submit(network, url, form, [...form.hidden, choice], tenant.pages)

  // response_mode=form_post: the page would post itself to the redirect URI.
  const redirectUri = new URL(url).searchParams.get('redirect_uri')!
  const back = readForms(sent.text).find(
    one => new URL(one.action, url).origin === new URL(redirectUri).origin,
  )
  if (!back)
    throw new Error(
      `the sign-in page answered ${sent.status} without a way back: ${plain(readText(sent.text))}`,
    )
  await submit(network, url, back, back.hidden, new URL(redirectUri).origin)
}

function findChoice(forms: readonly Form[], { handle, username }: Person): [Form, Field] {
  for (const form of forms) {
    const choice = form.choices.find(([, value]) => value === handle || value === username)
    if (choice) return [form, choice]
  }
  throw new Error(`the sign-in page does not offer ${handle}`)
}

function submit(network: Network, page: string, form: Form, fields: readonly Field[], origin: string) {
  const target = new URL(form.action, page)
  if (target.origin !== origin || !isLoopback(target.hostname)) {
    throw new Error(`a sign-in form leads to ${target.origin}, not to ${origin}`)
  }
  return network.send('POST', target.href, {
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: new URL(page).origin },
    body: new URLSearchParams(fields.map(([name, value]): [string, string] => [name, value])).toString(),
  })
}

/** Reads the forms of a page that the local tenant wrote; no parser for the web at large. */
export function readForms(html: string): Form[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, attributes, body]) => {
    const controls = [...body!.matchAll(/<(?:input|button)\b([^>]*)>/gi)].map(([, text]) =>
      readAttributes(text!),
    )
    const named = controls.filter(control => control.name !== undefined)
    const field = ({ name, value }: Record<string, string>): Field => [name!, value ?? '']
    return {
      action: readAttributes(attributes!).action ?? '',
      hidden: named.filter(control => control.type === 'hidden').map(field),
      choices: named.filter(control => control.type !== 'hidden').map(field),
    }
  })
}

function readAttributes(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'))?/g)]
  return Object.fromEntries(
    pairs.map(([, name, double, single]) => [name!.toLowerCase(), decode(double ?? single ?? '')]),
  )
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decode(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name) return ENTITIES[name.toLowerCase()] ?? whole
    return String.fromCodePoint(hex ? Number.parseInt(hex, 16) : Number(decimal))
  })
}

function readText(html: string): string {
  return decode(html.replace(/<(style|script)[\s\S]*?<\/\1>|<[^>]*>/gi, ' ')).replace(/\s+/g, ' ')
}

/** Decides what a person sees: the pages for signing in, for a device's code, for the way back and for errors. */

import { createHash } from 'node:crypto'
import type { ErrorDocument } from './aadsts.ts'
import { html, type Markup } from './html.ts'
import { STYLE } from './page-style.ts'
import { PEOPLE, type Person } from './people.ts'

/** A page and the policy it is served with. */
export interface Page {
  readonly text: string
  readonly contentSecurityPolicy: string
}

const SUBMIT = 'document.forms[0].submit()'
const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const STYLE_HASH = hash(STYLE)
const SUBMIT_HASH = hash(SUBMIT)

interface Layout {
  readonly title: string
  readonly body: Markup
  /** Origins that a form of this page may reach, redirects included; default: none but our own. */
  readonly formAction?: string
  readonly submits?: boolean
}

function layOut({ title, body, formAction = '', submits = false }: Layout): Page {
  const script = submits ? html`<script>${{ markup: SUBMIT }}</script>` : html``
  const { markup } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${{ markup: STYLE }}</style>
</head>
<body>
<main>
<p class="badge">Local tenant – development only</p>
${body}
</main>
${script}
</body>
</html>
`
  const policy = [
    "default-src 'none'",
    `style-src ${STYLE_HASH}`,
    `script-src ${submits ? SUBMIT_HASH : "'none'"}`,
    `form-action 'self' ${formAction}`.trim(),
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ]
  return { text: markup, contentSecurityPolicy: policy.join('; ') }
}

const hidden = (fields: Readonly<Record<string, string>>): Markup[] =>
  Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)

function personButton({ handle, name, username, about }: Person): Markup {
  const initials = name.replace(/[^A-Z]/g, '')
  return html`<li><button class="person" name="person" value="${handle}">
<span class="initials" aria-hidden="true">${initials}</span>
<span class="name">${name}</span>
<span class="about">${username}</span>
<span class="about">${about}</span>
</button></li>
`
}

const choice = (
  action: string,
  fields: Readonly<Record<string, string>>,
): Markup => html`<form method="post" action="${action}">
${hidden(fields)}
<ul>
${PEOPLE.map(personButton)}</ul>
<button class="plain" name="cancel" value="1">Cancel</button>
</form>`

/**
 * The people, as buttons.
 * @param fields the sign-in request, carried along
 * @param redirectOrigin where the browser goes from here
 */
export function signInPage(
  action: string,
  appName: string,
  fields: Readonly<Record<string, string>>,
  redirectOrigin: string,
): Page {
  const body = html`<h1>Pick a person</h1>
<p>to sign in to <strong>${appName}</strong></p>
${choice(action, fields)}`
  return layOut({ title: 'Local tenant – pick a person', body, formAction: redirectOrigin })
}

/** The way back to the application by form_post: submits itself, or by the button where scripts do not run. */
export function formPostPage(redirectUri: string, fields: Readonly<Record<string, string>>): Page {
  const body = html`<h1>Back to the application</h1>
<p>If nothing happens, continue by hand.</p>
<form method="post" action="${redirectUri}">
${hidden(fields)}
<button class="main">Continue</button>
</form>`
  const formAction = new URL(redirectUri).origin
  return layOut({ title: 'Local tenant – signing in', body, formAction, submits: true })
}

/** Asks for the code that a device shows. @param wrong whether the last one was not right */
export function deviceCodePage(userCode: string, wrong: boolean): Page {
  const note = wrong
    ? html`<p class="wrong" role="alert" id="note">That code is not known, or no longer. Look at the device again.</p>`
    : html`<p id="note">Your command line or device shows it.</p>`
  const body = html`<h1>Enter the code</h1>
${note}
<form method="post" action="/devicelogin">
<label for="code">Code</label>
<input id="code" name="user_code" value="${userCode}" maxlength="12" autocomplete="off" autocapitalize="characters" spellcheck="false" required autofocus aria-describedby="note">
<button class="main">Next</button>
</form>`
  return layOut({ title: 'Local tenant – enter the code', body })
}

/** The people, for a device that waits. */
export function devicePersonPage(appName: string, userCode: string): Page {
  const body = html`<h1>Pick a person</h1>
<p>to sign in to <strong>${appName}</strong> on the device that shows <strong>${userCode}</strong></p>
${choice('/devicelogin', { user_code: userCode })}`
  return layOut({ title: 'Local tenant – pick a person', body })
}

/** Something is done, and the page may be closed. */
export function donePage(heading: string, text: string): Page {
  const body = html`<h1>${heading}</h1>
<p>${text}</p>`
  return layOut({ title: `Local tenant – ${heading.toLowerCase()}`, body })
}

/** A request that is refused before it is safe to send anybody anywhere. */
export function errorPage({ error_description, correlation_id }: ErrorDocument): Page {
  const [summary = ''] = error_description.split(' Trace ID: ')
  const body = html`<h1>Sorry, that did not work</h1>
<p class="wrong" role="alert">${summary}</p>
<p>Correlation ID: ${correlation_id}</p>`
  return layOut({ title: 'Local tenant – error', body })
}

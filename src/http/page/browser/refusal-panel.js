/** Decides what a person is told of the last call: why it was refused, what that means and what to do. */
import { element, withCode } from './elements.js'

/** @typedef {{ status?: number, text?: string, headers?: Readonly<Record<string, string>> }} Answer */
/** @typedef {Answer & { err?: { response?: Answer } }} Outcome as swagger-ui has it, which takes a refusal for an error */
/** @typedef {{ code: string, detail: string, scope?: string }} Problem */
/** @typedef {Readonly<Record<string, string>>} Remedies by code */

/** @param {Answer} answer @returns {Problem | undefined} */
function readProblem({ text, headers }) {
  if (!headers?.['content-type']?.startsWith('application/problem+json')) return undefined
  return JSON.parse(text ?? '')
}

/** @param {string} text */
const sentence = text => `${text.replace(/^[a-z]/, letter => letter.toUpperCase())}.`

/** @param {string} term @param {readonly (Node | string)[]} content */
const row = (term, ...content) => [element('dt', {}, term), element('dd', {}, ...content)]

/** @param {string} call @param {Answer} answer @param {Remedies} remedies */
function tell(call, answer, remedies) {
  const called = element('code', {}, call)
  if (!answer.status) return [element('p', {}, called, ' got no answer.')]
  const status = element('strong', {}, String(answer.status))
  const problem = readProblem(answer)
  if (problem === undefined) return [element('p', {}, called, ' was answered ', status, '.')]
  const { code, detail, scope } = problem
  // A server that was renewed while the page was open may have reasons that the page doesn't know.
  const remedy = remedies[code]
  return [
    element('h2', {}, 'Why was I refused?'),
    element('p', {}, called, ' was answered ', status, ' ', element('code', { class: 'reason' }, code)),
    element(
      'dl',
      {},
      ...row('Meaning', detail),
      ...(remedy === undefined ? [] : row('What to do', ...withCode(sentence(remedy)))),
      ...(scope === undefined ? [] : row('Scope to ask for', element('code', {}, scope))),
    ),
  ]
}

/**
 * Puts the panel at the foot of the page; it is read aloud when it changes.
 *
 * @param {Promise<Remedies>} remedies
 * @returns {(call: string, outcome: Outcome) => Promise<void>} shows a call, for example `GET /secure-data`
 */
export function addRefusalPanel(remedies) {
  const said = element('div', { role: 'status', 'aria-live': 'polite', 'aria-atomic': 'true' })
  const close = element('button', { type: 'button', class: 'close', 'aria-label': 'Close' }, '×')
  const panel = element('aside', { class: 'last-call', 'aria-label': 'The last call' }, said, close)
  /** @type {EventTarget | null} */
  let focused = null
  /** @type {EventTarget | null} */
  let caller = null
  document.addEventListener('focusin', ({ target }) => {
    focused = target
  })
  const clear = () => {
    said.replaceChildren()
    panel.classList.remove('refused')
  }
  close.addEventListener('click', () => {
    clear()
    // The button is gone; whoever pressed it by key would begin again at the head of the page.
    if (caller instanceof HTMLElement) caller.focus()
  })
  document.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') clear()
  })
  document.body.append(panel)
  return async (call, outcome) => {
    const answer = outcome.err === undefined ? outcome : (outcome.err.response ?? {})
    caller = focused
    said.replaceChildren(...tell(call, answer, await remedies))
    panel.classList.toggle('refused', said.querySelector('.reason') !== null)
  }
}

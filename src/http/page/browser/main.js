/** Decides where the page's own parts meet swagger-ui: its last answer, its sign-in and its colours. */
import { addRefusalPanel } from './refusal-panel.js'
import { addSignIn } from './sign-in.js'

/** @typedef {{ remedies: import('./refusal-panel.js').Remedies, signIn?: import('./sign-in.js').SignIn }} Facts */

/** @returns {Promise<Facts>} */
const fetchFacts = async () => (await fetch(new URL('facts.json', import.meta.url))).json()

const facts = fetchFacts()
const show = addRefusalPanel(facts.then(({ remedies }) => remedies))

/** @type {ReturnType<typeof addSignIn> | undefined} */
let signIn

/**
 * Lets a function see what an action of swagger-ui is called with.
 * @template {unknown[]} T
 * @param {(...values: T) => void} see
 */
const watch =
  see =>
  /** @param {(...values: T) => unknown} act */
  act =>
  /** @param {T} values */
  (...values) => {
    see(...values)
    return act(...values)
  }

const plugin = {
  statePlugins: {
    spec: {
      wrapActions: {
        setResponse: watch(
          (
            /** @type {string} */ path,
            /** @type {string} */ method,
            /** @type {import('./refusal-panel.js').Outcome} */ outcome,
          ) => show(`${method.toUpperCase()} ${path}`, outcome),
        ),
      },
    },
    auth: {
      wrapActions: {
        authorizeOauth2: watch((/** @type {{ auth: { person?: string } }} */ { auth }) =>
          signIn?.cameIn(auth.person),
        ),
        logout: watch(() => signIn?.wentOut()),
      },
    },
    err: {
      wrapActions: {
        newAuthErr: watch((/** @type {{ message: string }} */ { message }) => signIn?.failed(message)),
      },
    },
  },
}

// swagger-ui is started by a script of its own, which offers no other way to add to it.
const page = /** @type {{ SwaggerUIBundle: (options: object) => import('./sign-in.js').System }} */ (
  /** @type {unknown} */ (window)
)
const start = page.SwaggerUIBundle
page.SwaggerUIBundle = Object.assign((/** @type {{ plugins: object[] }} */ options) => {
  const plugins = [...options.plugins, plugin]
  const onComplete = async () => {
    const { signIn: wanted } = await facts
    if (wanted) signIn ??= addSignIn(system, wanted)
  }
  const system = start({ ...options, plugins, onComplete })
  return system
}, start)

const dark = matchMedia('(prefers-color-scheme: dark)')
const colour = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', colour)
colour()

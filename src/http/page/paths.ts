/** Decides under which paths the API description, its page and what belongs to that are found. */

/** The page. */
export const PREFIX = '/docs'

/** What the page runs, by name. */
export const SCRIPTS = ['main.js', 'refusal-panel.js', 'sign-in.js', 'elements.js']

/** Every path, as a router wants it. */
export const PATHS = [
  '/openapi.json',
  '/openapi.yaml',
  PREFIX,
  `${PREFIX}/`,
  `${PREFIX}/json`,
  `${PREFIX}/yaml`,
  `${PREFIX}/static/*`,
  `${PREFIX}/page/facts.json`,
  ...SCRIPTS.map(name => `${PREFIX}/page/${name}`),
]

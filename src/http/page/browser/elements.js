/** Decides how the page's scripts make elements: text stays text, whatever is in it. */

/**
 * @param {string} name
 * @param {Readonly<Record<string, string>>} attributes
 * @param {readonly (Node | string)[]} children
 */
export function element(name, attributes, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

/** What stands in backticks, as code. @param {string} text */
export function withCode(text) {
  return text.split('`').map((part, at) => (at % 2 === 1 ? element('code', {}, part) : part))
}

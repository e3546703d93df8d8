/** Decides that no text reaches a page of the tenant unescaped. */

/** HTML that is safe to put into a page. */
export interface Markup {
  readonly markup: string
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function render(value: string | Markup | readonly Markup[]): string {
  if (typeof value === 'string') return value.replace(/[&<>"']/g, character => ENTITIES[character]!)
  return 'markup' in value ? value.markup : value.map(one => one.markup).join('')
}

/** Template tag: what is interpolated is escaped, unless it is markup itself. */
export function html(
  strings: TemplateStringsArray,
  ...values: readonly (string | Markup | readonly Markup[])[]
): Markup {
  return { markup: String.raw({ raw: strings }, ...values.map(render)) }
}

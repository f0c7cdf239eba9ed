/** HTML in which whatever is not written as markup is text. */

export class Markup {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }
}

type Part = string | number | null | Markup | readonly (string | number | Markup)[]

/** Values are escaped for text and quoted attributes; lists are joined; null is nothing. */
export function html(strings: TemplateStringsArray, ...values: Part[]): Markup {
  let source = strings[0] ?? ''
  values.forEach((value, index) => {
    source += rendered(value) + (strings[index + 1] ?? '')
  })
  return new Markup(source)
}

function rendered(value: Part): string {
  if (value === null) return ''
  if (value instanceof Markup) return value.source
  if (typeof value === 'object') return value.map((part) => rendered(part)).join('')
  return escapeHtml(String(value))
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] as string)
}

/** For a `script` element that holds data: nothing in it can end the element. */
export function jsonScript(value: unknown): Markup {
  return new Markup(JSON.stringify(value).replace(/</g, '\\u003c'))
}

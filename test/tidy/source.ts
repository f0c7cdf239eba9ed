/**
 * A source file as the house rules see it. TypeScript 7 has no compiler API, so this is a scanner of our own: it knows
 * comments, strings, templates and regular expressions, and blanks their contents so that a rule can search the rest.
 */

export interface Literal {
  /** Index of the opening quote. */
  readonly start: number
  /** What stands between the quotes, as written; each `${…}` of a template becomes `${}`. */
  readonly text: string
}

export interface Source {
  /** Relative to the checkout, with `/`. */
  readonly path: string
  readonly text: string
  /** `text` with the contents of comments, strings, templates and regular expressions blanked: same length, same lines. */
  readonly code: string
  readonly literals: readonly Literal[]
  /** Without their marks. */
  readonly comments: readonly string[]
}

export function scanSource(path: string, text: string): Source {
  // a closing tag is no regular expression; texts of JSX have typographic apostrophes, so no string begins in one
  const scanner = new Scanner(path.endsWith('.tsx') ? text.replaceAll('</', '< ') : text)
  scanner.run()
  return { path, text, code: scanner.code.join(''), literals: scanner.literals, comments: scanner.comments }
}

/** 1 for the first line. */
export function lineOf(source: { readonly text: string }, index: number): number {
  let line = 1
  for (let at = source.text.indexOf('\n'); at !== -1 && at < index; at = source.text.indexOf('\n', at + 1))
    line++
  return line
}

export interface Import {
  readonly specifier: string
  readonly line: number
}

const importForms = [
  /\bfrom\s*(?=['"])/g, // import … from, export … from, with or without `type`
  /\bimport\s*(?=['"])/g, // for its side effects
  /\bimport\s*\(\s*(?=['"`])/g, // dynamic, and `import('…').Type`
  /\brequire\s*\(\s*(?=['"`])/g,
  /\bnew\s+URL\s*\(\s*(?=['"`]\s*\.?)/g, // how a worker or a child process names its entry file
]

/** Every import of the file, in whatever form, types included. */
export function importsOf(source: Source): Import[] {
  const imports: Import[] = []
  for (const form of importForms) {
    for (const match of source.code.matchAll(form)) {
      const start = match.index + match[0].length
      const literal = source.literals.find((candidate) => candidate.start === start)
      if (!literal || (form.source.includes('URL') && !literal.text.startsWith('.'))) continue
      imports.push({ specifier: literal.text, line: lineOf(source, start) })
    }
  }
  return imports
}

/** Lines of `import(…)` whose argument is not a literal: nobody can say what they load. */
export function computedImportsOf(source: Source): number[] {
  return [...source.code.matchAll(/\bimport\s*\(\s*(?!['"`\s])/g)].map((match) => lineOf(source, match.index))
}

// After one of these words or marks a slash starts a regular expression; after a value it divides.
const beforeRegExp =
  /(?:^|[([{,;=:!&|?+\-*%~^<>}]|\b(?:return|typeof|case|in|of|delete|void|throw|new|await|yield|else|do))$/

class Scanner {
  readonly code: string[]
  readonly literals: Literal[] = []
  readonly comments: string[] = []
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
    this.code = text.split('')
  }

  run(): void {
    this.#code(null)
  }

  /** Plain code up to the end of the file, or up to the `}` that closes a template's `${`. */
  #code(end: '}' | null): void {
    let depth = 0
    let before = '' // the last few characters that are code
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at] as string
      const pair = this.#text.slice(this.#at, this.#at + 2)
      if (pair === '//' || pair === '/*') this.#comment(pair)
      else if (pair === '#!' && this.#at === 0) this.#comment('//')
      else if (character === "'" || character === '"') {
        this.#string(character)
        before = character
      } else if (character === '`') {
        this.#template()
        before = character
      } else if (character === '/' && beforeRegExp.test(before)) {
        this.#regExp()
        before = 'x'
      } else {
        if (character === '{') depth++
        if (character === '}') {
          if (end === '}' && depth === 0) return
          depth--
        }
        if (!/\s/.test(character)) before = (before + character).slice(-10)
        else if (/\w$/.test(before)) before += ' '
        before = before.replace(/ $/, (space) => (/\w/.test(this.#text[this.#at + 1] ?? '') ? space : ''))
        this.#at++
      }
    }
  }

  #comment(opening: '//' | '/*'): void {
    const closing = opening === '//' ? '\n' : '*/'
    const found = this.#text.indexOf(closing, this.#at + 2)
    const end = found === -1 ? this.#text.length : found + (closing === '*/' ? 2 : 0)
    const body = this.#text.slice(this.#at + 2, opening === '/*' ? end - 2 : end)
    this.comments.push(body.replace(/^\s*\* ?/gm, '').trim())
    this.#blank(this.#at, end)
    this.#at = end
  }

  #string(quote: string): void {
    const start = this.#at++
    while (this.#at < this.#text.length && this.#text[this.#at] !== quote && this.#text[this.#at] !== '\n') {
      this.#at += this.#text[this.#at] === '\\' ? 2 : 1
    }
    this.literals.push({ start, text: this.#text.slice(start + 1, this.#at) })
    this.#blank(start + 1, this.#at)
    this.#at++
  }

  #template(): void {
    const start = this.#at++
    let text = ''
    let from = this.#at
    const close = (): void => {
      text += this.#text.slice(from, this.#at)
      this.#blank(from, this.#at)
    }
    while (this.#at < this.#text.length && this.#text[this.#at] !== '`') {
      if (this.#text.startsWith('${', this.#at)) {
        close()
        text += '${}'
        this.#at += 2
        this.#code('}')
        from = ++this.#at
      } else {
        this.#at += this.#text[this.#at] === '\\' ? 2 : 1
      }
    }
    close()
    this.literals.push({ start, text })
    this.#at++
  }

  #regExp(): void {
    const start = this.#at++
    let isClass = false
    while (this.#at < this.#text.length && this.#text[this.#at] !== '\n') {
      const character = this.#text[this.#at]
      if (character === '/' && !isClass) break
      if (character === '[') isClass = true
      if (character === ']') isClass = false
      this.#at += character === '\\' ? 2 : 1
    }
    this.#blank(start + 1, this.#at)
    this.#at++
  }

  #blank(start: number, end: number): void {
    for (let at = start; at < end && at < this.code.length; at++)
      if (this.code[at] !== '\n') this.code[at] = ' '
  }
}

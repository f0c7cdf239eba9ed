/** A filter as pieces of text: terms apart by white space, values apart by commas, quotes around what has either. */
import { operators, type Operator } from './field.ts'

export interface Word {
  readonly text: string
  /** In quotes: nothing in it has a meaning of its own. */
  readonly isQuoted: boolean
  readonly start: number
  readonly end: number
}

export interface Token {
  /** '' without an operator. */
  readonly name: string
  readonly operator: Operator | null
  /** At least one. */
  readonly words: readonly Word[]
  readonly start: number
  readonly end: number
}

export interface Tokens {
  readonly tokens: readonly Token[]
  /** Where the text stops being one, and why. */
  readonly broken: { readonly at: number; readonly why: string } | null
}

const space = /\s/
const spaceOrComma = /[\s,]/
/** The name of a field and the operator behind it. */
const head = /([A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)?)(!=|<=|>=|=|<|>|~)/y

/** One pass, each character once. */
export function readTokens(text: string): Tokens {
  const tokens: Token[] = []
  let at = 0
  for (;;) {
    while (at < text.length && space.test(text.charAt(at))) at++
    if (at === text.length) return { tokens, broken: null }
    const start = at
    head.lastIndex = at
    const match = head.exec(text)
    const name = match?.[1] ?? ''
    const operator = operators.find((each) => each === match?.[2]) ?? null
    at += match?.[0].length ?? 0
    const words: Word[] = []
    for (;;) {
      const word = readWord(text, at, operator === null)
      if (word === null) return { tokens, broken: { at, why: 'this quote is not closed' } }
      words.push(word)
      at = word.end
      if (operator === null || text[at] !== ',') break
      at++
    }
    if (at < text.length && !space.test(text.charAt(at)))
      return { tokens, broken: { at, why: 'white space or a comma belongs behind a closing quote' } }
    tokens.push({ name, operator, words, start, end: at })
  }
}

/** @returns null when a quote is not closed */
function readWord(text: string, start: number, isFree: boolean): Word | null {
  if (text[start] === '"') return readQuoted(text, start)
  const last = isFree ? space : spaceOrComma
  let end = start
  while (end < text.length && !last.test(text.charAt(end))) end++
  return { text: text.slice(start, end), isQuoted: false, start, end }
}

/** `\"` is a quote and `\\` a backslash. */
function readQuoted(text: string, start: number): Word | null {
  let value = ''
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '"') return { text: value, isQuoted: true, start, end: at + 1 }
    if (text[at] === '\\') at++
    value += text[at] ?? ''
  }
  return null
}

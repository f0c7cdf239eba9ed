/**
 * The filter language of lists: `expires<30d state=escalated tag.site=kl SN-00`. Terms stand side by side and all must
 * hold; several values of one term stand with commas, and one of them must. Runs in a browser as it runs here. See
 * docs/filters.md.
 */
import { didYouMean } from '../base/did-you-mean.ts'
import { parseDuration } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'
import { dayMs, type Instant } from '../base/instant.ts'
import { isUnsafeText } from '../base/text.ts'
import { findField, operatorsOf, type Field, type FilterResource, type Operator } from './field.ts'
import { readTokens, type Token, type Word } from './token.ts'

export type Value =
  /** `isPrefix`: a text that begins so. Words, serial numbers and free text are texts too. */
  | { readonly kind: 'text'; readonly text: string; readonly isPrefix: boolean }
  /** The row has none: `site=none`, `lastSeen=never` (`lastSeen=none` is the same). */
  | { readonly kind: 'none' }
  | { readonly kind: 'number'; readonly number: number }
  /** Ahead of now or ago, as the field is meant. */
  | { readonly kind: 'duration'; readonly ms: number }
  | { readonly kind: 'instant'; readonly at: Instant }
  /** A whole day, UTC; `from` is its midnight. */
  | { readonly kind: 'day'; readonly from: Instant }

export interface Term {
  /** Name of the field, `tag.NAME`, or '' for free text. */
  readonly field: string
  readonly operator: Operator
  /** One or more; more only with `=` and `!=`. */
  readonly values: readonly Value[]
  /** Where it stands in the text, from 0. */
  readonly start: number
  readonly end: number
}

export type Filter = readonly Term[]

export interface FilterProblem {
  readonly message: string
  /** Where, from 0; `end` is exclusive. */
  readonly start: number
  readonly end: number
}

export type ParsedFilter =
  | { readonly filter: Filter; readonly problem: null }
  | { readonly filter: null; readonly problem: FilterProblem }

export const filterLimits = { characters: 2_000, terms: 24, values: 64 } as const

/** Never throws: a page shows the problem where it is. */
export function readFilter(text: string, resource: FilterResource): ParsedFilter {
  try {
    return { filter: termsOf(text, resource), problem: null }
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return { filter: null, problem: { message: error.message, start: error.start, end: error.end } }
  }
}

/** @throws Refusal `filter-invalid`, with the place and what was probably meant */
export function parseFilter(text: string, resource: FilterResource): Filter {
  const { filter, problem } = readFilter(text, resource)
  if (filter) return filter
  throw new Refusal('filter-invalid', `at character ${problem.start + 1} of the filter: ${problem.message}`)
}

class Problem extends Error {
  readonly start: number
  readonly end: number

  constructor(message: string, { start, end }: { readonly start: number; readonly end: number }) {
    super(message)
    this.start = start
    this.end = end
  }
}

function termsOf(text: string, resource: FilterResource): Filter {
  const whole = { start: 0, end: text.length }
  if (text.length > filterLimits.characters)
    throw new Problem(`a filter has at most ${filterLimits.characters} characters`, whole)
  if (isUnsafeText(text.replace(/\s/g, ' ')))
    throw new Problem('a filter has no control and no format characters', whole)
  const { tokens, broken } = readTokens(text)
  if (broken) throw new Problem(broken.why, { start: broken.at, end: broken.at + 1 })
  if (tokens.length > filterLimits.terms)
    throw new Problem(`a filter has at most ${filterLimits.terms} terms`, whole)
  return tokens.map((token) => termOf(token, resource))
}

function termOf(token: Token, resource: FilterResource): Term {
  const { start, end } = token
  if (token.operator === null)
    return { field: '', operator: '=', values: [freeText(token, resource)], start, end }
  const { operator } = token
  if (token.words.length > filterLimits.values)
    throw new Problem(`a term has at most ${filterLimits.values} values`, token)
  const tag = /^tags?\.(.+)$/i.exec(token.name)?.[1]
  if (tag !== undefined) return tagTerm(tag, token, { resource, operator })
  const field = findField(resource, token.name)
  if (!field) throw unknownField(token, resource)
  const allowed = operatorsOf(field.type)
  if (!allowed.includes(operator))
    throw new Problem(`${field.name} takes ${listed(allowed)}, not ${operator}`, token)
  if (token.words.length > 1 && operator !== '=' && operator !== '!=')
    throw new Problem(`several values go with = and != only`, token)
  const values = token.words.map((word) => valueOf(word, field, operator))
  return { field: field.name, operator, values, start, end }
}

function freeText(token: Token, { name, freeText: meaning }: FilterResource): Value {
  const [word] = token.words as [Word]
  if (meaning === null)
    throw new Problem(`${word.text} is not a term: ${name} are filtered by field=value`, token)
  const text = word.isQuoted ? word.text : word.text.replace(/\*$/, '')
  if (text === '') throw new Problem('a word is missing here', token)
  return { kind: 'text', text, isPrefix: true }
}

function tagTerm(
  tag: string,
  token: Token,
  { resource, operator }: { readonly resource: FilterResource; readonly operator: Operator },
): Term {
  const { start, end } = token
  if (!resource.hasTags) throw new Problem(`${resource.name} have no tags`, token)
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(tag))
    throw new Problem('the name of a tag has 1 to 64 of A-Z a-z 0-9 _ and -', token)
  if (operator !== '=' && operator !== '!=') throw new Problem(`a tag takes = and !=, not ${operator}`, token)
  const values = token.words.map((word): Value => {
    if (isBare(word, 'none')) return { kind: 'none' }
    return { kind: 'text', text: filled(word), isPrefix: false }
  })
  return { field: `tag.${tag}`, operator, values, start, end }
}

function unknownField({ name, start, end }: Token, resource: FilterResource): Problem {
  const names = resource.fields.flatMap((field) => [field.name, ...(field.aliases ?? [])])
  const hint = didYouMean(name, names)
  const known = [...resource.fields.map((field) => field.name), ...(resource.hasTags ? ['tag.NAME'] : [])]
  const list = hint === '' ? `; there are ${known.join(', ')}` : hint
  return new Problem(`${resource.name} have no field ${name}${list}`, {
    start,
    end: Math.min(end, start + name.length),
  })
}

function valueOf(word: Word, field: Field, operator: Operator): Value {
  const { type } = field
  const isNone = isBare(word, 'none') || (type.kind === 'ago' && isBare(word, 'never'))
  if (isNone && (operator === '=' || operator === '!=')) {
    if (!field.isOptional) throw new Problem(`each of them has ${field.name}`, word)
    return { kind: 'none' }
  }
  const text = filled(word)
  switch (type.kind) {
    case 'text': {
      const isPrefix = !word.isQuoted && text.endsWith('*') && operator !== '~'
      return { kind: 'text', text: isPrefix ? text.slice(0, -1) : text, isPrefix }
    }
    case 'word': {
      const found = type.words.find((each) => each === text.toLowerCase())
      if (found !== undefined) return { kind: 'text', text: found, isPrefix: false }
      const hint = didYouMean(text, type.words)
      const list = hint === '' ? `; it is one of ${type.words.join(', ')}` : hint
      throw new Problem(`${field.name} is never ${text}${list}`, word)
    }
    case 'serial': {
      const digits = text.replaceAll(':', '').toLowerCase()
      if (!/^[0-9a-f]{1,64}$/.test(digits)) throw new Problem('a serial number is hex', word)
      return { kind: 'text', text: digits, isPrefix: false }
    }
    case 'number': {
      if (!/^[0-9]{1,15}$/.test(text)) throw new Problem(`${field.name} is a whole number`, word)
      return { kind: 'number', number: Number(text) }
    }
    case 'ahead':
    case 'ago':
      return timeOf(word, field, operator)
  }
}

function timeOf(word: Word, field: Field, operator: Operator): Value {
  const { text } = word
  const ms = parseDuration(text)
  if (ms !== null) {
    if (operator === '=' || operator === '!=')
      throw new Problem(`${field.name} takes = with a day; with a duration it takes < and >`, word)
    return { kind: 'duration', ms }
  }
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text)
  const isInstant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/i.test(text)
  const at = isDay || isInstant ? Date.parse(text) : NaN
  if (Number.isNaN(at)) {
    throw new Problem(
      `${field.name} takes a duration like 30d, a day like 2026-11-20 or an instant like 2026-11-20T12:00:00Z`,
      word,
    )
  }
  // 2026-02-30 reads as 2 March: nobody means that
  if (isDay && at % dayMs === 0 && new Date(at).toISOString().slice(0, 10) !== text)
    throw new Problem(`there is no day ${text}`, word)
  return isDay ? { kind: 'day', from: at } : { kind: 'instant', at }
}

function isBare({ text, isQuoted }: Word, wanted: string): boolean {
  return !isQuoted && text.toLowerCase() === wanted
}

function filled(word: Word): string {
  if (word.text === '') throw new Problem('a value is missing here', word)
  return word.text
}

function listed(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')}${words.length > 1 ? ' and ' : ''}${words.at(-1)}`
}

/** The other direction: terms that a page has put together, as text. */
import { formatDuration } from '../base/duration.ts'
import { iso } from '../base/instant.ts'
import type { Filter, Term, Value } from './filter.ts'

/** Reads back as the same filter. */
export function printFilter(filter: Filter): string {
  return filter.map(printTerm).join(' ')
}

export function printTerm({ field, operator, values }: Pick<Term, 'field' | 'operator' | 'values'>): string {
  const printed = values.map((value) => printValue(value, field))
  return field === '' ? printed.join(' ') : `${field}${operator}${printed.join(',')}`
}

/**
 * A filter as it was written, and names with values as terms of equality behind it: places in messages are those of what
 * was written.
 */
export function withTerms(
  filter: string | undefined,
  equal: Readonly<Record<string, string | undefined>>,
  more: readonly string[] = [],
): string {
  const terms = Object.entries(equal).flatMap(([field, text]) =>
    text === undefined
      ? []
      : [printTerm({ field, operator: '=', values: [{ kind: 'text', text, isPrefix: false }] })],
  )
  return [...(filter === undefined ? [] : [filter]), ...terms, ...more].join(' ')
}

function printValue(value: Value, field: string): string {
  switch (value.kind) {
    case 'text':
      return printText(value.text, { isPrefix: value.isPrefix, isFree: field === '' })
    case 'none':
      return 'none'
    case 'number':
      return String(value.number)
    case 'duration':
      return formatDuration(value.ms)
    case 'instant':
      return new Date(value.at).toISOString()
    case 'day':
      return iso(value.from).slice(0, 10)
  }
}

function printText(
  text: string,
  { isPrefix, isFree }: { readonly isPrefix: boolean; readonly isFree: boolean },
): string {
  const isPlain = isFree
    ? /^[^\s",=<>!~*]+$/.test(text)
    : /^[^\s",*]+$/.test(text) && !/^(none|never)$/i.test(text)
  if (isPrefix && !isFree) return `${text}*`
  return isPlain ? text : `"${text.replace(/["\\]/g, '\\$&')}"`
}

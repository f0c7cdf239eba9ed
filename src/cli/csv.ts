/**
 * CSV (RFC 4180), read line by line. A line that is wrong is one problem with its number, and the lines after it are
 * read as if it had not been there: a general parser would take everything behind an open quote for one field.
 */
import type { Line } from './line-reader.ts'

export type CsvRow =
  | { readonly number: number; readonly bytesRead: number; readonly fields: readonly string[] }
  | { readonly number: number; readonly bytesRead: number; readonly problem: string }

/** Lines that one quoted field may span: a PEM chain in a cell. More is an open quote. */
const maxSpan = 200

/** Rows with at least one field; empty lines are skipped. */
export async function* readCsv(lines: AsyncIterable<Line>, separator = ','): AsyncGenerator<CsvRow> {
  let open: Line[] = []
  for await (const line of lines) {
    open.push(line)
    while (open.length > 0) {
      const { row, used } = readRow(open, separator)
      if (used === 0 && open.length <= maxSpan) break // needs another line
      const taken = Math.max(1, used)
      const result = row ?? {
        number: firstOf(open).number,
        bytesRead: firstOf(open).bytesRead,
        problem: openQuote,
      }
      open = open.slice(taken)
      if (result !== 'empty') yield result
    }
  }
  // the end of the file closes nothing: what is open is wrong, and what stands behind it is read by itself
  while (open.length > 0) {
    const { row, used } = readRow(open, separator)
    const first = firstOf(open)
    if (used === 0 || row === null)
      yield { number: first.number, bytesRead: first.bytesRead, problem: openQuote }
    else if (row !== 'empty') yield row
    open = open.slice(Math.max(1, used))
  }
}

const openQuote = 'a quoted field is not closed'

/** A row from the first of these lines; `used` is 0 when a quoted field goes on behind the last of them. */
function readRow(lines: readonly Line[], separator: string): { row: CsvRow | 'empty' | null; used: number } {
  const first = firstOf(lines)
  const { number } = first
  const fail = (problem: string) => ({ row: { number, bytesRead: first.bytesRead, problem }, used: 1 })
  if (first.text === null) return fail(first.problem ?? 'unreadable')
  if (first.text.trim() === '') return { row: 'empty', used: 1 }
  if (!first.text.includes('"')) {
    return {
      row: { number, bytesRead: first.bytesRead, fields: first.text.split(separator).map(trimmed) },
      used: 1,
    }
  }
  let text = first.text
  let used = 1
  for (;;) {
    const parsed = parseFields(text, separator)
    if (parsed.kind === 'wrong') return fail(used === 1 ? parsed.problem : openQuote)
    if (parsed.kind === 'row') {
      return { row: { number, bytesRead: (lines[used - 1] as Line).bytesRead, fields: parsed.fields }, used }
    }
    const next = lines[used]
    if (next === undefined) return { row: null, used: 0 }
    if (next.text === null) return fail(openQuote)
    text += `\n${next.text}`
    used++
  }
}

type Parsed =
  | { readonly kind: 'row'; readonly fields: readonly string[] }
  | { readonly kind: 'open' }
  | { readonly kind: 'wrong'; readonly problem: string }

function parseFields(text: string, separator: string): Parsed {
  const fields: string[] = []
  let at = 0
  for (;;) {
    if (text[at] === '"') {
      const end = closingQuote(text, at + 1)
      if (end < 0) return { kind: 'open' }
      fields.push(text.slice(at + 1, end).replaceAll('""', '"'))
      at = end + 1
      if (at < text.length && text[at] !== separator) {
        return { kind: 'wrong', problem: `text behind the closing quote of field ${fields.length}` }
      }
    } else {
      const next = text.indexOf(separator, at)
      const field = next < 0 ? text.slice(at) : text.slice(at, next)
      if (field.includes('"'))
        return { kind: 'wrong', problem: `a quote inside field ${fields.length + 1}, which is not quoted` }
      fields.push(trimmed(field))
      at = next < 0 ? text.length : next
    }
    if (at >= text.length) return { kind: 'row', fields }
    at++
    if (at === text.length) return { kind: 'row', fields: [...fields, ''] }
  }
}

function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at
  }
  return -1
}

function trimmed(field: string): string {
  return field.trim()
}

function firstOf(lines: readonly Line[]): Line {
  return lines[0] as Line
}

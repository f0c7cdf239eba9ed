/** Records of CSV, with the header's names as keys, or of JSON Lines: one shape for every import. */
import { Refusal } from '../base/errors.ts'
import { didYouMean, normalize } from '../base/did-you-mean.ts'
import { readCsv } from './csv.ts'
import type { Line, LineSource } from './line-reader.ts'

export type ImportFormat = 'csv' | 'jsonl'

export type ImportRow =
  | {
      readonly number: number
      readonly bytesRead: number
      readonly record: Readonly<Record<string, unknown>>
    }
  | { readonly number: number; readonly bytesRead: number; readonly problem: string }

export interface RecordShape {
  readonly keys: readonly string[]
  /** Other names for keys: `serial` for `id`. */
  readonly aliases: Readonly<Record<string, string>>
  /** CSV columns that begin with this are collected into an object under the key of the same name: `tags.`. */
  readonly prefixed?: string
}

/** CSV unless the name or the first line says JSON. */
export async function* readRecords(
  source: LineSource,
  shape: RecordShape,
  format: ImportFormat | null,
): AsyncGenerator<ImportRow> {
  const lines = source.lines()[Symbol.asyncIterator]()
  const first = await lines.next()
  if (first.done) return
  const all = chain(first.value, lines)
  if ((format ?? formatOf(source.name, first.value)) === 'jsonl') yield* readJsonLines(all, shape)
  else yield* readCsvRecords(all, shape, source.name)
}

export function formatOf(name: string, first: Line): ImportFormat {
  if (/\.(jsonl|ndjson|json)$/i.test(name)) return 'jsonl'
  return first.text?.trimStart().startsWith('{') ? 'jsonl' : 'csv'
}

async function* readJsonLines(lines: AsyncIterable<Line>, shape: RecordShape): AsyncGenerator<ImportRow> {
  for await (const { number, bytesRead, text, problem } of lines) {
    if (text?.trim() === '') continue
    const value = text === null ? (problem ?? 'unreadable') : jsonObject(text)
    if (typeof value === 'string') {
      yield { number, bytesRead, problem: value }
      continue
    }
    const record: Record<string, unknown> = {}
    let unknown: string | null = null
    for (const [name, each] of Object.entries(value)) {
      const key = keyOf(name, shape)
      if (key === null) unknown ??= `unknown key ${name}${didYouMean(name, shape.keys)}`
      else record[key] = each
    }
    yield unknown === null ? { number, bytesRead, record } : { number, bytesRead, problem: unknown }
  }
}

/** The object, or what is wrong. */
function jsonObject(text: string): object | string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
    return 'not a JSON object'
  } catch (error) {
    return `not JSON: ${error instanceof Error ? error.message : 'unreadable'}`
  }
}

async function* readCsvRecords(
  lines: AsyncIterable<Line>,
  shape: RecordShape,
  name: string,
): AsyncGenerator<ImportRow> {
  let header: readonly (string | { tag: string })[] | null = null
  const all = chainSeparator(lines)
  for await (const row of all) {
    if ('problem' in row) {
      if (header === null) throw new Refusal('malformed', `${name}: the header is unreadable: ${row.problem}`)
      yield row
      continue
    }
    if (header === null) {
      header = readHeader(row.fields, shape, name)
      continue
    }
    const { number, bytesRead, fields } = row
    if (fields.length !== header.length) {
      yield { number, bytesRead, problem: `${fields.length} fields where the header has ${header.length}` }
      continue
    }
    yield { number, bytesRead, record: recordOf(header, fields, shape) }
  }
}

/** Semicolons are what spreadsheets write where the comma is the decimal sign; tabs are what they copy. */
async function* chainSeparator(lines: AsyncIterable<Line>): ReturnType<typeof readCsv> {
  const iterator = lines[Symbol.asyncIterator]()
  const first = await iterator.next()
  if (first.done) return
  const text = first.value.text ?? ''
  const separator = text.includes('\t') ? '\t' : !text.includes(',') && text.includes(';') ? ';' : ','
  yield* readCsv(chain(first.value, iterator), separator)
}

function readHeader(
  fields: readonly string[],
  shape: RecordShape,
  name: string,
): readonly (string | { tag: string })[] {
  const header = fields.map((field) => {
    const { prefixed } = shape
    if (prefixed && field.toLowerCase().startsWith(`${prefixed}.`))
      return { tag: field.slice(prefixed.length + 1) }
    const key = keyOf(field, shape)
    if (key !== null) return key
    const columns = `${shape.keys.join(', ')}${prefixed ? `, ${prefixed}.NAME` : ''}`
    const suggestion = didYouMean(field, shape.keys)
    const rest = suggestion ? `${suggestion} The columns are ${columns}` : `; the columns are ${columns}`
    throw new Refusal('malformed', `${name}: unknown column ${field || '(empty)'}${rest}`)
  })
  const names = header.map((each) => (typeof each === 'string' ? each : `${shape.prefixed}.${each.tag}`))
  const twice = names.find((each, i) => names.indexOf(each) !== i)
  if (twice !== undefined) throw new Refusal('malformed', `${name}: the column ${twice} is there twice`)
  return header
}

function recordOf(
  header: readonly (string | { tag: string })[],
  fields: readonly string[],
  { prefixed }: RecordShape,
): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const [i, key] of header.entries()) {
    const value = fields[i]
    if (value === undefined || value === '') continue
    if (typeof key === 'string') record[key] = value
    else if (prefixed) record[prefixed] = { ...(record[prefixed] as object | undefined), [key.tag]: value }
  }
  return record
}

/** `Device ID`, `device_id` and `deviceId` are the same name. */
export function keyOf(name: string, { keys, aliases }: RecordShape): string | null {
  const wanted = normalize(name.replaceAll(' ', ''))
  const key = keys.find((each) => normalize(each) === wanted)
  if (key !== undefined) return key
  return Object.entries(aliases).find(([alias]) => normalize(alias) === wanted)?.[1] ?? null
}

async function* chain<Item>(first: Item, rest: AsyncIterator<Item>): AsyncGenerator<Item> {
  yield first
  for (;;) {
    const next = await rest.next()
    if (next.done) return
    yield next.value
  }
}

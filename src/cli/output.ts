/**
 * Standard output is for answers, standard error for everything else. Text that came from a device or a certificate
 * passes through `printable` in `table` and `fields`; a command that builds text itself calls it itself.
 */
import { safeJson } from '../base/safe-json.ts'
import { chooseStyle, plain, type Style } from './style.ts'
import { formatHeader, formatRow, formatTabs, layoutTable, type Column } from './table.ts'

/** Anything JSON.stringify writes. Commands pass camelCase keys, serials as lower-case hex, instants as ISO 8601. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined }

export interface Answer {
  readonly json: Json
  /** What a person sees; called only when it is printed. Lines without a trailing newline. */
  readonly text: () => string
}

export interface ListAnswer<Row> {
  readonly columns: readonly Column<Row>[]
  readonly rows: Iterable<Row> | AsyncIterable<Row>
  readonly json: (row: Row) => Json
  /** Printed on standard error, to a person, when there was no row. */
  readonly empty: string
  /** Rows printed at most; on reaching it, a person is told how to see more. Null prints all. */
  readonly limit?: number | null
}

export interface Output {
  readonly isJson: boolean
  /** True when standard output is a terminal. */
  readonly isTerminal: boolean
  /** Columns of the terminal, 80 when unknown. */
  readonly width: number
  /** Colours of standard output: identity functions when piped, under NO_COLOR and under --json. */
  readonly style: Style
  /** One object as JSON, or its text. */
  answer(answer: Answer): void
  /**
   * A list: a JSON array; an aligned table on a terminal; tab-separated lines with a header when piped. Rows are
   * written as they come, so a list of millions needs no memory.
   */
  list<Row>(list: ListAnswer<Row>): Promise<void>
  /** Raw bytes or text on standard output (PEM, DER, CSV, completion scripts). */
  raw(data: string | Uint8Array): void
  /** The same for what is long: resolves when there is room for more. */
  stream(piece: string): Promise<void>
  /** A line for a person on standard error: what happened, what to do next. Silent under --json. */
  note(line: string): void
  /** A line on standard error that is never silent. */
  warn(line: string): void
}

interface Stream {
  readonly isTTY?: boolean
  readonly columns?: number
  write(data: string | Uint8Array): boolean
  once(event: 'drain', listener: () => void): unknown
}

export interface OutputOptions {
  readonly stdout: Stream
  readonly stderr: Stream
  readonly env: Readonly<Record<string, string | undefined>>
  /** Read when the first line is written: the command line has been parsed by then. */
  isJson(): boolean
}

/** Rows from which the widths of a table are taken; later ones that are wider stick out. */
const layoutRows = 200

export function createOutput({ stdout, stderr, env, isJson }: OutputOptions): Output {
  const isTerminal = stdout.isTTY === true
  const colors = chooseStyle(isTerminal, env)
  const line = (text: string) => void stdout.write(`${text}\n`)
  return {
    get isJson() {
      return isJson()
    },
    get style() {
      return isJson() ? plain : colors
    },
    get width() {
      return stdout.columns || 80
    },
    isTerminal,
    answer: ({ json, text }) => line(isJson() ? jsonText(json, 2) : text()),
    async list(list) {
      const written = await writeList(list, { stdout, isTerminal, isJson: isJson(), style: colors })
      if (isJson()) return
      if (written.count === 0) stderr.write(`${list.empty}\n`)
      else if (written.isCut) stderr.write(`The first ${written.count} are shown; --all shows all.\n`)
    },
    raw: (data) => void stdout.write(data),
    stream: async (piece) => await write(stdout, piece),
    note: (text) => void (isJson() || stderr.write(`${text}\n`)),
    warn: (text) => void stderr.write(`${text}\n`),
  }
}

export function jsonText(value: Json, indent = 0): string {
  return safeJson(value, indent)
}

async function writeList<Row>(
  { columns, rows, json, limit = null }: ListAnswer<Row>,
  to: { stdout: Stream; isTerminal: boolean; isJson: boolean; style: Style },
): Promise<{ count: number; isCut: boolean }> {
  const writer = to.isJson ? jsonWriter(json) : to.isTerminal ? tableWriter(columns, to) : tabWriter(columns)
  let count = 0
  let isCut = false
  for await (const row of rows) {
    if (count === limit) {
      isCut = true
      break
    }
    await write(to.stdout, writer.row(row))
    count++
  }
  await write(to.stdout, writer.end())
  return { count, isCut }
}

interface RowWriter<Row> {
  row(row: Row): string
  end(): string
}

function jsonWriter<Row>(json: (row: Row) => Json): RowWriter<Row> {
  let isFirst = true
  return {
    row(row) {
      const before = isFirst ? '[\n' : ',\n'
      isFirst = false
      return before + jsonText(json(row))
    },
    end: () => (isFirst ? '[]\n' : '\n]\n'),
  }
}

function tabWriter<Row>(columns: readonly Column<Row>[]): RowWriter<Row> {
  let isFirst = true
  return {
    row(row) {
      const header = isFirst ? `${columns.map((column) => column.title).join('\t')}\n` : ''
      isFirst = false
      return `${header}${formatTabs(columns, row)}\n`
    },
    end: () => '',
  }
}

function tableWriter<Row>(
  columns: readonly Column<Row>[],
  to: { stdout: Stream; style: Style },
): RowWriter<Row> {
  let waiting: Row[] = []
  let widths: readonly number[] | null = null
  const flush = () => {
    if (waiting.length === 0) return ''
    const lines: string[] = []
    if (widths === null) {
      widths = layoutTable(columns, waiting, to.stdout.columns || 80)
      lines.push(formatHeader(columns, widths, to.style))
    }
    for (const row of waiting) lines.push(formatRow(columns, row, widths, to.style))
    waiting = []
    return `${lines.join('\n')}\n`
  }
  return {
    row(row) {
      waiting.push(row)
      return waiting.length >= layoutRows ? flush() : ''
    },
    end: flush,
  }
}

async function write(stream: Stream, text: string): Promise<void> {
  if (text === '' || stream.write(text)) return
  await new Promise<void>((resolve) => void stream.once('drain', resolve))
}

/**
 * Standard output is for answers, standard error for everything else. Text that came from a device or a certificate
 * passes through `printable` in `table` and `fields`; a command that builds text itself calls it itself.
 */
import type { Style } from './style.ts'
import type { Column } from './table.ts'

/** Anything JSON.stringify writes. Commands pass camelCase keys, serials as lower-case hex, instants as ISO 8601. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }

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
  /** A line for a person on standard error: what happened, what to do next. Silent under --json. */
  note(line: string): void
  /** A line on standard error that is never silent. */
  warn(line: string): void
}

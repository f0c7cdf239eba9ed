/** Tables for a terminal and tab-separated lines for a pipe. Cells are made printable here. */
import { printable } from '../base/text.ts'
import { plain, type Style } from './style.ts'
import { padEnd, padStart, textWidth, truncateText } from './text-width.ts'

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string | number | null
  readonly align?: 'left' | 'right'
  /** Colours the padded cell; `row` decides. */
  readonly paint?: (row: Row, style: Style) => (cell: string) => string
  /** May be cut with `…` when the terminal is too narrow. Identifiers that people copy are never cut. */
  readonly shrink?: boolean
}

const gap = '  '

/** Widths in which the rows fit `width`, as far as the columns that may shrink give enough room. */
export function layoutTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
): readonly number[] {
  return fitWidths(
    columns,
    rows.map((row) => columns.map((column) => cellText(column, row))),
    width,
  )
}

export function formatHeader<Row>(
  columns: readonly Column<Row>[],
  widths: readonly number[],
  style: Style = plain,
): string {
  const titles = columns.map((column) => column.title)
  return joinCells(columns, titles, widths, (_, cell) => style.bold(cell))
}

export function formatRow<Row>(
  columns: readonly Column<Row>[],
  row: Row,
  widths: readonly number[],
  style: Style = plain,
): string {
  const texts = columns.map((column) => cellText(column, row))
  return joinCells(columns, texts, widths, (i, cell) => columns[i]?.paint?.(row, style)(cell) ?? cell)
}

/** A whole table: header and rows. */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { width, style = plain }: { width: number; style?: Style },
): string[] {
  const widths = layoutTable(columns, rows, width)
  return [formatHeader(columns, widths, style), ...rows.map((row) => formatRow(columns, row, widths, style))]
}

/** One line per row, tab-separated, nothing cut; `printable` leaves no tab or newline inside a cell. */
export function formatTabs<Row>(columns: readonly Column<Row>[], row: Row): string {
  return columns.map((column) => cellText(column, row)).join('\t')
}

/** `Label  value` lines with the labels aligned; null values are left out. */
export function formatFields(
  fields: readonly (readonly [label: string, value: string | number | null | undefined])[],
  style: Style = plain,
): string[] {
  const shown = fields.filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(0, ...shown.map(([label]) => textWidth(label)))
  return shown.map(([label, value]) => `${style.dim(padEnd(label, width))}${gap}${printable(String(value))}`)
}

function joinCells<Row>(
  columns: readonly Column<Row>[],
  texts: readonly string[],
  widths: readonly number[],
  paint: (column: number, cell: string) => string,
): string {
  const cells = texts.map((text, i) => {
    const width = widths[i] as number
    const cut = truncateText(text, columns[i]?.shrink ? width : Infinity)
    if (columns[i]?.align === 'right') return paint(i, padStart(cut, width))
    const isLast = i === texts.length - 1
    return paint(i, cut) + (isLast ? '' : ' '.repeat(Math.max(0, width - textWidth(cut))))
  })
  return cells.join(gap)
}

function cellText<Row>(column: Column<Row>, row: Row): string {
  const value = column.value(row)
  return value === null ? '-' : printable(String(value))
}

function fitWidths<Row>(
  columns: readonly Column<Row>[],
  cells: readonly (readonly string[])[],
  width: number,
): number[] {
  const widths = columns.map((column, i) =>
    cells.reduce((widest, row) => Math.max(widest, textWidth(row[i] as string)), textWidth(column.title)),
  )
  let excess = widths.reduce((sum, each) => sum + each, gap.length * (columns.length - 1)) - width
  while (excess > 0) {
    const widest = columns
      .map((column, i) => ({
        i,
        room: column.shrink ? (widths[i] as number) - minimumWidth(column.title) : 0,
      }))
      .reduce((a, b) => (b.room > a.room ? b : a))
    if (widest.room <= 0) break
    widths[widest.i] = (widths[widest.i] as number) - 1
    excess--
  }
  return widths
}

function minimumWidth(title: string): number {
  return Math.max(textWidth(title), 8)
}

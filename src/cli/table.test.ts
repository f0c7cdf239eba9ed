import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { colored } from './style.ts'
import { formatFields, formatTable, formatTabs, type Column } from './table.ts'
import { textWidth, truncateText } from './text-width.ts'

interface Row {
  readonly id: string
  readonly note: string
  readonly count: number
}

const columns: readonly Column<Row>[] = [
  { title: 'ID', value: (row) => row.id },
  { title: 'COUNT', value: (row) => row.count, align: 'right' },
  { title: 'NOTE', value: (row) => row.note, shrink: true },
]

test('columns line up', () => {
  const rows = [
    { id: 'a', count: 7, note: 'x' },
    { id: 'long-name', count: 12345, note: 'y' },
  ]
  assert.deepEqual(formatTable(columns, rows, { width: 80 }), [
    'ID         COUNT  NOTE',
    'a              7  x',
    'long-name  12345  y',
  ])
})

test('wide characters take two columns, combining marks none', () => {
  assert.equal(textWidth('日本'), 4)
  assert.equal(textWidth('한국어'), 6)
  assert.equal(textWidth('🔒'), 2)
  assert.equal(textWidth('e\u0301'), 1)
  assert.equal(textWidth('ä'), 1)
  assert.equal(textWidth('\u001b[31mred\u001b[39m'), 3)
  const rows = [
    { id: '日本', count: 1, note: 'x' },
    { id: 'abcd', count: 2, note: 'y' },
  ]
  const [, first, second] = formatTable(columns, rows, { width: 80 })
  assert.equal(textWidth(first ?? ''), textWidth(second ?? ''))
})

test('text from outside cannot act on the terminal or break a line', () => {
  const rows = [{ id: 'a\u001b[2J\nb', count: 1, note: '\u202egpj.exe\t' }]
  const lines = formatTable(columns, rows, { width: 200 })
  assert.equal(lines.length, 2)
  assert.match(lines[1] ?? '', /a\\u\{1b\}\[2J\\u\{a\}b.*\\u\{202e\}gpj\.exe\\u\{9\}/)
  assert.equal(formatTabs(columns, rows[0] as Row).split('\t').length, 3)
  assert.deepEqual(formatFields([['Subject', 'a\rb']]), ['Subject  a\\u{d}b'])
})

test('only columns that may shrink are cut, and not below eight characters', () => {
  const rows = [{ id: 'serial-0123456789', count: 1, note: 'a long note that does not fit' }]
  const [header, line] = formatTable(columns, rows, { width: 40 })
  assert.equal(textWidth(line ?? ''), 40)
  assert.match(line ?? '', /^serial-0123456789 +1 {2}a long.*…$/)
  const [, narrow] = formatTable(columns, rows, { width: 10 })
  assert.match(narrow ?? '', /^serial-0123456789 +1 {2}a long …$/)
  assert.ok(header?.startsWith('ID'))
})

test('cutting never halves a wide character', () => {
  assert.equal(truncateText('日本語', 4), '日…')
  assert.equal(truncateText('日本語', 6), '日本語')
})

test('colour does not change the layout', () => {
  const painted: readonly Column<Row>[] = columns.map((column) => ({
    ...column,
    paint: (_row, style) => style.red,
  }))
  const rows = [{ id: 'a', count: 1, note: 'n' }]
  const plain = formatTable(columns, rows, { width: 80 })
  const inColor = formatTable(painted, rows, { width: 80, style: colored })
  assert.deepEqual(inColor.map(stripVTControlCharacters), plain)
})

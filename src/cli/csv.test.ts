import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { formatCsv } from '../base/csv-line.ts'
import { readCsv, type CsvRow } from './csv.ts'
import { maxLineBytes, splitLines } from './line-reader.ts'

async function* chunked(text: string | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size)
}

async function read(text: string | Uint8Array, size = 7): Promise<CsvRow[]> {
  const rows: CsvRow[] = []
  for await (const row of readCsv(splitLines(chunked(text, size)))) rows.push(row)
  return rows
}

async function shown(text: string | Uint8Array): Promise<string[]> {
  const rows = await read(text)
  return rows.map((row) => `${row.number}: ${'problem' in row ? `! ${row.problem}` : row.fields.join('|')}`)
}

test('reads fields, quoted fields, doubled quotes and quoted line ends, whatever the line ends are', async () => {
  assert.deepEqual(await shown('a,b\r\n"x,1","say ""hi"""\n\n"two\nlines",z'), [
    '1: a|b',
    '2: x,1|say "hi"',
    '4: two\nlines|z',
  ])
})

test('an empty last field is a field', async () => {
  assert.deepEqual(await shown('a,b,\n,,\n'), ['1: a|b|', '2: ||'])
})

test('a bad line is one problem, and the lines around it are read', async () => {
  assert.deepEqual(await shown('a,b\n1,5" disk\n2,"x"y\n3,ok\n'), [
    '1: a|b',
    '2: ! a quote inside field 2, which is not quoted',
    '3: ! text behind the closing quote of field 2',
    '4: 3|ok',
  ])
})

test('an open quote loses its own line and no other', async () => {
  const tail = Array.from({ length: 1_000 }, (_, i) => `${i},fine`)
  const rows = await read(['h,i', '1,"open', ...tail].join('\n'))
  assert.equal(rows.length, 1_002)
  assert.deepEqual(
    rows.filter((row) => 'problem' in row).map((row) => row.number),
    [2],
  )
})

test('an open quote on the last lines loses its own line and no other', async () => {
  assert.deepEqual(await shown('1,"open\n2,fine\n3,"open'), [
    '1: ! a quoted field is not closed',
    '2: 2|fine',
    '3: ! a quoted field is not closed',
  ])
})

test('a line that is not UTF-8 or too long is one problem', async () => {
  const bad = Buffer.concat([Buffer.from('a\n'), Buffer.from([0x62, 0xff, 10]), Buffer.from('c\n')])
  assert.deepEqual(await shown(bad), ['1: a', '2: ! not UTF-8', '3: c'])
  const long = `a\n${'x'.repeat(maxLineBytes + 1)}\nc\n${'y'.repeat(maxLineBytes)}\n`
  const rows = await read(long, 10_000)
  assert.deepEqual(
    rows.map((row) => 'problem' in row),
    [false, true, false, false],
  )
})

test('a byte order mark is no part of the first name, and UTF-16 is named', async () => {
  assert.deepEqual(await shown('\ufeffid,x'), ['1: id|x'])
  assert.match((await shown(Buffer.from('\ufeffid', 'utf16le')))[0] ?? '', /UTF-16/)
})

test('what is written is read back, wherever the chunks are cut', async () => {
  const field = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', ' ', 'é', '日', '1') })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { minLength: 1 }),
      fc.integer({ min: 1, max: 9 }),
      async (rows, size) => {
        const marked = rows.map((row) => ['x', ...row])
        const read_ = await read(marked.map(formatCsv).join(''), size)
        assert.deepEqual(
          read_.map((row) => ('fields' in row ? row.fields : row.problem)),
          marked,
        )
      },
    ),
    { numRuns: 300 },
  )
})

test('no cell can become a formula in a spreadsheet', () => {
  assert.equal(
    formatCsv(['=1+1', '+1', '-1', '@x', '\tx', 'a=b', -5, null]),
    `'=1+1,'+1,'-1,'@x,'\tx,a=b,-5,\r\n`,
  )
})

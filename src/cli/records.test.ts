import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDevice, deviceShape } from './device-records.ts'
import { splitLines, type LineSource } from './line-reader.ts'
import { readRecords, type ImportRow } from './records.ts'

function source(text: string, name = 'fleet.csv'): LineSource {
  const chunks = (async function* () {
    yield Buffer.from(text)
  })()
  return { name, size: null, lines: () => splitLines(chunks) }
}

async function read(text: string, name?: string): Promise<ImportRow[]> {
  const rows: ImportRow[] = []
  for await (const row of readRecords(source(text, name), deviceShape, null)) rows.push(row)
  return rows
}

async function records(text: string, name?: string): Promise<unknown[]> {
  return (await read(text, name)).map((row) => ('record' in row ? row.record : row.problem))
}

test('header names count whatever their case, spaces and underscores, and have aliases', async () => {
  for (const header of [
    'id,profile',
    'ID,Profile',
    'Serial Number,PROFILE',
    'device_id,profile',
    '"Device","profile"',
  ]) {
    assert.deepEqual(await records(`${header}\nA,meter\n`), [{ id: 'A', profile: 'meter' }], header)
  }
})

test('commas, semicolons and tabs separate', async () => {
  for (const separator of [',', ';', '\t']) {
    const text = [
      ['id', 'site'],
      ['A', 'x y'],
    ]
      .map((row) => row.join(separator))
      .join('\n')
    assert.deepEqual(await records(text), [{ id: 'A', site: 'x y' }])
  }
})

test('columns under tags. are the tags', async () => {
  assert.deepEqual(await records('id,tags.line,tags.Owner\nA,4,ops\nB,,x\n'), [
    { id: 'A', tags: { line: '4', Owner: 'ops' } },
    { id: 'B', tags: { Owner: 'x' } },
  ])
})

test('refuses an unknown or doubled column, and an unreadable header, before any row', async () => {
  await assert.rejects(read('id,profle\n'), {
    code: 'malformed',
    message: /unknown column profle; did you mean profile\?/,
  })
  await assert.rejects(read('id,serial\n'), { code: 'malformed', message: /the column id is there twice/ })
  await assert.rejects(read('id,"x\n'), { code: 'malformed', message: /the header is unreadable/ })
})

test('a line with more or fewer fields than the header is a problem, not a shifted record', async () => {
  assert.deepEqual(await records('id,profile\nA\nB,meter,x\nC,meter\n'), [
    '1 fields where the header has 2',
    '3 fields where the header has 2',
    { id: 'C', profile: 'meter' },
  ])
})

test('JSON Lines are told by their name or their first line', async () => {
  assert.deepEqual(await records('{"id":"A"}\n'), [{ id: 'A' }])
  assert.deepEqual(await records('{"id":"A"}\n', 'x.jsonl'), [{ id: 'A' }])
  assert.match(String((await records('id\n', 'x.jsonl'))[0]), /^not JSON/)
})

test('a JSON line with an unknown key is a problem of that line', async () => {
  assert.deepEqual(await records('{"id":"A"}\n{"id":"B","profil":"x"}\n{"id":"C"}\n'), [
    { id: 'A' },
    'unknown key profil; did you mean profile?',
    { id: 'C' },
  ])
})

test('a hostile key cannot reach the prototype', async () => {
  const [row] = await records('{"__proto__":{"id":"A"}}\n')
  assert.equal(row, 'unknown key __proto__')
})

test('numbers are those of an editor, with quoted line ends and empty lines counted', async () => {
  const rows = await read('id,site\n\nA,"x\ny"\nB,z,\n')
  assert.deepEqual(
    rows.map((row) => [row.number, 'record' in row]),
    [
      [3, true],
      [5, false],
    ],
  )
})

const defaults = { profile: 'meter', cohort: null, batch: 'run-1', site: null }

test('what a line leaves out comes from the options, and what it says wins', () => {
  const device = readDevice({ id: 'A', batch: 'run-2', tags: 'a=1; b=2=3' }, defaults)
  assert.deepEqual(device, {
    id: 'A',
    profile: 'meter',
    cohort: null,
    batch: 'run-2',
    site: null,
    connectivity: null,
    hardware: null,
    firmware: null,
    tags: { a: '1', b: '2=3' },
  })
})

for (const [record, problem] of [
  [{ profile: 'x' }, 'there is no id'],
  [{ id: 7 }, 'id must be a text, not 7'],
  [{ id: 'A', tags: { a: 1 } }, 'tag a must be a text'],
  [{ id: 'A', tags: ['a'] }, 'tags must be an object of texts'],
  [{ id: 'A', tags: 'a' }, 'tags must be name=value;name=value, not "a"'],
] as const) {
  test(`refuses the device ${JSON.stringify(record)}`, () =>
    assert.equal(readDevice(record, defaults), problem))
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOutput, jsonText, type Output } from './output.ts'

function recorded(options: { isTTY?: boolean; isJson?: boolean; env?: Record<string, string> } = {}): {
  output: Output
  stdout: () => string
  stderr: () => string
} {
  const written = { out: '', err: '' }
  const stream = (name: 'out' | 'err') => ({
    isTTY: options.isTTY ?? false,
    columns: 80,
    write: (data: string | Uint8Array) => {
      written[name] += String(data)
      return true
    },
    once: () => undefined,
  })
  const output = createOutput({
    stdout: stream('out'),
    stderr: stream('err'),
    env: options.env ?? {},
    isJson: () => options.isJson ?? false,
  })
  return { output, stdout: () => written.out, stderr: () => written.err }
}

const list = {
  columns: [
    { title: 'ID', value: (row: { id: string }) => row.id },
    { title: 'LENGTH', value: (row: { id: string }) => row.id.length },
  ],
  json: (row: { id: string }) => ({ id: row.id }),
  empty: 'Nothing here.',
}

test('a list is a JSON array under --json, also when it is empty', async () => {
  const full = recorded({ isJson: true })
  await full.output.list({ ...list, rows: [{ id: 'a' }, { id: 'b' }] })
  assert.deepEqual(JSON.parse(full.stdout()), [{ id: 'a' }, { id: 'b' }])
  const empty = recorded({ isJson: true })
  await empty.output.list({ ...list, rows: [] })
  assert.deepEqual(JSON.parse(empty.stdout()), [])
  assert.equal(empty.stderr(), '')
})

test('a list is tab-separated with a header when piped', async () => {
  const { output, stdout } = recorded()
  await output.list({ ...list, rows: [{ id: 'a' }, { id: 'bb' }] })
  assert.equal(stdout(), 'ID\tLENGTH\na\t1\nbb\t2\n')
})

test('an empty list prints nothing on standard output and says so on standard error', async () => {
  const { output, stdout, stderr } = recorded({ isTTY: true })
  await output.list({ ...list, rows: [] })
  assert.equal(stdout(), '')
  assert.equal(stderr(), 'Nothing here.\n')
})

test('rows over the limit are not read, and a person is told', async () => {
  let read = 0
  const rows = (function* () {
    for (;;) yield { id: `row-${read++}` }
  })()
  const { output, stdout, stderr } = recorded({ isTTY: true })
  await output.list({ ...list, rows, limit: 3 })
  assert.equal(stdout().split('\n').length, 5)
  assert.match(stderr(), /first 3 .*--all/)
  assert.equal(read, 4)
})

test('as many rows as the limit are not called cut', async () => {
  const { output, stderr } = recorded({ isTTY: true })
  await output.list({ ...list, rows: [{ id: 'a' }], limit: 1 })
  assert.equal(stderr(), '')
})

test('colour only on a terminal, and never under NO_COLOR or --json', () => {
  const bold = (options: Parameters<typeof recorded>[0]) => recorded(options).output.style.bold('x')
  assert.notEqual(bold({ isTTY: true }), 'x')
  assert.equal(bold({ isTTY: false }), 'x')
  assert.equal(bold({ isTTY: true, env: { NO_COLOR: '1' } }), 'x')
  assert.notEqual(bold({ isTTY: true, env: { NO_COLOR: '' } }), 'x')
  assert.equal(bold({ isTTY: true, env: { TERM: 'dumb' } }), 'x')
  assert.equal(bold({ isTTY: true, isJson: true }), 'x')
})

test('JSON carries hostile text as escapes that read back as the same text', () => {
  const hostile = 'a\u001b[2J\u009b31m\u202e\u{e0041}日本'
  const text = jsonText({ hostile })
  assert.match(text, /^[\n\x20-\x7e日本]*$/u)
  assert.deepEqual(JSON.parse(text), { hostile })
})

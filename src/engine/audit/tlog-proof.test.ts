import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProof, parseProof } from './tlog-proof.ts'

// The example of c2sp.org/tlog-proof with its abridged parts filled in, and one witness.
const example = `c2sp.org/tlog-proof@v1
extra eyJhY3Rpb24iOiJkZXZpY2UuYWRkZWQifQ==
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog hI2DJwAAAAA=
— witness1.example mJirIgAAAAA=
`

test('a proof comes apart and together unchanged', () => {
  const proof = parseProof(example)
  assert.equal(proof.index, 73_894)
  assert.equal(Buffer.from(proof.entry).toString(), '{"action":"device.added"}')
  assert.equal(proof.hashes.length, 2)
  assert.ok(proof.note.startsWith('example.com/fancylog\n109482\n'))
  assert.equal(formatProof(proof), example)
})

test('a log of one entry needs no hashes', () => {
  const text = example.replace(/\ngSK.*\nB95.*\n/, '\n').replace('73894', '0')
  assert.deepEqual(parseProof(text).hashes, [])
  assert.equal(formatProof(parseProof(text)), text)
})

for (const [what, text] of [
  ['another version', example.replace('@v1', '@v2')],
  ['no extra line', example.replace(/extra .*\n/, '')],
  ['an extra line that is not base64', example.replace('extra ey', 'extra !!')],
  ['no index', example.replace(/index .*\n/, '')],
  ['a leading zero in the index', example.replace('index 7', 'index 07')],
  ['an index over 2^53', example.replace('73894', '9007199254740992')],
  ['a negative index', example.replace('index 7', 'index -7')],
  ['a short hash', example.replace('gSKyXoYZ', 'gSKy')],
  ['a hash with a space', example.replace('gSKyXoYZ', 'gSKy XoYZ')],
  ['65 hashes', example.replace(/(gSK.*\n)/, '$1'.repeat(64))],
  ['no blank line', example.replaceAll('\n\n', '\n')],
  ['nothing in it', ''],
] as const) {
  test(`refuses a proof with ${what}`, () => {
    assert.throws(() => parseProof(text), { code: 'malformed' })
  })
}

test('accepts 64 hashes', () => {
  assert.equal(parseProof(example.replace(/(gSK.*\n)/, '$1'.repeat(63))).hashes.length, 64)
})

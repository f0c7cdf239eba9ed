import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base32, totpCode, totpCodeAt, totpStepOf, totpUri } from './totp.ts'

const key = Buffer.from('12345678901234567890')

test('gives the codes of RFC 6238, appendix B (SHA-1, last six digits)', () => {
  const vectors: readonly (readonly [number, string])[] = [
    [59, '287082'],
    [1111111109, '081804'],
    [1111111111, '050471'],
    [1234567890, '005924'],
    [2000000000, '279037'],
    [20000000000, '353130'],
  ]
  for (const [seconds, code] of vectors) assert.equal(totpCodeAt(key, seconds * 1000), code)
})

test('takes the code of one step before and after, and no other', () => {
  const now = 1_700_000_010_000
  const step = Math.floor(now / 30_000)
  for (const [offset, isTaken] of [
    [-2, false],
    [-1, true],
    [0, true],
    [1, true],
    [2, false],
  ] as const) {
    const found = totpStepOf(key, totpCode(key, step + offset), { now, lastStep: 0 })
    assert.equal(found, isTaken ? step + offset : null, String(offset))
  }
})

test('takes a code once', () => {
  const now = 1_700_000_010_000
  const step = Math.floor(now / 30_000)
  assert.equal(totpStepOf(key, totpCode(key, step), { now, lastStep: step }), null)
  assert.equal(totpStepOf(key, totpCode(key, step), { now, lastStep: step - 1 }), step)
  // not that of the step before either, once a later one was used
  assert.equal(totpStepOf(key, totpCode(key, step - 1), { now, lastStep: step }), null)
})

test('what is not six digits is no code', () => {
  for (const code of ['', '28708', '2870822', '28708x', ' 287082', '２８７０８２']) {
    assert.equal(totpStepOf(key, code, { now: 59_000, lastStep: 0 }), null, code)
  }
})

test('base 32 has the vectors of RFC 4648 §10, without padding', () => {
  const vectors = [
    ['', ''],
    ['f', 'MY'],
    ['fo', 'MZXQ'],
    ['foo', 'MZXW6'],
    ['foob', 'MZXW6YQ'],
    ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI'],
  ]
  for (const [text = '', encoded] of vectors) assert.equal(base32(Buffer.from(text)), encoded)
})

test('the link of an app carries the key, and names are escaped', () => {
  const uri = new URL(totpUri(key, 'anna@example.com', 'A & B'))
  assert.equal(uri.searchParams.get('secret'), base32(key))
  assert.equal(uri.searchParams.get('issuer'), 'A & B')
})

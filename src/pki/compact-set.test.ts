import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { dayMs } from '../base/clock.ts'
import { toHex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { SerialNumber } from '../base/id.ts'
import { CompactSet, CompactSetKeys, encodeCompactSet } from './compact-set.ts'

const builtAt = Date.UTC(2026, 10, 20)
const old = builtAt - 30 * dayMs

function serialOf(n: number): Uint8Array {
  return createHash('sha256').update(String(n)).digest().subarray(0, 16)
}
const hexOf = (n: number): SerialNumber => toHex(serialOf(n)) as SerialNumber

function make(revoked: readonly number[], good: readonly number[], seed = 1): Uint8Array {
  const salt = new Uint8Array(16).fill(seed)
  const keys = [revoked, good].map((list) => {
    const made = new CompactSetKeys(salt)
    for (const n of list) made.add(serialOf(n))
    return made
  }) as [CompactSetKeys, CompactSetKeys]
  const content = {
    issuerKeyHash: new Uint8Array(32),
    number: 7,
    builtAt,
    expiresAt: builtAt + 7 * dayMs,
    salt,
  }
  return encodeCompactSet(content, ...keys)
}

test('no false answer about any certificate that is in it, whatever is revoked', () => {
  fc.assert(
    fc.property(fc.nat(400), fc.nat(400), fc.nat(255), (revoked, good, seed) => {
      const [r, g] = [
        Array.from({ length: revoked }, (_, n) => n),
        Array.from({ length: good }, (_, n) => 1_000 + n),
      ]
      const set = CompactSet.decode(make(r, g, seed))
      for (const n of r) assert.equal(set.check(hexOf(n), old), 'revoked')
      for (const n of g) assert.equal(set.check(hexOf(n), old), 'good')
    }),
    { numRuns: 60 },
  )
})

test('a fleet of 60,000 of which one in a hundred is revoked: right about each, in less than 2 octets per revoked one', () => {
  const revoked = Array.from({ length: 600 }, (_, n) => n)
  const good = Array.from({ length: 59_400 }, (_, n) => 1_000 + n)
  const bytes = make(revoked, good)
  const set = CompactSet.decode(bytes)
  assert.deepEqual([set.number, set.revoked, set.good, set.expiresAt], [7, 600, 59_400, builtAt + 7 * dayMs])
  assert.ok(revoked.every((n) => set.check(hexOf(n), old) === 'revoked'))
  assert.ok(good.every((n) => set.check(hexOf(n), old) === 'good'))
  assert.ok(bytes.length < 2 * 600 + 100, `${bytes.length} octets`)
})

test('what may have been issued after the set is good when no filter has it, and else unknown, never wrongly revoked', () => {
  const set = CompactSet.decode(
    make(
      Array.from({ length: 600 }, (_, n) => n),
      Array.from({ length: 5_000 }, (_, n) => 1_000 + n),
    ),
  )
  const answers = Array.from({ length: 5_000 }, (_, n) => set.check(hexOf(100_000 + n), builtAt - dayMs + 1))
  assert.ok(!answers.includes('revoked'))
  assert.ok(answers.filter((answer) => answer === 'good').length > 4_000)
  assert.ok(
    Array.from({ length: 600 }, (_, n) => set.check(hexOf(n), builtAt)).every(
      (answer) => answer === 'unknown',
    ),
  )
})

test('nobody is revoked, or everybody', () => {
  const none = CompactSet.decode(make([], [1, 2, 3]))
  assert.equal(none.check(hexOf(1), old), 'good')
  const all = CompactSet.decode(make([1, 2, 3], []))
  assert.ok([1, 2, 3].every((n) => all.check(hexOf(n), old) === 'revoked'))
})

test('leading zeros of a serial number make no difference', () => {
  const salt = new Uint8Array(16)
  const [revoked, good] = [new CompactSetKeys(salt), new CompactSetKeys(salt)]
  revoked.add(Uint8Array.of(0, 0, 0x5a, 1))
  const content = { issuerKeyHash: new Uint8Array(32), number: 1, builtAt, expiresAt: builtAt + 1, salt }
  assert.equal(
    CompactSet.decode(encodeCompactSet(content, revoked, good)).check('5a01' as SerialNumber, old),
    'revoked',
  )
})

test('garbage is refused, and nothing that is read runs out of its bounds', () => {
  const bytes = make([1, 2, 3], [4, 5, 6])
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => CompactSet.decode(bytes.subarray(0, length)), { code: 'malformed' })
  }
  assert.throws(() => CompactSet.decode(Buffer.concat([bytes, Uint8Array.of(0)])), { code: 'malformed' })
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      const changed = Buffer.from(bytes)
      changed[at] = value
      try {
        CompactSet.decode(changed).check(hexOf(1), old)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
      }
    }),
    { numRuns: 5_000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (garbage) => {
      assert.throws(() => CompactSet.decode(garbage), { code: 'malformed' })
    }),
    { numRuns: 2_000 },
  )
})

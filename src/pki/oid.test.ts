import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { toHex } from '../base/bytes.ts'
import { InvariantError } from '../base/errors.ts'
import { readDer } from './der.ts'
import { readOid } from './der-values.ts'
import { oid } from './der-writer.ts'
import { encodeOid, isOid, oidFromName, oidName, oids } from './oid.ts'

test('every known identifier round-trips and has one name', () => {
  const values = Object.values(oids)
  assert.equal(new Set(values).size, values.length, 'no identifier twice')
  for (const [name, value] of Object.entries(oids)) {
    assert.equal(readOid(readDer(oid(value)), 'x'), value)
    assert.equal(oidName(value), name)
    assert.equal(oidFromName(name), value)
  }
})

test('encodes the examples of X.690 §8.19', () => {
  assert.equal(toHex(encodeOid('2.999.3')), '883703')
  assert.equal(toHex(encodeOid('1.2.840.113549')), '2a864886f70d')
  assert.equal(toHex(encodeOid('2.5.4.3')), '550403')
})

test('UUID arcs keep all their digits', () => {
  const uuid = '2.25.329800735698586629295641978511506172918'
  assert.equal(readOid(readDer(oid(uuid)), 'x'), uuid)
})

test('any identifier round-trips', () => {
  const arc = fc.bigInt({ min: 0n, max: 2n ** 133n - 1n })
  const second = fc.bigInt({ min: 0n, max: 39n })
  const low = fc.tuple(fc.constantFrom('0', '1'), second, fc.array(arc, { maxLength: 2 }))
  const high = fc.tuple(
    fc.constant('2'),
    fc.bigInt({ min: 0n, max: 2n ** 100n }),
    fc.array(arc, { maxLength: 2 }),
  )
  fc.assert(
    fc.property(fc.oneof(low, high), ([root, next, rest]) => {
      const text = [root, next, ...rest].join('.')
      assert.ok(isOid(text))
      assert.equal(readOid(readDer(oid(text)), 'x'), text)
    }),
  )
})

test('what cannot be encoded is no identifier', () => {
  const invalid = [
    '',
    '1',
    '2',
    '3.1',
    '1.40',
    '0.40.1',
    '1.2.',
    '.1.2',
    '1..2',
    '01.2',
    '1.02',
    '1.2.003',
    '1.2.-3',
    '1.2.3 ',
    '1.2.x',
    '1,2',
    `1.2.${2n ** 133n}`,
    `1.2${'.1'.repeat(64)}`,
    `1.2${'.1'.repeat(200)}`,
  ]
  for (const text of invalid) assert.equal(isOid(text), false, text)
  assert.equal(isOid(`1.2.${2n ** 133n - 1n}`), true)
  assert.equal(isOid(`1.2${'.1'.repeat(63)}`), true)
  assert.throws(() => encodeOid('1.40'), InvariantError)
})

test('a name of Object.prototype is no identifier', () => {
  assert.equal(oidFromName('constructor'), null)
  assert.equal(oidFromName('toString'), null)
  assert.equal(oidFromName('1.2.3'), '1.2.3')
  assert.equal(oidName('1.2.3'), '1.2.3')
})

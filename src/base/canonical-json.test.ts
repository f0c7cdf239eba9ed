import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalJson } from './canonical-json.ts'

test('sorts keys by UTF-16 code unit at every level and writes no white space', () => {
  const value = { b: [{ z: 1, a: null }], a: true, '\u20ac': 'x', '\u{1f600}': 'y', A: '"\n' }
  assert.equal(canonicalJson(value), '{"A":"\\"\\n","a":true,"b":[{"a":null,"z":1}],"€":"x","😀":"y"}')
})

test('leaves out members that are undefined', () => {
  assert.equal(canonicalJson({ b: undefined, a: 1 }), '{"a":1}')
})

test('writes minus zero as zero', () => {
  assert.equal(canonicalJson(-0), '0')
})

for (const value of [0.5, Number.NaN, Infinity, 2 ** 53]) {
  test(`refuses the number ${value}`, () => {
    assert.throws(() => canonicalJson({ value }), /safe integer/)
  })
}

test('accepts the largest safe integer', () => {
  assert.equal(canonicalJson(2 ** 53 - 1), '9007199254740991')
})

test('refuses a lone surrogate in text and in keys', () => {
  assert.throws(() => canonicalJson('\ud800'), /lone surrogate/)
  assert.throws(() => canonicalJson({ '\udc00': 1 }), /lone surrogate/)
})

test('refuses nesting over 16 levels and accepts 16', () => {
  const nest = (levels: number): object => (levels === 0 ? {} : { a: nest(levels - 1) })
  assert.doesNotThrow(() => canonicalJson(nest(16) as { a: null }))
  assert.throws(() => canonicalJson(nest(17) as { a: null }), /nested/)
})

test('text that is not plain ASCII is written as JSON.stringify writes it', () => {
  for (const text of [
    '',
    'plain',
    'a"b',
    'a\\b',
    'a\nb',
    '\u007f',
    '\u0000',
    'é',
    '\u2028',
    '😀',
    '~ !#[]',
  ]) {
    assert.equal(canonicalJson(text), JSON.stringify(text))
  }
})

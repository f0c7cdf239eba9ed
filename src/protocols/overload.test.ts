import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { Admission, overloadResponse } from './overload.ts'

test('admits up to the limit, not one more, and again after one has left', () => {
  const admission = new Admission(2)
  assert.equal(admission.enter(), true)
  assert.equal(admission.enter(), true)
  assert.equal(admission.enter(), false)
  assert.equal(admission.inFlight, 2)
  admission.leave()
  assert.equal(admission.enter(), true)
  assert.equal(admission.enter(), false)
})

test('an overloaded server asks for waits that are whole seconds and spread around the centre', () => {
  const random = seededRandom('overload')
  const waits = Array.from({ length: 200 }, () => {
    const answer = overloadResponse(random, 120_000)
    assert.equal(answer.status, 503)
    assert.match(answer.headers['Retry-After'] ?? '', /^[1-9]\d*$/)
    return Number(answer.headers['Retry-After'])
  })
  assert.ok(Math.min(...waits) >= 30 && Math.max(...waits) <= 210)
  assert.ok(new Set(waits).size > 50)
})

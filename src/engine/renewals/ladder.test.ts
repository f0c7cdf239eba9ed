import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, hourMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { formatRung, ladderProblem, parseRung, shippedLadders } from './ladder.ts'

test('reads and writes rungs alike', () => {
  assert.deepEqual(parseRung('mqtt wait=72h repeats=5'), {
    channel: 'mqtt',
    waitMs: 72 * hourMs,
    repeats: 5,
    beforeMs: null,
  })
  assert.deepEqual(parseRung('  field before=60d'), {
    channel: 'field',
    waitMs: 0,
    repeats: 1,
    beforeMs: 60 * dayMs,
  })
  for (const rung of Object.values(shippedLadders).flat()) assert.deepEqual(parseRung(formatRung(rung)), rung)
})

test('refuses rungs that cannot be meant so', () => {
  const wrong = [
    '',
    'pigeon wait=1d',
    'mqtt',
    'mqtt wait=1',
    'mqtt wait=0',
    'mqtt wait=1d wait=2d',
    'mqtt wait=1d x',
  ]
  for (const text of [
    ...wrong,
    'sms wait=1d repeats=0',
    'sms wait=1d repeats=1.5',
    'mqtt wait=1d repeats=',
  ]) {
    assert.throws(() => parseRung(text), Refusal, text)
  }
})

test('every shipped ladder ends on the field list, and only there', () => {
  for (const [name, ladder] of Object.entries(shippedLadders)) assert.equal(ladderProblem(ladder), null, name)
})

test('a ladder needs the field list as its last rung, and instants that come nearer to the end', () => {
  const read = (...texts: string[]) => ladderProblem(texts.map(parseRung))
  assert.match(read('mqtt wait=1d') ?? '', /last rung must be field/)
  assert.match(read() ?? '', /last rung must be field/)
  assert.match(read('field', 'mqtt wait=1d', 'field') ?? '', /stands once/)
  assert.match(read('sms wait=1d before=10d', 'field before=10d') ?? '', /shorter/)
  assert.equal(read('sms wait=1d before=10d', 'field before=9d'), null)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../base/clock.ts'
import { createProgress, progressLine } from './progress.ts'

test('shows share, count and rate', () => {
  const line = progressLine({ label: 'Importing', total: 200, done: 50, elapsedMs: 2_000 })
  assert.equal(line, `Importing  ${'━'.repeat(6)}${'╌'.repeat(18)}  25 %  50 of 200  25/s`)
})

test('never shows more than 100 %, and nothing silly for an empty input', () => {
  assert.match(progressLine({ label: 'x', total: 10, done: 11, elapsedMs: 0 }), /100 %/)
  assert.match(progressLine({ label: 'x', total: 0, done: 0, elapsedMs: 0 }), /100 %/)
})

test('shows only the count when the total is not known', () => {
  assert.equal(progressLine({ label: 'Reading', total: null, done: 1234, elapsedMs: 0 }), 'Reading  1,234')
})

test('repaints at most ten times a second, and always at the end', async () => {
  const clock = new VirtualClock(0)
  const painted: string[] = []
  const progress = createProgress({
    label: 'x',
    total: 1000,
    width: 80,
    clock,
    write: (text) => void painted.push(text),
  })
  for (let done = 1; done <= 999; done++) {
    progress.update(done)
    await clock.advance(1)
  }
  assert.equal(painted.length, 10)
  progress.update(1000)
  assert.equal(painted.length, 11)
  progress.end()
  assert.equal(painted.at(-1), '\r\u001b[2K')
})

test('never wraps to a second line', () => {
  const painted: string[] = []
  const clock = new VirtualClock(0)
  createProgress({
    label: 'x'.repeat(100),
    total: 5,
    width: 40,
    clock,
    write: (text) => void painted.push(text),
  }).update(1)
  assert.equal((painted[0] ?? '').replace('\r\u001b[2K', '').length, 39)
})

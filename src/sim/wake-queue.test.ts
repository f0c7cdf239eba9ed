import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WakeQueue } from './wake-queue.ts'

const calendar = { startedAt: 1_000, tickMs: 100, ticks: 10 }

test('whose instant is past is awake in the next tick', () => {
  const queue = new WakeQueue(2, calendar)
  queue.set(0, 0)
  assert.deepEqual(queue.take(1), [0])
  queue.set(1, 1_050)
  assert.deepEqual(queue.take(2), [1])
})

test('each device is awake once, at the earliest of its instants, in the order of instants', () => {
  const queue = new WakeQueue(3, calendar)
  queue.set(0, 1_250)
  queue.set(1, 1_240)
  queue.set(2, 1_900)
  queue.setEarlier(2, 1_230)
  queue.setEarlier(0, 1_260)
  assert.deepEqual(queue.take(1), [])
  assert.deepEqual(queue.take(2), [])
  assert.deepEqual(queue.take(3), [2, 1, 0])
  for (let tick = 4; tick <= 10; tick++) assert.deepEqual(queue.take(tick), [])
})

test('what lies behind the end, and never, are not at all', () => {
  const queue = new WakeQueue(2, calendar)
  queue.set(0, 2_001)
  queue.set(1, null)
  for (let tick = 1; tick <= 10; tick++) assert.deepEqual(queue.take(tick), [])
})

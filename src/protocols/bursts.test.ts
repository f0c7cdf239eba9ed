import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextTurn, stopwatch } from '../base/clock.ts'
import { Bursts } from './bursts.ts'

test('those that come in busy turns begin in one turn, in their order', async () => {
  const bursts = new Bursts()
  let turn = 0
  const began: { who: number; turn: number }[] = []
  const requests: Promise<void>[] = []
  for (let who = 0; who < 5; who++) {
    requests.push(bursts.join().then(() => void began.push({ who, turn })))
    await nextTurn()
    turn++
  }
  await Promise.all(requests)
  assert.deepEqual(
    began.map(({ who }) => who),
    [0, 1, 2, 3, 4],
  )
  assert.equal(new Set(began.map((each) => each.turn)).size, 1)
})

test('one that comes alone waits for no company, and the next burst is a new one', async () => {
  const bursts = new Bursts()
  for (let round = 0; round < 3; round++) {
    const elapsed = stopwatch()
    await bursts.join()
    // the longest wait for company is 20 ms
    assert.ok(elapsed() < 1_000, `${elapsed()} ms`)
  }
})

test('a burst that never ends is cut: nobody waits for ever', async () => {
  const bursts = new Bursts()
  let begun = 0
  for (let round = 0; round < 200; round++) {
    void bursts.join().then(() => void begun++)
    await nextTurn()
  }
  assert.ok(begun >= 64, `${begun} have begun`)
})

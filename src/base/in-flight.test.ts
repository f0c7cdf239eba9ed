import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from './clock.ts'
import { Refusal } from './errors.ts'
import { InFlight } from './in-flight.ts'

const late = () => new Refusal('trigger-failed', 'no answer in time')

function setUp(limit: number) {
  const clock = new VirtualClock(0)
  const inFlight = new InFlight({ limit, timeoutMs: 5_000, clock, late })
  const begun: ((error?: Error | null) => void)[] = []
  const run = (signal?: AbortSignal) => inFlight.run((done) => void begun.push(done), signal)
  return { clock, inFlight, begun, run }
}

test('callers beyond the limit wait their turn, in order', async () => {
  const { inFlight, begun, run } = setUp(2)
  const order: number[] = []
  const all = [0, 1, 2, 3].map(async (n) => {
    await run()
    order.push(n)
  })
  assert.deepEqual([begun.length, inFlight.underWay, inFlight.waiting], [2, 2, 2])
  begun[1]?.()
  assert.deepEqual([begun.length, inFlight.underWay, inFlight.waiting], [3, 2, 1])
  begun[0]?.()
  begun[2]?.()
  begun[3]?.()
  await Promise.all(all)
  assert.deepEqual(order, [1, 0, 2, 3])
  assert.deepEqual([inFlight.underWay, inFlight.waiting], [0, 0])
})

test('what an operation ends with is what the caller gets', async () => {
  const { inFlight, begun, run } = setUp(1)
  const failing = run()
  begun[0]?.(new Error('refused'))
  await assert.rejects(failing, /refused/)
  await assert.rejects(
    inFlight.run(() => {
      throw new Error('at once')
    }),
    /at once/,
  )
  assert.equal(inFlight.underWay, 0)
})

test('a caller gives up at the time limit, also while it waits; a begun operation keeps its place', async () => {
  const { clock, inFlight, begun, run } = setUp(1)
  const first = assert.rejects(run(), { code: 'trigger-failed' })
  await clock.advance(4_999)
  const second = assert.rejects(run(), { code: 'trigger-failed' })
  await clock.advance(1)
  await first
  assert.deepEqual([begun.length, inFlight.underWay, inFlight.waiting], [1, 1, 1])
  await clock.advance(5_000)
  await second
  begun[0]?.()
  assert.equal(begun.length, 1, 'whoever has given up is not begun any more')
  assert.deepEqual([inFlight.underWay, inFlight.waiting], [0, 0])
  const third = run()
  begun[1]?.()
  await third
})

test('an abort ends the wait, and an aborted signal begins nothing', async () => {
  const { begun, run } = setUp(1)
  const stop = new AbortController()
  const first = run(stop.signal)
  stop.abort(new Error('stopped'))
  await assert.rejects(first, /stopped/)
  await assert.rejects(run(AbortSignal.abort(new Error('before'))), /before/)
  assert.equal(begun.length, 1)
})

test('done twice is done once', async () => {
  const { inFlight, begun, run } = setUp(1)
  const first = run()
  begun[0]?.()
  begun[0]?.(new Error('late'))
  await first
  assert.equal(inFlight.underWay, 0)
})

test('ten thousand waiting callers are served', async () => {
  const { inFlight, begun, run } = setUp(10)
  const all = Array.from({ length: 10_000 }, () => run())
  for (let at = 0; at < all.length; at++) begun[at]?.()
  await Promise.all(all)
  assert.deepEqual([inFlight.underWay, inFlight.waiting], [0, 0])
})

test('one signal ends all that wait with it, and keeps nothing of those that ended before', async () => {
  const { begun, run } = setUp(2)
  const stop = new AbortController()
  const all = Array.from({ length: 5 }, () => run(stop.signal))
  begun[0]?.()
  await all[0]
  const rest = Promise.allSettled(all.slice(1))
  stop.abort(new Error('stopped'))
  for (const outcome of await rest) assert.equal(outcome.status, 'rejected')
})

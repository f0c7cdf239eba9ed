import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOfTests } from '../../test/helpers/audit-log.ts'
import { plainEngine } from '../../test/helpers/plain-engine.ts'
import { forEachStore } from '../../test/helpers/stores.ts'
import { minuteMs, secondMs, VirtualClock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { nextTurn } from '../base/clock.ts'
import { openStore, type Store } from '../store/open.ts'
import { createJobs, type Fence, type Job, type JobResult } from './jobs.ts'

interface CountingJob extends Job {
  passes: number
}

/** A job that counts its passes and does what the test says. */
function counting(
  name: string,
  run: (pass: number) => Promise<JobResult> | JobResult = () => ({ worked: 1 }),
  options: Partial<Job> = {},
): CountingJob {
  const job: CountingJob = {
    name,
    intervalMs: 10 * secondMs,
    passes: 0,
    run: async () => await run(++job.passes),
    ...options,
  }
  return job
}

async function memoryStore(): Promise<Store> {
  const store = await openStore({ url: 'sqlite::memory:' })
  await store.migrate()
  return store
}

/** Lets everything happen that needs no time to pass. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await nextTurn()
}

/** Moves the clock in small steps, as the loop's waits depend on what happens in between. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= secondMs) {
    await clock.advance(secondMs)
    await settle()
  }
}

forEachStore((_, open) => {
  test('a job that one node holds is not run by another, until the holder is gone for a lease', async () => {
    const store = await open()
    const clock = new VirtualClock(startOfTests)
    const job = counting('solo')
    const first = createJobs(plainEngine(store, { clock }), [job])
    const second = createJobs(plainEngine(store, { clock }), [job])
    assert.deepEqual(await first.pass('solo'), { worked: 1 })
    assert.equal(await second.pass('solo'), null)
    assert.equal(second.status()[0]?.isHolder, false)
    assert.equal(job.passes, 1)
    await clock.advance(minuteMs - 1)
    assert.equal(await second.pass('solo'), null, 'just inside')
    await clock.advance(1)
    assert.deepEqual(await second.pass('solo'), { worked: 1 }, 'just outside')
    assert.equal(await first.pass('solo'), null)
  })

  test('a job that is shared runs on every node', async () => {
    const store = await open()
    const job = counting('shared', undefined, { isShared: true })
    for (const jobs of [createJobs(plainEngine(store), [job]), createJobs(plainEngine(store), [job])]) {
      assert.deepEqual(await jobs.pass('shared'), { worked: 1 })
    }
  })

  test('a node that lost its lease in the middle of a pass cannot write behind the fence', async () => {
    const store = await open()
    const clock = new VirtualClock(startOfTests)
    const fences: Fence[] = []
    const job: Job = {
      name: 'fenced',
      intervalMs: secondMs,
      run: async (_engine, _now, _signal, fence) => {
        fences.push(fence)
        return { worked: 0 }
      },
    }
    const slow = createJobs(plainEngine(store, { clock }), [job])
    const quick = createJobs(plainEngine(store, { clock }), [job])
    await slow.pass('fenced')
    await store.transaction(async (tx) => await fences[0]?.(tx))
    await clock.advance(minuteMs)
    await quick.pass('fenced')
    await assert.rejects(
      store.transaction(async (tx) => await fences[0]?.(tx)),
      { code: 'store-busy' },
    )
    await store.transaction(async (tx) => await fences[1]?.(tx))
  })

  test('a lease is given back at the end, and the next node need not wait', async () => {
    const store = await open()
    const clock = new VirtualClock(startOfTests)
    const job = counting('solo')
    const stop = new AbortController()
    const running = createJobs(plainEngine(store, { clock }), [job]).run(stop.signal)
    while (job.passes === 0) await nextTurn()
    await settle()
    stop.abort()
    await running
    assert.deepEqual(await createJobs(plainEngine(store, { clock }), [job]).pass('solo'), { worked: 1 })
  })
})

test('every job runs at its own interval, give or take a tenth', async () => {
  const clock = new VirtualClock(startOfTests)
  const quick = counting('quick')
  const slow = counting('slow', undefined, { intervalMs: minuteMs })
  const stop = new AbortController()
  const running = createJobs(plainEngine(await memoryStore(), { clock }), [quick, slow]).run(stop.signal)
  await settle()
  await pass(clock, 10 * minuteMs)
  stop.abort()
  await running
  assert.ok(quick.passes >= 54 && quick.passes <= 68, `${quick.passes} passes in 600 s of 10 s`)
  assert.ok(slow.passes >= 10 && slow.passes <= 12, `${slow.passes} passes in 600 s of 60 s`)
})

test('a job that crashes is run again, ever later, and the others do not notice', async () => {
  const clock = new VirtualClock(startOfTests)
  const bad = counting('bad', () => Promise.reject(new Refusal('disk-full', 'no space')))
  const good = counting('good')
  const jobs = createJobs(plainEngine(await memoryStore(), { clock }), [bad, good])
  const stop = new AbortController()
  const running = jobs.run(stop.signal)
  await settle()
  await pass(clock, 30 * minuteMs)
  const [badStatus, goodStatus] = jobs.status()
  stop.abort()
  await running
  assert.ok(good.passes > 150, `${good.passes}`)
  assert.ok(bad.passes >= 8 && bad.passes < 60, `${bad.passes} passes of the bad one`)
  assert.equal(badStatus?.lastError, 'disk-full: no space')
  assert.equal(badStatus.failures, bad.passes)
  assert.equal(badStatus.failuresInARow, bad.passes)
  assert.equal(goodStatus?.failures, 0)
})

test('a job that recovers is as good as new', async () => {
  const flaky = counting('flaky', (n) => (n < 3 ? Promise.reject(new Error('not yet')) : { worked: 5 }))
  const jobs = createJobs(plainEngine(await memoryStore()), [flaky])
  for (let n = 0; n < 4; n += 1) await jobs.pass('flaky')
  const [status] = jobs.status()
  assert.deepEqual(
    [status?.passes, status?.failures, status?.failuresInARow, status?.worked, status?.lastError],
    [4, 2, 0, 10, 'Error: not yet'],
  )
})

test('a pass that left work behind is followed by the next at once', async () => {
  const clock = new VirtualClock(startOfTests)
  const job = counting('backlog', (n) => ({ worked: 100, isBehind: n < 7 }))
  const stop = new AbortController()
  const running = createJobs(plainEngine(await memoryStore(), { clock }), [job]).run(stop.signal)
  await settle()
  for (let step = 0; step < 20; step += 1) {
    await clock.advance(0)
    await settle()
  }
  stop.abort()
  await running
  assert.equal(job.passes, 7)
})

test('stopping waits for the pass under way and starts no other', async () => {
  const clock = new VirtualClock(startOfTests)
  let release: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  let sawAbort = false
  const job: Job = {
    name: 'long',
    intervalMs: secondMs,
    run: async (_engine, _now, signal) => {
      await gate
      sawAbort = signal.aborted
      return { worked: 1, isBehind: true }
    },
  }
  const jobs = createJobs(plainEngine(await memoryStore(), { clock }), [job])
  const stop = new AbortController()
  let hasEnded = false
  const running = (async () => {
    await jobs.run(stop.signal)
    hasEnded = true
  })()
  while (jobs.status()[0]?.isRunning !== true) await nextTurn()
  stop.abort()
  await settle()
  assert.equal(hasEnded, false)
  release()
  await running
  assert.ok(sawAbort)
  assert.equal(jobs.status()[0]?.passes, 1)
})

test('an idle job does not write its lease at every pass', async () => {
  const store = await memoryStore()
  const clock = new VirtualClock(startOfTests)
  let transactions = 0
  const counted: Store = {
    ...store,
    transaction: (work) => {
      transactions += 1
      return store.transaction(work)
    },
  }
  const jobs = createJobs(plainEngine(counted, { clock }), [counting('idle')])
  for (let n = 0; n < 60; n += 1) {
    await jobs.pass('idle')
    await clock.advance(secondMs)
  }
  assert.equal(transactions, 2)
})

test('refuses a job that is not there', async () => {
  await assert.rejects(createJobs(plainEngine(await memoryStore()), []).pass('none'), { code: 'not-found' })
})

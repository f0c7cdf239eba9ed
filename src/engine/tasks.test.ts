import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOfTests } from '../../test/helpers/audit-log.ts'
import { plainEngine } from '../../test/helpers/plain-engine.ts'
import { forEachStore } from '../../test/helpers/stores.ts'
import { hourMs, minuteMs, secondMs, VirtualClock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { recentFacts } from '../store/facts.ts'
import type { Store } from '../store/open.ts'
import { listTasks, type TaskRecord } from '../store/tasks.ts'
import type { Engine } from './context.ts'
import { enqueue, retryTask, runTasks, TaskHopeless, type TaskHandler, type TaskRequest } from './tasks.ts'

interface Rig {
  readonly engine: Engine
  readonly clock: VirtualClock
  ask(request: Partial<TaskRequest>): Promise<number | null>
  pass(...handlers: TaskHandler[]): Promise<number>
  tasks(): Promise<TaskRecord[]>
}

function rig(store: Store): Rig {
  const clock = new VirtualClock(startOfTests)
  const engine = plainEngine(store, { clock })
  return {
    engine,
    clock,
    ask: async (request) =>
      await store.transaction((tx) =>
        enqueue(tx, clock.now(), { kind: 'mail', key: null, payload: {}, ...request }),
      ),
    pass: async (...handlers) =>
      (await runTasks(engine, handlers, clock.now(), new AbortController().signal)).worked,
    tasks: async () => (await listTasks(store.db, { limit: 100 })).rows,
  }
}

/** A handler that remembers its payloads and does what the test says. */
function recording(
  run: (payload: unknown) => Promise<void> | void = () => {},
  options: Partial<TaskHandler> = {},
): TaskHandler & { readonly payloads: unknown[] } {
  const payloads: unknown[] = []
  return {
    kind: 'mail',
    payloads,
    run: async (_engine, payload) => {
      payloads.push(payload)
      await run(payload)
    },
    ...options,
  }
}

forEachStore((_, open) => {
  test('a task is carried out once, with its payload', async () => {
    const { ask, pass, tasks } = rig(await open())
    await ask({ payload: { to: 'ops', lines: [1, null] } })
    const handler = recording()
    assert.equal(await pass(handler), 1)
    assert.equal(await pass(handler), 0)
    assert.deepEqual(handler.payloads, [{ lines: [1, null], to: 'ops' }])
    assert.equal((await tasks())[0]?.status, 'done')
  })

  test('a task is not there when the decision that asked for it was rolled back', async () => {
    const { engine, tasks } = rig(await open())
    const asked = engine.store.transaction(async (tx) => {
      await enqueue(tx, startOfTests, { kind: 'mail', key: null, payload: {} })
      throw new Refusal('invalid-input', 'changed our mind')
    })
    await assert.rejects(asked, { code: 'invalid-input' })
    assert.deepEqual(await tasks(), [])
  })

  test('while a task of a key is open, asking again is the same task; afterwards it is a new one', async () => {
    const { ask, pass } = rig(await open())
    assert.equal(typeof (await ask({ key: 'crl:1' })), 'number')
    assert.equal(await ask({ key: 'crl:1' }), null)
    assert.equal(typeof (await ask({ key: 'crl:2' })), 'number')
    const handler = recording()
    await pass(handler)
    assert.equal(typeof (await ask({ key: 'crl:1' })), 'number')
    await pass(handler)
    assert.equal(handler.payloads.length, 3)
  })

  test('a task waits for its instant', async () => {
    const { ask, pass, clock } = rig(await open())
    await ask({ runAt: startOfTests + minuteMs })
    const handler = recording()
    await clock.advance(minuteMs - 1)
    assert.equal(await pass(handler), 0)
    await clock.advance(1)
    assert.equal(await pass(handler), 1)
  })

  test('a task that fails comes again, within the backoff, and keeps its last error', async () => {
    const { ask, pass, clock, tasks } = rig(await open())
    await ask({})
    const backoff = { baseMs: 10 * secondMs, capMs: minuteMs }
    const handler = recording(() => Promise.reject(new Error('line one\nline \u001b[31mtwo')), { backoff })
    await pass(handler)
    const [failed] = await tasks()
    assert.equal(failed?.status, 'ready')
    assert.ok(failed.runAt >= startOfTests + 10 * secondMs && failed.runAt <= startOfTests + 20 * secondMs)
    assert.equal(failed.lastError, 'Error: line one\\u{a}line \\u{1b}[31mtwo')
    await clock.advance(failed.runAt - startOfTests - 1)
    assert.equal(await pass(handler), 0)
    await clock.advance(1)
    assert.equal(await pass(handler), 1)
    assert.equal((await tasks())[0]?.attempts, 2)
  })

  test('a refusal that says when to come again is heard', async () => {
    const { ask, pass, tasks } = rig(await open())
    await ask({})
    const busy = new Refusal('overloaded', 'later', { retryAfterMs: hourMs })
    await pass(recording(() => Promise.reject(busy)))
    assert.ok(((await tasks())[0]?.runAt ?? 0) >= startOfTests + hourMs)
  })

  test('what keeps failing becomes a dead letter with a fact, and a person may send it again', async () => {
    const { ask, pass, clock, tasks, engine } = rig(await open())
    const id = await ask({ key: 'k' })
    const handler = recording(() => Promise.reject(new Refusal('not-found', 'no such host')), {
      maxAttempts: 3,
    })
    for (let n = 0; n < 5; n += 1) {
      await pass(handler)
      await clock.advance(5 * hourMs)
    }
    assert.equal(handler.payloads.length, 3)
    const [dead] = await tasks()
    assert.deepEqual([dead?.status, dead?.attempts, dead?.lastError], ['dead', 3, 'not-found: no such host'])
    const facts = await recentFacts(engine.store.db, { action: 'task.abandoned', limit: 10 })
    assert.deepEqual(
      facts.map(({ subject }) => subject),
      [`task:${id}`],
    )
    await retryTask(engine, clock.now(), { id: id as number, actor: 'cli:test' })
    const better = recording()
    assert.equal(await pass(better), 1)
    await assert.rejects(retryTask(engine, clock.now(), { id: id as number, actor: 'cli:test' }), {
      code: 'not-found',
    })
  })

  test('a handler that gives up ends the task at once', async () => {
    const { ask, pass, tasks } = rig(await open())
    await ask({})
    await pass(recording(() => Promise.reject(new TaskHopeless('the device is gone'))))
    const [dead] = await tasks()
    assert.deepEqual(
      [dead?.status, dead?.attempts, dead?.lastError],
      ['dead', 1, 'TaskHopeless: the device is gone'],
    )
  })

  test('a task whose worker died is taken over after its lock, and the dead worker cannot end it', async () => {
    const store = await open()
    const { ask, clock, tasks, engine } = rig(store)
    await ask({})
    const gate = Promise.withResolvers<void>()
    const atWork = Promise.withResolvers<void>()
    const signal = new AbortController().signal
    const stuck = recording(
      async () => {
        atWork.resolve()
        await gate.promise
      },
      { lockMs: minuteMs },
    )
    const hanging = runTasks(engine, [stuck], clock.now(), signal)
    await atWork.promise
    const other = recording()
    const takeOver = async () => (await runTasks(engine, [other], clock.now(), signal)).worked
    await clock.advance(minuteMs - 1)
    assert.equal(await takeOver(), 0)
    await clock.advance(1)
    assert.equal(await takeOver(), 1)
    gate.resolve()
    await hanging
    const [task] = await tasks()
    assert.deepEqual([task?.status, task?.attempts], ['done', 2])
  })

  test('many workers at once carry out each task once', async () => {
    const { ask, pass } = rig(await open())
    for (let n = 0; n < 60; n += 1) await ask({ payload: { n } })
    const handler = recording()
    const passes = Array.from({ length: 8 }, async () => await pass(handler))
    await Promise.all(passes)
    const numbers = handler.payloads.map((payload) => (payload as { n: number }).n)
    assert.deepEqual(
      numbers.toSorted((a, b) => a - b),
      [...Array(60).keys()],
    )
  })

  test('the backlog of one kind does not stand before another', async () => {
    const { ask, pass } = rig(await open())
    for (let n = 0; n < 40; n += 1) await ask({ kind: 'dead-cloud' })
    await ask({ kind: 'mail' })
    const cloud = recording(() => Promise.reject(new Error('unreachable')), {
      kind: 'dead-cloud',
      parallel: 4,
    })
    const mail = recording()
    assert.equal(await pass(cloud, mail), 5)
    assert.equal(mail.payloads.length, 1)
  })

  test('a kind without a handler waits for one', async () => {
    const { ask, pass, tasks } = rig(await open())
    await ask({ kind: 'future' })
    assert.equal(await pass(recording()), 0)
    assert.equal((await tasks())[0]?.status, 'ready')
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listTiles, readTiles, writeTiles } from '../../src/store/audit-tiles.ts'
import {
  insertCheckpoint,
  latestCheckpoint,
  listCheckpoints,
  setCheckpointNote,
} from '../../src/store/checkpoints.ts'
import { addCounters, readCounters } from '../../src/store/counters.ts'
import {
  appendFacts,
  countSealed,
  entriesRange,
  factByLogIndex,
  factsAfter,
  factsBySubjects,
  recentFacts,
  setLogIndexes,
  unsealedFacts,
} from '../../src/store/facts.ts'
import { acquireLease, checkFence, releaseLease } from '../../src/store/leases.ts'
import type { Store } from '../../src/store/open.ts'
import {
  claimTasks,
  completeTask,
  countTasks,
  enqueueTask,
  failTask,
  listTasks,
  retryTask,
  type TaskRecord,
} from '../../src/store/tasks.ts'
import type { StoreOpener } from '../helpers/stores.ts'
import { start } from './store-samples.ts'

export function workConformance(open: StoreOpener): void {
  factConformance(open)
  treeConformance(open)
  taskConformance(open)
  leaseConformance(open)

  test('counters add up, across units and from below zero', async () => {
    const store = await open()
    for (const delta of [5, -7, 3]) {
      await store.transaction(async (tx) => addCounters(tx, { 'a.x': delta, 'a.y': 1, b: 1 }))
    }
    assert.deepEqual(
      await readCounters(store.db, 'a.'),
      new Map([
        ['a.x', 1],
        ['a.y', 3],
      ]),
    )
  })
}

function factConformance(open: StoreOpener): void {
  const fact = (n: number, change = {}) => ({
    at: start + n,
    action: n % 2 ? 'odd' : 'even',
    subject: `device:${n % 3}`,
    entry: Buffer.from(`entry ${n}`),
    ...change,
  })
  const texts = (facts: readonly { entry: Uint8Array }[]): string[] =>
    facts.map(({ entry }) => Buffer.from(entry).toString())

  test('facts are sealed in the order of their ids, each once, byte for byte', async () => {
    const store = await open()
    await store.transaction((tx) =>
      appendFacts(
        tx,
        Array.from({ length: 100 }, (_, n) => fact(n)),
      ),
    )
    assert.equal(await countSealed(store.db), 0)
    const first = await unsealedFacts(store.db, 75)
    assert.deepEqual(
      texts(first),
      Array.from({ length: 75 }, (_, n) => `entry ${n}`),
    )
    const ids = first.map(({ id }) => id)
    const seal = (firstLogIndex: number, which: readonly number[]) =>
      store.transaction((tx) => setLogIndexes(tx, { firstLogIndex, ids: which }))
    assert.equal(await seal(0, ids), 75)
    assert.equal(await seal(75, ids), 0, 'a sealed fact keeps its place')
    assert.equal((await unsealedFacts(store.db, 100)).length, 25)
    assert.equal(await countSealed(store.db), 75)
    assert.deepEqual(texts(await entriesRange(store.db, 70, 3)), ['entry 70', 'entry 71', 'entry 72'])
    assert.equal((await entriesRange(store.db, 70, 100)).length, 5)
    assert.equal((await factByLogIndex(store.db, 74))?.subject, 'device:2')
    assert.equal(await factByLogIndex(store.db, 75), null)
    const next = (await unsealedFacts(store.db, 1)).map(({ id }) => id)
    await assert.rejects(seal(74, next), /unique/i)
  })

  test('the history of a subject can be read from both ends', async () => {
    const store = await open()
    await store.transaction((tx) =>
      appendFacts(
        tx,
        Array.from({ length: 12 }, (_, n) => fact(n)),
      ),
    )
    const recent = await recentFacts(store.db, { subject: 'device:0', limit: 3 })
    assert.deepEqual(texts(recent), ['entry 9', 'entry 6', 'entry 3'])
    const older = await recentFacts(store.db, { subject: 'device:0', beforeId: recent[2]?.id ?? 0, limit: 3 })
    assert.deepEqual(texts(older), ['entry 0'])
    assert.deepEqual(texts(await recentFacts(store.db, { action: 'odd', limit: 2 })), ['entry 11', 'entry 9'])
    assert.deepEqual(texts(await factsAfter(store.db, { afterId: 0, limit: 2 })), ['entry 0', 'entry 1'])
    const after = await factsAfter(store.db, { subject: 'device:1', action: 'even', afterId: 0, limit: 9 })
    assert.deepEqual(texts(after), ['entry 4', 'entry 10'])
    const found = await factsBySubjects(store.db, { action: 'even', subjects: ['device:0', 'device:2'] })
    assert.deepEqual(texts(found), ['entry 0', 'entry 2', 'entry 6', 'entry 8'])
    assert.deepEqual(await factsBySubjects(store.db, { action: 'even', subjects: [] }), [])
  })
}

function treeConformance(open: StoreOpener): void {
  test('tiles are overwritten as they grow', async () => {
    const store = await open()
    const tile = (level: number, number: number, byte: number) => ({
      level,
      tile: number,
      hashes: new Uint8Array(32).fill(byte),
    })
    await store.transaction((tx) => writeTiles(tx, [tile(0, 0, 1), tile(0, 1, 2), tile(1, 0, 3)]))
    await store.transaction((tx) => writeTiles(tx, [tile(0, 1, 4)]))
    assert.deepEqual(await listTiles(store.db, { level: 0, fromTile: 1, limit: 9 }), [tile(0, 1, 4)])
    const found = await readTiles(store.db, [tile(0, 0, 0), tile(1, 0, 0), tile(1, 7, 0)])
    assert.deepEqual(
      found.toSorted((a, b) => a.level - b.level),
      [tile(0, 0, 1), tile(1, 0, 3)],
    )
  })

  test('a checkpoint is written before it is signed', async () => {
    const store = await open()
    assert.equal(await latestCheckpoint(store.db), null)
    const checkpoint = { size: 5, rootHash: new Uint8Array(32), at: start }
    await store.transaction((tx) => insertCheckpoint(tx, checkpoint))
    assert.deepEqual(await latestCheckpoint(store.db), { ...checkpoint, note: null })
    assert.equal(await store.transaction((tx) => setCheckpointNote(tx, 5, 'signed')), true)
    assert.equal(await store.transaction((tx) => setCheckpointNote(tx, 6, 'signed')), false)
    await assert.rejects(
      store.transaction((tx) => insertCheckpoint(tx, checkpoint)),
      /unique/i,
    )
    await store.transaction((tx) => insertCheckpoint(tx, { ...checkpoint, size: 9 }))
    assert.equal((await latestCheckpoint(store.db))?.size, 9)
    const sizes = async (after: number | null) =>
      (await listCheckpoints(store.db, { after, limit: 9 })).map(({ size }) => size)
    assert.deepEqual(await sizes(null), [5, 9])
    assert.deepEqual(await sizes(5), [9])
  })
}

function taskConformance(open: StoreOpener): void {
  const task = (change = {}) => ({
    kind: 'mail',
    key: null,
    payload: '{}',
    runAt: start,
    createdAt: start,
    ...change,
  })
  const claimed = (store: Store, now: number, limit = 10, kinds = ['mail']): Promise<TaskRecord[]> =>
    store.transaction((tx) => claimTasks(tx, { kinds, now, limit, lockMs: 100 }))

  test('a task is due from its instant on, of its kind only, the oldest first', async () => {
    const store = await open()
    const ids = await store.transaction(async (tx) => [
      await enqueueTask(tx, task({ runAt: start + 2 })),
      await enqueueTask(tx, task({ runAt: start + 1 })),
      await enqueueTask(tx, task({ kind: 'sms' })),
    ])
    assert.deepEqual(await claimed(store, start), [])
    const [first] = await claimed(store, start + 2, 1)
    assert.equal(first?.id, ids[1])
    assert.equal(first?.attempts, 1)
    assert.deepEqual(
      (await claimed(store, start + 2, 10, ['mail', 'sms'])).map(({ id }) => id),
      [ids[0], ids[2]],
    )
  })

  test('parallel workers never get the same task', async () => {
    const store = await open()
    await store.transaction(async (tx) => {
      for (let n = 0; n < 40; n++) await enqueueTask(tx, task())
    })
    const claims = await Promise.all(Array.from({ length: 8 }, () => claimed(store, start, 5)))
    const ids = claims.flat().map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length)
    const rest = await claimed(store, start, 100)
    assert.equal(ids.length + rest.length, 40)
  })

  test('one task is open for one kind and key; a finished one makes room', async () => {
    const store = await open()
    const enqueue = (change = {}) => store.transaction((tx) => enqueueTask(tx, task({ key: 'k', ...change })))
    assert.notEqual(await enqueue(), null)
    assert.equal(await enqueue(), null)
    assert.notEqual(await enqueue({ kind: 'sms' }), null)
    assert.notEqual(await enqueue({ key: null }), null)
    const [claim] = await claimed(store, start, 1)
    assert.ok(claim)
    assert.equal(await enqueue(), null, 'also while it runs')
    assert.equal(await store.transaction((tx) => completeTask(tx, claim)), true)
    assert.notEqual(await enqueue(), null)
  })

  test('a worker whose lock lapsed cannot end the task that another one took', async () => {
    const store = await open()
    await store.transaction((tx) => enqueueTask(tx, task()))
    const [slow] = await claimed(store, start)
    assert.ok(slow)
    assert.deepEqual(await claimed(store, start + 99), [])
    const [quick] = await claimed(store, start + 100)
    assert.equal(quick?.id, slow.id)
    assert.equal(quick.attempts, 2)
    assert.equal(await store.transaction((tx) => completeTask(tx, slow)), false)
    assert.equal(
      await store.transaction((tx) => failTask(tx, { ...slow, lastError: 'late', runAt: null })),
      false,
    )
    assert.equal(await store.transaction((tx) => completeTask(tx, quick)), true)
    assert.deepEqual(await claimed(store, start + 999), [])
  })

  test('a failed task comes back at its instant; a dead one stays visible until it is retried', async () => {
    const store = await open()
    await store.transaction((tx) => enqueueTask(tx, task({ key: 'k' })))
    const [first] = await claimed(store, start)
    assert.ok(first)
    await store.transaction((tx) => failTask(tx, { ...first, lastError: 'no route', runAt: start + 50 }))
    assert.deepEqual(await claimed(store, start + 49), [])
    const [second] = await claimed(store, start + 50)
    assert.ok(second)
    assert.equal(second.lastError, 'no route')
    await store.transaction((tx) => failTask(tx, { ...second, lastError: 'gone', runAt: null }))
    assert.deepEqual(await claimed(store, start + 9999), [])
    const dead = (await listTasks(store.db, { status: 'dead', limit: 5 })).rows
    assert.deepEqual(
      dead.map(({ id, lastError }) => [id, lastError]),
      [[second.id, 'gone']],
    )
    assert.deepEqual(await countTasks(store.db), [{ kind: 'mail', status: 'dead', count: 1 }])
    const retry = () => store.transaction((tx) => retryTask(tx, second.id, start + 60))
    const replacement = await store.transaction((tx) =>
      enqueueTask(tx, task({ key: 'k', runAt: start + 900 })),
    )
    assert.notEqual(replacement, null)
    assert.equal(await retry(), false, 'its place is taken')
    const [other] = await claimed(store, start + 900)
    assert.ok(other)
    await store.transaction((tx) => completeTask(tx, other))
    assert.equal(await retry(), true)
    assert.equal((await claimed(store, start + 60))[0]?.attempts, 1)
  })
}

function leaseConformance(open: StoreOpener): void {
  const acquire = (store: Store, holder: string, now: number) =>
    store.transaction((tx) => acquireLease(tx, { name: 'seal', holder, now, ttlMs: 100 }))

  test('one of many holders gets a lease; its token grows when it changes hands and not when it is renewed', async () => {
    const store = await open()
    const outcomes = await Promise.all(['a', 'b', 'c', 'd'].map((holder) => acquire(store, holder, start)))
    assert.equal(outcomes.filter((lease) => lease !== null).length, 1)
    const holder = ['a', 'b', 'c', 'd'][outcomes.findIndex((lease) => lease !== null)] ?? ''
    assert.deepEqual(await acquire(store, holder, start + 50), { token: 1 })
    assert.equal(await acquire(store, 'z', start + 149), null)
    assert.deepEqual(await acquire(store, 'z', start + 150), { token: 2 })
    assert.equal(await acquire(store, holder, start + 151), null)
  })

  test('a holder that let its lease lapse gets a new token', async () => {
    const store = await open()
    assert.deepEqual(await acquire(store, 'a', start), { token: 1 })
    assert.deepEqual(await acquire(store, 'a', start + 100), { token: 2 })
  })

  test('the fence knows the latest token; a lease that is let go is free at once', async () => {
    const store = await open()
    await acquire(store, 'a', start)
    const fence = (token: number) => store.transaction((tx) => checkFence(tx, { name: 'seal', token }))
    assert.equal(await fence(1), true)
    assert.equal(await fence(0), false)
    assert.equal(await store.transaction((tx) => checkFence(tx, { name: 'none', token: 1 })), false)
    const release = (token: number) => store.transaction((tx) => releaseLease(tx, { name: 'seal', token }))
    assert.equal(await release(9), false)
    assert.equal(await release(1), true)
    assert.deepEqual(await acquire(store, 'b', start + 1), { token: 2 })
    assert.equal(await fence(1), false)
  })
}

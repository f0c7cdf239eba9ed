import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { nextTurn } from '../../src/base/clock.ts'
import { findDevice, insertDevice, listDevices } from '../../src/store/devices.ts'
import { openStore } from '../../src/store/open.ts'
import type { Tx } from '../../src/store/schema.ts'
import type { EngineName, StoreOpener } from '../helpers/stores.ts'
import { recount, rolledUp, sampleDevice } from './store-samples.ts'

export function transactionConformance(name: EngineName, open: StoreOpener): void {
  test('resolves with the value of the work, after which it can be read', async () => {
    const store = await open()
    const value = await store.transaction(async (tx) => {
      await insertDevice(tx, sampleDevice(1))
      return 'done'
    })
    assert.equal(value, 'done')
    assert.deepEqual(await findDevice(store.db, sampleDevice(1).id), sampleDevice(1))
  })

  test('a unit that throws is rolled back alone and its error comes out unchanged', async () => {
    const store = await open()
    const error = new Error('no')
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        store.transaction(async (tx) => {
          await insertDevice(tx, sampleDevice(n))
          if (n === 7) throw error
          return n
        }),
      ),
    )
    assert.deepEqual(
      results.map((result) => result.status),
      results.map((_, n) => (n === 7 ? 'rejected' : 'fulfilled')),
    )
    assert.equal((results[7] as PromiseRejectedResult).reason, error)
    const { rows } = await listDevices(store.db, { limit: 100 })
    assert.equal(rows.length, 19)
    assert.equal(await findDevice(store.db, sampleDevice(7).id), null)
    assert.deepEqual(await rolledUp(store), await recount(store))
  })

  test('a unit whose statement fails is rolled back as a whole', async () => {
    const store = await open()
    await assert.rejects(
      store.transaction(async (tx) => {
        await insertDevice(tx, sampleDevice(1))
        await insertDevice(tx, sampleDevice(2, { state: 'asleep' as never }))
      }),
      /check|constraint/i,
    )
    assert.equal(await findDevice(store.db, sampleDevice(1).id), null)
    assert.deepEqual(await rolledUp(store), {})
  })

  test('reads outside a transaction see committed state only', async () => {
    const store = await open()
    const seen: number[] = []
    const reader = async (): Promise<void> => {
      seen.push((await listDevices(store.db, { limit: 100 })).rows.length)
    }
    const reads: Promise<void>[] = []
    const left = assert.rejects(
      store.transaction(async (tx) => {
        await insertDevice(tx, sampleDevice(1))
        await insertDevice(tx, sampleDevice(2))
        throw new Error('no')
      }),
      /no/,
    )
    for (let i = 0; i < 20; i++) {
      reads.push(reader())
      await nextTurn()
    }
    await left
    await Promise.all(reads)
    assert.deepEqual(
      seen,
      seen.map(() => 0),
    )
  })

  test('store.db throws inside a transaction, whose unit is then rolled back', async () => {
    const store = await open()
    await assert.rejects(
      store.transaction(async (tx) => {
        await insertDevice(tx, sampleDevice(1))
        await findDevice(store.db, sampleDevice(1).id)
      }),
      /store\.db was used inside a transaction/,
    )
    assert.equal(await findDevice(store.db, sampleDevice(1).id), null)
  })

  test('a transaction inside a transaction throws', async () => {
    const store = await open()
    await assert.rejects(
      store.transaction(() => store.transaction(async () => 1)),
      /inside a transaction/,
    )
  })

  test('a transaction that outlives its unit throws', async () => {
    const store = await open()
    let leaked: Tx | null = null
    await store.transaction(async (tx) => {
      leaked = tx
    })
    await assert.rejects(async () => findDevice(leaked as unknown as Tx, sampleDevice(1).id), /transaction/i)
  })

  test('store.db works again after the transaction, in the same chain of calls', async () => {
    const store = await open()
    await store.transaction((tx) => insertDevice(tx, sampleDevice(1)))
    assert.ok(await findDevice(store.db, sampleDevice(1).id))
    await assert.rejects(store.transaction(() => Promise.reject(new Error('no'))))
    assert.ok(await findDevice(store.db, sampleDevice(1).id))
  })

  test('sums agree with the rows after many parallel units', async () => {
    const store = await open()
    await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        store.transaction((tx) =>
          insertDevice(tx, sampleDevice(n, { state: n % 3 ? 'active' : 'registered' })),
        ),
      ),
    )
    assert.deepEqual(await rolledUp(store), { 'devices.active': 133, 'devices.registered': 67 })
  })

  test('migrating twice changes nothing', async () => {
    const store = await open()
    await store.migrate()
    assert.deepEqual((await store.schemaVersion()).pending, [])
  })

  test('closing twice is harmless', async () => {
    const store = await open()
    await store.close()
    await store.close()
  })

  if (name === 'sqlite in memory') return

  test('an empty database opens with everything pending', async () => {
    const store = await openStore({ url: await open.url() })
    const version = await store.schemaVersion()
    await store.close()
    assert.deepEqual(version.applied, [])
    assert.ok(version.pending.includes('0001-foundation'))
  })

  test('two processes that migrate at the same time both succeed', async () => {
    const url = await open.url()
    const stores = await Promise.all([openStore({ url }), openStore({ url })])
    await Promise.all(stores.map((store) => store.migrate()))
    assert.deepEqual((await stores[0].schemaVersion()).pending, [])
    await Promise.all(stores.map((store) => store.close()))
  })

  test('refuses a database that a newer version wrote', async () => {
    const url = await open.url()
    const store = await openStore({ url })
    await store.migrate()
    await store.transaction(async (tx) => {
      await sql`insert into kysely_migration (name, timestamp) values ('9999-later', '2030-01-01T00:00:00Z')`.execute(
        tx,
      )
    })
    await store.close()
    await assert.rejects(openStore({ url }), { code: 'data-directory-newer', message: /9999-later/ })
  })

  test('what one handle commits, another one sees', async () => {
    const url = await open.url()
    const [one, two] = [await openStore({ url }), await openStore({ url })]
    await one.migrate()
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        (n % 2 ? one : two).transaction((tx) => insertDevice(tx, sampleDevice(n))),
      ),
    )
    assert.equal((await listDevices(one.db, { limit: 100 })).rows.length, 40)
    assert.deepEqual(await rolledUp(two), { 'devices.registered': 40 })
    await one.close()
    await two.close()
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { forEachStore } from '../../test/helpers/stores.ts'
import { Refusal } from '../base/errors.ts'
import { postgresRefusal } from './dialects/postgres.ts'
import { readMeta, writeMeta } from './meta.ts'
import type { Tx } from './schema.ts'

forEachStore(
  (_, open) => {
    test('of two units that wait for each other, the server ends one, and it runs again', async () => {
      const store = await open()
      await store.transaction(async (tx) => {
        await writeMeta(tx, 'a', '')
        await writeMeta(tx, 'b', '')
      })
      let runs = 0
      const barrier = Promise.withResolvers<void>()
      let arrived = 0
      const cross = (first: string, second: string) =>
        store.transaction(async (tx) => {
          runs++
          await append(tx, first, second)
          if (++arrived === 2) barrier.resolve()
          await barrier.promise
          await append(tx, second, first)
        })
      await Promise.all([cross('a', 'b'), cross('b', 'a')])
      assert.ok(runs > 2, 'one of them ran again')
      assert.equal(await readMeta(store.db, 'a'), await readMeta(store.db, 'b'))
      assert.equal((await readMeta(store.db, 'a'))?.length, 2)
    })

    test('a lost connection fails its own unit only', async () => {
      const store = await open()
      const lost = store.transaction(async (tx) => {
        await writeMeta(tx, 'a', '1')
        await sql`select pg_terminate_backend(pg_backend_pid())`.execute(tx)
      })
      await assert.rejects(lost, { code: 'store-busy' })
      assert.equal(await readMeta(store.db, 'a'), null)
      await store.transaction((tx) => writeMeta(tx, 'a', '2'))
      assert.equal(await readMeta(store.db, 'a'), '2')
    })
  },
  ['postgres'],
)

async function append(tx: Tx, key: string, text: string): Promise<void> {
  await sql`update meta set value = value || 'x' where key = ${key} and ${text} <> ''`.execute(tx)
}

for (const [code, refusal] of [
  ['53100', 'disk-full'],
  ['58030', 'disk-full'],
  ['55P03', 'store-busy'],
  ['57P01', 'store-busy'],
  ['08006', 'store-busy'],
  ['53300', 'store-busy'],
  ['ECONNREFUSED', 'store-busy'],
  ['28P01', 'configuration-invalid'],
  ['3D000', 'configuration-invalid'],
] as const) {
  test(`error ${code} of PostgreSQL is ${refusal}`, () => {
    const cause = Object.assign(new Error('from the server'), { code })
    const error = postgresRefusal(cause)
    assert.ok(error instanceof Refusal)
    assert.equal(error.code, refusal)
    assert.equal(error.cause, cause)
  })
}

test('any other error of PostgreSQL stays as it is', () => {
  for (const code of ['23505', '40001', '42601']) {
    const cause = Object.assign(new Error('from the server'), { code })
    assert.equal(postgresRefusal(cause), cause)
  }
  assert.equal(postgresRefusal('text'), 'text')
})

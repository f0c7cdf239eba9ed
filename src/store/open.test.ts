import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { missing } from '../../test/helpers/require.ts'
import { startPostgres } from '../../test/helpers/postgres.ts'
import { sampleDevice } from '../../test/conformance/store-samples.ts'
import { nextTurn, stopwatch } from '../base/clock.ts'
import { findDevice, insertDevice } from './devices.ts'
import { writeMeta } from './meta.ts'
import { openStore, type Store } from './open.ts'
import type { Tx } from './schema.ts'

/** The user that owns nothing, on Debian and most others. */
const nobody = 65_534

const directory = mkdtempSync(join(tmpdir(), 'perennial-open-'))
after(() => rmSync(directory, { recursive: true, force: true }))

async function opened(name: string): Promise<{ readonly store: Store; readonly path: string }> {
  const path = join(directory, name)
  const store = await openStore({ url: `sqlite:${path}`, synchronous: 'off' })
  await store.migrate()
  return { store, path }
}

for (const url of ['', 'perennial.db', 'mysql://x', 'file:perennial.db', 'http://localhost/db']) {
  test(`refuses the database URL "${url}"`, async () => {
    await assert.rejects(openStore({ url }), { code: 'configuration-invalid' })
  })
}

test('refuses a file that is not a database', async () => {
  const path = join(directory, 'text.db')
  writeFileSync(path, 'this is not a database, however long the text may be. '.repeat(100))
  await assert.rejects(openStore({ url: `sqlite:${path}` }), {
    code: 'data-directory-invalid',
    message: /damaged/,
  })
})

test('refuses a directory that is not there', async () => {
  const url = `sqlite:${join(directory, 'none', 'perennial.db')}`
  await assert.rejects(openStore({ url }), { code: 'data-directory-invalid', message: /cannot be opened/ })
})

test('refuses to write a file that may only be read', async () => {
  // root may write everything, so root becomes nobody for a moment, in a folder that nobody can reach
  const isRoot = process.getuid?.() === 0
  const folder = mkdtempSync(join(isRoot ? '/tmp' : directory, 'perennial-readonly-'))
  try {
    const path = join(folder, 'readonly.db')
    const store = await openStore({ url: `sqlite:${path}`, synchronous: 'off' })
    await store.migrate()
    await store.close()
    chmodSync(path, 0o400)
    if (isRoot) for (const owned of [path, folder]) chownSync(owned, nobody, nobody)
    if (isRoot) process.seteuid?.(nobody)
    const reading = await openStore({ url: `sqlite:${path}` })
    try {
      assert.equal(await findDevice(reading.db, sampleDevice(1).id), null)
      await assert.rejects(
        reading.transaction((tx) => insertDevice(tx, sampleDevice(1))),
        { code: 'data-directory-invalid', message: /cannot be opened for writing/ },
      )
    } finally {
      await reading.close()
    }
  } finally {
    if (isRoot) process.seteuid?.(0)
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a closed store leaves one file, with everything in it', async () => {
  const folder = join(directory, 'closed')
  mkdirSync(folder)
  const { store } = await opened(join('closed', 'a.db'))
  await store.transaction((tx) => insertDevice(tx, sampleDevice(1)))
  await store.close()
  assert.deepEqual(readdirSync(folder), ['a.db'])
  const again = await openStore({ url: `sqlite:${join(folder, 'a.db')}` })
  assert.ok(await findDevice(again.db, sampleDevice(1).id))
  await again.close()
})

test('a closed store refuses further transactions', async () => {
  const { store } = await opened('late.db')
  await store.close()
  await assert.rejects(async () => store.transaction(async () => 1), /closed/)
})

test('a store that was opened alone keeps others out, and leaves an ordinary one', async () => {
  const path = join(directory, 'alone.db')
  const alone = await openStore({ url: `sqlite:${path}`, isExclusive: true })
  await alone.migrate()
  await alone.transaction((tx) => insertDevice(tx, sampleDevice(1)))
  assert.ok(await findDevice(alone.db, sampleDevice(1).id))
  const clock = { now: () => (now += 1_000), sleep: nextTurn }
  let now = 0
  await assert.rejects(openStore({ url: `sqlite:${path}`, clock }), { code: 'store-busy' })
  await alone.close()
  const ordinary = await openStore({ url: `sqlite:${path}` })
  assert.ok(await findDevice(ordinary.db, sampleDevice(1).id))
  await ordinary.transaction((tx) => insertDevice(tx, sampleDevice(2)))
  await assert.rejects(openStore({ url: `sqlite:${path}`, isExclusive: true, clock }), { code: 'store-busy' })
  await ordinary.close()
})

test('store.db cannot write', async () => {
  const { store } = await opened('reader.db')
  await assert.rejects(writeMeta(store.db as Tx, 'a', 'b'), /only reads/)
  await store.close()
})

test('a backup made while the store is in use opens as a store with the same rows', async () => {
  const { store } = await opened('source.db')
  await store.transaction((tx) => insertDevice(tx, sampleDevice(1)))
  const target = join(directory, 'copy.db')
  await Promise.all([store.backup(target), store.transaction((tx) => insertDevice(tx, sampleDevice(2)))])
  await store.close()
  const copy = await openStore({ url: `sqlite:${target}` })
  assert.deepEqual((await copy.schemaVersion()).pending, [])
  assert.ok(await findDevice(copy.db, sampleDevice(1).id))
  await copy.close()
})

test('in a long burst the log is copied back into the file while the store is in use', async () => {
  const { store, path } = await opened('burst.db')
  const before = statSync(path).size
  for (let n = 0; n < 200; n++) {
    // another letter each time: SQLite does not write a page again that stays the same
    await store.transaction((tx) => writeMeta(tx, 'a', String.fromCharCode(97 + (n % 26)).repeat(1_000_000)))
  }
  await store.transaction((tx) => insertDevice(tx, sampleDevice(1)))
  const elapsed = stopwatch()
  while (statSync(path).size === before && elapsed() < 20_000) await nextTurn()
  assert.ok(statSync(path).size > before, 'the file has grown')
  await store.close()
})

test(
  'PostgreSQL: says what is wrong with the database URL or the server',
  { skip: missing('postgresql') },
  async () => {
    const server = await startPostgres()
    assert.ok('createDatabase' in server)
    try {
      const url = await server.createDatabase()
      const none = url.replace(/\/[^/]*$/, '/none')
      await assert.rejects(openStore({ url: none }), { code: 'configuration-invalid' })
      const store = await openStore({ url })
      await assert.rejects(store.backup('x'), { code: 'not-implemented', message: /pg_dump/ })
      await store.close()
    } finally {
      await server.stop()
    }
  },
)

test('PostgreSQL: a server that does not answer is store-busy, with advice', async () => {
  // port 1 of the loopback interface: nobody listens there
  await assert.rejects(openStore({ url: 'postgres://a@127.0.0.1:1/b' }), {
    code: 'store-busy',
    message: /does not answer/,
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertAuditInvariants } from '../../../test/helpers/audit-invariants.ts'
import { addFacts, auditLog, startOfTests, testSigner } from '../../../test/helpers/audit-log.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import { listTiles, writeTiles } from '../../store/audit-tiles.ts'
import { latestCheckpoint, listCheckpoints } from '../../store/checkpoints.ts'
import { entriesRange, unsealedFacts } from '../../store/facts.ts'
import { acquireLease } from '../../store/leases.ts'
import type { Store } from '../../store/open.ts'
import { memoryCheckpoint, openCheckpoint } from './checkpoint.ts'
import { hashBytes } from './merkle.ts'
import { checkSealedTree, seal } from './seal.ts'
import { noteVerifier } from './signed-note.ts'
import { allTiles, widthAt } from './tile.ts'

async function sealedCount(store: Store): Promise<number> {
  return (await latestCheckpoint(store.db))?.size ?? 0
}

forEachStore((_, open) => {
  test('gives facts consecutive places in the order of their recording and signs what it stored', async () => {
    const log = auditLog(await open())
    await addFacts(log.store, 300)
    assert.deepEqual(await seal(log, startOfTests), { worked: 300 })
    const entries = await entriesRange(log.store.db, 0, 1_000)
    assert.deepEqual(
      entries.map(({ logIndex }) => logIndex),
      [...Array(300).keys()],
    )
    assert.deepEqual(
      entries.map(({ id }) => id),
      entries.map(({ id }) => id).toSorted((a, b) => a - b),
    )
    const note = await log.audit.checkpointFile.read()
    assert.equal(note, (await latestCheckpoint(log.store.db))?.note)
    assert.equal(openCheckpoint(note ?? '', noteVerifier(log.audit.signer)).size, 300)
    await assertAuditInvariants(log)
  })

  test('has nothing to do when nothing is new, and signs no empty log', async () => {
    const log = auditLog(await open())
    assert.deepEqual(await seal(log, startOfTests), { worked: 0 })
    assert.equal(await log.audit.checkpointFile.read(), null)
    await addFacts(log.store, 1)
    assert.deepEqual(await seal(log, startOfTests), { worked: 1 })
    assert.deepEqual(await seal(log, startOfTests), { worked: 0 })
    assert.equal(await sealedCount(log.store), 1)
  })

  test('seals more than a batch in one pass, one checkpoint for each batch', async () => {
    const log = auditLog(await open())
    await addFacts(log.store, 5_000)
    assert.deepEqual(await seal(log, startOfTests), { worked: 5_000 })
    const checkpoints = await listCheckpoints(log.store.db, { after: null, limit: 10 })
    assert.deepEqual(
      checkpoints.map(({ size }) => size),
      [4_096, 5_000],
    )
    await assertAuditInvariants(log)
  })

  test('stops between batches when asked to, and goes on later', async () => {
    const log = auditLog(await open())
    await addFacts(log.store, 5_000)
    assert.deepEqual(await seal(log, startOfTests, AbortSignal.abort()), { worked: 4_096 })
    assert.deepEqual(await seal(log, startOfTests), { worked: 904 })
    await assertAuditInvariants(log)
  })

  test('grows over many passes into exactly the tiles of its size', async () => {
    const log = auditLog(await open())
    let size = 0
    for (const count of [1, 254, 1, 1, 255, 256, 3, 700]) {
      await addFacts(log.store, count)
      await seal(log, startOfTests)
      size += count
      assert.equal(await sealedCount(log.store), size)
    }
    await assertAuditInvariants(log)
    const stored: string[] = []
    for (const level of [0, 1, 2]) {
      for (const { tile, hashes } of await listTiles(log.store.db, { level, fromTile: 0, limit: 100 })) {
        stored.push(`${level}/${tile}: ${hashes.byteLength / hashBytes}`)
      }
    }
    const expected = [...allTiles(size)].map((tile) => `${tile.level}/${tile.index}: ${widthAt(tile, size)}`)
    assert.deepEqual(stored, expected)
  })

  test('a crash between storing the tree and signing it leaves a checkpoint that the next pass signs', async () => {
    const log = auditLog(await open())
    const { signer } = log.audit
    const failing = { ...signer, sign: () => Promise.reject(new Error('the key is away')) }
    await addFacts(log.store, 10)
    await assert.rejects(
      seal({ ...log, audit: { ...log.audit, signer: failing } }, startOfTests),
      /key is away/,
    )
    assert.equal((await latestCheckpoint(log.store.db))?.note, null)
    assert.equal(await log.audit.checkpointFile.read(), null)
    await addFacts(log.store, 5)
    assert.deepEqual(await seal(log, startOfTests), { worked: 5 })
    const checkpoints = await listCheckpoints(log.store.db, { after: null, limit: 10 })
    assert.deepEqual(
      checkpoints.map(({ size, note }) => [size, note === null]),
      [
        [10, false],
        [15, false],
      ],
    )
    await assertAuditInvariants(log)
  })

  test('a crash between signing and writing the file is made good by the next pass', async () => {
    const log = auditLog(await open())
    const file = log.audit.checkpointFile
    const full = { ...file, write: () => Promise.reject(new Error('no space')) }
    await addFacts(log.store, 10)
    await assert.rejects(
      seal({ ...log, audit: { ...log.audit, checkpointFile: full } }, startOfTests),
      /no space/,
    )
    assert.equal(await file.read(), null)
    assert.deepEqual(await seal(log, startOfTests), { worked: 0 })
    assert.equal(await file.read(), (await latestCheckpoint(log.store.db))?.note)
    await assertAuditInvariants(log)
  })

  test('many sealers at once, with facts coming in, seal each fact once', async () => {
    const log = auditLog(await open())
    const rounds = Array.from({ length: 12 }, async (_each, i) => {
      await addFacts(log.store, 20)
      return await seal(log, startOfTests + i)
    })
    await Promise.all(rounds)
    await seal(log, startOfTests + 100)
    assert.equal(await sealedCount(log.store), 240)
    assert.deepEqual(await unsealedFacts(log.store.db, 1), [])
    await assertAuditInvariants(log)
  })

  test('a sealer that lost its lease while it signed writes nothing, and the one that took over signs', async () => {
    const log = auditLog(await open())
    const slow = {
      ...log.audit.signer,
      sign: async (text: Uint8Array) => {
        const late = startOfTests + 61_000
        const lease = { name: 'audit-seal', holder: 'another', now: late, ttlMs: 1_000 }
        assert.ok(await log.store.transaction((tx) => acquireLease(tx, lease)))
        return await log.audit.signer.sign(text)
      },
    }
    await addFacts(log.store, 10)
    const sealing = seal({ ...log, audit: { ...log.audit, signer: slow } }, startOfTests)
    await assert.rejects(sealing, { code: 'store-busy' })
    assert.equal((await latestCheckpoint(log.store.db))?.note, null)
    assert.deepEqual(await seal(log, startOfTests + 61_500), { worked: 0 })
    assert.equal((await latestCheckpoint(log.store.db))?.note, null, 'the lease is held still')
    await seal(log, startOfTests + 62_001)
    assert.equal(await sealedCount(log.store), 10)
    await assertAuditInvariants(log)
  })

  test('refuses to seal onto a database that was rolled back behind the checkpoint file', async () => {
    const log = auditLog(await open())
    await addFacts(log.store, 10)
    await seal(log, startOfTests)
    const backup = auditLog(await open(), log.audit)
    await addFacts(backup.store, 20)
    await assert.rejects(seal(backup, startOfTests), {
      code: 'audit-invalid',
      message: /has 0 sealed facts, but 10/,
    })
    await assert.rejects(checkSealedTree(backup), { code: 'audit-invalid' })
    assert.equal(await sealedCount(backup.store), 0, 'nothing was sealed')
  })

  test('refuses to seal onto another history of the same or a greater size', async () => {
    const log = auditLog(await open())
    await addFacts(log.store, 10)
    await seal(log, startOfTests)
    for (const size of [10, 300]) {
      const other = auditLog(await open(), { signer: log.audit.signer })
      await addFacts(other.store, size)
      await seal(other, startOfTests)
      const confused = { ...other, audit: log.audit }
      await addFacts(other.store, 1)
      await assert.rejects(seal(confused, startOfTests), {
        code: 'audit-invalid',
        message: /another history/,
      })
      assert.equal(await sealedCount(other.store), size)
    }
  })

  test('goes on when the file is behind the database, as on a second node', async () => {
    const log = auditLog(await open())
    await addFacts(log.store, 10)
    await seal(log, startOfTests)
    const behind = memoryCheckpoint(await log.audit.checkpointFile.read())
    await addFacts(log.store, 290)
    await seal(log, startOfTests)
    const second = { ...log, audit: { ...log.audit, checkpointFile: behind } }
    await addFacts(log.store, 5)
    assert.deepEqual(await seal(second, startOfTests), { worked: 5 })
    assert.equal(await behind.read(), (await latestCheckpoint(log.store.db))?.note)
    await assertAuditInvariants(second)
  })

  test('refuses to seal onto tiles that do not have the root of the checkpoint', async () => {
    const log = auditLog(await open())
    await addFacts(log.store, 10)
    await seal(log, startOfTests)
    const [tile] = await listTiles(log.store.db, { level: 0, fromTile: 0, limit: 1 })
    const damaged = Buffer.from(tile?.hashes ?? [])
    damaged[40] = (damaged[40] as number) ^ 1
    await log.store.transaction((tx) => writeTiles(tx, [{ level: 0, tile: 0, hashes: damaged }]))
    await addFacts(log.store, 1)
    await assert.rejects(seal(log, startOfTests), { code: 'audit-invalid', message: /root hash/ })
    await log.store.transaction((tx) => writeTiles(tx, [{ level: 0, tile: 0, hashes: damaged.subarray(32) }]))
    await assert.rejects(seal(log, startOfTests), { code: 'audit-invalid', message: /9 hashes of 10/ })
    assert.equal(await sealedCount(log.store), 10)
  })

  test('refuses a checkpoint file of another log or with a bad signature', async () => {
    const log = auditLog(await open())
    await addFacts(log.store, 10)
    await seal(log, startOfTests)
    await addFacts(log.store, 1)
    const note = (await log.audit.checkpointFile.read()) ?? ''
    for (const bad of [note.replace('\n10\n', '\n09\n'), note.replace('\n10\n', '\n9\n'), 'nonsense', '']) {
      const audit = { ...log.audit, checkpointFile: memoryCheckpoint(bad) }
      await assert.rejects(seal({ ...log, audit }, startOfTests), {
        code: 'audit-invalid',
        message: /memory is not/,
      })
    }
    const stranger = { ...log.audit, signer: testSigner() }
    await assert.rejects(seal({ ...log, audit: stranger }, startOfTests), { code: 'audit-invalid' })
  })
})

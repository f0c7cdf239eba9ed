import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import {
  addCertificate,
  addFacts,
  auditLog,
  change,
  found,
  startOfTests,
  testSigner,
} from '../../../test/helpers/audit-log.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import { latestCheckpoint } from '../../store/checkpoints.ts'
import type { Store } from '../../store/open.ts'
import type { Tx } from '../../store/schema.ts'
import { fact } from './audit.ts'
import { verifyAuditLog, type VerifyReport } from './audit-verify.ts'
import { memoryCheckpoint, signCheckpoint } from './checkpoint.ts'
import { leafHash } from './merkle.ts'
import { seal, type SealContext } from './seal.ts'
import { TileTree } from './tile-tree.ts'

/** 600 facts sealed in three passes, and 4 certificates among them. */
async function sealedLog(store: Store): Promise<SealContext> {
  const log = auditLog(store)
  for (const count of [100, 300, 196]) {
    await addFacts(store, count)
    if (count === 300) for (let i = 0; i < 4; i += 1) await addCertificate(store)
    await seal(log, startOfTests)
  }
  return log
}

/** Moves the log indexes of the range by `by`, as someone would who closes or opens a gap. */
async function shift(tx: Tx, { from, by }: { from: number; by: number }): Promise<void> {
  // by way of negative numbers: the index is unique at every step on SQLite
  await tx
    .updateTable('facts')
    .set({ log_index: sql`-1 - log_index - ${sql.lit(by)}` })
    .where('log_index', '>=', from)
    .execute()
  await tx
    .updateTable('facts')
    .set({ log_index: sql`-1 - log_index` })
    .where('log_index', '<', 0)
    .execute()
}

async function remove(tx: Tx, logIndex: number): Promise<void> {
  await tx.deleteFrom('facts').where('log_index', '=', logIndex).execute()
}

async function insert(tx: Tx, logIndex: number): Promise<void> {
  const forged = fact(startOfTests, { actor: 'system', action: 'device.added', subject: 'device:FORGED' })
  await tx
    .insertInto('facts')
    .values({ ...forged, log_index: logIndex })
    .execute()
}

async function entryAt(tx: Tx, logIndex: number): Promise<Uint8Array> {
  const row = await tx
    .selectFrom('facts')
    .select('entry')
    .where('log_index', '=', logIndex)
    .executeTakeFirstOrThrow()
  return row.entry
}

async function replaceEntry(tx: Tx, logIndex: number, from: string, to: string): Promise<void> {
  const text = Buffer.from(await entryAt(tx, logIndex)).toString()
  assert.ok(text.includes(from))
  const entry = Buffer.from(text.replace(from, to))
  await tx.updateTable('facts').set({ entry }).where('log_index', '=', logIndex).execute()
}

async function rewriteTree(tx: Tx): Promise<TileTree> {
  const rows = await tx
    .selectFrom('facts')
    .select('entry')
    .where('log_index', 'is not', null)
    .orderBy('log_index')
    .execute()
  const tree = new TileTree()
  for (const { entry } of rows) tree.append(leafHash(entry))
  await tx.deleteFrom('audit_tiles').execute()
  for (const { level, index, hashes } of tree.takeTiles()) {
    await tx.insertInto('audit_tiles').values({ level, tile: index, hashes }).execute()
  }
  return tree
}

/** The database as it was when the log had `size` entries. */
async function rollBack(tx: Tx, size: number): Promise<void> {
  await tx.deleteFrom('facts').where('log_index', '>=', size).execute()
  await tx.deleteFrom('checkpoints').where('size', '>', size).execute()
  await rewriteTree(tx)
}

forEachStore((_, open) => {
  test('finds nothing in a log that is as it was sealed', async () => {
    const log = await sealedLog(await open())
    await addFacts(log.store, 7)
    const progress: string[] = []
    const report = await verifyAuditLog(log, {
      onProgress: (step, done, total) => void progress.push(`${step} ${done} ${total}`),
    })
    assert.deepEqual(report.findings, [])
    assert.ok(report.isValid)
    assert.equal(report.size, 600)
    assert.equal(report.checkpoints, 3)
    assert.equal(report.unsealed, 7)
    assert.equal(report.certificates, 4)
    assert.deepEqual(report.remarks, [])
    assert.deepEqual(progress, ['entries 600 600', 'certificates 4 null'])
  })

  test('finds nothing in an empty log and in one that was never sealed', async () => {
    const log = auditLog(await open())
    assert.ok((await verifyAuditLog(log)).isValid)
    await addFacts(log.store, 3)
    await addCertificate(log.store)
    const report = await verifyAuditLog(log)
    assert.deepEqual([report.isValid, report.size, report.unsealed], [true, 0, 4])
  })

  test('finds nothing while facts are recorded and sealed', async () => {
    const log = await sealedLog(await open())
    const writing = (async () => {
      for (let i = 0; i < 10; i += 1) {
        await addFacts(log.store, 30)
        await addCertificate(log.store)
        await seal(log, startOfTests + i)
      }
    })()
    const reports: VerifyReport[] = []
    for (let i = 0; i < 5; i += 1) reports.push(await verifyAuditLog(log))
    await writing
    reports.push(await verifyAuditLog(log))
    for (const report of reports) assert.deepEqual(report.findings, [])
    assert.equal(reports.at(-1)?.size, 910)
  })

  test('finds a flipped bit in an entry', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => {
      const entry = Buffer.from(await entryAt(tx, 317))
      entry[entry.length - 20] = (entry[entry.length - 20] as number) ^ 1
      await tx.updateTable('facts').set({ entry }).where('log_index', '=', 317).execute()
    })
    assert.ok(found(await verifyAuditLog(log)).some(([kind, index]) => kind === 'changed' && index === 317))
  })

  test('finds an entry rewritten together with its columns', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => {
      await replaceEntry(tx, 50, '"actor":"system"', '"actor":"nobody"')
    })
    assert.deepEqual(found(await verifyAuditLog(log)), [['changed', 50]])
  })

  test('finds an entry rewritten together with its columns and every tile', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => {
      await replaceEntry(tx, 150, '"actor":"system"', '"actor":"nobody"')
      await rewriteTree(tx)
    })
    // between the checkpoints at 100 and 404 it is; more cannot be said
    const report = await verifyAuditLog(log)
    assert.deepEqual(found(report), [['changed', 100]])
    assert.match(report.findings[0]?.detail ?? '', /100 to 403/)
  })

  test('finds an entry, its tiles and the checkpoints rewritten, for the key was not at hand', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => {
      await replaceEntry(tx, 150, '"actor":"system"', '"actor":"nobody"')
      const tree = await rewriteTree(tx)
      const checkpoint = { size: 600, rootHash: tree.root() }
      const note = await signCheckpoint(checkpoint, testSigner())
      await tx.deleteFrom('checkpoints').execute()
      await tx
        .insertInto('checkpoints')
        .values({ size: 600, root_hash: checkpoint.rootHash, note, at: 0 })
        .execute()
    })
    const all = found(await verifyAuditLog(log))
    assert.deepEqual(all[0], ['checkpoint-invalid', 600])
    assert.deepEqual(all[1], ['rolled-back', 0])
  })

  test('finds a deleted entry', async () => {
    for (const at of [0, 255, 256, 598]) {
      const log = await sealedLog(await open())
      await change(log.store, async (tx) => await remove(tx, at))
      assert.deepEqual(found(await verifyAuditLog(log)), [['deleted', at]])
    }
  })

  test('finds a deleted entry whose gap was closed', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => {
      await remove(tx, 300)
      await shift(tx, { from: 301, by: -1 })
    })
    assert.deepEqual(found(await verifyAuditLog(log)), [['deleted', 300]])
  })

  test('finds an inserted entry', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => {
      await shift(tx, { from: 300, by: 1 })
      await insert(tx, 300)
    })
    assert.deepEqual(found(await verifyAuditLog(log)), [
      ['inserted', 300],
      ['inserted', 600],
    ])
  })

  test('finds an entry put at the end without a checkpoint', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => await insert(tx, 600))
    assert.deepEqual(found(await verifyAuditLog(log)), [['inserted', 600]])
  })

  test('finds reordered entries', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => {
      const [a, b] = [await entryAt(tx, 20), await entryAt(tx, 520)]
      await tx.updateTable('facts').set({ log_index: -1 }).where('log_index', '=', 20).execute()
      await tx.updateTable('facts').set({ log_index: 20 }).where('log_index', '=', 520).execute()
      await tx.updateTable('facts').set({ log_index: 520 }).where('log_index', '=', -1).execute()
      assert.deepEqual([await entryAt(tx, 20), await entryAt(tx, 520)], [b, a])
    })
    assert.deepEqual(found(await verifyAuditLog(log)), [['reordered', 20]])
  })

  test('finds a truncated log', async () => {
    for (const end of [599, 512, 404, 1, 0]) {
      const log = await sealedLog(await open())
      await change(log.store, async (tx) => tx.deleteFrom('facts').where('log_index', '>=', end).execute())
      const all = found(await verifyAuditLog(log)).filter(([kind]) => kind !== 'certificate-without-fact')
      assert.deepEqual(all, [['truncated', end]])
    }
  })

  test('finds a database rolled back behind its last checkpoint', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => await rollBack(tx, 404))
    assert.deepEqual(found(await verifyAuditLog(log)), [['rolled-back', 404]])
  })

  test('finds a database rolled back and grown beyond its last checkpoint again', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => await rollBack(tx, 404))
    await addFacts(log.store, 300)
    const blind = { ...log, audit: { ...log.audit, checkpointFile: memoryCheckpoint() } }
    await seal(blind, startOfTests)
    const report = await verifyAuditLog(log)
    assert.deepEqual(found(report), [['changed', 404]])
    assert.match(report.findings[0]?.detail ?? '', /404 to 599 .*checkpoint at 600/)
  })

  test('says so when the checkpoint file is not there, and finds no fault in it', async () => {
    const log = await sealedLog(await open())
    const blind = { ...log, audit: { ...log.audit, checkpointFile: memoryCheckpoint() } }
    const report = await verifyAuditLog(blind)
    assert.ok(report.isValid)
    assert.match(report.remarks[0] ?? '', /cannot be ruled out/)
  })

  test('finds a checkpoint file that was tampered with', async () => {
    const log = await sealedLog(await open())
    const note = (await log.audit.checkpointFile.read()) ?? ''
    const blind = {
      ...log,
      audit: { ...log.audit, checkpointFile: memoryCheckpoint(note.replace('600', '6')) },
    }
    assert.deepEqual(found(await verifyAuditLog(blind)), [['checkpoint-invalid', null]])
  })

  test('finds two histories of one size that were both signed', async () => {
    const log = await sealedLog(await open())
    const note = await signCheckpoint({ size: 600, rootHash: Buffer.alloc(32, 1) }, log.audit.signer)
    const forked = { ...log, audit: { ...log.audit, checkpointFile: memoryCheckpoint(note) } }
    assert.ok(found(await verifyAuditLog(forked)).some(([kind]) => kind === 'checkpoint-invalid'))
  })

  test('finds a changed and a missing tile, and tells them from a changed entry', async () => {
    const log = await sealedLog(await open())
    await change(log.store, async (tx) => {
      const row = await tx
        .selectFrom('audit_tiles')
        .select('hashes')
        .where('level', '=', 0)
        .where('tile', '=', 1)
        .executeTakeFirstOrThrow()
      const hashes = Buffer.from(row.hashes)
      hashes[32 * 10] = (hashes[32 * 10] as number) ^ 1
      await tx
        .updateTable('audit_tiles')
        .set({ hashes })
        .where('level', '=', 0)
        .where('tile', '=', 1)
        .execute()
    })
    assert.deepEqual(found(await verifyAuditLog(log)), [['tile-changed', 266]])
    await change(log.store, (tx) => tx.deleteFrom('audit_tiles').where('level', '=', 1).execute())
    await change(log.store, (tx) => tx.deleteFrom('audit_tiles').where('tile', '=', 1).execute())
    assert.deepEqual(found(await verifyAuditLog(log)), [['tile-missing', 256]])
  })

  test('finds a checkpoint whose row or note was changed', async () => {
    const log = await sealedLog(await open())
    await change(log.store, (tx) =>
      tx
        .updateTable('checkpoints')
        .set({ root_hash: Buffer.alloc(32) })
        .where('size', '=', 404)
        .execute(),
    )
    assert.deepEqual(found(await verifyAuditLog(log)), [['checkpoint-invalid', 404]])
    const last = await latestCheckpoint(log.store.db)
    await change(log.store, (tx) =>
      tx
        .updateTable('checkpoints')
        .set({ note: (last?.note ?? '').replace('\n600\n', '\n599\n') })
        .where('size', '=', 600)
        .execute(),
    )
    const all = found(await verifyAuditLog(log))
    assert.deepEqual(all.slice(0, 2), [
      ['checkpoint-invalid', 404],
      ['checkpoint-invalid', 600],
    ])
  })

  test('finds columns that hide a fact from a search', async () => {
    const log = await sealedLog(await open())
    await change(log.store, (tx) =>
      tx.updateTable('facts').set({ subject: 'device:ANOTHER' }).where('log_index', '=', 30).execute(),
    )
    await change(log.store, (tx) =>
      tx.updateTable('facts').set({ at: 0 }).where('log_index', '=', 31).execute(),
    )
    assert.deepEqual(found(await verifyAuditLog(log)), [
      ['index-changed', 30],
      ['index-changed', 31],
    ])
  })

  test('lists 100 findings at most and says that there are more', async () => {
    const log = await sealedLog(await open())
    await change(log.store, (tx) => tx.updateTable('facts').set({ at: 0 }).execute())
    const report = await verifyAuditLog(log)
    assert.deepEqual([report.findings.length, report.isCut], [100, true])
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addFacts, auditLog, change, startOfTests, testSigner } from '../../../test/helpers/audit-log.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import { latestCheckpoint } from '../../store/checkpoints.ts'
import { recentFacts } from '../../store/facts.ts'
import type { Store } from '../../store/open.ts'
import { readFact } from './audit.ts'
import { verifyAuditLog } from './audit-verify.ts'
import { memoryCheckpoint, openCheckpoint, type CheckpointFile } from './checkpoint.ts'
import { planRestart, restartLog, type RestartRequest } from './restart-log.ts'
import { checkSealedTree, seal, type SealContext } from './seal.ts'
import { noteVerifier, type NoteSigner } from './signed-note.ts'

interface Loss {
  /** The installation after a backup was put in place. */
  readonly log: SealContext
  readonly lostNote: string
}

/** A log of 500 entries of which a backup has `kept`; the checkpoint file is the newest. */
async function loss(open: () => Promise<Store>, kept: number): Promise<Loss> {
  const checkpointFile = memoryCheckpoint()
  const backup = auditLog(await open())
  if (kept > 0) {
    await addFacts(backup.store, kept)
    await seal(backup, startOfTests)
  }
  const lost = auditLog(await open(), { signer: backup.audit.signer, checkpointFile })
  await addFacts(lost.store, 500)
  await seal(lost, startOfTests)
  const lostNote = (await checkpointFile.read()) ?? ''
  return { log: { ...backup, audit: { signer: backup.audit.signer, checkpointFile } }, lostNote }
}

function request(onRestarted: (signer: NoteSigner) => Promise<void> = async () => {}): RestartRequest {
  return { actor: 'cli:ops', reason: 'disk of node 3 died', onRestarted }
}

forEachStore((_, open) => {
  for (const kept of [0, 1, 300]) {
    test(`a restored backup of ${kept} entries goes on under a new name, and the loss is on record`, async () => {
      const { log, lostNote } = await loss(open, kept)
      await assert.rejects(checkSealedTree(log), { code: 'audit-invalid' })
      const given: NoteSigner[] = []
      const restart = await restartLog(
        log,
        startOfTests,
        request(async (signer) => void given.push(signer)),
      )
      assert.deepEqual(given, [restart.signer])
      assert.deepEqual([restart.size, restart.previousSize], [kept, 500])
      assert.equal(restart.signer.name, 'example.com/audit.2')
      assert.deepEqual(restart.signer.publicKey, log.audit.signer.publicKey)

      const after = { ...log, audit: { ...log.audit, signer: restart.signer } }
      await addFacts(after.store, 10)
      await seal(after, startOfTests)
      const report = await verifyAuditLog(after)
      assert.deepEqual([report.findings, report.size], [[], kept + 11])
      const [record] = await recentFacts(after.store.db, { action: 'audit-log.restarted', limit: 10 })
      const { reason, details } = readFact(record?.entry ?? new Uint8Array())
      assert.equal(reason, 'disk of node 3 died')
      assert.equal(details['previousCheckpoint'], lostNote)
      assert.equal(record?.logIndex, kept)
    })
  }

  test('a process that still has the old name seals nothing more', async () => {
    const { log } = await loss(open, 300)
    const stale: CheckpointFile = memoryCheckpoint(null)
    await restartLog(log, startOfTests, request())
    await addFacts(log.store, 1)
    await assert.rejects(seal(log, startOfTests), { code: 'audit-invalid' })
    const elsewhere = { ...log, audit: { signer: log.audit.signer, checkpointFile: stale } }
    await assert.rejects(seal(elsewhere, startOfTests), {
      code: 'audit-invalid',
      message: /restarted elsewhere/,
    })
    assert.equal((await latestCheckpoint(log.store.db))?.size, 301)
  })

  test('a restart that was interrupted anywhere is repeated under the name after', async () => {
    const { log } = await loss(open, 300)
    // after the transaction, before the file
    const full = { ...log.audit.checkpointFile, write: () => Promise.reject(new Error('no space')) }
    const broken = { ...log, audit: { ...log.audit, checkpointFile: full } }
    await assert.rejects(restartLog(broken, startOfTests, request()), /no space/)
    // after the file, before the name is kept
    const forgetful = request(() => Promise.reject(new Error('killed')))
    await assert.rejects(restartLog(log, startOfTests, forgetful), /killed/)
    const { signer } = await restartLog(log, startOfTests, request())
    assert.equal(signer.name, 'example.com/audit.4')
    const report = await verifyAuditLog({ ...log, audit: { ...log.audit, signer } })
    assert.deepEqual([report.findings, report.size], [[], 303])
    const note = (await log.audit.checkpointFile.read()) ?? ''
    assert.equal(openCheckpoint(note, noteVerifier(signer)).size, 303)
  })

  test('a second loss, to a backup from before the first, gets a third name', async () => {
    const { log } = await loss(open, 300)
    const { signer } = await restartLog(log, startOfTests, request())
    const older = auditLog(await open(), { signer: log.audit.signer })
    await addFacts(older.store, 100)
    await seal(older, startOfTests)
    const restored = { ...older, audit: { signer, checkpointFile: log.audit.checkpointFile } }
    const second = await restartLog(restored, startOfTests, request())
    assert.deepEqual(
      [second.signer.name, second.size, second.previousSize],
      ['example.com/audit.3', 100, 301],
    )
    const report = await verifyAuditLog({ ...restored, audit: { ...restored.audit, signer: second.signer } })
    assert.deepEqual([report.findings, report.size], [[], 101])
  })

  test('refuses to restart a log that continues its checkpoint, or has none', async () => {
    const log = auditLog(await open())
    await assert.rejects(planRestart(log), { code: 'invalid-input' })
    await addFacts(log.store, 5)
    await seal(log, startOfTests)
    await assert.rejects(planRestart(log), { code: 'invalid-input' })
  })

  test('refuses to restart what does not verify by itself', async () => {
    const { log } = await loss(open, 300)
    await change(log.store, (tx) =>
      tx
        .updateTable('facts')
        .set({ entry: Buffer.from('{}') })
        .where('log_index', '=', 7)
        .execute(),
    )
    await assert.rejects(restartLog(log, startOfTests, request()), {
      code: 'audit-invalid',
      message: /by itself/,
    })
    assert.equal((await latestCheckpoint(log.store.db))?.size, 300)
  })

  test('refuses the checkpoint file of another log or key', async () => {
    const { log } = await loss(open, 300)
    for (const signer of [testSigner('example.com/audit'), testSigner('example.org/audit')]) {
      const other = auditLog(await open(), { signer })
      await addFacts(other.store, 400)
      await seal(other, startOfTests)
      const mixed = {
        ...log,
        audit: { signer: log.audit.signer, checkpointFile: other.audit.checkpointFile },
      }
      await assert.rejects(planRestart(mixed), (error: { code?: string }) =>
        ['audit-invalid', 'bad-signature'].includes(error.code ?? ''),
      )
    }
  })
})

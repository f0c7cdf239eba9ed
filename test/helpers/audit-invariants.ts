import assert from 'node:assert/strict'
import { listCheckpoints } from '../../src/store/checkpoints.ts'
import { storedLog } from '../../src/engine/audit/audit-verify.ts'
import { openCheckpoint } from '../../src/engine/audit/checkpoint.ts'
import { checkLog, type Anchor } from '../../src/engine/audit/log-check.ts'
import { consistencyProof, verifyConsistency } from '../../src/engine/audit/merkle.ts'
import type { SealContext } from '../../src/engine/audit/seal.ts'
import { storedTiles } from '../../src/engine/audit/sealed-tree.ts'
import { noteVerifier } from '../../src/engine/audit/signed-note.ts'
import { subtreeReader } from '../../src/engine/audit/tile.ts'

/** What must hold after every action: each fact sealed once, every root signed, all checkpoints of one history. */
export async function assertAuditInvariants(log: SealContext): Promise<void> {
  const { db } = log.store
  const verifier = noteVerifier(log.audit.signer)
  const checkpoints = await listCheckpoints(db, { after: null, limit: 1_000 })
  const signed: Anchor[] = []
  for (const record of checkpoints) {
    if (record.note === null) continue
    const { size, rootHash } = openCheckpoint(record.note, verifier)
    assert.equal(size, record.size)
    assert.deepEqual(Buffer.from(rootHash), Buffer.from(record.rootHash))
    signed.push({ size, rootHash })
  }
  const last = signed.at(-1)
  const fault = await checkLog({ source: storedLog(db), size: last?.size ?? 0, anchors: inOrder(signed) })
  assert.equal(fault, null)
  for (const [i, newer] of signed.entries()) {
    const older = signed[i - 1]
    if (!older) continue
    const proof = await consistencyProof(older.size, newer.size, subtreeReader(newer.size, storedTiles(db)))
    const claim = {
      oldSize: older.size,
      oldRoot: older.rootHash,
      newSize: newer.size,
      newRoot: newer.rootHash,
      proof,
    }
    assert.ok(verifyConsistency(claim), `checkpoints at ${older.size} and ${newer.size}`)
  }
  const note = await log.audit.checkpointFile.read()
  if (note !== null) assert.ok(signed.some(({ size }) => size === openCheckpoint(note, verifier).size))
}

async function* inOrder(anchors: readonly Anchor[]): AsyncGenerator<Anchor> {
  yield* anchors
}

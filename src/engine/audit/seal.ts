/**
 * Seals facts: gives them their places in the Merkle log and signs a checkpoint. The rule of the house is that no two
 * checkpoints are ever signed that contradict each other. Hence the order: the tree is durable before its checkpoint is
 * signed; one sealer at a time, by lease and fencing token; and nothing is sealed onto a log that is behind, or other
 * than, the checkpoint signed last, of which a copy lies outside the database.
 */
import { equalBytes } from '../../base/bytes.ts'
import type { Instant } from '../../base/clock.ts'
import { assert, Refusal } from '../../base/errors.ts'
import { token } from '../../base/random.ts'
import { writeTiles } from '../../store/audit-tiles.ts'
import {
  insertCheckpoint,
  latestCheckpoint,
  setCheckpointNote,
  type CheckpointRecord,
} from '../../store/checkpoints.ts'
import { setLogIndexes, unsealedFacts } from '../../store/facts.ts'
import { acquireLease, checkFence, releaseLease } from '../../store/leases.ts'
import type { Tx } from '../../store/schema.ts'
import { openCheckpoint, signCheckpoint, type Checkpoint } from './checkpoint.ts'
import type { Engine } from '../context.ts'
import type { Job, JobResult } from '../jobs.ts'
import { emptyRoot, leafHash } from './merkle.ts'
import { resumeTree, rootAt } from './sealed-tree.ts'
import { noteVerifier } from './signed-note.ts'
import type { TileTree } from './tile-tree.ts'

export type SealContext = Pick<Engine, 'store' | 'audit' | 'random'>

const leaseName = 'audit-seal'
// A batch takes well under a second; whoever is slower than this has lost its fence and stops.
const leaseMs = 60_000
// Entries are a few hundred bytes, at most 64 KiB: this bounds what a pass holds in memory and the length of a transaction.
const batchFacts = 4_096

/** The pass as a job of its own. Several may run: the lease inside lets one seal. */
export function sealJob(intervalMs: number): Job {
  return {
    name: 'audit-seal',
    intervalMs,
    run: async (engine, now, signal) => await seal(engine, now, signal),
  }
}

/**
 * Seals every fact that is committed now. Idempotent; safe to call from anywhere at any time.
 * @returns the number of facts sealed; 0 also when another process is sealing
 * @throws Refusal `audit-invalid` when the database is behind or beside the checkpoint signed last
 */
export async function seal(engine: SealContext, now: Instant, signal?: AbortSignal): Promise<JobResult> {
  const { store } = engine
  const idle = await isSealed(engine)
  if (idle) {
    await checkSealedTree(engine)
    return { worked: 0 }
  }
  const holder = token(engine.random, 12)
  const lease = await store.transaction((tx) =>
    acquireLease(tx, { name: leaseName, holder, now, ttlMs: leaseMs }),
  )
  if (!lease) return { worked: 0 }
  const fence = { name: leaseName, token: lease.token }
  try {
    return { worked: await sealAll(engine, now, fence, signal) }
  } finally {
    await store.transaction((tx) => releaseLease(tx, fence))
  }
}

/**
 * Compares the database with the checkpoint signed last; asked at start and before anything is sealed.
 * @returns the tree as it is sealed
 * @throws Refusal `audit-invalid` when the database was rolled back, or its tree is not the one that was signed
 */
export async function checkSealedTree(engine: SealContext): Promise<TileTree> {
  const { db } = engine.store
  // Read before the database: the file is written after it, so a sealer at work cannot make the file look ahead.
  const signed = await readCheckpointFile(engine)
  const last = await latestCheckpoint(db)
  const size = last?.size ?? 0
  const rootHash = last?.rootHash ?? emptyRoot
  if (signed && signed.size > size) {
    throw new Refusal(
      'audit-invalid',
      `the database has ${size} sealed facts, but ${signed.size} were signed (${engine.audit.checkpointFile.description}): it was rolled back or restored from a backup that is not the latest. Nothing is sealed onto it; restore the latest, or, when there is none, see audit restart`,
    )
  }
  checkNote(engine, last)
  const tree = await resumeTree(db, size)
  if (!equalBytes(tree.root(), rootHash)) {
    throw new Refusal(
      'audit-invalid',
      `the tiles of the audit log do not have the root hash of its checkpoint at ${size}; run audit verify`,
    )
  }
  if (
    signed &&
    !equalBytes(signed.size === size ? rootHash : await rootAt(db, signed.size), signed.rootHash)
  ) {
    throw new Refusal(
      'audit-invalid',
      `the first ${signed.size} entries of the audit log are not those that were signed (${engine.audit.checkpointFile.description}): another history was put in their place`,
    )
  }
  return tree
}

/** Another node may have restarted the log under a new name: what is signed under the old one would contradict it. */
function checkNote({ audit }: SealContext, last: CheckpointRecord | null): void {
  if (!last || last.note === null) return
  try {
    openCheckpoint(last.note, noteVerifier(audit.signer))
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause
    throw new Refusal(
      'audit-invalid',
      `the checkpoint at ${last.size} in the database: ${cause.message}; if the log was restarted elsewhere, copy its audit-checkpoint and audit key from there`,
      { cause },
    )
  }
}

/** @throws Refusal `audit-invalid` when the file holds anything but a checkpoint signed by our key */
export async function readCheckpointFile({ audit }: Pick<SealContext, 'audit'>): Promise<Checkpoint | null> {
  const note = await audit.checkpointFile.read()
  if (note === null) return null
  try {
    return openCheckpoint(note, noteVerifier(audit.signer))
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause
    const where = audit.checkpointFile.description
    throw new Refusal('audit-invalid', `${where} is not a checkpoint of this audit log: ${cause.message}`, {
      cause,
    })
  }
}

interface Fence {
  readonly name: string
  readonly token: number
}

async function sealAll(
  engine: SealContext,
  now: Instant,
  fence: Fence,
  signal: AbortSignal | undefined,
): Promise<number> {
  // 1 the tree to continue, checked against what was signed
  const tree = await checkSealedTree(engine)
  // 2 a checkpoint that a crash left unsigned, or a file that it left behind
  await signLatest(engine, fence)
  // 3 batches until nothing is left
  for (let sealed = 0; ;) {
    const count = await persistBatch(engine, tree, fence, now)
    if (count > 0) await signLatest(engine, fence)
    sealed += count
    if (count < batchFacts || signal?.aborted === true) return sealed
  }
}

/** Places, tiles and the checkpoint without its signature: one transaction. */
async function persistBatch(
  { store }: SealContext,
  tree: TileTree,
  fence: Fence,
  now: Instant,
): Promise<number> {
  const facts = await unsealedFacts(store.db, batchFacts)
  if (facts.length === 0) return 0
  const firstLogIndex = tree.size
  for (const { entry } of facts) tree.append(leafHash(entry))
  const tiles = tree.takeTiles().map(({ level, index, hashes }) => ({ level, tile: index, hashes }))
  const ids = facts.map(({ id }) => id)
  await store.transaction(async (tx) => {
    await holdFence(tx, fence)
    const last = await latestCheckpoint(tx)
    assert((last?.size ?? 0) === firstLogIndex, 'only the holder of the lease extends the audit log')
    const changed = await setLogIndexes(tx, { firstLogIndex, ids })
    assert(changed === ids.length, 'a fact is sealed once')
    await writeTiles(tx, tiles)
    await insertCheckpoint(tx, { size: tree.size, rootHash: tree.root(), at: now })
  })
  return facts.length
}

/** Signs the latest checkpoint, which is durable, unless it is signed; then brings the file up to date. */
async function signLatest(engine: SealContext, fence: Fence): Promise<void> {
  const { store, audit } = engine
  const last = await latestCheckpoint(store.db)
  if (!last) return
  let note = last.note
  if (note === null) {
    const signed = await signCheckpoint(last, audit.signer)
    // a key that does not verify its own signatures must not leave a checkpoint behind that nobody can check
    openCheckpoint(signed, noteVerifier(audit.signer))
    await store.transaction(async (tx) => {
      await holdFence(tx, fence)
      await setCheckpointNote(tx, last.size, signed)
    })
    note = signed
  }
  const kept = await readCheckpointFile(engine)
  if (kept === null || kept.size < last.size) await audit.checkpointFile.write(note)
}

/** True when no fact waits, the latest checkpoint is signed and the file has it. */
async function isSealed(engine: SealContext): Promise<boolean> {
  const { db } = engine.store
  const waiting = await unsealedFacts(db, 1)
  if (waiting.length > 0) return false
  const last = await latestCheckpoint(db)
  if (!last) return true
  const kept = await readCheckpointFile(engine)
  return last.note !== null && kept !== null && kept.size >= last.size
}

async function holdFence(tx: Tx, fence: Fence): Promise<void> {
  if (await checkFence(tx, fence)) return
  throw new Refusal('store-busy', 'another process took over sealing the audit log; it goes on there')
}

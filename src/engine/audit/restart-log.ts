/**
 * The log after a loss. A restored backup is behind checkpoints that were signed; to seal onto it under the same name
 * would contradict them, so it is refused for good (seal.ts). What is there is still good: it goes on as a log of
 * another name, and the loss is the first thing that it records.
 */
import type { Instant } from '../../base/clock.ts'
import { assert, Refusal } from '../../base/errors.ts'
import {
  deleteCheckpoints,
  insertCheckpoint,
  latestCheckpoint,
  setCheckpointNote,
  type CheckpointRecord,
} from '../../store/checkpoints.ts'
import type { NewFact } from '../../store/facts.ts'
import { fact, recordFacts, subjects } from './audit.ts'
import { verifyAuditLog } from './audit-verify.ts'
import {
  memoryCheckpoint,
  openCheckpoint,
  parseCheckpointText,
  signCheckpoint,
  type Checkpoint,
} from './checkpoint.ts'
import { checkSealedTree, seal, type SealContext } from './seal.ts'
import { noteVerifier, renamedSigner, type NoteSigner } from './signed-note.ts'

export interface RestartRequest {
  readonly actor: string
  /** What happened, in words. */
  readonly reason: string
  /** Called with the new signer when everything is durable: what names the log from now on must be kept. */
  readonly onRestarted: (signer: NoteSigner) => Promise<void>
}

export interface Restart {
  readonly signer: NoteSigner
  /** Entries that are there and stay. */
  readonly size: number
  /** Entries that the last checkpoint of the old log had. */
  readonly previousSize: number
}

/**
 * Goes on with what the database has under the next name. Safe to repeat after a crash: it then takes the name after.
 * @throws Refusal `invalid-input` when the log continues its checkpoint, `audit-invalid` when what is there does not
 *   verify by itself
 */
export async function restartLog(
  engine: SealContext,
  now: Instant,
  request: RestartRequest,
): Promise<Restart> {
  // 1 what is there, verified
  const { previous, signer, last } = await planRestart(engine)
  const size = last?.size ?? 0
  // 2 its tree is durable: it may be signed under the new name
  const note = last && (await signCheckpoint(last, signer))
  // 3 from here on the database is that of the new log
  await engine.store.transaction(async (tx) => {
    assert(
      (await latestCheckpoint(tx))?.size === last?.size,
      'nobody seals onto a log that is behind its checkpoint',
    )
    await deleteCheckpoints(tx)
    if (last && note !== null) {
      await insertCheckpoint(tx, { size, rootHash: last.rootHash, at: now })
      await setCheckpointNote(tx, size, note)
    }
    await recordFacts(tx, restarted(now, request, { previous, signer, size }))
  })
  // 4 the loss is sealed, and what names the log follows
  const file = memoryCheckpoint()
  await seal({ ...engine, audit: { signer, checkpointFile: file } }, now)
  const sealed = await file.read()
  assert(sealed !== null, 'the restarted log is sealed')
  await engine.audit.checkpointFile.write(sealed)
  await request.onRestarted(signer)
  return { signer, size, previousSize: previous.checkpoint.size }
}

export interface RestartPlan {
  readonly previous: { readonly note: string; readonly checkpoint: Checkpoint }
  readonly signer: NoteSigner
  /** The tree that stays; null when nothing of it was sealed. */
  readonly last: CheckpointRecord | null
}

/** What `restartLog` would do; changes nothing. */
export async function planRestart(engine: SealContext): Promise<RestartPlan> {
  const { signer, checkpointFile } = engine.audit
  const note = await checkpointFile.read()
  if (note === null || (await isSound(engine))) {
    throw new Refusal(
      'invalid-input',
      'the audit log continues its last checkpoint: there is nothing to restart',
    )
  }
  // a restart that did not end may have left file or database under a later name than ours; the key is the same
  const last = await latestCheckpoint(engine.store.db)
  const names = [originOf(note), last?.note ? originOf(last.note) : signer.name, signer.name]
  const stranger = names.find((name) => baseOf(name) !== baseOf(signer.name))
  if (stranger !== undefined) {
    throw new Refusal(
      'audit-invalid',
      `${checkpointFile.description} or the database is of another log, ${stranger}`,
    )
  }
  const checkpoint = openCheckpoint(note, noteVerifier(renamedSigner(signer, originOf(note))))
  await verifyByItself(engine, names)
  const next = `${baseOf(signer.name)}.${Math.max(...names.map(generationOf)) + 1}`
  return { previous: { note, checkpoint }, signer: renamedSigner(signer, next), last }
}

function restarted(
  now: Instant,
  { actor, reason }: RestartRequest,
  { previous, signer, size }: { previous: RestartPlan['previous']; signer: NoteSigner; size: number },
): NewFact {
  const details = {
    origin: signer.name,
    size,
    previousOrigin: previous.checkpoint.origin,
    previousSize: previous.checkpoint.size,
    previousCheckpoint: previous.note,
  }
  return fact(now, { actor, action: 'audit-log.restarted', subject: subjects.instance, reason, details })
}

async function isSound(engine: SealContext): Promise<boolean> {
  try {
    await checkSealedTree(engine)
    return true
  } catch (error) {
    if (error instanceof Refusal && error.code === 'audit-invalid') return false
    throw error
  }
}

/** The database without the file: what is there must be good under one of its names. */
async function verifyByItself(engine: SealContext, names: readonly string[]): Promise<void> {
  for (const name of new Set(names)) {
    const signer = renamedSigner(engine.audit.signer, name)
    const report = await verifyAuditLog({ ...engine, audit: { signer, checkpointFile: memoryCheckpoint() } })
    if (report.isValid) return
  }
  throw new Refusal(
    'audit-invalid',
    'what is in the database does not verify by itself: restore a backup that does; `audit verify` says what is wrong',
  )
}

/** @throws Refusal `malformed` */
function originOf(note: string): string {
  return parseCheckpointText(note.slice(0, note.lastIndexOf('\n\n') + 1)).origin
}

// `…/audit`, then `…/audit.2`, `…/audit.3`
function generationOf(name: string): number {
  return Number(/\.([1-9][0-9]{0,5})$/.exec(name)?.[1] ?? 1)
}

function baseOf(name: string): string {
  return name.replace(/\.[1-9][0-9]{0,5}$/, '')
}

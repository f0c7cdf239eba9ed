/**
 * `audit verify`: the whole log of the database, entry by entry, against its tiles, against every checkpoint that was
 * signed, against the checkpoint file, and against the inventory. Memory stays flat; facts may be written and sealed
 * meanwhile. Nothing is repaired.
 */
import { equalBytes } from '../../base/bytes.ts'
import { assert, Refusal } from '../../base/errors.ts'
import { waitingFacts } from '../../store/audit-inventory.ts'
import { readTiles } from '../../store/audit-tiles.ts'
import { latestCheckpoint, listCheckpoints, type CheckpointRecord } from '../../store/checkpoints.ts'
import { entriesRange, type FactRecord } from '../../store/facts.ts'
import type { Db } from '../../store/schema.ts'
import { isoMs, readFact, type ReadableFact } from './audit.ts'
import { Findings, type Finding } from './audit-findings.ts'
import { checkInventory, checkOrigins, isOrigin, type Origin } from './audit-origins.ts'
import { openCheckpoint, type Checkpoint } from './checkpoint.ts'
import type { Engine } from '../context.ts'
import { checkLog, type Anchor, type LogEntry, type LogSource } from './log-check.ts'
import { hashBytes } from './merkle.ts'
import { readCheckpointFile } from './seal.ts'
import { noteVerifier, type NoteVerifier } from './signed-note.ts'

export type VerifyContext = Pick<Engine, 'store' | 'audit'>

export interface VerifyReport {
  /** True when nothing was found. */
  readonly isValid: boolean
  readonly findings: readonly Finding[]
  /** More was found than is listed. */
  readonly isCut: boolean
  readonly origin: string
  /** Entries under the latest signed checkpoint. */
  readonly size: number
  readonly rootHash: Uint8Array | null
  readonly checkpoints: number
  /** Facts that are not sealed yet: on record, but not protected by the log. */
  readonly unsealed: number
  readonly certificates: number
  /** Worth knowing, and no fault. */
  readonly remarks: readonly string[]
}

export interface VerifyOptions {
  /** Called now and then. `total` is known for entries only. */
  readonly onProgress?: (step: 'entries' | 'certificates', done: number, total: number | null) => void
}

const pageSize = 1_000
/** @returns everything that was found; a log that does not verify is an answer, not an exception */
export async function verifyAuditLog(
  engine: VerifyContext,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const { db } = engine.store
  const findings = new Findings()
  // 1 the checkpoint outside the database, before the database is looked at: it is written after it
  const kept = await readKept(engine, findings)
  // 2 the checkpoints in the database; those that our key signed are what everything else is held against
  const signed = await checkCheckpoints(db, noteVerifier(engine.audit.signer), kept, findings)
  const size = signed.last?.size ?? 0
  const remarks = compareKept(engine, kept, size, findings)
  // 3 every entry, tile and root, and each recorded issuance against the inventory
  const fault = await checkLog({
    source: storedLog(db),
    size,
    anchors: anchorsOf(db, { kept, size, invalid: signed.invalid }),
    onEntries: async (entries) => await checkFacts(db, entries.map(recordOf), findings),
    onProgress: (done) => options.onProgress?.('entries', done, size),
  })
  if (fault) findings.add(fault.kind, fault.index, fault.detail)
  await checkBeyond(db, findings)
  // 4 facts that wait to be sealed, and every certificate against all facts
  const unsealed = await checkUnsealed(db, findings)
  const certificates = await checkInventory(db, findings, (done) => {
    options.onProgress?.('certificates', done, null)
  })
  return {
    isValid: findings.list.length === 0,
    findings: findings.list,
    isCut: findings.isCut,
    origin: engine.audit.signer.name,
    size,
    rootHash: signed.last?.rootHash ?? null,
    checkpoints: signed.count,
    unsealed,
    certificates,
    remarks,
  }
}

/** The log as the store keeps it. */
export function storedLog(db: Db): LogSource {
  return {
    async *entries(from) {
      for (let next = from; ;) {
        const facts = await entriesRange(db, next, pageSize)
        if (facts.length === 0) return
        yield facts.map((record): StoredEntry => ({ index: record.logIndex, entry: record.entry, record }))
        next = (facts.at(-1)?.logIndex ?? next) + 1
      }
    },
    async tile({ level, index }, width) {
      const [row] = await readTiles(db, [{ level, tile: index }])
      return row?.hashes.subarray(0, width * hashBytes) ?? null
    },
  }
}

interface StoredEntry extends LogEntry {
  readonly record: FactRecord
}

function recordOf(entry: LogEntry): FactRecord {
  assert('record' in entry, 'entries of the store carry their rows')
  return (entry as StoredEntry).record
}

async function readKept(engine: VerifyContext, findings: Findings): Promise<Checkpoint | null> {
  try {
    return await readCheckpointFile(engine)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    findings.add('checkpoint-invalid', null, error.message)
    return null
  }
}

/** @returns remarks */
function compareKept(
  { audit }: VerifyContext,
  kept: Checkpoint | null,
  size: number,
  findings: Findings,
): string[] {
  const where = audit.checkpointFile.description
  if (kept === null)
    return size === 0 ? [] : [`${where} is not there: that the database was rolled back cannot be ruled out`]
  if (kept.size > size) {
    const lost = kept.size - 1 === size ? `entry ${size} is` : `entries ${size} to ${kept.size - 1} are`
    findings.add(
      'rolled-back',
      size,
      `${kept.size} entries were signed according to ${where}, the database ends at ${size}: ${lost} lost`,
    )
  }
  return []
}

interface SignedCheckpoints {
  readonly count: number
  readonly last: Anchor | null
  /** Sizes of those that our key did not sign as they stand there. */
  readonly invalid: ReadonlySet<number>
}

async function checkCheckpoints(
  db: Db,
  verifier: NoteVerifier,
  kept: Checkpoint | null,
  findings: Findings,
): Promise<SignedCheckpoints> {
  let count = 0
  let last: Anchor | null = null
  const invalid = new Set<number>()
  for await (const record of storedCheckpoints(db)) {
    // without a note: its tree is durable and its signature is about to be made
    if (record.note === null) continue
    count += 1
    const fault = checkpointFault(record, verifier)
    if (fault === null) last = record
    else {
      invalid.add(record.size)
      findings.add('checkpoint-invalid', record.size, `the checkpoint at ${record.size}: ${fault}`)
    }
    if (fault === null && kept?.size === record.size && !equalBytes(kept.rootHash, record.rootHash)) {
      findings.add(
        'checkpoint-invalid',
        record.size,
        `two different histories of ${record.size} entries were signed`,
      )
    }
  }
  return { count, last, invalid }
}

/** @returns what is wrong with the checkpoint, null when it is what our key signed */
function checkpointFault({ size, rootHash, note }: CheckpointRecord, verifier: NoteVerifier): string | null {
  try {
    const signed = openCheckpoint(note ?? '', verifier)
    if (signed.size !== size) return `its note was signed at ${signed.size}`
    return equalBytes(signed.rootHash, rootHash) ? null : 'its root hash is not the one in its note'
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}

async function* storedCheckpoints(db: Db): AsyncGenerator<CheckpointRecord> {
  for (let after: number | null = null; ;) {
    const page: CheckpointRecord[] = await listCheckpoints(db, { after, limit: pageSize })
    yield* page
    const end = page.at(-1)
    if (!end) return
    after = end.size
  }
}

interface AnchorRequest {
  readonly kept: Checkpoint | null
  readonly size: number
  readonly invalid: ReadonlySet<number>
}

/** Signed roots in order of their sizes: those of the database, and in its place the one of the checkpoint file. */
async function* anchorsOf(db: Db, { kept, size, invalid }: AnchorRequest): AsyncGenerator<Anchor> {
  let outside: Anchor | null = kept
  for await (const record of storedCheckpoints(db)) {
    if (record.size > size || record.note === null || invalid.has(record.size)) continue
    if (outside && outside.size <= record.size) {
      yield outside
      outside = null
    }
    yield record
  }
}

async function checkFacts(db: Db, records: readonly FactRecord[], findings: Findings): Promise<void> {
  const origins: Origin[] = []
  for (const record of records) {
    const fact = checkColumns(record, findings)
    if (fact && isOrigin(fact.action)) origins.push({ index: record.logIndex, fact })
  }
  await checkOrigins(db, origins, findings)
}

/** The columns repeat what the entry says; someone who cannot change the entry may still hide it from a search. */
function checkColumns(record: FactRecord, findings: Findings): ReadableFact | null {
  const { id, logIndex } = record
  try {
    const fact = readFact(record.entry)
    const { action, subject, at } = fact
    if (action !== record.action || subject !== record.subject || Date.parse(at) !== record.at) {
      const listed = `${record.action} of ${record.subject} at ${isoMs(record.at)}`
      findings.add(
        'index-changed',
        logIndex,
        `fact ${id} is listed as ${listed}, its entry says ${action} of ${subject} at ${at}`,
      )
    }
    return fact
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    findings.add('index-changed', logIndex, `fact ${id}: ${error.message}`)
    return null
  }
}

/** Entries beyond the latest tree, signed or about to be: whoever put them there has no key. */
async function checkBeyond(db: Db, findings: Findings): Promise<void> {
  const end = (await latestCheckpoint(db))?.size ?? 0
  const beyond = await entriesRange(db, end, 1)
  const index = beyond[0]?.logIndex
  if (index === undefined) return
  // a sealer at work adds entries and their checkpoint together
  if (((await latestCheckpoint(db))?.size ?? 0) > index) return
  findings.add('inserted', index, `entry ${index} is beyond the log, which ends at ${end}`)
}

async function checkUnsealed(db: Db, findings: Findings): Promise<number> {
  let count = 0
  for (let afterId = 0; ;) {
    const facts = await waitingFacts(db, { afterId, limit: pageSize })
    await checkFacts(db, facts, findings)
    count += facts.length
    const last = facts.at(-1)
    if (!last) return count
    afterId = last.id
  }
}

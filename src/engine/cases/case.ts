/**
 * Cases: a device that was revoked needs an investigation before it gets anything. While its case is open it is quarantined;
 * closing it with a verdict (verdict.ts) says what becomes of it. Notes and evidence are kept with it: of a file its name and
 * hash, so that what is shown later can be proved to be what was found.
 */
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { isUnsafeText } from '../../base/text.ts'
import {
  caseEntries,
  findCase,
  findOpenCase,
  insertCase,
  insertCaseEntry,
  listCases,
  lockCase,
  verdicts,
  type CaseEntry,
  type CaseFilter,
  type CaseRecord,
  type Verdict,
} from '../../store/cases.ts'
import { findDevice, setDeviceState, type DeviceState } from '../../store/devices.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import type { Tx } from '../../store/schema.ts'
import { fact, recordFacts, subjects, type FactDetails } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { deviceOutOfService } from '../renewals/renewal-events.ts'
import { connectorNames, cutSessions } from '../sessions/cut.ts'

export { verdicts, type CaseEntry, type CaseFilter, type CaseRecord, type Verdict }

export interface CaseOpening {
  readonly deviceId: DeviceId
  readonly actor: string
  readonly note?: string
}

/**
 * Takes a device out of service to look at it; nothing is revoked.
 * @throws Refusal `not-found`, `already-exists` when its case is open, `device-decommissioned`
 */
export async function openCase(engine: Engine, { deviceId, actor, note }: CaseOpening): Promise<CaseRecord> {
  const now = engine.clock.now()
  const id = await engine.store.transaction(async (tx) => {
    const before = await setDeviceState(tx, deviceId, 'quarantined')
    if (before === null) throw new Refusal('not-found', `device ${deviceId} is not in the inventory`)
    if (before === 'decommissioned') {
      throw new Refusal(
        'device-decommissioned',
        `device ${deviceId} is decommissioned: nothing is left to find out`,
      )
    }
    const opened = await openCaseIn(tx, { deviceId, actor, now, reason: null, revocationId: null })
    if (opened === null) {
      const known = await findOpenCase(tx, deviceId)
      throw new Refusal('already-exists', `case ${known?.id} of device ${deviceId} is open: add to it`)
    }
    if (note !== undefined) await noteIn(tx, opened, { at: now, actor, note, file: null })
    if (before === 'quarantined') return opened
    await deviceOutOfService(tx, { deviceId, reason: 'device-quarantined', actor }, now)
    await cutSessions(tx, connectorNames(engine), { deviceId, why: 'quarantined' }, now)
    const details = { case: opened }
    await recordFacts(tx, deviceFact('device.quarantined', { deviceId, actor, now, note, details }))
    return opened
  })
  return await requireCase(engine, id)
}

export interface CaseInUnit {
  readonly deviceId: DeviceId
  readonly actor: string
  readonly now: Instant
  /** A name of RFC 5280 §5.3.1; null when nothing is revoked. */
  readonly reason: string | null
  readonly revocationId: number | null
}

/** The part of a unit of work that opens a case. @returns its number; null when the device has one that is open */
export async function openCaseIn(
  tx: Tx,
  { deviceId, actor, now, reason, revocationId }: CaseInUnit,
): Promise<number | null> {
  const id = await insertCase(tx, { deviceId, revocationId, reason, openedBy: actor, openedAt: now })
  if (id === null) return null
  await recordFacts(tx, caseFact('case.opened', { id, actor, now, details: { deviceId, reason } }))
  return id
}

export interface CaseAddition {
  readonly id: number
  readonly actor: string
  readonly note: string | null
  readonly file?: CaseEntry['file']
}

/** A note, or evidence. @throws Refusal `not-found`, `case-state` when it is closed, `invalid-input` */
export async function addToCase(
  engine: Engine,
  { id, actor, note, file = null }: CaseAddition,
): Promise<CaseRecord> {
  const now = engine.clock.now()
  if (note === null && file === null) throw new Refusal('invalid-input', 'there is neither a note nor a file')
  if (file !== null && (file.name === '' || file.name.length > 255 || isUnsafeText(file.name)))
    throw new Refusal('invalid-input', 'the name of a file has 1 to 255 printable characters')
  await engine.store.transaction(async (tx) => {
    await requireOpen(tx, id)
    await noteIn(tx, id, { at: now, actor, note, file })
    const told = { id, actor, now, ...(note === null ? {} : { note }) }
    const added =
      file === null
        ? caseFact('case.noted', told)
        : caseFact('case.evidence-added', { ...told, details: { ...file } })
    await recordFacts(tx, added)
  })
  return await requireCase(engine, id)
}

const maxNote = 4_000

/** @throws Refusal `invalid-input` for a note that is empty or too long */
export async function noteIn(tx: Tx, id: number, entry: CaseEntry): Promise<void> {
  const { note } = entry
  if (note !== null && (note.trim() === '' || note.length > maxNote || !note.isWellFormed()))
    throw new Refusal('invalid-input', `a note has 1 to ${maxNote} characters`)
  await insertCaseEntry(tx, id, entry)
}

export interface CaseDetails {
  readonly record: CaseRecord
  readonly entries: readonly CaseEntry[]
  readonly deviceState: DeviceState | null
}

/** @throws Refusal `not-found` */
export async function caseDetails(engine: Engine, id: number): Promise<CaseDetails> {
  const record = await requireCase(engine, id)
  const device = await findDevice(engine.store.db, record.deviceId)
  return { record, entries: await caseEntries(engine.store.db, id), deviceState: device?.state ?? null }
}

/** Oldest first. */
export async function casePage(
  { store }: Engine,
  request: PageRequest & { readonly filter?: CaseFilter },
): Promise<Page<CaseRecord>> {
  return await listCases(store.db, request)
}

/** The open case of a device. @throws Refusal `not-found` when there is none */
export async function openCaseOf({ store }: Engine, deviceId: DeviceId): Promise<CaseRecord> {
  const record = await findOpenCase(store.db, deviceId)
  if (record) return record
  throw new Refusal('not-found', `no case of device ${deviceId} is open: see \`perennial case list\``)
}

/** @throws Refusal `not-found` */
export async function requireCase({ store }: Engine, id: number): Promise<CaseRecord> {
  const record = await findCase(store.db, id)
  if (record) return record
  throw new Refusal('not-found', `there is no case ${id}: see \`perennial case list\``)
}

/** Nobody else changes it before the unit ends. @throws Refusal `not-found`, `case-state` */
export async function requireOpen(tx: Tx, id: number): Promise<CaseRecord> {
  const record = await lockCase(tx, id)
  if (!record) throw new Refusal('not-found', `there is no case ${id}: see \`perennial case list\``)
  if (record.closedAt === null) return record
  throw new Refusal('case-state', `case ${id} is closed (${record.verdict}): open another one`)
}

interface Told {
  readonly actor: string
  readonly now: Instant
  readonly note?: string | undefined
  readonly details?: FactDetails
}

export function caseFact(
  action: 'case.opened' | 'case.noted' | 'case.evidence-added' | 'case.closed',
  { id, ...told }: Told & { readonly id: number },
): ReturnType<typeof fact> {
  return factAbout(subjects.case(id), action, told)
}

export function deviceFact(
  action: 'device.quarantined' | 'device.released' | 'device.decommissioned',
  { deviceId, ...told }: Told & { readonly deviceId: DeviceId },
): ReturnType<typeof fact> {
  return factAbout(subjects.device(deviceId), action, told)
}

function factAbout(
  subject: string,
  action: Parameters<typeof fact>[1]['action'],
  { actor, now, note, details }: Told,
): ReturnType<typeof fact> {
  const words = note === undefined ? {} : { reason: note }
  return fact(now, { actor, action, subject, ...words, ...(details === undefined ? {} : { details }) })
}

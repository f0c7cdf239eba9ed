/**
 * The field list: the devices that people must deal with, since no way of asking them was left. An entry is an escalated
 * renewal; who is done with one sends it through its ladder again, or ends it when the device was renewed by hand.
 */
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { isUnsafeText } from '../../base/text.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findDevice, type DeviceRecord } from '../../store/devices.ts'
import { findCertificate, findCurrent } from '../../store/inventory.ts'
import type { Page } from '../../store/page.ts'
import { attemptsOf, type AttemptRecord } from '../../store/renewal-attempts.ts'
import { listEscalated, type FieldRequest } from '../../store/renewal-lists.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import { lockOpenRenewal, updateRenewal } from '../../store/renewals.ts'
import type { Tx } from '../../store/schema.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { defaultSlot } from '../issuing/profile.ts'
import { connectivityOf, renewalConfirmed } from './renewal-events.ts'
import { issuedState, resolveRenewal } from './renewal-step.ts'
import { enqueueRetraction } from './retraction.ts'
import { daysLeft, escalationWords, nextActionWords } from './renewal-words.ts'

export interface FieldEntry {
  readonly renewal: RenewalRecord
  /** Null when it was deleted from the inventory. */
  readonly device: DeviceRecord | null
  /** What is to be replaced; null when it is not in the inventory any more. */
  readonly certificate: Pick<CertificateRecord, 'issuerId' | 'serialNumber'> | null
  /** Every time that it was asked, in the order of its ladder. */
  readonly attempts: readonly AttemptRecord[]
  readonly daysLeft: number
  /** In words. */
  readonly reason: string
  readonly nextAction: string
}

/** Those whose certificate ends first come first. */
export async function fieldPage(engine: Engine, request: FieldRequest): Promise<Page<FieldEntry>> {
  const { rows, next } = await listEscalated(engine.store.db, request)
  return { rows: await fieldEntries(engine, rows, engine.clock.now()), next }
}

/** What people need to know about each of these renewals. */
export async function fieldEntries(
  { store: { db } }: Engine,
  renewals: readonly RenewalRecord[],
  now: Instant,
): Promise<FieldEntry[]> {
  const entries: FieldEntry[] = []
  for (const renewal of renewals) {
    entries.push({
      renewal,
      device: await findDevice(db, renewal.deviceId),
      certificate: await findCertificate(db, renewal.certificateId),
      attempts: await attemptsOf(db, renewal.id),
      daysLeft: daysLeft(renewal.notAfter, now),
      reason: escalationWords(renewal),
      nextAction: nextActionWords(renewal, now),
    })
  }
  return entries
}

interface FieldDecision {
  readonly deviceId: DeviceId
  readonly actor: string
}

const maxText = 256

/**
 * @param assignee who goes there: a name, a team, a ticket; null takes it back
 * @throws Refusal `not-found` when the device is not on the list, `invalid-input` for a name that cannot be shown
 */
export async function assignEntry(
  engine: Engine,
  { deviceId, actor, assignee }: FieldDecision & { readonly assignee: string | null },
): Promise<RenewalRecord> {
  const now = engine.clock.now()
  if (assignee !== null) checkText(assignee, 'an assignee')
  return await engine.store.transaction(async (tx) => {
    const renewal = await lockEntry(tx, deviceId)
    if (renewal.assignee === assignee) return renewal
    await updateRenewal(tx, renewal, { assignee })
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'renewal.assigned',
        subject: subjects.renewal(renewal.id),
        details: { deviceId, assignee: assignee ?? undefined, before: renewal.assignee ?? undefined },
      }),
    )
    return { ...renewal, assignee }
  })
}

export interface Resolution {
  /** `again`: it is asked again, from the foot of its ladder. `renewed`: it has a newer certificate; it has been renewed by hand. */
  readonly outcome: 'again' | 'renewed'
  readonly renewal: RenewalRecord
}

/**
 * @param note what was found; goes on record
 * @throws Refusal `not-found` when the device is not on the list, `invalid-input`
 */
export async function resolveEntry(
  engine: Engine,
  { deviceId, actor, note }: FieldDecision & { readonly note?: string },
): Promise<Resolution> {
  const now = engine.clock.now()
  if (note !== undefined) checkText(note, 'a note')
  return await engine.store.transaction(async (tx) => {
    const renewal = await lockEntry(tx, deviceId)
    const current = await findCurrent(tx, deviceId, renewal.slot)
    const isRenewed = current !== null && current.id > renewal.certificateId && current.notAfter > now
    if (isRenewed) await endByHand(engine, tx, { renewal, current, now })
    else {
      await updateRenewal(tx, renewal, { ...resolveRenewal(renewal, now), assignee: null })
      await enqueueRetraction(tx, now, renewal)
    }
    const outcome = isRenewed ? 'renewed' : 'again'
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'renewal.resolved',
        subject: subjects.renewal(renewal.id),
        ...(note === undefined ? {} : { reason: note }),
        details: { deviceId, outcome },
      }),
    )
    const after = await lockOpenRenewal(tx, deviceId, renewal.slot)
    return { outcome, renewal: after ?? { ...renewal, status: 'retired', endedAt: now } }
  })
}

interface ByHand {
  readonly renewal: RenewalRecord
  readonly current: CertificateRecord
  readonly now: Instant
}

/** A certificate that came past the protocols: seen already, or with the time that a device has to show it. */
async function endByHand(engine: Engine, tx: Tx, { renewal, current, now }: ByHand): Promise<void> {
  if (current.status === 'confirmed') {
    await renewalConfirmed(tx, current, { at: current.confirmedAt ?? now, isLast: true })
    return
  }
  const { ladder, checkInMs } = connectivityOf(engine, renewal)
  const state = issuedState(renewal, now, { ladder, patienceMs: checkInMs })
  await updateRenewal(tx, renewal, {
    ...state,
    newCertificateId: current.id,
    issuedAt: current.issuedAt ?? now,
    assignee: null,
  })
}

async function lockEntry(tx: Tx, deviceId: DeviceId): Promise<RenewalRecord> {
  const renewal = await lockOpenRenewal(tx, deviceId, defaultSlot)
  if (renewal?.status === 'escalated') return renewal
  throw new Refusal(
    'not-found',
    renewal === null
      ? `device ${deviceId} is not on the field list: it has no open renewal`
      : `device ${deviceId} is not on the field list: its renewal is ${renewal.status}`,
  )
}

function checkText(text: string, what: string): void {
  if (text.trim() === '' || text.length > maxText || isUnsafeText(text)) {
    throw new Refusal('invalid-input', `${what} is 1 to ${maxText} printable characters`)
  }
}

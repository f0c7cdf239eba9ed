/**
 * Retirement: a certificate whose successor is in use works on for a grace, then it is superseded and refused. Never while
 * it is the last one that the device can use.
 */
import { dayMs, minuteMs, secondMs, type Instant } from '../../base/clock.ts'
import type { CertificateId } from '../../base/id.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { setStatus } from '../../store/certificates.ts'
import { findCertificate } from '../../store/inventory.ts'
import { findCertificatesLastSeen } from '../../store/last-seen.ts'
import {
  deleteRetirements,
  dueRetirements,
  insertRetirements,
  postponeRetirement,
  type RetirementRecord,
} from '../../store/retirements.ts'
import type { Tx } from '../../store/schema.ts'
import { actors, recordFacts } from '../audit/audit.ts'
import { isClockTrusted } from './clock-guard.ts'
import type { Engine } from '../context.ts'
import type { Fence, Job, JobResult } from '../jobs.ts'
import { profileDefaults } from '../issuing/profile.ts'
import { renewalRetired, renewalUndone, supersededFact } from './renewal-events.ts'

interface Succession {
  /** Live, held by the unit. */
  readonly older: readonly CertificateRecord[]
  /** The certificate that was just confirmed. */
  readonly by: CertificateRecord
  /** When it was used first. */
  readonly at: Instant
  readonly now: Instant
}

/**
 * Notes when the older ones go; a profile without a grace lets them go now.
 * @returns true when none of them is left
 */
export async function retireLater(engine: Engine, tx: Tx, succession: Succession): Promise<boolean> {
  const { older, by, at, now } = succession
  const graceMs = graceOf(engine, by)
  if (graceMs === 0) {
    for (const one of older) await supersede(tx, one, by, now)
    return true
  }
  const { deviceId } = by
  if (deviceId === null) return true
  await insertRetirements(
    tx,
    older.map((one) => ({
      certificateId: one.id,
      deviceId,
      slot: one.slot,
      replacedBy: by.id,
      // what is of no use any more needs no grace
      dueAt: Math.min(at + graceMs, endOf(engine, one)),
    })),
  )
  return older.length === 0
}

/** From when on nothing can be done with it, not even a late renewal: notAfter is inclusive and counts whole seconds. */
function endOf({ settings }: Engine, { notAfter, profile }: CertificateRecord): Instant {
  return notAfter + (settings.profiles.get(profile ?? '')?.renewExpiredForMs ?? 0) + secondMs
}

function graceOf({ settings }: Engine, { profile }: CertificateRecord): number {
  return settings.profiles.get(profile ?? '')?.retireAfterMs ?? profileDefaults.retireAfterMs
}

async function supersede(
  tx: Tx,
  one: CertificateRecord,
  by: CertificateRecord,
  now: Instant,
  actor?: string,
): Promise<void> {
  if (!(await setStatus(tx, one.id, { status: 'superseded', reason: null }))) return
  await recordFacts(tx, supersededFact(one, by, now, actor))
}

/** Retirements in one transaction. */
const atOnce = 250

/** Supersedes what was replaced and whose grace has ended. */
export const retireCertificates: Job = {
  name: 'retire-certificates',
  intervalMs: minuteMs,
  run: async (engine, now, signal, fence) => {
    if (signal.aborted || !(await isClockTrusted(engine, now))) return { worked: 0 }
    return await retireDue(engine, now, fence)
  },
}

/** One bounded pass. */
export async function retireDue(engine: Engine, now: Instant, fence: Fence): Promise<JobResult> {
  const worked = await engine.store.transaction(async (tx) => {
    await fence(tx)
    const due = await dueRetirements(tx, { now, limit: atOnce })
    for (const retirement of due) await retireOne(engine, tx, retirement, now)
    return due.length
  })
  return { worked, isBehind: worked === atOnce }
}

async function retireOne(engine: Engine, tx: Tx, retirement: RetirementRecord, now: Instant): Promise<void> {
  const { certificateId, replacedBy } = retirement
  const [one, by] = [await findCertificate(tx, certificateId), await findCertificate(tx, replacedBy)]
  const isUsable = by !== null && (by.status === 'confirmed' || by.status === 'superseded')
  if (one === null || !isUsable) {
    // The new certificate was revoked meanwhile: what it had replaced is the last one of the device, if anything is.
    await deleteRetirements(tx, [certificateId])
    await renewalUndone(tx, retirement, actors.job(retireCertificates.name), now)
    return
  }
  const endsAt = endOf(engine, one)
  if (now < endsAt && (await hasFallenBack(tx, one.id, by))) {
    const later = now + Math.max(graceOf(engine, by), dayMs)
    await postponeRetirement(tx, certificateId, Math.min(later, endsAt))
    return
  }
  await supersede(tx, one, by, now, actors.job(retireCertificates.name))
  await deleteRetirements(tx, [certificateId])
  await renewalRetired(tx, retirement, now)
}

/** True when the device was seen with the old certificate after the new one: the new one may not work for it. */
async function hasFallenBack(tx: Tx, old: CertificateId, by: CertificateRecord): Promise<boolean> {
  const seen = await findCertificatesLastSeen(tx, [old, by.id])
  // the mark of its first use may have been lost with a process, what was confirmed then was not
  return (seen.get(old) ?? 0) > Math.max(seen.get(by.id) ?? 0, by.confirmedAt ?? 0)
}

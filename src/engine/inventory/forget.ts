/**
 * Certificates that ended long ago leave the inventory; the audit log keeps how they came to be and how they went. A
 * certificate is never forgotten before its end: it could still be shown to us, and still be revoked.
 */
import { hourMs, iso, type Instant } from '../../base/clock.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { forgetFingerprints } from '../../store/fingerprints.ts'
import { deleteCertificates, forgettable } from '../../store/forgetting.ts'
import { actors, fact, recordFacts, subjects } from '../audit/audit.ts'
import { isClockTrusted } from '../renewals/clock-guard.ts'
import type { Engine } from '../context.ts'
import type { Fence, Job } from '../jobs.ts'

const jobName = 'forget-retired'
/** Certificates in one unit of work. */
const page = 200

interface Cursor {
  readonly isLive: boolean
  readonly notAfter: Instant
  readonly id: number
}

const firstPage: Cursor = { isLive: false, notAfter: 0, id: 0 }

export function forgetRetired(): Job {
  let cursor = firstPage
  return {
    name: jobName,
    intervalMs: 6 * hourMs,
    run: async (engine, now, signal, fence) => {
      if (signal.aborted || !(await isClockTrusted(engine, now))) return { worked: 0 }
      const { forgotten, next } = await forgetPage(engine, now, { cursor, fence })
      cursor = next ?? firstPage
      return { worked: forgotten, isBehind: next !== null }
    },
  }
}

/** One bounded pass. @returns `next`: where the following one begins, null when all is done */
export async function forgetPage(
  engine: Engine,
  now: Instant,
  { cursor, fence }: { readonly cursor: Cursor; readonly fence: Fence },
): Promise<{ forgotten: number; next: Cursor | null }> {
  const { settings, store } = engine
  const before = now - settings.renewal.keepRetiredMs
  return await store.transaction(async (tx) => {
    await fence(tx)
    const request = { before, after: cursor, isLive: cursor.isLive, limit: page }
    const candidates = await forgettable(tx, request)
    const wanted = candidates.filter((certificate) => isForgettable(engine, certificate, now))
    const gone = await deleteCertificates(tx, wanted)
    await forgetFingerprints(tx, gone)
    await recordFacts(tx, ...gone.map((certificate) => forgottenFact(certificate, now)))
    const last = candidates.at(-1)
    if (last && candidates.length === page) {
      return { forgotten: gone.length, next: { isLive: cursor.isLive, notAfter: last.notAfter, id: last.id } }
    }
    return { forgotten: gone.length, next: cursor.isLive ? null : { ...firstPage, isLive: true } }
  })
}

/** One that its device may still renew with, although it has expired, stays. */
function isForgettable({ settings }: Engine, certificate: CertificateRecord, now: Instant): boolean {
  const { status, profile, notAfter } = certificate
  if (status !== 'issued' && status !== 'confirmed') return true
  const graceMs = settings.profiles.get(profile ?? '')?.renewExpiredForMs ?? 0
  return now > notAfter + graceMs + settings.renewal.keepRetiredMs
}

function forgottenFact(certificate: CertificateRecord, now: Instant): ReturnType<typeof fact> {
  const { issuerId, serialNumber, deviceId, status, notAfter } = certificate
  return fact(now, {
    actor: actors.job(jobName),
    action: 'certificate.forgotten',
    subject: subjects.certificate(issuerId, serialNumber),
    details: { deviceId, status, notAfter: iso(notAfter) },
  })
}

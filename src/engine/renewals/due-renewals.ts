/**
 * Opens a renewal for each certificate whose window has opened, without a campaign: a sweep over live certificates by their
 * end, a page at a time. The devices of a window are spread over a share of it, each always at the same place.
 */
import type { Instant } from '../../base/clock.ts'
import type { IssuerId } from '../../base/id.ts'
import { certificatesByEnd, type DueCertificate, type DueCursor } from '../../store/due-certificates.ts'
import { noCampaign } from '../../store/renewal-record.ts'
import { insertPlannedRenewals, type NewRenewal } from '../../store/renewals.ts'
import { isClockTrusted } from './clock-guard.ts'
import type { Engine } from '../context.ts'
import type { Fence, Job } from '../jobs.ts'
import { renewalRetired } from './renewal-events.ts'
import { renewalDueAt } from './renewal-hint.ts'

/** Certificates in one unit of work. */
const page = 2_000

/** @param intervalMs from the end of one sweep to the begin of the next */
export function openDueRenewals(intervalMs: number): Job {
  let sweep: Sweep | null = null
  return {
    name: 'open-due-renewals',
    intervalMs,
    run: async (engine, now, signal, fence) => {
      if (!engine.settings.renewal.isAutomatic || signal.aborted) return { worked: 0 }
      if (!(await isClockTrusted(engine, now))) return { worked: 0 }
      const result = await sweepPage(engine, sweep ?? newSweep(engine, now), now, fence)
      sweep = result.next
      return { worked: result.opened, isBehind: sweep !== null }
    },
  }
}

export interface Sweep {
  readonly after: DueCursor
  readonly to: Instant
}

/** Over everything that may be due: from those that ended lately to the longest renewal window. */
export function newSweep({ settings }: Engine, now: Instant): Sweep {
  const windows = [...settings.profiles.values()].map(({ renewBeforeMs }) => renewBeforeMs ?? 0)
  const from = now - settings.renewal.keepRetiredMs
  return { after: { notAfter: from, id: 0 }, to: now + Math.max(0, ...windows) }
}

/** @returns how many renewals were opened; `next`: where to go on, null at the end of the sweep */
export async function sweepPage(
  engine: Engine,
  { after, to }: Sweep,
  now: Instant,
  fence: Fence,
): Promise<{ opened: number; next: Sweep | null }> {
  const own = await ownIssuers(engine)
  return await engine.store.transaction(async (tx) => {
    await fence(tx)
    const certificates = await certificatesByEnd(tx, { after, to, limit: page })
    const due: NewRenewal[] = []
    for (const certificate of certificates) {
      const renewal = own.has(certificate.issuerId) ? renewalOf(engine, certificate, now) : null
      if (renewal === null) continue
      // with lives of days the grace of the old one outlives the beginning of the next renewal: it goes its own way
      const { id, deviceId, slot } = certificate
      if (certificate.isNew) await renewalRetired(tx, { deviceId, slot, replacedBy: id }, now)
      due.push(renewal)
    }
    const leftOut = await insertPlannedRenewals(tx, due)
    const last = certificates.at(-1)
    const isEnd = last === undefined || certificates.length < page
    return { opened: due.length - leftOut.length, next: isEnd ? null : { after: last, to } }
  })
}

/** Certificates of other CAs cannot be renewed here. */
async function ownIssuers(engine: Engine): Promise<ReadonlySet<IssuerId>> {
  const issuers = await engine.issuers.list()
  return new Set(issuers.filter(({ kind }) => kind !== 'external').map(({ id }) => id))
}

/** Null when there is nothing to open: too early, for life, out of service, or on its way already. */
function renewalOf({ settings }: Engine, certificate: DueCertificate, now: Instant): NewRenewal | null {
  const { id, deviceId, slot, notAfter, connectivity, site, deviceState, isHandled } = certificate
  if (isHandled || (deviceState !== 'registered' && deviceState !== 'active')) return null
  const renewBeforeMs = settings.profiles.get(certificate.profile)?.renewBeforeMs ?? null
  if (renewBeforeMs === null || now < notAfter - renewBeforeMs) return null
  return {
    campaignId: noCampaign,
    wave: 0,
    deviceId,
    slot,
    certificateId: id,
    notAfter,
    connectivity,
    site,
    nextAt: renewalDueAt(certificate, { renewBeforeMs, spread: settings.renewal.spread }),
    createdAt: now,
  }
}

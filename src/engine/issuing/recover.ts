/**
 * After a crash: a certificate that was reserved and never issued. Whether it was signed nobody knows, so it is
 * abandoned: its serial number is burnt, its key and the secret that asked for it may be used again.
 */
import type { Instant } from '../../base/clock.ts'
import { minuteMs } from '../../base/clock.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findReserved } from '../../store/inventory.ts'
import type { Tx } from '../../store/schema.ts'
import { actors } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { abandonReservation } from './issue.ts'
import type { Job } from '../jobs.ts'

const batch = 500

export const recoverReservations: Job = {
  name: 'recover-reservations',
  intervalMs: minuteMs,
  async run(engine, now, signal, fence) {
    return await abandonReservations(engine, {
      now,
      olderThan: now - engine.settings.abandonAfterMs,
      signal,
      fence,
    })
  },
}

export interface AbandonRequest {
  readonly now: Instant
  /** Reservations made before this instant. At the start of the only process there is, `now` + 1. */
  readonly olderThan: Instant
  readonly signal?: AbortSignal
  readonly fence?: (tx: Tx) => Promise<void>
}

/** One bounded pass. Safe beside a request that is still at work: whoever changes the row first wins. */
export async function abandonReservations(
  engine: Engine,
  { now, olderThan, signal, fence }: AbandonRequest,
): Promise<{ worked: number; isBehind: boolean }> {
  const lost = await findReserved(engine.store.db, { olderThan, limit: batch })
  let worked = 0
  for (const certificate of lost) {
    if (signal?.aborted) break
    const done = await engine.store.transaction(async (tx) => {
      await fence?.(tx)
      return await abandonLost(tx, certificate, now)
    })
    if (done) worked += 1
  }
  return { worked, isBehind: lost.length === batch }
}

async function abandonLost(tx: Tx, certificate: CertificateRecord, now: Instant): Promise<boolean> {
  const actor = actors.job(recoverReservations.name)
  const reason = 'reserved and never issued: the process that was at it is gone'
  return await abandonReservation(tx, certificate, { actor, reason, now })
}

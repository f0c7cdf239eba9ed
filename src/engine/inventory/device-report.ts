/** What a device says of a certificate that it got: that it is stored, that it is in use, that it is no good. */
import { sha256Hex } from '../../base/bytes.ts'
import type { DeviceId } from '../../base/id.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { listCertificates } from '../../store/inventory.ts'
import type { Instant } from '../../base/clock.ts'
import type { Engine } from '../context.ts'
import { renewalStored } from '../renewals/renewal-events.ts'

export const reportStates = ['stored', 'confirmed', 'failed'] as const
export type ReportState = (typeof reportStates)[number]

/** More live certificates than a device can have. */
const maxLive = 50

/**
 * The live certificate of this device with this SHA-256, issued or confirmed; null when it has none.
 * @param hash of the DER, lower-case hex
 */
export async function findLiveByHash(
  engine: Engine,
  deviceId: DeviceId,
  hash: string,
): Promise<CertificateRecord | null> {
  for (const status of ['issued', 'confirmed'] as const) {
    const { rows } = await listCertificates(engine.store.db, { filter: { deviceId, status }, limit: maxLive })
    const found = rows.find(({ der }) => der !== null && sha256Hex(der) === hash)
    if (found) return found
  }
  return null
}

/** The device says that this certificate is on persistent storage. Idempotent. */
export async function reportStored(
  { store }: Engine,
  { id, deviceId, slot }: CertificateRecord,
  now: Instant,
): Promise<void> {
  if (deviceId === null) return
  await store.transaction(async (tx) => {
    await renewalStored(tx, { deviceId, slot, certificateId: id, now })
  })
}

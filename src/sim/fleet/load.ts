/** The bulk import of the fleet before the first day: devices, their certificates and when each was last seen. */
import { dayMs, hourMs } from '../../base/clock.ts'
import type { Store } from '../../store/open.ts'
import type { Tx } from '../../store/schema.ts'
import { insertCertificates } from '../../store/certificates.ts'
import { insertDevices } from '../../store/devices.ts'
import { withIndexesLast } from '../../store/indexes-last.ts'
import { recordLastSeen } from '../../store/last-seen.ts'
import { sha256Hex } from '../../base/bytes.ts'
import { fact, recordFacts, subjects } from '../../engine/audit/audit.ts'
import { about, chance } from '../chance.ts'
import { simActor } from '../installation.ts'
import type { Network } from '../network.ts'
import { certificateRow, deviceRecord, type FactoryPlan, type Produced } from './factory.ts'
import type { Host } from './messages.ts'

/** Devices in one insert: few enough that they are garbage soon. */
const chunk = 512

export interface LoadParts {
  readonly store: Store
  readonly host: Host
  readonly plan: FactoryPlan
  readonly network: Network
  readonly devices: number
  /** Writes down where each certificate came from: only then does the audit log know of all of them. */
  readonly isOnRecord: boolean
  readonly onMade: (device: number, produced: Produced) => void
  readonly onProgress: (done: number) => void
}

export async function loadFleet(parts: LoadParts): Promise<void> {
  const { store } = parts
  await store.transaction((tx) => withIndexesLast(tx, async () => await insertAll(tx, parts)))
}

async function insertAll(tx: Tx, parts: LoadParts): Promise<void> {
  const { host, devices, plan, onMade, onProgress } = parts
  for (let from = 0; from < devices; from += chunk) {
    const made = host.produce(from, Math.min(devices, from + chunk))
    const records = made.map((produced, n) => deviceRecord(plan, from + n, produced.issuedAt))
    await insertDevices(tx, records)
    const certificates = made.map((produced, n) =>
      certificateRow(plan, records[n] as (typeof records)[number], produced),
    )
    await insertCertificates(tx, certificates)
    await recordLastSeen(
      tx,
      records.flatMap(({ id: deviceId }, n) => {
        const at = seenAt(parts, from + n)
        return at === null ? [] : [{ deviceId, certificateId: null, at }]
      }),
    )
    if (parts.isOnRecord) await recordOrigins(tx, parts, made)
    for (const [n, produced] of made.entries()) onMade(from + n, produced)
    onProgress(from + made.length)
  }
}

/** Those that cannot be reached were not seen for months; the others within two days. */
function seenAt({ plan, network }: LoadParts, device: number): number | null {
  if (plan.copied) return plan.copied.devices[device]?.seenAt ?? null
  const { seed, startedAt } = plan
  const luck = chance(seed, device, about.visit)
  const silentMs = network.isDark(device, startedAt) ? (4 + luck * 200) * dayMs : luck * 40 * hourMs
  return Math.floor(startedAt - silentMs)
}

async function recordOrigins(tx: Tx, { plan }: LoadParts, made: readonly Produced[]): Promise<void> {
  const facts = made.map(({ serialNumber, der }) =>
    fact(plan.startedAt, {
      actor: simActor,
      action: 'certificate.imported',
      subject: subjects.certificate(plan.issuer.id, serialNumber),
      details: { sha256: sha256Hex(der) },
    }),
  )
  await recordFacts(tx, ...facts)
}

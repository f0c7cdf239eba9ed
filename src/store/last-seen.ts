/** When devices and certificates were last seen: narrow tables, written at every contact, that only move forward. */
import { sql, type Selectable } from 'kysely'
import { minuteMs, type Instant } from '../base/clock.ts'
import type { CertificateId, DeviceId } from '../base/id.ts'
import { preparedRows } from './prepared.ts'
import type { Queries, Schema, Tx } from './schema.ts'

export interface Sighting {
  readonly deviceId: DeviceId
  /** The certificate that the device proved to hold, if any. */
  readonly certificateId: CertificateId | null
  readonly at: Instant
}

type DeviceRow = Pick<Schema['device_last_seen'], 'device_id' | 'certificate_id' | 'at'>

/** Contacts closer together than this are one visit: a device asks two or three things and leaves. */
const visitMs = 10 * minuteMs
/** The usual gap is a moving average over about so many visits. */
const averageOver = 8

const gap = sql`(excluded.at - device_last_seen.at)`
const isNewVisit = sql`excluded.at - device_last_seen.at >= ${sql.lit(visitMs)}`

const upsertDevices = preparedRows<DeviceRow, never>((db, rows) =>
  db
    .insertInto('device_last_seen')
    .values(rows.map((row) => ({ device_id: row.device_id, certificate_id: row.certificate_id, at: row.at })))
    .onConflict((on) =>
      on
        .column('device_id')
        .doUpdateSet({
          at: sql`excluded.at`,
          certificate_id: sql`coalesce(excluded.certificate_id, device_last_seen.certificate_id)`,
          gaps: sql`device_last_seen.gaps + case when ${isNewVisit} then 1 else 0 end`,
          usual_gap: sql`case when not (${isNewVisit}) then device_last_seen.usual_gap
            when device_last_seen.gaps = 0 then ${gap}
            else device_last_seen.usual_gap + (${gap} - device_last_seen.usual_gap) / ${sql.lit(averageOver)} end`,
          longest_gap: sql`case when ${gap} > device_last_seen.longest_gap and ${isNewVisit} then ${gap}
            else device_last_seen.longest_gap end`,
        })
        .where(sql<boolean>`excluded.at > device_last_seen.at`),
    ),
)

const upsertCertificates = preparedRows<Schema['certificate_last_seen'], never>((db, rows) =>
  db
    .insertInto('certificate_last_seen')
    .values(rows.map((row) => ({ certificate_id: row.certificate_id, at: row.at })))
    .onConflict((on) =>
      on
        .column('certificate_id')
        .doUpdateSet({ at: sql`excluded.at` })
        .where(sql<boolean>`excluded.at > certificate_last_seen.at`),
    ),
)

/** Any number of sightings, in any order, the same device more than once: the latest of each counts. */
export async function recordLastSeen(tx: Tx, sightings: readonly Sighting[]): Promise<void> {
  const devices = new Map<string, DeviceRow>()
  const certificates = new Map<number, Schema['certificate_last_seen']>()
  for (const { deviceId, certificateId, at } of sightings) {
    const known = devices.get(deviceId)
    if (!known || at >= known.at) {
      const latest = certificateId ?? known?.certificate_id ?? null
      devices.set(deviceId, { device_id: deviceId, certificate_id: latest, at })
    }
    if (certificateId === null) continue
    const seen = certificates.get(certificateId)
    if (!seen || at > seen.at) certificates.set(certificateId, { certificate_id: certificateId, at })
  }
  // in key order, so that two writers cannot wait for each other in a circle
  await upsertDevices(
    tx,
    [...devices.values()].sort((a, b) => (a.device_id < b.device_id ? -1 : 1)),
  )
  await upsertCertificates(
    tx,
    [...certificates.values()].sort((a, b) => a.certificate_id - b.certificate_id),
  )
}

export interface DeviceLastSeen {
  readonly at: Instant
  readonly certificateId: CertificateId | null
  /** Between two visits, ms: how many there were, the usual one, the longest. */
  readonly gaps: number
  readonly usualGapMs: number
  readonly longestGapMs: number
}

const selectDevices = preparedRows<{ id: string }, Selectable<Schema['device_last_seen']>>((db, rows) =>
  db
    .selectFrom('device_last_seen')
    .select(['device_id', 'certificate_id', 'at', 'gaps', 'usual_gap', 'longest_gap'])
    .where(
      'device_id',
      'in',
      rows.map(({ id }) => id),
    ),
)

/** Devices never seen are missing from the answer. */
export async function findLastSeen(
  q: Queries,
  deviceIds: readonly DeviceId[],
): Promise<Map<DeviceId, DeviceLastSeen>> {
  const results = await selectDevices(
    q,
    deviceIds.map((id) => ({ id })),
  )
  return new Map(
    results.flatMap(({ rows }) =>
      rows.map((row) => [
        row.device_id as DeviceId,
        {
          at: row.at,
          certificateId: row.certificate_id as CertificateId | null,
          gaps: row.gaps,
          usualGapMs: row.usual_gap,
          longestGapMs: row.longest_gap,
        },
      ]),
    ),
  )
}

const selectCertificates = preparedRows<{ id: number }, Schema['certificate_last_seen']>((db, rows) =>
  db
    .selectFrom('certificate_last_seen')
    .select(['certificate_id', 'at'])
    .where(
      'certificate_id',
      'in',
      rows.map(({ id }) => id),
    ),
)

/** Certificates never seen are missing from the answer. */
export async function findCertificatesLastSeen(
  q: Queries,
  certificateIds: readonly CertificateId[],
): Promise<Map<CertificateId, Instant>> {
  const results = await selectCertificates(
    q,
    certificateIds.map((id) => ({ id })),
  )
  return new Map(
    results.flatMap(({ rows }) => rows.map((row) => [row.certificate_id as CertificateId, row.at])),
  )
}

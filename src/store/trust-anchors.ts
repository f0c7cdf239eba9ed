/** Manufacturer CAs whose factory identities (IEEE 802.1AR IDevID) may enrol. */
import { Refusal } from '../base/errors.ts'
import type { Instant } from '../base/clock.ts'
import type { Queries, Tx, TrustAnchorTable } from './schema.ts'

export interface TrustAnchorRecord {
  readonly id: string
  readonly name: string
  /** DER. */
  readonly certificate: Uint8Array
  /** RFC 4514 text. */
  readonly subject: string
  /** Which part of the factory certificate is the device id. */
  readonly deviceIdRule: string
  /** Profile for devices that are not registered yet; null: only registered devices enrol. */
  readonly profile: string | null
  readonly createdAt: Instant
}

const columns = ['id', 'name', 'certificate', 'subject', 'device_id_rule', 'profile', 'created_at'] as const

function toRecord(row: TrustAnchorTable): TrustAnchorRecord {
  return {
    id: row.id,
    name: row.name,
    certificate: row.certificate,
    subject: row.subject,
    deviceIdRule: row.device_id_rule,
    profile: row.profile,
    createdAt: row.created_at,
  }
}

/** Refuses with `already-exists`. */
export async function insertTrustAnchor(tx: Tx, anchor: TrustAnchorRecord): Promise<void> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('trust_anchors')
    .values({
      id: anchor.id,
      name: anchor.name,
      certificate: anchor.certificate,
      subject: anchor.subject,
      device_id_rule: anchor.deviceIdRule,
      profile: anchor.profile,
      created_at: anchor.createdAt,
    })
    .onConflict((on) => on.column('id').doNothing())
    .executeTakeFirst()
  if (numInsertedOrUpdatedRows !== 1n) {
    throw new Refusal('already-exists', `trust anchor ${anchor.id} is registered already`)
  }
}

/** All of them, by id: an installation has a few dozen. */
export async function listTrustAnchors(q: Queries): Promise<TrustAnchorRecord[]> {
  const rows = await q.selectFrom('trust_anchors').select(columns).orderBy('id').execute()
  return rows.map(toRecord)
}

export async function findTrustAnchor(q: Queries, id: string): Promise<TrustAnchorRecord | null> {
  const row = await q.selectFrom('trust_anchors').select(columns).where('id', '=', id).executeTakeFirst()
  return row ? toRecord(row) : null
}

/** @returns false when there was none */
export async function deleteTrustAnchor(tx: Tx, id: string): Promise<boolean> {
  const { numDeletedRows } = await tx.deleteFrom('trust_anchors').where('id', '=', id).executeTakeFirst()
  return numDeletedRows === 1n
}

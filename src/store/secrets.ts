/** One-time enrolment secrets: one per device, stored as a hash. */
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { bytesToHexOrNull, hexToBytes, hexToBytesOrNull } from './columns.ts'
import { prepared } from './prepared.ts'
import type { EnrolmentSecretTable, Queries, Tx } from './schema.ts'

export interface EnrolmentSecretRecord {
  readonly deviceId: DeviceId
  /** SHA-256 of the secret, hex. The secret is random, so a fast hash is enough. */
  readonly hash: string
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly usedAt: Instant | null
  /** spkiHash of the key that it was used for: a repeat with the same key is the same use. */
  readonly usedFor: string | null
}

const columns = ['device_id', 'hash', 'created_at', 'expires_at', 'used_at', 'used_for'] as const

function toRecord(row: EnrolmentSecretTable): EnrolmentSecretRecord {
  return {
    deviceId: row.device_id as DeviceId,
    hash: toHex(row.hash),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
    usedFor: bytesToHexOrNull(row.used_for),
  }
}

/** A new secret makes the one before it worthless. */
export async function replaceSecret(tx: Tx, secret: EnrolmentSecretRecord): Promise<void> {
  const values = {
    hash: hexToBytes(secret.hash),
    created_at: secret.createdAt,
    expires_at: secret.expiresAt,
    used_at: secret.usedAt,
    used_for: hexToBytesOrNull(secret.usedFor),
  }
  await tx
    .insertInto('enrolment_secrets')
    .values({ device_id: secret.deviceId, ...values })
    .onConflict((on) => on.column('device_id').doUpdateSet(values))
    .execute()
}

const selectSecret = prepared((db, p: { deviceId: string }) =>
  db.selectFrom('enrolment_secrets').select(columns).where('device_id', '=', p.deviceId),
)

export async function findSecret(q: Queries, deviceId: DeviceId): Promise<EnrolmentSecretRecord | null> {
  const row = (await selectSecret(q, { deviceId })).rows[0]
  return row ? toRecord(row) : null
}

const updateUsed = prepared(
  (db, p: { deviceId: string; hash: Uint8Array; usedFor: Uint8Array; at: Instant }) =>
    db
      .updateTable('enrolment_secrets')
      .set((eb) => ({ used_at: eb.fn.coalesce('used_at', eb.val(p.at)), used_for: p.usedFor }))
      .where('device_id', '=', p.deviceId)
      .where('hash', '=', p.hash)
      .where((eb) => eb.or([eb('used_at', 'is', null), eb('used_for', '=', p.usedFor)])),
)

/** Uses the secret up for one key; expiry is the caller's check. @returns false when it was replaced or used for another key */
export async function useSecret(
  tx: Tx,
  use: {
    readonly deviceId: DeviceId
    readonly hash: string
    readonly spkiHash: string
    readonly at: Instant
  },
): Promise<boolean> {
  const { numAffectedRows } = await updateUsed(tx, {
    deviceId: use.deviceId,
    hash: hexToBytes(use.hash),
    usedFor: hexToBytes(use.spkiHash),
    at: use.at,
  })
  return numAffectedRows === 1n
}

/** Makes a secret usable again that was used for a key that got no certificate. @returns false when it was not used for it */
export async function releaseSecret(
  tx: Tx,
  use: { readonly deviceId: DeviceId; readonly spkiHash: string },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('enrolment_secrets')
    .set({ used_at: null, used_for: null })
    .where('device_id', '=', use.deviceId)
    .where('used_for', '=', hexToBytes(use.spkiHash))
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** One row of the inventory and its two shapes: record in the program, row in the database. */
import { toHex } from '../base/bytes.ts'
import type { Instant } from '../base/clock.ts'
import type { CertificateId, DeviceId, IssuerId, SerialNumber } from '../base/id.ts'
import { bytesToHexOrNull, hexToBytes } from './columns.ts'
import type { CertificateTable } from './schema.ts'

/** `expired` is never stored: it is `notAfter < now`, whatever the status. */
export const certificateStatuses = [
  'reserved',
  'issued',
  'confirmed',
  'superseded',
  'revoked',
  'abandoned',
] as const
export type CertificateStatus = (typeof certificateStatuses)[number]

export interface CertificateRecord {
  readonly id: CertificateId
  readonly deviceId: DeviceId | null
  /** Credential slot of the device, `default` unless it has several. */
  readonly slot: string
  readonly issuerId: IssuerId
  readonly serialNumber: SerialNumber
  /** RFC 4514 text. */
  readonly subject: string
  /** `uri:urn:x`, `dns:a.b`, … */
  readonly subjectAltNames: readonly string[]
  readonly keyAlgorithm: string
  /** SHA-256 of the SubjectPublicKeyInfo, hex. */
  readonly spkiHash: string
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly status: CertificateStatus
  /** Why it was revoked, superseded or abandoned. */
  readonly reason: string | null
  readonly revokedAt: Instant | null
  readonly profile: string | null
  /** Content hash of the profile at issuance, SHA-256 hex. */
  readonly profileHash: string | null
  /** How it came: `est`, `import`, `ca`, … */
  readonly protocol: string
  readonly predecessorId: CertificateId | null
  readonly cohort: string | null
  readonly batch: string | null
  readonly site: string | null
  /** When the row was reserved or imported. */
  readonly createdAt: Instant
  readonly issuedAt: Instant | null
  readonly confirmedAt: Instant | null
  readonly crlShard: number
  /** What we are about to sign; null once `der` is known. */
  readonly tbs: Uint8Array | null
  readonly der: Uint8Array | null
}

export const certificateColumns = [
  'id',
  'device_id',
  'slot',
  'issuer_id',
  'serial_number',
  'subject',
  'subject_alt_names',
  'key_algorithm',
  'spki_hash',
  'not_before',
  'not_after',
  'status',
  'reason',
  'revoked_at',
  'profile',
  'profile_hash',
  'protocol',
  'predecessor_id',
  'cohort',
  'batch',
  'site',
  'created_at',
  'issued_at',
  'confirmed_at',
  'crl_shard',
  'tbs',
  'der',
] as const

export type CertificateRow = Omit<CertificateTable, 'id' | 'holds_key'> & { readonly id: number }
/** Without the row number, which the database gives. */
export type NewCertificateRow = Omit<CertificateTable, 'id'>

export function toCertificateRecord(row: CertificateRow): CertificateRecord {
  return {
    id: row.id as CertificateId,
    deviceId: row.device_id as DeviceId | null,
    slot: row.slot,
    issuerId: row.issuer_id as IssuerId,
    serialNumber: toHex(row.serial_number) as SerialNumber,
    subject: row.subject,
    subjectAltNames: JSON.parse(row.subject_alt_names) as string[],
    keyAlgorithm: row.key_algorithm,
    spkiHash: toHex(row.spki_hash),
    notBefore: row.not_before,
    notAfter: row.not_after,
    status: row.status as CertificateStatus,
    reason: row.reason,
    revokedAt: row.revoked_at,
    profile: row.profile,
    profileHash: bytesToHexOrNull(row.profile_hash),
    protocol: row.protocol,
    predecessorId: row.predecessor_id as CertificateId | null,
    cohort: row.cohort,
    batch: row.batch,
    site: row.site,
    createdAt: row.created_at,
    issuedAt: row.issued_at,
    confirmedAt: row.confirmed_at,
    crlShard: row.crl_shard,
    tbs: row.tbs,
    der: row.der,
  }
}

export function toCertificateRow(certificate: Omit<CertificateRecord, 'id'>): NewCertificateRow {
  return {
    device_id: certificate.deviceId,
    slot: certificate.slot,
    issuer_id: certificate.issuerId,
    serial_number: hexToBytes(certificate.serialNumber),
    subject: certificate.subject,
    subject_alt_names: JSON.stringify(certificate.subjectAltNames),
    key_algorithm: certificate.keyAlgorithm,
    spki_hash: hexToBytes(certificate.spkiHash),
    not_before: certificate.notBefore,
    not_after: certificate.notAfter,
    status: certificate.status,
    reason: certificate.reason,
    revoked_at: certificate.revokedAt,
    profile: certificate.profile,
    profile_hash: profileHashBytes(certificate.profileHash),
    protocol: certificate.protocol,
    predecessor_id: certificate.predecessorId,
    cohort: certificate.cohort,
    batch: certificate.batch,
    site: certificate.site,
    created_at: certificate.createdAt,
    issued_at: certificate.issuedAt,
    confirmed_at: certificate.confirmedAt,
    crl_shard: certificate.crlShard,
    holds_key: certificate.status === 'abandoned' ? 0 : 1,
    tbs: certificate.tbs,
    der: certificate.der,
  }
}

const profileHashes = new Map<string, Uint8Array>()

/** There are a few profiles, and an import asks for the same ones a million times. */
function profileHashBytes(hash: string | null): Uint8Array | null {
  if (hash === null) return null
  let bytes = profileHashes.get(hash)
  if (!bytes) {
    bytes = hexToBytes(hash)
    if (profileHashes.size < 1_000) profileHashes.set(hash, bytes)
  }
  return bytes
}

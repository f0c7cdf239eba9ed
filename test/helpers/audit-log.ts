/** An audit log on a real store, with a key of its own, and facts and certificates to fill it. */
import { generateKeyPairSync, sign } from 'node:crypto'
import { sha256, sha256Hex, toHex } from '../../src/base/bytes.ts'
import type { Instant } from '../../src/base/clock.ts'
import type { CertificateId, IssuerId, SerialNumber } from '../../src/base/id.ts'
import { systemRandom } from '../../src/base/random.ts'
import { fact, recordFacts, subjects } from '../../src/engine/audit/audit.ts'
import type { Finding } from '../../src/engine/audit/audit-findings.ts'
import { memoryCheckpoint, type CheckpointFile } from '../../src/engine/audit/checkpoint.ts'
import type { SealContext } from '../../src/engine/audit/seal.ts'
import { noteKey, type NoteSigner } from '../../src/engine/audit/signed-note.ts'
import type { CertificateRecord } from '../../src/store/certificate-record.ts'
import { insertCertificates } from '../../src/store/certificates.ts'
import type { Store } from '../../src/store/open.ts'
import type { Tx } from '../../src/store/schema.ts'

export const startOfTests: Instant = Date.parse('2026-11-20T12:00:00Z')

export function testSigner(name = 'example.com/audit'): NoteSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const key = noteKey(name, publicKey.export({ type: 'spki', format: 'der' }))
  return { ...key, sign: async (text) => sign(null, text, privateKey) }
}

export function auditLog(
  store: Store,
  parts: { readonly signer?: NoteSigner; readonly checkpointFile?: CheckpointFile } = {},
): SealContext {
  const signer = parts.signer ?? testSigner()
  const checkpointFile = parts.checkpointFile ?? memoryCheckpoint()
  return { store, random: systemRandom, audit: { signer, checkpointFile } }
}

/** Changes the database as nobody should. */
export async function change(store: Store, work: (tx: Tx) => Promise<unknown>): Promise<void> {
  await store.transaction(async (tx) => void (await work(tx)))
}

/** Kind and index of each finding. */
export function found(report: {
  readonly findings: readonly Finding[]
}): (readonly [string, number | null])[] {
  return report.findings.map(({ kind, index }) => [kind, index] as const)
}

let devices = 0

/** Facts about devices that no other fact is about. */
export async function addFacts(store: Store, count: number): Promise<void> {
  await store.transaction(async (tx) => {
    for (let i = 0; i < count; i += 1) {
      const subject = `device:D-${devices++}`
      await recordFacts(tx, fact(startOfTests + i, { actor: 'system', action: 'device.added', subject }))
    }
  })
}

export interface AddedCertificate {
  readonly id: number
  readonly issuerId: IssuerId
  readonly serialNumber: SerialNumber
  readonly der: Uint8Array
}

let serials = 0x1000

/** A certificate in the inventory (its DER is any bytes) and, unless told otherwise, the fact of its issuance. */
export async function addCertificate(
  store: Store,
  {
    status = 'issued',
    withFact = true,
  }: { readonly status?: CertificateRecord['status']; readonly withFact?: boolean } = {},
): Promise<AddedCertificate> {
  const serialNumber = (serials++).toString(16) as SerialNumber
  const issuerId = 'issuing' as IssuerId
  const der = sha256(`certificate ${serialNumber}`)
  await store.transaction(async (tx) => {
    await insertCertificates(tx, [certificate({ issuerId, serialNumber, der, status })])
    if (!withFact) return
    const subject = subjects.certificate(issuerId, serialNumber)
    const details = { sha256: sha256Hex(der) }
    await recordFacts(
      tx,
      fact(startOfTests, { actor: 'system', action: 'certificate.issued', subject, details }),
    )
  })
  const row = await store.db
    .selectFrom('certificates')
    .select('id')
    .where('serial_number', '=', Buffer.from(serialNumber, 'hex'))
    .executeTakeFirstOrThrow()
  return { id: row.id as CertificateId, issuerId, serialNumber, der }
}

function certificate(
  known: Pick<CertificateRecord, 'issuerId' | 'serialNumber' | 'der' | 'status'>,
): Omit<CertificateRecord, 'id'> {
  return {
    ...known,
    deviceId: null,
    slot: 'default',
    subject: `CN=${known.serialNumber}`,
    subjectAltNames: [],
    keyAlgorithm: 'ec-p256',
    spkiHash: toHex(sha256(`key ${known.serialNumber}`)),
    notBefore: startOfTests,
    notAfter: startOfTests + 1_000,
    reason: null,
    revokedAt: null,
    profile: null,
    profileHash: null,
    protocol: 'test',
    predecessorId: null,
    cohort: null,
    batch: null,
    site: null,
    createdAt: startOfTests,
    issuedAt: startOfTests,
    confirmedAt: null,
    crlShard: 0,
    tbs: null,
  }
}

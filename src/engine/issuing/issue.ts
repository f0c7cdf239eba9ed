/**
 * Steps 6 to 10 of issuing: lint, reserve, sign, check, commit. The only way by which a CA key is ever used.
 *
 * What we are about to sign is on record before the key is used (steps 7, 8), and nothing leaves that is not committed
 * (step 10). A process that dies in between leaves a row `reserved`, which recover.ts abandons.
 */
import { equalBytes, sha256Hex } from '../../base/bytes.ts'
import { iso, type Instant } from '../../base/clock.ts'
import { assert, assertNever, InvariantError, Refusal } from '../../base/errors.ts'
import type { CertificateId } from '../../base/id.ts'
import { assembleCertificate, type Certificate } from '../../pki/certificate.ts'
import type { PublicKey } from '../../pki/key.ts'
import { traced } from '../../base/trace.ts'
import { lintCertificate, type LintPurpose } from '../../pki/lint.ts'
import { verifySignature, type SignatureAlgorithm } from '../../pki/signature.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import {
  abandonCertificate,
  markIssued,
  reserveCertificate,
  type NewCertificate,
} from '../../store/certificates.ts'
import { findCertificate } from '../../store/inventory.ts'
import type { Tx } from '../../store/schema.ts'
import { releaseSecret } from '../../store/secrets.ts'
import { fact, recordFacts, subjects, type FactDetails } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import type { IssuerMaterial } from './issuer-cache.ts'

/** Whose key signs, and what its signature is checked with. */
export interface Signer {
  /** Kind of the authority that holds the key. */
  readonly authority: string
  readonly keyReference: string
  readonly key: PublicKey
  readonly signatureAlgorithm: SignatureAlgorithm
  /** Null when the certificate signs itself. */
  readonly certificate: Certificate | null
}

export interface Issuance {
  readonly signer: Signer
  /** The inventory row; `tbs` in it is what will be signed. */
  readonly certificate: NewCertificate
  readonly purpose: LintPurpose
  /** The profile wants keyEncipherment on purpose, for protocols that need it (SCEP). */
  readonly keyEnciphermentExpected?: boolean
  readonly actor: string
  /** Further details of the fact `certificate.issued`. */
  readonly details?: FactDetails
  /** What else happens when the certificate is put on record; a Refusal in here ends the issuance. */
  readonly onReserve?: (tx: Tx) => Promise<void>
  /** What else happens when it becomes valid; a Refusal in here burns the serial number. */
  readonly onCommit?: (tx: Tx, record: CertificateRecord) => Promise<void>
}

export interface Issued {
  readonly record: CertificateRecord
  /** DER. */
  readonly der: Uint8Array
  /** True when another request with the same device, key and predecessor had got there first: its certificate. */
  readonly repeated: boolean
}

export function signerOf(issuer: IssuerMaterial): Signer {
  const { record, key, signatureAlgorithm, certificate } = issuer
  return {
    authority: record.authority,
    keyReference: record.keyReference,
    key,
    signatureAlgorithm,
    certificate,
  }
}

/**
 * Signs one certificate, or finds the one that a parallel repeat of the same request gets.
 * @param now the instant of the request, epoch ms
 * @throws Refusal `lint-failed`, `issuer-unavailable`, `store-busy`, `disk-full`, `overloaded`, or what the hooks throw
 */
export async function issueCertificate(engine: Engine, issuance: Issuance, now: Instant): Promise<Issued> {
  const { faults } = engine

  // 6 lint: every rule over the exact bytes
  await faults?.at('lint')
  lint(engine, issuance)

  // 7 reserve: what will be signed is on record before the key is used
  await faults?.at('reserve')
  const reserved = await traced('issue.reserve', {}, () => reserveOrWait(engine, issuance, now))
  if ('winner' in reserved) return issuedBefore(reserved.winner)

  const { id } = reserved
  try {
    await faults?.at('reserved')

    // 8 sign: no transaction is open
    await faults?.at('sign')
    const { issuerId } = issuance.certificate
    const signature = await traced('issue.sign', { 'perennial.issuer': issuerId }, () =>
      sign(engine, issuance),
    )

    // 9 check: a signature that does not verify never leaves, and it covers the bytes on record
    await faults?.at('check')
    const der = assembled(issuance, signature)

    // 10 commit: nothing leaves before this is durable
    await faults?.at('commit')
    const record = await traced('issue.commit', {}, () => commit(engine, issuance, { id, der, now }))
    await faults?.at('committed')
    return { record, der, repeated: false }
  } catch (error) {
    await abandonAfterFailure(engine, issuance, id, now)
    throw error
  }
}

function lint(
  { observer }: Engine,
  { signer, certificate, purpose, keyEnciphermentExpected = false }: Issuance,
): void {
  const findings = lintCertificate({
    tbs: certificate.tbs,
    issuer: signer.certificate,
    context: { purpose, keyEnciphermentExpected },
  })
  const first = findings.find(({ severity }) => severity === 'error')
  if (!first) return
  observer.lintFailed?.(first.rule)
  throw new Refusal(
    'lint-failed',
    `the certificate would break ${first.clause} (${first.rule}: ${first.message}): an operator must correct profile ${certificate.profile ?? 'of the issuer'}`,
  )
}

type Reserved = { readonly id: CertificateId } | { readonly winner: CertificateRecord }

/** Puts the certificate on record, or waits for the request that did so with the same device, key and predecessor. */
async function reserveOrWait(engine: Engine, issuance: Issuance, now: Instant): Promise<Reserved> {
  for (;;) {
    const outcome = await engine.store.transaction((tx) => reserve(tx, issuance, now))
    if ('id' in outcome) return outcome
    const winner = await waitForWinner(engine, outcome.conflict)
    if (winner) return { winner }
  }
}

async function reserve(
  tx: Tx,
  { certificate, actor, onReserve }: Issuance,
  now: Instant,
): Promise<{ id: CertificateId } | { conflict: CertificateRecord }> {
  const outcome = await reserveCertificate(tx, certificate)
  if ('conflict' in outcome) return outcome
  await onReserve?.(tx)
  const intended = fact(now, {
    actor,
    action: 'issuance.intended',
    subject: subjects.certificate(certificate.issuerId, certificate.serialNumber),
    details: {
      deviceId: certificate.deviceId,
      profile: certificate.profile,
      profileHash: certificate.profileHash,
      tbsSha256: sha256Hex(certificate.tbs),
    },
  })
  await recordFacts(tx, intended)
  return outcome
}

/** Long enough for a signature and a commit elsewhere, short enough not to be felt. */
const pollMs = 20

/**
 * Waits for a reservation of the same request in another process to become a certificate.
 * @returns null when it was abandoned: its key is free again
 * @throws Refusal `overloaded` when that takes longer than `repeatWaitMs`
 */
export async function waitForWinner(
  engine: Engine,
  first: CertificateRecord,
): Promise<CertificateRecord | null> {
  const deadline = engine.clock.now() + engine.settings.repeatWaitMs
  let record = first
  while (record.status === 'reserved') {
    if (engine.clock.now() >= deadline) {
      throw new Refusal('overloaded', 'the same request is still at work elsewhere: ask again later', {
        retryAfterMs: engine.settings.abandonAfterMs,
      })
    }
    await engine.clock.sleep(pollMs)
    const next = await findCertificate(engine.store.db, record.id)
    assert(next, 'rows of the inventory are never deleted')
    record = next
  }
  return record.status === 'abandoned' ? null : record
}

/** The certificate of an earlier request with the same device, key and predecessor. */
export function issuedBefore(record: CertificateRecord): Issued {
  const { status } = record
  switch (status) {
    case 'issued':
    case 'confirmed':
      assert(record.der, 'an issued certificate has its bytes')
      return { record, der: record.der, repeated: true }
    case 'superseded':
      throw new Refusal(
        'certificate-retired',
        'this request was answered before and its certificate has been replaced since: make a new key and renew with the newest certificate',
      )
    case 'revoked':
      throw new Refusal(
        'key-reused',
        'the certificate that this key was issued before is revoked: make a new key',
      )
    case 'reserved':
    case 'abandoned':
      throw new InvariantError(`a ${status} certificate was never handed out`)
    default:
      return assertNever(status)
  }
}

async function sign({ authorities }: Engine, { signer, certificate }: Issuance): Promise<Uint8Array> {
  const authority = authorities.get(signer.authority)
  if (!authority) {
    throw new Refusal(
      'issuer-unavailable',
      `nothing here holds keys of kind "${signer.authority}", which issuer ${certificate.issuerId} needs`,
    )
  }
  return await authority.sign(signer.keyReference, signer.signatureAlgorithm, certificate.tbs)
}

function assembled({ signer, certificate }: Issuance, signature: Uint8Array): Uint8Array {
  const { key, signatureAlgorithm: algorithm } = signer
  const { tbs } = certificate
  assert(
    verifySignature({ key, algorithm, data: tbs, signature }),
    `the authority "${signer.authority}" answered with a signature that does not verify`,
  )
  const der = assembleCertificate({ tbs, signatureAlgorithm: algorithm, signature })
  assert(isFirstElement(tbs, der), 'the certificate holds the bytes that are on record')
  return der
}

/** True when `der` is a SEQUENCE with a definite length whose first element is `first`. */
function isFirstElement(first: Uint8Array, der: Uint8Array): boolean {
  const lengthOctets = (der[1] as number) < 0x80 ? 0 : (der[1] as number) & 0x7f
  const start = 2 + lengthOctets
  return der[0] === 0x30 && equalBytes(der.subarray(start, start + first.byteLength), first)
}

interface Commit {
  readonly id: CertificateId
  readonly der: Uint8Array
  readonly now: Instant
}

async function commit(
  { store }: Engine,
  { certificate, actor, details, onCommit }: Issuance,
  { id, der, now }: Commit,
): Promise<CertificateRecord> {
  const record: CertificateRecord = {
    ...certificate,
    id,
    status: 'issued',
    reason: null,
    revokedAt: null,
    issuedAt: now,
    confirmedAt: null,
    tbs: null,
    der,
  }
  const issued = fact(now, {
    actor,
    action: 'certificate.issued',
    subject: subjects.certificate(record.issuerId, record.serialNumber),
    details: {
      ...details,
      deviceId: record.deviceId,
      notAfter: iso(record.notAfter),
      sha256: sha256Hex(der),
    },
  })
  await store.transaction(async (tx) => {
    if (!(await markIssued(tx, record, der, now))) {
      throw new Refusal('overloaded', 'signing took so long that the reservation was given up: ask again')
    }
    await onCommit?.(tx, record)
    await recordFacts(tx, issued)
  })
  return record
}

/**
 * Frees the key for the next attempt and keeps the serial number burnt. When this fails as well, or the process dies
 * first, recover.ts does the same later; when the commit had succeeded after all, the row is not `reserved` any more and
 * stays as it is.
 */
async function abandonAfterFailure(
  engine: Engine,
  { certificate, actor }: Issuance,
  id: CertificateId,
  now: Instant,
): Promise<void> {
  try {
    await engine.store.transaction(async (tx) => {
      await abandonReservation(tx, { ...certificate, id }, { actor, reason: 'issuing failed', now })
    })
  } catch (error) {
    engine.log.warn({ certificate: id, error }, 'a reservation stays until the recovery job takes it')
  }
}

/**
 * Burns the serial number; the key, and the secret that was spent for it, may be used again.
 * @returns false when it is not reserved any more
 */
export async function abandonReservation(
  tx: Tx,
  certificate: Pick<CertificateRecord, 'id' | 'issuerId' | 'serialNumber' | 'deviceId' | 'spkiHash'>,
  { actor, reason, now }: { readonly actor: string; readonly reason: string; readonly now: Instant },
): Promise<boolean> {
  if (!(await abandonCertificate(tx, certificate.id, reason))) return false
  const { deviceId, spkiHash } = certificate
  if (deviceId !== null) await releaseSecret(tx, { deviceId, spkiHash })
  await recordFacts(
    tx,
    fact(now, {
      actor,
      action: 'issuance.abandoned',
      subject: subjects.certificate(certificate.issuerId, certificate.serialNumber),
      reason,
      details: { deviceId },
    }),
  )
  return true
}

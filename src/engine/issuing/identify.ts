/**
 * Step 2: who asks. A certificate of ours, a factory identity, or a one-time secret; validity, trust and status are
 * looked at again at every request, whatever TLS said (a resumed session stays "authorized" after a revocation).
 */
import { equalBytes, equalSecrets, fromHex, sha256 } from '../../base/bytes.ts'
import { iso, type Instant } from '../../base/clock.ts'
import { assert, Refusal } from '../../base/errors.ts'
import { parseDeviceId, type DeviceId } from '../../base/id.ts'
import { parseCertificate, type Certificate } from '../../pki/certificate.ts'
import { oids } from '../../pki/oid.ts'
import { validatePath } from '../../pki/path.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findDevice, type DeviceRecord } from '../../store/devices.ts'
import { findBySerial } from '../../store/inventory.ts'
import type { IssuerRecord } from '../../store/issuers.ts'
import { findSecret, type EnrolmentSecretRecord } from '../../store/secrets.ts'
import { listTrustAnchors, type TrustAnchorRecord } from '../../store/trust-anchors.ts'
import type { Engine } from '../context.ts'
import { deviceIdOf, parseDeviceIdRule } from './device-id-rule.ts'
import type { EnrollRequest, Peer } from './enroll.ts'

export type Applicant =
  | {
      readonly kind: 'certificate'
      readonly device: DeviceRecord
      /** The certificate presented: of ours, byte for byte. */
      readonly certificate: CertificateRecord
      readonly presented: Certificate
      /** How long ago it expired; 0 while it is valid. More than 0 only inside the profile's `renewExpiredFor`. */
      readonly expiredForMs: number
      /** Its issuer is revoked, and the profile lets it renew all the same, for a while (`reissueFor`). */
      readonly isIssuerRevoked: boolean
    }
  | {
      readonly kind: 'idevid'
      readonly device: DeviceRecord
      readonly trustAnchor: TrustAnchorRecord
      readonly presented: Certificate
    }
  | {
      readonly kind: 'secret'
      readonly device: DeviceRecord
      readonly secret: EnrolmentSecretRecord
    }

export interface IdentifyInput {
  readonly peer: Peer
  readonly operation: EnrollRequest['operation']
  readonly now: Instant
}

/**
 * The certificate of the TLS connection counts before a password; one that we do not accept is a refusal, never a
 * reason to look at the password.
 * @throws Refusal `unauthenticated`, `secret-invalid`, `certificate-…`, `device-…`
 */
export async function identify(engine: Engine, { peer, operation, now }: IdentifyInput): Promise<Applicant> {
  const applicant = await identifyPeer(engine, { peer, operation, now })
  const { id, state } = applicant.device
  if (state === 'quarantined') engine.oddities.note('revoked-calls', id, { at: now, value: null })
  requireInService(applicant.device)
  return applicant
}

/** @throws Refusal `device-quarantined` or `device-decommissioned` */
export function requireInService({ id, state }: Pick<DeviceRecord, 'id' | 'state'>): void {
  if (state === 'quarantined') {
    throw new Refusal(
      'device-quarantined',
      `device ${id} is quarantined: an operator must finish the investigation and release it`,
    )
  }
  if (state === 'decommissioned') {
    throw new Refusal(
      'device-decommissioned',
      `device ${id} is decommissioned and gets no certificates any more`,
    )
  }
}

async function identifyPeer(engine: Engine, { peer, operation, now }: IdentifyInput): Promise<Applicant> {
  if (peer.certificate) {
    const presented = parseCertificate(peer.certificate)
    const record = await findInInventory(engine, presented)
    if (record && (await isOurs(engine, record))) {
      return await byOwnCertificate(engine, { record, presented, operation, now })
    }
    if (record?.status === 'revoked') throw revoked(engine, record, now)
    return await byFactoryIdentity(engine, { presented, record, chain: peer.chain, operation, now })
  }
  if (operation === 'reenroll') {
    throw new Refusal(
      'unauthenticated',
      'a renewal needs the current certificate on the TLS connection (RFC 7030 §4.2.2)',
    )
  }
  if (peer.basic) return await bySecret(engine, peer.basic, now)
  throw new Refusal(
    'unauthenticated',
    'connect with a device certificate, or send the device id and its enrolment secret as HTTP Basic',
  )
}

/** The row whose bytes are those presented; null when there is none. */
export async function findInInventory(
  engine: Engine,
  presented: Certificate,
): Promise<CertificateRecord | null> {
  const candidates = await findBySerial(engine.store.db, presented.serialNumber)
  return candidates.find(({ der }) => der !== null && equalBytes(der, presented.der)) ?? null
}

/** False for imported certificates of other CAs: their revocation status is not ours to know. */
async function isOurs(engine: Engine, { issuerId }: CertificateRecord): Promise<boolean> {
  const issuer = await engine.issuers.find(issuerId)
  return issuer !== null && issuer.record.kind !== 'external'
}

interface Presented {
  readonly presented: Certificate
  readonly operation: EnrollRequest['operation']
  readonly now: Instant
}

async function byOwnCertificate(
  engine: Engine,
  { record, presented, operation, now }: Presented & { readonly record: CertificateRecord },
): Promise<Applicant> {
  if (record.deviceId === null) {
    throw new Refusal(
      'certificate-untrusted',
      'this certificate of ours belongs to no device and cannot enrol',
    )
  }
  // revocation before expiry, so that a certificate that is both is never let in by the grace for expired ones
  requireLive(engine, record, now)
  const issuer = await engine.issuers.find(record.issuerId)
  assert(issuer, 'a certificate of ours has an issuer of ours')
  if (issuer.record.status === 'retired') {
    throw new Refusal(
      'certificate-untrusted',
      `the issuer ${record.issuerId} of this certificate is ${issuer.record.status}: enrol the device again`,
    )
  }
  const device = await requireDevice(engine, record.deviceId)
  const isIssuerRevoked = issuer.record.status === 'revoked'
  // who is quarantined is told that, and not how to enrol again
  if (isIssuerRevoked) requireInService(device)
  if (isIssuerRevoked) requireReissue(engine, { record, device, operation, now }, issuer.record)
  const expiredForMs = requireValid(engine, { record, device, operation, now })
  return { kind: 'certificate', device, certificate: record, presented, expiredForMs, isIssuerRevoked }
}

function requireLive(engine: Engine, record: CertificateRecord, now: Instant): void {
  switch (record.status) {
    case 'issued':
    case 'confirmed':
      return
    case 'revoked':
      throw revoked(engine, record, now)
    case 'superseded':
      throw new Refusal(
        'certificate-retired',
        'this certificate was replaced by a newer one that the device has used: connect with the newest certificate',
      )
    case 'reserved':
    case 'abandoned':
      // bytes of such a row never left us
      throw new Refusal('certificate-unknown', 'this certificate was never issued')
  }
}

/** Somebody who holds its key still tries: the device, which needs a visit, or whoever has taken the key. */
function revoked(engine: Engine, record: CertificateRecord, now: Instant): Refusal {
  const { deviceId } = record
  if (deviceId !== null) engine.oddities.note('revoked-calls', deviceId, { at: now, value: null })
  return new Refusal(
    'device-revoked',
    `this certificate is revoked${record.reason ? ` (${record.reason})` : ''}: an operator must release the device before it can enrol again`,
  )
}

interface ValidityCheck {
  readonly record: CertificateRecord
  readonly device: DeviceRecord
  readonly operation: EnrollRequest['operation']
  readonly now: Instant
}

/**
 * Whoever has the key of a CA can make certificates, but not this one: it is the one of the inventory, byte for byte, and
 * the device has shown that it holds the key. So a profile may let it renew, and nothing else, for a while.
 */
function requireReissue(
  engine: Engine,
  { record, device, operation, now }: ValidityCheck,
  { id, revokedAt }: IssuerRecord,
): void {
  const profile = engine.settings.profiles.get(record.profile ?? device.profile)
  const untilMs = (revokedAt ?? 0) + (profile?.reissueForMs ?? 0)
  if (operation === 'reenroll' && now < untilMs) return
  const how =
    operation === 'enroll' && now < untilMs
      ? 'this certificate may only be renewed, over EST'
      : 'the device enrols again with its factory identity or a new enrolment secret'
  throw new Refusal('issuer-revoked', `the issuer ${id} of this certificate is revoked: ${how}`)
}

/** @returns how long ago it expired, 0 while it is valid */
function requireValid(engine: Engine, { record, device, operation, now }: ValidityCheck): number {
  const { notBefore, notAfter } = record
  if (now < notBefore) {
    throw new Refusal(
      'certificate-untrusted',
      `this certificate is valid only from ${iso(notBefore)}: check the clocks`,
    )
  }
  // notAfter is inclusive and counts whole seconds
  const expiredForMs = Math.max(0, now - (notAfter + 999))
  if (expiredForMs === 0) return 0
  const graceMs = engine.settings.profiles.get(record.profile ?? device.profile)?.renewExpiredForMs ?? 0
  if (operation === 'reenroll' && expiredForMs <= graceMs) return expiredForMs
  throw new Refusal(
    'certificate-expired',
    graceMs > 0
      ? `this certificate expired on ${iso(notAfter)}, longer ago than its profile lets it renew: the device needs a new enrolment secret`
      : `this certificate expired on ${iso(notAfter)}: the device needs a new enrolment secret`,
  )
}

interface FactoryIdentity extends Presented {
  /** What the inventory knows of it: an imported certificate of another CA. */
  readonly record: CertificateRecord | null
  readonly chain: readonly Uint8Array[]
}

/** IEEE 802.1AR: verified with the manufacturer's anchors only, and good for enrolment only. */
async function byFactoryIdentity(engine: Engine, identity: FactoryIdentity): Promise<Applicant> {
  const { presented, record, chain, operation, now } = identity
  const anchors = (await listTrustAnchors(engine.store.db)).map((trustAnchor) => ({
    trustAnchor,
    certificate: parseCertificate(trustAnchor.certificate),
  }))
  const path = pathToAnchor(presented, chain, { anchors: anchors.map(({ certificate }) => certificate), now })
  const last = path.at(-1)
  const anchor = anchors.find(
    ({ certificate }) => last !== undefined && equalBytes(certificate.der, last.der),
  )
  assert(anchor, 'a valid path ends at one of the anchors')
  if (operation === 'reenroll') {
    throw new Refusal(
      'certificate-untrusted',
      'a factory identity is no operational credential: renew with the certificate issued here, or use simpleenroll',
    )
  }
  const { trustAnchor } = anchor
  const id = record?.deviceId ?? deviceIdOf(parseDeviceIdRule(trustAnchor.deviceIdRule), presented)
  const device = await requireDevice(engine, id)
  if (trustAnchor.profile !== null && trustAnchor.profile !== device.profile) {
    throw new Refusal(
      'profile-not-allowed',
      `factory identities of ${trustAnchor.name} enrol devices of profile ${trustAnchor.profile}, and device ${id} has profile ${device.profile}`,
    )
  }
  return { kind: 'idevid', device, trustAnchor, presented }
}

function pathToAnchor(
  leaf: Certificate,
  chain: readonly Uint8Array[],
  { anchors, now }: { readonly anchors: Certificate[]; readonly now: Instant },
): Certificate[] {
  if (anchors.length === 0) throw unknownCertificate()
  // a validity of its own, because the path says only that something is wrong
  if (now > leaf.notAfter + 999) {
    throw new Refusal(
      'certificate-expired',
      `the certificate of the connection expired on ${iso(leaf.notAfter)}`,
    )
  }
  const intermediates = chain.map((der) => parseCertificate(der))
  try {
    return validatePath({ leaf, intermediates, anchors, at: now, purpose: oids.clientAuth })
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'path-invalid') throw error
    throw unknownCertificate(error)
  }
}

function unknownCertificate(cause?: Refusal): Refusal {
  const why = cause ? ` (${cause.message})` : ''
  return new Refusal(
    'certificate-unknown',
    `the certificate of the connection was not issued here and leads to no trust anchor${why}: register its CA with \`perennial trust add\``,
    { cause },
  )
}

async function requireDevice(engine: Engine, id: DeviceId): Promise<DeviceRecord> {
  const device = await findDevice(engine.store.db, id)
  if (device) return device
  throw new Refusal(
    'device-unknown',
    `device ${id} is not in the inventory: add it with \`perennial device add\``,
  )
}

/**
 * The one-time secret of a device. An unknown device, a device without a secret and a wrong secret give one answer,
 * so that nobody learns which ids exist. Whether a spent or late secret is still good is policy (`secretStillGood`).
 */
async function bySecret(
  engine: Engine,
  { username, password }: NonNullable<Peer['basic']>,
  now: Instant,
): Promise<Applicant> {
  const id = parseDeviceId(username)
  const secret = id === null ? null : await findSecret(engine.store.db, id)
  // hashed whether there is a secret or not: the same work for every answer
  const given = sha256(password)
  const wanted = secret === null ? given.toReversed() : (fromHex(secret.hash) as Uint8Array)
  if (!equalSecrets(given, wanted) || id === null || secret === null) throw wrongSecret()
  if (now >= secret.expiresAt && secret.usedAt === null) {
    throw new Refusal(
      'secret-invalid',
      `the enrolment secret of device ${id} expired on ${iso(secret.expiresAt)}: make a new one with \`perennial device secret ${id}\``,
    )
  }
  const device = await requireDevice(engine, id)
  return { kind: 'secret', device, secret }
}

function wrongSecret(): Refusal {
  return new Refusal(
    'secret-invalid',
    'device id or enrolment secret is wrong: check both, or make a new secret with `perennial device secret ID`',
  )
}

/**
 * Revocation of one certificate or one device. What is revoked stays revoked; its device gets nothing more, over no
 * protocol, until somebody has looked into it. The published CRLs follow within seconds (crl-publish.ts), OCSP at once.
 */
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findDevice, setDeviceState } from '../../store/devices.ts'
import { hold, isHeld } from '../../store/holds.ts'
import { certificatesOf, findCertificate } from '../../store/inventory.ts'
import { revokeCertificates } from '../../store/revocations.ts'
import type { Tx } from '../../store/schema.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { openCaseIn } from '../cases/case.ts'
import { deviceOutOfService } from '../renewals/renewal-events.ts'
import { connectorNames, cutSessions } from '../sessions/cut.ts'

export interface RevocationOrder {
  readonly reason: RevocationReason
  /** Why, in words; goes on record. */
  readonly note?: string | null
  readonly actor: string
}

export interface Revoked {
  /** Those that are revoked now and were not before. */
  readonly certificates: readonly CertificateRecord[]
  /** The device's new state; null when there is no device or its state did not change. */
  readonly deviceState: 'quarantined' | 'decommissioned' | null
}

/**
 * Revokes one certificate. Its device is quarantined when it could still use it, or when the key may be in other hands; a
 * replaced certificate that is revoked as superseded leaves the device alone.
 * @throws Refusal `not-found`, `invalid-input` (a CA, another's certificate, never issued), `already-exists` when it is revoked
 */
export async function revokeCertificate(
  engine: Engine,
  certificate: Pick<CertificateRecord, 'id'>,
  order: RevocationOrder,
): Promise<Revoked> {
  const now = engine.clock.now()
  const ours = await ownIssuers(engine)
  const unit = { ...order, now, ours, connectors: connectorNames(engine) }
  const known = await findCertificate(engine.store.db, certificate.id)
  if (known && (await engine.issuers.isIssuerKey(known.spkiHash))) {
    throw new Refusal(
      'invalid-input',
      'this is the certificate of a CA, and revoking it would end every certificate under it: that is not done here',
    )
  }
  return await engine.store.transaction(async (tx) => {
    const record = await findCertificate(tx, certificate.id)
    if (!record) throw new Refusal('not-found', 'there is no such certificate')
    requireRevocable(record, ours, order.reason)
    if (order.reason === hold) await requireHold(engine, tx, record)
    const { deviceId } = record
    const isNeeded = record.status !== 'superseded' || order.reason === 'keyCompromise'
    const deviceState = deviceId !== null && isNeeded ? await takeOut(tx, deviceId, unit) : null
    const certificates = await revokeAll(tx, [record], order, now)
    if (deviceId !== null && certificates.length > 0)
      await cutSessions(tx, unit.connectors, { deviceId, why: 'revoked' }, now)
    return { certificates, deviceState }
  })
}

/**
 * Revokes everything that a device holds and takes the device out of service: quarantined, or decommissioned when that is
 * the reason. Certificates of other CAs are not ours to revoke. Again for the same device: nothing more happens.
 * @throws Refusal `not-found`
 */
export async function revokeDevice(engine: Engine, id: DeviceId, order: RevocationOrder): Promise<Revoked> {
  const now = engine.clock.now()
  const ours = await ownIssuers(engine)
  return await engine.store.transaction(async (tx) => {
    const device = await findDevice(tx, id)
    if (!device) throw new Refusal('not-found', `device ${id} is not in the inventory`)
    if (order.reason === hold) requireHoldOf(engine, device.profile)
    return await revokeDeviceIn(tx, id, { ...order, now, ours, connectors: connectorNames(engine) })
  })
}

export interface RevocationInUnit extends RevocationOrder {
  readonly now: Instant
  /** Ids of the issuers whose keys are ours. */
  readonly ours: ReadonlySet<string>
  /** Names of the brokers and services that are told whose sessions to end. */
  readonly connectors: readonly string[]
  /** The batch that it belongs to. */
  readonly revocationId?: number
}

/** The part of a unit of work that revokes one device, for batches. */
export async function revokeDeviceIn(tx: Tx, id: DeviceId, order: RevocationInUnit): Promise<Revoked> {
  const { now, ours, reason } = order
  // the device first: an issuance that commits after this finds it out of service, and one before is seen below
  const deviceState = await takeOut(tx, id, order)
  const rows = await certificatesOf(tx, id)
  const wanted = rows.filter(
    (row) => ours.has(row.issuerId) && isRevocable(row, reason) && row.notAfter + 999 >= now,
  )
  const certificates = await revokeAll(tx, wanted, order, now)
  if (certificates.length > 0 || deviceState !== null)
    await cutSessions(tx, order.connectors, { deviceId: id, why: 'revoked' }, now)
  return { certificates, deviceState }
}

/** Ids of the issuers that sign here. */
export async function ownIssuers({ issuers }: Engine): Promise<ReadonlySet<string>> {
  return new Set((await issuers.list()).filter(({ kind }) => kind !== 'external').map(({ id }) => id))
}

/** A hold is for what is in use, and can be made a revocation that stays. */
function isRevocable(record: CertificateRecord, reason: RevocationReason): boolean {
  const { status } = record
  if (status === 'superseded') return reason !== hold
  return status === 'issued' || status === 'confirmed' || (isHeld(record) && reason !== hold)
}

/** @throws Refusal `hold-not-allowed` */
async function requireHold(engine: Engine, tx: Tx, { deviceId, profile }: CertificateRecord): Promise<void> {
  const device = deviceId === null ? null : await findDevice(tx, deviceId)
  requireHoldOf(engine, profile ?? device?.profile ?? '')
}

function requireHoldOf({ settings }: Engine, name: string): void {
  if (settings.profiles.get(name)?.hold === true) return
  throw new Refusal(
    'hold-not-allowed',
    `profile ${name} does not allow certificateHold (profiles.${name}.hold): open a case, or revoke for good`,
  )
}

function requireRevocable(
  record: CertificateRecord,
  ours: ReadonlySet<string>,
  wanted: RevocationReason,
): void {
  const { serialNumber, issuerId, status, reason } = record
  if (!ours.has(issuerId)) {
    throw new Refusal('invalid-input', `certificate ${serialNumber} is of another CA, which must revoke it`)
  }
  if (isRevocable(record, wanted)) return
  if (status === 'revoked') {
    throw new Refusal(
      'already-exists',
      `certificate ${serialNumber} is revoked already (${reason ?? 'no reason'})`,
    )
  }
  throw new Refusal(
    'invalid-input',
    status === 'superseded'
      ? `certificate ${serialNumber} is replaced: only one in use can be put on hold`
      : `certificate ${serialNumber} was never handed out (${status})`,
  )
}

async function takeOut(
  tx: Tx,
  id: DeviceId,
  { reason, note, actor, now, revocationId }: Omit<RevocationInUnit, 'ours'>,
): Promise<Revoked['deviceState']> {
  const state = reason === 'cessationOfOperation' ? 'decommissioned' : 'quarantined'
  const before = await setDeviceState(tx, id, state)
  if (before === null || before === state) return null
  if (before === 'decommissioned') {
    // it will not come back, which is more than a quarantine
    await setDeviceState(tx, id, before)
    return null
  }
  // nobody asks it any more; what stands at the broker is taken back
  await deviceOutOfService(tx, { deviceId: id, reason: `device-${state}`, actor }, now)
  const action = state === 'decommissioned' ? 'device.decommissioned' : 'device.quarantined'
  await recordFacts(
    tx,
    fact(now, { actor, action, subject: subjects.device(id), ...words(note), details: { reason } }),
  )
  // what happened is to be found out, unless it is known: its life is over
  if (state === 'quarantined')
    await openCaseIn(tx, { deviceId: id, actor, now, reason, revocationId: revocationId ?? null })
  return state
}

async function revokeAll(
  tx: Tx,
  certificates: readonly CertificateRecord[],
  { reason, note, actor }: RevocationOrder,
  now: Instant,
): Promise<CertificateRecord[]> {
  const done = await revokeCertificates(tx, certificates, { reason, revokedAt: now })
  const facts = done.map(({ issuerId, serialNumber, deviceId }) =>
    fact(now, {
      actor,
      action: 'certificate.revoked',
      subject: subjects.certificate(issuerId, serialNumber),
      ...words(note),
      details: { deviceId, reason },
    }),
  )
  await recordFacts(tx, ...facts)
  return done.map((record) =>
    Object.assign({}, record, { status: 'revoked' as const, reason, revokedAt: now }),
  )
}

function words(note: string | null | undefined): { reason?: string } {
  return note === null || note === undefined ? {} : { reason: note }
}

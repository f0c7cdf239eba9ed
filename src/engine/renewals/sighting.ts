/**
 * Sightings: a device was here and proved to hold a certificate. The first sighting of a NEW certificate confirms it,
 * and only then are the ones before it to be retired: a device keeps what it had until it has shown what it got.
 *
 * They are collected in memory and written in batches. What a crash loses is seen again at the next contact.
 */
import type { Instant } from '../../base/clock.ts'
import { secondMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { confirmCertificate } from '../../store/certificates.ts'
import { recordLastSeen, type Sighting } from '../../store/last-seen.ts'
import { markDelivered, type Delivery } from '../../store/renewals.ts'
import type { Tx } from '../../store/schema.ts'
import { lockOlder } from '../../store/succession.ts'
import { actors, fact, recordFacts, subjects } from '../audit/audit.ts'
import { flushOddities } from '../alerts/oddities.ts'
import type { Engine } from '../context.ts'
import { findInInventory, type Applicant } from '../issuing/identify.ts'
import type { Job } from '../jobs.ts'
import { renewalConfirmed } from './renewal-events.ts'
import { retireLater } from './retire.ts'

interface Noted extends Sighting {
  readonly deviceId: DeviceId
  /** The certificate, when it was not confirmed yet. */
  readonly unconfirmed: CertificateRecord | null
}

export interface SightingBuffer {
  /** An authenticated applicant; one without a certificate of ours counts for the device alone. */
  note(applicant: Applicant, at: Instant): void
  /** An authenticated use of a certificate of ours that is live. */
  noteCertificate(certificate: CertificateRecord, at: Instant): void
  /** The device was there; with which certificate is not known. Only for devices of the inventory. */
  noteDevice(deviceId: DeviceId, at: Instant): void
  /** The answer with this new certificate has left: it is with the device, or at its broker. */
  noteDelivered(certificate: CertificateRecord, at: Instant): void
  readonly size: number
  /** Everything noted so far; the buffer is empty afterwards. */
  take(): Noted[]
  /** The deliveries noted so far; they are forgotten then. Lost ones do no harm: use says more. */
  takeDelivered(): Delivery[]
  /** Puts back what could not be written. */
  restore(noted: readonly Noted[]): void
}

export function createSightingBuffer(): SightingBuffer {
  let byDevice = new Map<string, Noted>()
  let delivered: Delivery[] = []

  function put(noted: Noted): void {
    const id = `${noted.deviceId} ${noted.certificateId ?? ''}`
    const known = byDevice.get(id)
    if (known && known.at > noted.at) return
    byDevice.set(id, { ...noted, unconfirmed: noted.unconfirmed ?? known?.unconfirmed ?? null })
  }

  function noteCertificate(certificate: CertificateRecord, at: Instant): void {
    const { id, deviceId, status } = certificate
    if (deviceId === null) return
    put({ deviceId, certificateId: id, at, unconfirmed: status === 'issued' ? certificate : null })
  }

  function noteDevice(deviceId: DeviceId, at: Instant): void {
    put({ deviceId, certificateId: null, at, unconfirmed: null })
  }

  return {
    note(applicant, at) {
      if (applicant.kind === 'certificate') noteCertificate(applicant.certificate, at)
      else noteDevice(applicant.device.id, at)
    },
    noteCertificate,
    noteDevice,
    noteDelivered({ id, deviceId, slot, predecessorId }, at) {
      // a first certificate belongs to no renewal
      if (deviceId === null || predecessorId === null) return
      delivered.push({ deviceId, slot, certificateId: id, at })
    },
    takeDelivered() {
      const taken = delivered
      delivered = []
      return taken
    },
    get size() {
      return byDevice.size
    },
    take() {
      const taken = [...byDevice.values()]
      byDevice = new Map()
      return taken
    },
    restore(noted) {
      for (const one of noted) put(one)
    },
  }
}

/**
 * Notes that a connection was authenticated with this certificate, whatever it asked for. Certificates that are not
 * ours, or not live, are passed over: they are no sign of life of a device.
 * @param certificate DER
 * @returns the certificate, when it is ours and live
 */
export async function noteSighting(
  engine: Engine,
  certificate: Uint8Array,
): Promise<CertificateRecord | null> {
  const record = await findLive(engine, certificate)
  if (record) engine.sightings.noteCertificate(record, engine.clock.now())
  return record
}

/**
 * The first use of a certificate, on record when the promise resolves: for answers that a device takes as the end of its
 * renewal. What only the buffer holds is lost when the process is killed, and such a device does not come back soon.
 */
export async function confirmUse(
  engine: Engine,
  certificate: CertificateRecord,
  now: Instant,
): Promise<void> {
  const { id, deviceId, status } = certificate
  engine.sightings.noteCertificate(certificate, now)
  if (status !== 'issued' || deviceId === null) return
  await engine.store.transaction((tx) =>
    confirm(engine, tx, { deviceId, certificateId: id, at: now, unconfirmed: certificate }, now),
  )
}

async function findLive(engine: Engine, der: Uint8Array): Promise<CertificateRecord | null> {
  try {
    const record = await findInInventory(engine, parseCertificate(der))
    if (record?.status !== 'issued' && record?.status !== 'confirmed') return null
    const issuer = await engine.issuers.find(record.issuerId)
    return issuer?.record.status === 'revoked' ? null : record
  } catch (error) {
    if (error instanceof Refusal) return null
    throw error
  }
}

/** Writes what was noted in this process. Each process runs it for itself, hence `isShared`. */
export const writeSightings: Job = {
  name: 'write-sightings',
  intervalMs: 2 * secondMs,
  isShared: true,
  run: async (engine, now) => ({ worked: await flushSightings(engine, now) }),
}

/** Confirmations in one transaction: a renewal campaign has one for each device. */
const confirmationsAtOnce = 100

/** @returns how many sightings were written */
export async function flushSightings(engine: Engine, now: Instant): Promise<number> {
  await flushDelivered(engine)
  await flushOddities(engine)
  const noted = engine.sightings.take()
  if (noted.length === 0) return 0
  try {
    await engine.store.transaction(async (tx) => {
      await recordLastSeen(tx, noted)
    })
    const unconfirmed = noted
      .filter((one) => one.unconfirmed !== null)
      // in one order, so that two processes cannot wait for each other in a circle
      .sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1))
    for (let at = 0; at < unconfirmed.length; at += confirmationsAtOnce) {
      const some = unconfirmed.slice(at, at + confirmationsAtOnce)
      await engine.store.transaction(async (tx) => {
        for (const one of some) await confirm(engine, tx, one, now)
      })
    }
  } catch (error) {
    engine.sightings.restore(noted)
    throw error
  }
  return noted.length
}

/** In one order, as the confirmations are. */
async function flushDelivered({ sightings, store }: Engine): Promise<void> {
  const delivered = sightings.takeDelivered()
  if (delivered.length === 0) return
  delivered.sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1))
  await store.transaction(async (tx) => await markDelivered(tx, delivered))
}

/**
 * The device has shown its new certificate: the live ones before it, in the same slot, are to be retired. They work on for
 * the grace that the profile names, since a device may fall back to them.
 */
async function confirm(
  engine: Engine,
  tx: Tx,
  { unconfirmed, deviceId, at }: Noted,
  now: Instant,
): Promise<void> {
  if (unconfirmed === null || !(await confirmCertificate(tx, { id: unconfirmed.id, at }))) return
  const { id, slot, issuerId, serialNumber } = unconfirmed
  const confirmed = fact(now, {
    actor: actors.device(deviceId),
    action: 'certificate.confirmed',
    subject: subjects.certificate(issuerId, serialNumber),
    details: { deviceId },
  })
  await recordFacts(tx, confirmed)
  const older = await lockOlder(tx, { deviceId, slot, beforeId: id })
  const isRetired = await retireLater(engine, tx, { older, by: unconfirmed, at, now })
  await renewalConfirmed(tx, unconfirmed, { at, isLast: isRetired })
}

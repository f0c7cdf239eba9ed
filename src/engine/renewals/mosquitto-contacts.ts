/**
 * Contacts from the log of a Mosquitto broker that takes the common name of a certificate as the user name. A line says
 * who connected and not with which certificate: it is a sign of life of the device and confirms nothing.
 */
import { secondMs, type Instant } from '../../base/clock.ts'
import { parseDeviceId, type DeviceId } from '../../base/id.ts'
import { findDevice } from '../../store/devices.ts'
import type { Engine } from '../context.ts'

export interface MosquittoContact {
  readonly deviceId: DeviceId
  /** Null when the log has no instants that we can read. */
  readonly at: Instant | null
}

// 1605790000: New client connected from 192.0.2.1:40000 as client-id (p2, c1, k60, u'meter-1').
// 2026-11-20T12:00:00: …, with log_timestamp_format %Y-%m-%dT%H:%M:%S; a client id may hold anything, so the name is taken
// from the end of the line, where the broker writes it and nothing follows.
const connected =
  /^(?:(\d{9,11}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?): )?New client connected from .* \(.*u'([^']*)'\)\.$/

/** Longer than any line that the broker writes about a client of ours. */
const maxLine = 2_048

/** @returns null for every other line */
export function readMosquittoLine(line: string): MosquittoContact | null {
  if (line.length > maxLine) return null
  const [, stamp, name = ''] = connected.exec(line) ?? []
  const deviceId = parseDeviceId(name)
  return deviceId === null ? null : { deviceId, at: stamp === undefined ? null : instantOf(stamp) }
}

/** A stamp without an offset is in the time of its machine, which we do not know: UTC is assumed. */
function instantOf(stamp: string): Instant | null {
  const at = /^\d+$/.test(stamp)
    ? Number(stamp) * secondMs
    : Date.parse(stamp.endsWith('Z') ? stamp : `${stamp}Z`)
  return Number.isFinite(at) ? at : null
}

/** Names that were looked up lately. */
const maxKnown = 10_000

export class MosquittoContacts {
  readonly #engine: Engine
  readonly #known = new Map<DeviceId, boolean>()
  /** Contacts that were noted, and those of names that the inventory does not have. */
  taken = 0
  unknown = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** @returns whether the line was a contact of a device of ours */
  async take(line: string): Promise<boolean> {
    const contact = readMosquittoLine(line)
    if (contact === null) return false
    const { deviceId } = contact
    if (!(await this.#isOurs(deviceId))) {
      this.unknown++
      return false
    }
    const now = this.#engine.clock.now()
    // a log of the future would hide that a device has gone silent
    this.#engine.sightings.noteDevice(deviceId, Math.min(contact.at ?? now, now))
    this.taken++
    return true
  }

  async #isOurs(deviceId: DeviceId): Promise<boolean> {
    const known = this.#known.get(deviceId)
    if (known !== undefined) return known
    const isOurs = (await findDevice(this.#engine.store.db, deviceId)) !== null
    if (this.#known.size >= maxKnown) this.#known.clear()
    this.#known.set(deviceId, isOurs)
    return isOurs
  }
}

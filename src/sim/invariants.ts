/**
 * What must hold in every world, whatever has happened in it (DESIGN: time and simulation). Checked after each virtual day,
 * in a fuzzed world after every tick. Nothing here is believed because the engine says so: it is held against what left
 * the platform and what the devices hold.
 */
import { fromBase64, sha256Hex } from '../base/bytes.ts'
import { iso, type Instant } from '../base/clock.ts'
import { verifyAuditLog } from '../engine/audit/audit-verify.ts'
import { brakeVerdict } from '../engine/campaigns/campaign-brakes.ts'
import { toCampaign } from '../engine/campaigns/campaign-record.ts'
import { campaignProgress } from '../engine/campaigns/campaign-sums.ts'
import type { TriggerKind } from '../engine/ports.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { parseCertsOnly } from '../pki/cms.ts'
import { findCampaign } from '../store/campaigns.ts'
import type { CertificateRecord } from '../store/certificate-record.ts'
import { lastCrlNumber } from '../store/crls.ts'
import { findDevice } from '../store/devices.ts'
import { findBySerial, standingsOf, type Standing } from '../store/inventory.ts'
import { countersOfCampaign, listRenewals } from '../store/renewal-lists.ts'
import { renewalStatuses } from '../store/renewal-record.ts'
import { deviceIdOf } from './fleet/factory.ts'
import type { WakeEnd } from './fleet/messages.ts'
import type { Told } from './server.ts'
import { campaignId } from './setup.ts'
import type { World } from './world.ts'

/** More are not listed. */
const mostViolations = 20
/** Devices of a big fleet that are looked at in one check. */
const sample = 50
/** Devices that are read at once. */
const chunk = 500
/** In one check of so many, the targets are read one by one. */
const eachTarget = 8

export type Depth = 'every device' | 'sums and a sample'

interface HandedOut {
  readonly device: number
  readonly serialNumber: string
  readonly at: Instant
}

export class Invariants {
  readonly violations: string[] = []
  readonly depth: Depth
  checks = 0
  readonly #world: World
  /** Handed out since the last check. */
  #fresh: HandedOut[] = []
  readonly #owners = new Map<string, number>()
  /** What each device holds, the one in use first. */
  readonly #held = new Map<number, readonly string[]>()
  readonly #revoked = new Map<number, Instant>()
  readonly #statuses = new Map<number, CertificateRecord['status']>()
  readonly #crlNumbers = new Map<string, number>()
  #targets: number | null = null
  #logSize = 0
  /** From when on no trigger of the campaign may leave; null = it may. */
  #stoppedAt: Instant | null = null
  #turn = 0
  /** Devices that were awake since the last check. */
  readonly #touched = new Set<number>()
  /** Serial numbers by device and key: the same request has the same answer. */
  readonly #byKey = new Map<string, string>()

  constructor(world: World, depth: Depth) {
    this.#world = world
    this.depth = depth
  }

  /** The campaign was paused or aborted, by a person or by a brake. */
  stopped(isStopped: boolean): void {
    this.#stoppedAt = isStopped ? (this.#stoppedAt ?? this.#world.now()) : null
  }

  revoked(device: number): void {
    this.#revoked.set(device, this.#world.now())
  }

  sent(kind: TriggerKind, device: number): void {
    if (this.#stoppedAt === null) return
    this.found(
      `a message by ${kind} left for ${deviceIdOf(device)} although its campaign had stopped at ${iso(this.#stoppedAt)}`,
    )
  }

  ended(device: number, { held }: WakeEnd): void {
    if (this.depth !== 'every device') return
    this.#held.set(device, held)
    this.#touched.add(device)
  }

  told({ device, request, answer }: Told): void {
    if (answer.status !== 200 || !/\/simple(?:re)?enroll$/.test(request.path)) return
    if (this.depth !== 'every device' && this.#fresh.length >= sample) return
    const der = fromBase64(answer.body)
    const [leaf] = der === null ? [] : parseCertsOnly(der)
    if (leaf === undefined) return this.found(`${deviceIdOf(device)} was answered without a certificate`)
    const { serialNumber, subject, spki } = parseCertificate(leaf)
    const key = `${device} ${sha256Hex(spki)}`
    const same = this.#byKey.get(key)
    if (same !== undefined && same !== serialNumber)
      this.found(
        `one request of ${deviceIdOf(device)} was answered with ${same}, and then with ${serialNumber}`,
      )
    if (this.depth === 'every device') this.#byKey.set(key, serialNumber)
    const name = subject.flat().find(({ value }) => value === deviceIdOf(device))
    if (name === undefined)
      this.found(`${deviceIdOf(device)} got a certificate for another device: ${serialNumber}`)
    const owner = this.#owners.get(serialNumber)
    if (owner !== undefined && owner !== device)
      this.found(`serial number ${serialNumber} was handed out twice`)
    if (this.#revoked.has(device))
      this.found(`${deviceIdOf(device)} is revoked and got certificate ${serialNumber}`)
    if (this.depth === 'every device') this.#owners.set(serialNumber, device)
    this.#fresh.push({ device, serialNumber, at: this.#world.now() })
  }

  isRevoked(device: number): boolean {
    return this.#revoked.has(device)
  }

  /** @param isWhole whether every job has run in this tick: only then has a brake had its turn */
  async check({ isWhole } = { isWhole: true }): Promise<void> {
    this.checks += 1
    await this.#handedOut()
    await this.#targetsConserved(this.checks % eachTarget === 1)
    if (isWhole) await this.#brakes()
    await this.#crls()
    const { devices } = this.#world.ledger
    // those to which something has happened, and some of the others, not the same ones each time
    const some = new Set(this.depth === 'every device' ? this.#touched : [])
    for (let n = 0; n < Math.min(devices, sample); n++) some.add((this.#turn + n * 7919) % devices)
    this.#turn = (this.#turn + sample * 7919) % devices
    this.#touched.clear()
    await this.#devices([...some])
  }

  /** Every device of a small fleet. */
  async checkAll(): Promise<void> {
    await this.#targetsConserved(true)
    if (this.depth !== 'every device') return
    const { devices } = this.#world.ledger
    for (let from = 0; from < devices; from += chunk) {
      await this.#devices(Array.from({ length: Math.min(chunk, devices - from) }, (_, n) => from + n))
    }
  }

  /** At the end: the audit log against itself and against the inventory. */
  async checkLog(): Promise<void> {
    const { process } = this.#world
    if (process === null) return
    const report = await verifyAuditLog(process.engine)
    for (const { detail } of report.findings.slice(0, 5)) this.found(`the audit log: ${detail}`)
    if (report.size < this.#logSize)
      this.found(`the audit log shrank from ${this.#logSize} to ${report.size}`)
    this.#logSize = report.size
  }

  /** What a device has been given is on record, as its own. */
  async #handedOut(): Promise<void> {
    const fresh = this.#fresh
    this.#fresh = []
    for (const { device, serialNumber, at } of fresh) {
      const known = await findBySerial(this.#world.store.db, serialNumber as never)
      const [record, ...others] = known
      const what = `certificate ${serialNumber}, handed out to ${deviceIdOf(device)} at ${iso(at)},`
      if (!record) this.found(`${what} is not in the inventory`)
      else if (record.status === 'reserved' || record.status === 'abandoned')
        this.found(`${what} is ${record.status}`)
      else if (record.deviceId !== deviceIdOf(device))
        this.found(`${what} is on record for ${record.deviceId}`)
      if (others.length > 0) this.found(`${what} is in the inventory more than once`)
    }
  }

  /** Each target is there, in one state, and the sums say the same. */
  async #targetsConserved(isEach: boolean): Promise<void> {
    const { db } = this.#world.store
    const counters = await countersOfCampaign(db, campaignId)
    const sums = Object.fromEntries(renewalStatuses.map((status) => [status, 0])) as Record<string, number>
    for (const counts of counters.values())
      for (const status of renewalStatuses) sums[status] = (sums[status] ?? 0) + counts[status]
    const total = Object.values(sums).reduce((sum, each) => sum + each, 0)
    if (this.#targets === null && total > 0) this.#targets = total
    if (this.#targets !== null && total !== this.#targets)
      this.found(`the campaign had ${this.#targets} targets and has ${total}`)
    if (this.depth !== 'every device' || total === 0 || !isEach) return
    const counted: Record<string, number> = {}
    const seen = new Set<string>()
    for (let after: string | null = null; ;) {
      const page = await listRenewals(db, { campaignId, after, limit: 1_000 })
      for (const { status, deviceId } of page.rows) {
        counted[status] = (counted[status] ?? 0) + 1
        if (seen.has(deviceId)) this.found(`${deviceId} is a target twice`)
        seen.add(deviceId)
      }
      after = page.next
      if (after === null) break
    }
    for (const status of renewalStatuses) {
      if ((counted[status] ?? 0) !== (sums[status] ?? 0))
        this.found(`${counted[status] ?? 0} targets are ${status}, and the sums say ${sums[status] ?? 0}`)
    }
  }

  /** A campaign that a brake should have stopped does not run on. */
  async #brakes(): Promise<void> {
    const { store, process } = this.#world
    const record = await findCampaign(store.db, campaignId)
    if (!record || process === null || record.status !== 'running') return
    const campaign = toCampaign(record)
    const progress = await campaignProgress(store.db, process.engine.settings, campaign, this.#world.now())
    const { total, since } = progress
    const { normalDarknessPercent } = campaign.snapshot
    const verdict = brakeVerdict({ definition: campaign.definition, total, since, normalDarknessPercent })
    if (verdict !== null) this.found(`the campaign runs although its brake should hold it: ${verdict.reason}`)
  }

  async #crls(): Promise<void> {
    const { store, process } = this.#world
    for (const { id } of (await process?.engine.issuers.list()) ?? []) {
      const number = await lastCrlNumber(store.db, id)
      if (number === null) continue
      const before = this.#crlNumbers.get(id) ?? -1
      if (number < before) this.found(`the CRL number of ${id} went from ${before} to ${number}`)
      this.#crlNumbers.set(id, number)
    }
  }

  async #devices(devices: readonly number[]): Promise<void> {
    const standings = await standingsOf(this.#world.store.db, devices.map(deviceIdOf))
    for (const device of devices) await this.#device(device, standings.get(deviceIdOf(device)) ?? [])
  }

  async #device(device: number, rows: readonly Standing[]): Promise<void> {
    const { store, ledger } = this.#world
    const id = deviceIdOf(device)
    const live = rows.filter(({ status }) => status === 'issued' || status === 'confirmed')
    const unused = live.filter(({ status, predecessorId }) => status === 'issued' && predecessorId !== null)
    const replaced = unused.map(({ predecessorId }) => predecessorId)
    if (new Set(replaced).size !== replaced.length)
      this.found(`${id} has two live certificates in place of the same one`)
    for (const { id: certificate, status, serialNumber } of rows)
      this.#moved(certificate, status, serialNumber)
    const isRevoked = this.#revoked.has(device)
    if (isRevoked && live.length > 0) this.found(`${id} was revoked and has a live certificate`)
    const record = isRevoked ? await findDevice(store.db, id) : null
    if (record !== null && record?.state === 'active') this.found(`${id} was revoked and is active`)
    if (isRevoked || ledger.is(device, 'broken')) return
    this.#hasSomething(device, rows, live)
  }

  /** No device loses its last working credential by what we do. */
  #hasSomething(device: number, rows: readonly Standing[], live: readonly Standing[]): void {
    if (live.length === 0) return this.found(`${deviceIdOf(device)} has no live certificate`)
    const held = this.#held.get(device)
    if (held === undefined || held.length === 0) return
    const working = new Set<string>(live.map(({ serialNumber }) => serialNumber))
    if (held.some((serialNumber) => working.has(serialNumber))) return
    const states = held.map(
      (serial) => rows.find(({ serialNumber }) => serialNumber === serial)?.status ?? 'unknown',
    )
    this.found(`${deviceIdOf(device)} holds only certificates that are ${states.join(' and ')}`)
  }

  /** What is revoked stays revoked; what is over stays over. */
  #moved(id: number, status: CertificateRecord['status'], serialNumber: string): void {
    if (this.depth !== 'every device') return
    const before = this.#statuses.get(id)
    this.#statuses.set(id, status)
    if (before === undefined || before === status) return
    const isOver = before === 'revoked' || before === 'abandoned'
    const isBack = before === 'superseded' && status !== 'revoked'
    const isUndone = before === 'confirmed' && status === 'issued'
    if (isOver || isBack || isUndone)
      this.found(`certificate ${serialNumber} went from ${before} to ${status}`)
  }

  found(what: string): void {
    if (this.violations.length >= mostViolations) return
    this.violations.push(`day ${this.#world.day.toFixed(2)}: ${what}`)
  }
}

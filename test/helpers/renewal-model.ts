/** A small fleet in a campaign, driven by commands; `check` asserts what must hold after each of them. */
import assert from 'node:assert/strict'
import { dayMs, hourMs, minuteMs } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { createCampaign } from '../../src/engine/campaigns/campaign-create.ts'
import { parseCampaignDefinition } from '../../src/engine/campaigns/campaign-read.ts'
import { pauseCampaign, resumeCampaign, startCampaign } from '../../src/engine/campaigns/campaign-state.ts'
import type { Engine } from '../../src/engine/context.ts'
import { defaultConnectivity } from '../../src/engine/issuing/default-profiles.ts'
import { parseRung } from '../../src/engine/renewals/ladder.ts'
import { tickFaultPoints, type FaultPoint, type Trigger } from '../../src/engine/ports.ts'
import { flushSightings, noteSighting } from '../../src/engine/renewals/sighting.ts'
import { campaignStatus } from '../../src/store/campaigns.ts'
import type { CertificateRecord } from '../../src/store/certificate-record.ts'
import { setStatus } from '../../src/store/certificates.ts'
import { setDeviceState } from '../../src/store/devices.ts'
import { listCertificates } from '../../src/store/inventory.ts'
import { countersOfCampaign, listRenewals } from '../../src/store/renewal-lists.ts'
import { renewalStatuses, type RenewalRecord, type RenewalStatus } from '../../src/store/renewal-record.ts'
import {
  enrolDevice,
  issuingId,
  renew,
  testActor,
  type Enrolled,
  type TestEngine,
  type TestEngineOptions,
} from './app.ts'
import { renewalRig, type RenewalRig } from './renewal-rig.ts'

export const tickPoints = tickFaultPoints

export type ModelCommand =
  /** Time passes, and every job runs. */
  | { readonly kind: 'pass'; readonly hours: number }
  /** The last trigger reaches the device, so often at one time, and it does as it is told each time. */
  | { readonly kind: 'deliver'; readonly device: number; readonly copies: number }
  /** Any trigger that ever left reaches its device now. */
  | { readonly kind: 'delayed'; readonly which: number }
  /** The device renews, and the answer is lost. */
  | { readonly kind: 'lose'; readonly device: number }
  | { readonly kind: 'renew'; readonly device: number }
  /** The device shows a certificate that it has; 0 = the newest. */
  | { readonly kind: 'use'; readonly device: number; readonly age: number }
  | { readonly kind: 'revoke'; readonly device: number }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  /** The process dies at the n-th time that it passes this point of a tick, and another takes over. */
  | { readonly kind: 'kill'; readonly at: (typeof tickFaultPoints)[number]; readonly hits: number }
  | { readonly kind: 'restart' }
  /** The clock jumps, every job runs, and the clock is put right. */
  | { readonly kind: 'jump'; readonly years: number }

class Killed extends Error {}

interface ModelDevice {
  readonly id: string
  /** What it got, the newest last. */
  readonly held: Enrolled[]
  isRevoked: boolean
}

const campaign = 'spring'
const graceMs = 2 * dayMs

export class RenewalModel {
  static readonly options: Omit<TestEngineOptions, 'store'> = {
    profiles: [
      {
        name: 'even',
        issuer: issuingId,
        validityMs: 90 * dayMs,
        renewBeforeMs: 60 * dayMs,
        retireAfterMs: graceMs,
      },
    ],
    connectivity: new Map([
      ...defaultConnectivity,
      [
        'quick',
        {
          checkInMs: dayMs,
          ladder: ['mqtt wait=1d repeats=3', 'sms wait=1d', 'field before=5d'].map(parseRung),
        },
      ],
    ]),
  }

  readonly #app: TestEngine
  readonly #devices: ModelDevice[] = []
  readonly #left: { readonly device: number; readonly trigger: Trigger }[] = []
  #rig: RenewalRig
  #pausedAtSent: number | null = null

  static async start(app: TestEngine): Promise<RenewalModel> {
    const model = new RenewalModel(app)
    await model.#begin()
    return model
  }

  private constructor(app: TestEngine) {
    this.#app = app
    this.#rig = this.#newRig(app.engine)
  }

  async #begin(): Promise<void> {
    const { engine, clock } = this.#app
    for (const id of ['SN-0', 'SN-1', 'SN-2']) {
      const first = await enrolDevice(engine, id, { profile: 'even', connectivity: 'quick', cohort: 'all' })
      this.#devices.push({ id, held: [first], isRevoked: false })
    }
    await clock.advance(30 * dayMs)
    const written = { selection: { cohort: 'all' }, canary: false, rollout: { maximumPerMinute: 1_000 } }
    const now = clock.now()
    const definition = parseCampaignDefinition(written, now)
    await createCampaign(engine, { id: campaign, definition, actor: testActor, now })
    await startCampaign(engine, { id: campaign, actor: testActor, now })
    // the first tick begins to count the rate
    await this.#rig.passes()
    await clock.advance(minuteMs)
  }

  /** A process: what it held in memory is new. */
  #newRig(engine: Engine): RenewalRig {
    const rig = renewalRig({ engine, clock: this.#app.clock })
    rig.onSend = (_kind, trigger) => {
      const device = this.#devices.findIndex(({ id }) => id === trigger.deviceId)
      this.#left.push({ device, trigger })
    }
    return rig
  }

  async run(command: ModelCommand): Promise<void> {
    switch (command.kind) {
      case 'pass':
        await this.#app.clock.advance(command.hours * hourMs)
        return await this.#rig.passes()
      case 'deliver': {
        const last = this.#left.findLast(({ device }) => device === command.device)
        if (!last) return
        const copies = Array.from({ length: command.copies }, () => this.#obey(last))
        await Promise.all(copies)
        return
      }
      case 'delayed': {
        const any = this.#left[command.which % Math.max(1, this.#left.length)]
        if (any) await this.#obey(any)
        return
      }
      case 'lose':
        await this.#renew(command.device, { isLost: true })
        return
      case 'renew':
        return await this.#renew(command.device)
      case 'use':
        return await this.#use(command)
      case 'revoke':
        return await this.#revoke(command.device)
      case 'pause':
        return await this.#pause()
      case 'resume':
        return await this.#resume()
      case 'kill':
        return await this.#kill(command)
      case 'restart':
        this.#rig = this.#newRig(this.#app.another())
        return
      case 'jump':
        return await this.#jump(command.years)
      default:
        return command satisfies never
    }
  }

  /** Triggers that left. */
  get sent(): number {
    return this.#left.length
  }

  async statuses(): Promise<RenewalStatus[]> {
    return (await this.#targets()).map(({ status }) => status)
  }

  /** A device ignores what is not about the certificate that it has. */
  async #obey({ device, trigger }: { readonly device: number; readonly trigger: Trigger }): Promise<void> {
    const current = this.#devices[device]?.held.at(-1)?.record
    if (!current || trigger.certificate !== `${current.issuerId}/${current.serialNumber}`) return
    await this.#renew(device)
  }

  async #renew(device: number, { isLost = false } = {}): Promise<void> {
    const one = this.#devices[device] as ModelDevice
    // a device whose newest certificate is refused falls back to the one before
    for (const from of one.held.toReversed()) {
      try {
        const got = await renew(this.#rig.engine, from)
        assert.equal(one.isRevoked, false, 'a revoked certificate never renews')
        if (!isLost) one.held.push(got)
        return
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        if (error.code !== 'certificate-retired') return
      }
    }
  }

  async #use({ device, age }: { readonly device: number; readonly age: number }): Promise<void> {
    const one = this.#devices[device]?.held.at(-1 - age)
    if (one) await noteSighting(this.#rig.engine, one.certificate)
  }

  async #revoke(device: number): Promise<void> {
    const one = this.#devices[device] as ModelDevice
    const { store } = this.#rig.engine
    const all = await this.#certificatesOf(one)
    await store.transaction(async (tx) => {
      for (const { id } of all) {
        const revokedAt = this.#app.clock.now()
        await setStatus(tx, id, { status: 'revoked', reason: 'keyCompromise', revokedAt })
      }
      await setDeviceState(tx, one.id as DeviceId, 'quarantined')
    })
    one.isRevoked = true
  }

  async #pause(): Promise<void> {
    if ((await campaignStatus(this.#rig.engine.store.db, campaign)) !== 'running') return
    await pauseCampaign(this.#rig.engine, { id: campaign, actor: testActor, now: this.#app.clock.now() })
    this.#pausedAtSent = this.#left.length
  }

  async #resume(): Promise<void> {
    if ((await campaignStatus(this.#rig.engine.store.db, campaign)) !== 'paused') return
    await resumeCampaign(this.#rig.engine, { id: campaign, actor: testActor, now: this.#app.clock.now() })
    this.#pausedAtSent = null
  }

  async #kill({ at, hits }: { readonly at: FaultPoint; readonly hits: number }): Promise<void> {
    let left = hits
    const faults = {
      async at(point: FaultPoint): Promise<void> {
        if (point !== at) return
        left -= 1
        if (left <= 0) throw new Killed(at)
      },
    }
    const dying = this.#newRig(this.#app.another({ faults }))
    try {
      await dying.passes()
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    }
    this.#rig = this.#newRig(this.#app.another())
    // a lock that the dead process held runs out
    await this.#app.clock.advance(11 * minuteMs)
  }

  async #jump(years: number): Promise<void> {
    await flushSightings(this.#rig.engine, this.#app.clock.now())
    const before = JSON.stringify(await this.#targets())
    const sent = this.#left.length
    await this.#app.clock.advance(years * 365 * dayMs)
    await this.#rig.passes()
    await this.#app.clock.advance(-years * 365 * dayMs)
    assert.equal(this.#left.length, sent, 'no trigger leaves after a jump of the clock')
    assert.equal(JSON.stringify(await this.#targets()), before, 'no renewal moves after a jump of the clock')
  }

  async check(): Promise<void> {
    await this.#checkTargets()
    for (const device of this.#devices) this.#checkCertificates(device, await this.#certificatesOf(device))
    if (this.#pausedAtSent !== null) {
      const since = this.#left.slice(this.#pausedAtSent)
      const ofCampaign = since.filter(({ trigger }) => trigger.campaignId !== null)
      assert.deepEqual(ofCampaign, [], 'no trigger leaves after a pause')
    }
  }

  /** Each target is there once, in one state, and the sums say the same. */
  async #checkTargets(): Promise<void> {
    const targets = await this.#targets()
    assert.deepEqual(
      targets.map(({ deviceId }) => deviceId).sort(),
      this.#devices.map(({ id }) => id),
    )
    const counted = new Map<RenewalStatus, number>()
    for (const { status } of targets) counted.set(status, (counted.get(status) ?? 0) + 1)
    const summed = new Map<RenewalStatus, number>()
    for (const counts of (await countersOfCampaign(this.#rig.engine.store.db, campaign)).values()) {
      for (const status of renewalStatuses) summed.set(status, (summed.get(status) ?? 0) + counts[status])
    }
    for (const status of renewalStatuses)
      assert.equal(summed.get(status) ?? 0, counted.get(status) ?? 0, status)
  }

  #checkCertificates({ id, held, isRevoked }: ModelDevice, all: readonly CertificateRecord[]): void {
    const isLive = ({ status }: CertificateRecord) => status === 'issued' || status === 'confirmed'
    const unused = all.filter(({ status, predecessorId }) => status === 'issued' && predecessorId !== null)
    const replaced = unused.map(({ predecessorId }) => predecessorId)
    assert.equal(
      new Set(replaced).size,
      replaced.length,
      `${id} has one live new certificate in place of another`,
    )
    if (isRevoked) {
      assert.deepEqual(all.filter(isLive), [], `${id} is revoked and stays so`)
      return
    }
    const live = new Set(all.filter(isLive).map((record) => record.id))
    assert.ok(
      held.some(({ record }) => live.has(record.id)),
      `${id} has a certificate that works`,
    )
    const now = this.#app.clock.now()
    const proven = all.filter(({ confirmedAt }) => confirmedAt !== null && confirmedAt + graceMs <= now)
    for (const old of all.filter((one) => one.status === 'superseded' && one.confirmedAt !== null)) {
      const hasHeir = proven.some((one) => one.id > old.id)
      assert.ok(
        hasHeir,
        `${id} loses a certificate that it used only when a newer one is proven and the grace over`,
      )
    }
  }

  async #targets(): Promise<RenewalRecord[]> {
    return (await listRenewals(this.#rig.engine.store.db, { campaignId: campaign, limit: 100 })).rows
  }

  async #certificatesOf({ id }: ModelDevice): Promise<CertificateRecord[]> {
    const filter = { deviceId: id as DeviceId }
    return (await listCertificates(this.#rig.engine.store.db, { filter, limit: 1_000 })).rows
  }
}

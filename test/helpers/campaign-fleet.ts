/** A fleet in a campaign on the virtual clock: devices that answer their triggers through the real enrolment. */
import assert from 'node:assert/strict'
import { dayMs, minuteMs, secondMs } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { createCampaign } from '../../src/engine/campaigns/campaign-create.ts'
import { parseCampaignDefinition } from '../../src/engine/campaigns/campaign-read.ts'
import { startCampaign } from '../../src/engine/campaigns/campaign-state.ts'
import { viewCampaign, type CampaignView } from '../../src/engine/campaigns/campaign-status.ts'
import type { NewDevice } from '../../src/engine/inventory/device.ts'
import type { Trigger, TriggerChannel } from '../../src/engine/ports.ts'
import { renewalsJob } from '../../src/engine/renewals/renewals.ts'
import { flushSightings } from '../../src/engine/renewals/sighting.ts'
import { sendTriggers } from '../../src/engine/triggers/trigger-tasks.ts'
import { listRenewals } from '../../src/store/renewal-lists.ts'
import type { RenewalRecord } from '../../src/store/renewal-record.ts'
import {
  enrolDevice,
  renew,
  testActor,
  type Enrolled,
  type TestEngine,
  type TestEngineOptions,
} from './app.ts'
import { createKey } from './ca.ts'

/** The profile of the fleet: seven months, to be renewed in the last three. */
export const fleetProfile = {
  name: 'fleet',
  issuer: 'issuing',
  validityMs: 210 * dayMs,
  renewBeforeMs: 90 * dayMs,
  renewExpiredForMs: 0,
  retireAfterMs: 0,
  connectivity: 'daily',
} as NonNullable<TestEngineOptions['profiles']>[number]

const always = new AbortController().signal
const noFence = async (): Promise<void> => {}

/** Takes every trigger, and remembers it. */
export function recordingTriggers(): { readonly channel: TriggerChannel; readonly sent: Trigger[] } {
  const sent: Trigger[] = []
  const channel: TriggerChannel = {
    kind: 'mqtt',
    parallel: 16,
    send: async (trigger) => {
      sent.push(trigger)
      return { reference: null }
    },
    close: async () => {},
  }
  return { channel, sent }
}

export interface CampaignFleet extends TestEngine {
  readonly devices: ReadonlyMap<string, Enrolled>
  /** Every trigger that left, in order. */
  readonly sent: readonly Trigger[]
  /** One pass of the job of renewals, and of the channel; then the targets are counted. */
  tick(): Promise<void>
  /** Ticks once a minute. */
  run(ms: number): Promise<void>
  /** The device renews, and uses its new certificate. */
  answer(deviceId: string): Promise<void>
  view(id: string): Promise<CampaignView>
  targets(id: string): Promise<readonly RenewalRecord[]>
}

export type StartEngine = (options?: Omit<TestEngineOptions, 'store'>) => Promise<TestEngine>

/** @param deviceOf what a device is like, by its number from 0; ids are `D-000`, `D-001`, … */
export async function campaignFleet(
  start: StartEngine,
  size: number,
  deviceOf: (n: number) => Partial<NewDevice> = () => ({}),
): Promise<CampaignFleet> {
  const { channel, sent } = recordingTriggers()
  const started = await start({
    profiles: [fleetProfile],
    triggers: new Map([[channel.kind, channel]]),
  })
  const { engine, clock } = started
  const devices = new Map<string, Enrolled>()
  // one key for all would be refused as used before; making keys is the most of this
  for (let n = 0; n < size; n++) {
    const id = `D-${String(n).padStart(3, '0')}`
    devices.set(id, await enrolDevice(engine, id, { profile: 'fleet', key: createKey(), ...deviceOf(n) }))
  }
  await flushSightings(engine, clock.now())
  // the window has opened for all of them; the first pass believes whatever the clock says
  await clock.advance(125 * dayMs)
  const job = renewalsJob(10 * secondMs)
  const fleet: CampaignFleet = {
    ...started,
    devices,
    sent,
    async tick() {
      await job.run(engine, clock.now(), always, noFence)
      await sendTriggers(engine, 'mqtt', clock.now(), always)
    },
    async run(ms) {
      for (let passed = 0; passed < ms; passed += minuteMs) {
        await clock.advance(minuteMs)
        await fleet.tick()
      }
    },
    async answer(deviceId) {
      const before = devices.get(deviceId)
      assert(before, deviceId)
      const after = await renew(engine, before)
      devices.set(deviceId, after)
      engine.sightings.noteCertificate(after.record, clock.now())
      await flushSightings(engine, clock.now())
    },
    view: async (id) => await viewCampaign(engine, id, clock.now()),
    targets: async (id) => (await listRenewals(engine.store.db, { campaignId: id, limit: 10_000 })).rows,
  }
  return fleet
}

/** Creates and starts a campaign. */
export async function startedCampaign(
  { engine, clock }: Pick<CampaignFleet, 'engine' | 'clock'>,
  id: string,
  written: Readonly<Record<string, unknown>>,
): Promise<void> {
  const now = clock.now()
  const definition = parseCampaignDefinition(written, now)
  await createCampaign(engine, { id, definition, actor: testActor, now })
  await startCampaign(engine, { id, actor: testActor, now })
}

/** Every target is in exactly one state, and the sums say the same as the rows. */
export async function assertConserved(
  fleet: Pick<CampaignFleet, 'engine' | 'view' | 'targets'>,
  id: string,
  size: number,
): Promise<void> {
  const view = await fleet.view(id)
  const rows = await fleet.targets(id)
  assert.equal(rows.length, size, 'targets are conserved')
  assert.equal(view.targets, size, 'the sums add up to the targets')
  for (const wave of view.waves) {
    const ofWave = rows.filter((row) => row.wave === wave.wave)
    assert.equal(ofWave.length, wave.size, `${wave.name} keeps its size`)
    for (const [status, count] of Object.entries(wave.counts))
      assert.equal(ofWave.filter((row) => row.status === status).length, count, `${wave.name}: ${status}`)
  }
}

export function idsOf(renewals: readonly RenewalRecord[]): DeviceId[] {
  return renewals.map(({ deviceId }) => deviceId)
}

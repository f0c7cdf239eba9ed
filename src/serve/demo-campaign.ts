/**
 * The demo's campaign: thirty valves whose factory certificates lapse together within the hour, asked over MQTT by the real
 * engine, in waves. Two thirds of a minute of silence are enough for the field list, so that the whole of it can be
 * watched in a few minutes.
 */
import { activeCredential } from '../agent/agent-state.ts'
import type { App } from '../app.ts'
import { secondMs } from '../base/clock.ts'
import { actors } from '../engine/audit/audit.ts'
import { createCampaign } from '../engine/campaigns/campaign-create.ts'
import { parseCampaignDefinition } from '../engine/campaigns/campaign-read.ts'
import { startCampaign } from '../engine/campaigns/campaign-state.ts'
import { viewCampaign, type CampaignView } from '../engine/campaigns/campaign-status.ts'
import { addDevice } from '../engine/inventory/device.ts'
import { editDevice } from '../engine/inventory/device-change.ts'
import { findCampaign } from '../store/campaigns.ts'
import { findDevice } from '../store/devices.ts'
import {
  demoDevice,
  enrolDemoDevice,
  openDemoDevice,
  type DemoDevice,
  type DeviceEndpoints,
} from './demo-devices.ts'

/** The profile and the connectivity that the demo writes into a new perennial.yaml. */
export const demoEntries = {
  connectivity: { demo: "{ checkIn: 1m, ladder: ['mqtt wait=20s repeats=2', field] }" },
  profiles: {
    'demo-factory':
      '{ extends: short-lived, description: Valves of the demo as they leave the factory, validity: 3600s, jitter: 0, renewBefore: 3599s, retireAfter: 20s, connectivity: demo }',
    'demo-valve':
      '{ extends: short-lived, description: Valves of the demo in the field, validity: 7d, jitter: 1d, renewBefore: 2d, retireAfter: 20s, connectivity: demo }',
  },
} as const
/** Passes often enough to watch. */
export const demoSettings = { 'renewal.tickInterval': '2s', 'operators.insecurePasswordOnly': true } as const

const id = 'demo'
const profiles = { factory: 'demo-factory', field: 'demo-valve' }
const cohort = 'demo-valves'
const fleetSize = 30
/** Never answer: they end on the field list. */
const silent = 3
/** Switched on late: they answer the second time. */
const late = 4
const lateMs = 30 * secondMs
const enrolledAtOnce = 4
const actor = actors.job('demo')

const definition = {
  description: 'Watch: canary, waves, proof of use, retirement, field list',
  selection: { cohort },
  canary: { percentage: 10, minimum: 3, soak: '5s', successPercentage: 50, finishedPercentage: 60 },
  waves: [
    { percentage: 40, soak: '5s', successPercentage: 50, finishedPercentage: 60 },
    { successPercentage: 50, finishedPercentage: 60 },
  ],
  rollout: { maximumPerMinute: 60 },
}

export interface DemoCampaign {
  /** To look at it with, without the program's name. */
  readonly commands: readonly string[]
  /** The devices live, and the campaign is reported, until the signal. */
  run(signal: AbortSignal): Promise<void>
}

export interface DemoCampaignOptions {
  readonly endpoints: DeviceEndpoints
  readonly print: (line: string) => void
}

/** @returns null when the configuration has no such profile: an installation that was not made by the demo */
export async function startDemoCampaign(
  app: App,
  { endpoints, print }: DemoCampaignOptions,
): Promise<DemoCampaign | null> {
  if (!Object.values(profiles).every((name) => app.config.profiles.has(name))) return null
  const devices = await enrolFleet(app, endpoints)
  // their window opens a second after the last of them was enrolled
  await app.engine.clock.sleep(2 * secondMs)
  await openCampaign(app)
  return {
    commands: [`campaign status ${id}`, 'field list'],
    async run(signal) {
      await Promise.all([
        report(app, { print, signal }),
        ...devices
          .slice(0, fleetSize - silent)
          .map((device, at) => live(app, device, { waitMs: at < late ? lateMs : 0, signal })),
      ])
    },
  }
}

async function enrolFleet(app: App, endpoints: DeviceEndpoints): Promise<DemoDevice[]> {
  const devices = Array.from({ length: fleetSize }, (_, at) =>
    demoDevice(app, `demo-valve-${String(at + 1).padStart(3, '0')}`),
  )
  for (let from = 0; from < devices.length; from += enrolledAtOnce) {
    const some = devices.slice(from, from + enrolledAtOnce)
    await Promise.all(
      some.map(async (device, at) => await enrolOne(app, device, { endpoints, at: from + at })),
    )
  }
  return devices
}

async function enrolOne(
  app: App,
  device: DemoDevice,
  { endpoints, at }: { readonly endpoints: DeviceEndpoints; readonly at: number },
): Promise<void> {
  const { engine } = app
  const { id: deviceId } = device
  const isNew = !(await findDevice(engine.store.db, deviceId))
  if (isNew) {
    const site = ['graz', 'gothenburg', 'rotterdam'][at % 3] as string
    const hardware = at % 2 === 0 ? 'valve-a' : 'valve-b'
    const record = { id: deviceId, profile: profiles.factory, cohort, site, hardware }
    await addDevice(engine, { ...record, tags: { demo: 'true' } }, actor)
  }
  await enrolDemoDevice(app, device, endpoints, actor)
  if (isNew) await editDevice(engine, { id: deviceId, edit: { profile: profiles.field }, actor })
}

/** A fleet lapses together once: the next start shows the same campaign. */
async function openCampaign({ engine }: App): Promise<void> {
  const now = engine.clock.now()
  if (await findCampaign(engine.store.db, id)) return
  await createCampaign(engine, { id, definition: parseCampaignDefinition(definition, now), actor, now })
  await startCampaign(engine, { id, actor, now })
}

interface Living {
  readonly waitMs: number
  readonly signal: AbortSignal
}

/** One device, switched on after `waitMs`. */
async function live(app: App, device: DemoDevice, { waitMs, signal }: Living): Promise<void> {
  const agent = await openDemoDevice(app, device)
  if (activeCredential(await agent.state()) === null) return
  await app.engine.clock.sleep(waitMs, signal).catch(endOf(signal))
  await agent.run(signal)
}

interface Reporting {
  readonly print: (line: string) => void
  readonly signal: AbortSignal
}

/** A line whenever something has changed, until the campaign has ended. */
async function report(app: App, { print, signal }: Reporting): Promise<void> {
  const { engine } = app
  let said = ''
  while (!signal.aborted) {
    const view = await viewCampaign(engine, id, engine.clock.now())
    const line = campaignLine(view)
    if (line !== said) print(line)
    said = line
    if (view.campaign.endedAt !== null) return
    await engine.clock.sleep(2 * secondMs, signal).catch(endOf(signal))
  }
}

function campaignLine({ campaign, waves, counts, targets }: CampaignView): string {
  const current = waves.find(({ status }) => status !== 'done') ?? waves.at(-1)
  const parts = (
    ['planned', 'triggered', 'issued', 'confirmed', 'retired', 'escalated', 'abandoned'] as const
  )
    .filter((status) => counts[status] > 0)
    .map((status) => `${counts[status]} ${status}`)
  const where = campaign.endedAt === null && current ? `${current.name} ${current.status}` : campaign.status
  return `campaign ${campaign.id} (${where}), ${targets} valves: ${parts.join(', ')}`
}

function endOf(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error
  }
}

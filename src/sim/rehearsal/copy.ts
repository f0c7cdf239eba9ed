/**
 * Copies what a campaign is about out of an installation: its devices with their certificates and contact history, the rules
 * that apply to them, and the campaign itself. Only reads; what is made of the copy never touches the installation.
 */
import { dayMs, hourMs, minuteMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import type { CampaignDefinition } from '../../engine/campaigns/campaign-definition.ts'
import { requireCampaign, type Campaign } from '../../engine/campaigns/campaign-record.ts'
import type { Connectivity, Engine, EngineSettings } from '../../engine/context.ts'
import type { Profile } from '../../engine/issuing/profile.ts'
import type { Ladder, Rung } from '../../engine/renewals/ladder.ts'
import { findDevice } from '../../store/devices.ts'
import { findLastSeen, type DeviceLastSeen } from '../../store/last-seen.ts'
import { listRenewals } from '../../store/renewal-lists.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import type { CopiedDevice, CopiedFleet } from '../fleet/copied-fleet.ts'
import { deviceIdOf } from '../fleet/factory.ts'
import { issuingId } from '../installation.ts'
import { scaledCampaign } from './scaled-campaign.ts'

export interface InstallationCopy {
  readonly startedAt: Instant
  readonly fleet: CopiedFleet
  readonly settings: EngineSettings
  /** With a rate, and sizes, for the devices that were copied. */
  readonly campaign: CampaignDefinition
  /** Targets that are still to renew; the copy has all of them, or a sample. */
  readonly targets: number
}

export interface CopyRequest {
  readonly campaignId: string
  readonly now: Instant
  /** Copy no more devices than this. */
  readonly most: number
  /** How far the clock of the simulation moves at a time, ms. */
  readonly tickMs: number
  /** The tag of a device that holds the number of its modem. */
  readonly numberTag: string
}

const pageSize = 1_000

/**
 * @throws Refusal `not-found`; `campaign-state` when it has ended, or nothing is left to renew
 */
export async function copyInstallation(engine: Engine, request: CopyRequest): Promise<InstallationCopy> {
  const { campaignId, now, most } = request
  const campaign = await requireCampaign(engine.store.db, campaignId)
  if (campaign.status === 'completed' || campaign.status === 'aborted') {
    throw new Refusal(
      'campaign-state',
      `${campaignId} is ${campaign.status}: only a campaign that is still to run can be rehearsed`,
    )
  }
  const open = await openTargets(engine, campaign)
  if (open.length === 0) throw new Refusal('campaign-state', `${campaignId} has nobody left to renew`)
  const sample = everyNth(open, most)
  const devices = await copiedDevices(engine, sample, request)
  const profiles = copiedProfiles(engine.settings)
  return {
    startedAt: now,
    fleet: { profiles, devices },
    settings: copiedSettings(engine, profiles),
    campaign: scaledCampaign(campaign.definition, {
      share: devices.length / open.length,
      minutesPerTick: request.tickMs / minuteMs,
    }),
    targets: open.length,
  }
}

type OpenTarget = Pick<RenewalRecord, 'deviceId' | 'notAfter'>

/** In the order in which they were drawn: wave by wave. */
async function openTargets({ store }: Engine, { id: campaignId }: Campaign): Promise<OpenTarget[]> {
  const targets: OpenTarget[] = []
  for (let after: string | null = null; ;) {
    const { rows, next } = await listRenewals(store.db, { campaignId, after, limit: pageSize })
    for (const { deviceId, notAfter, status } of rows) {
      if (status === 'planned' || status === 'triggered' || status === 'escalated')
        targets.push({ deviceId, notAfter })
    }
    after = next
    if (after === null) return targets
  }
}

/** Spread over the whole list, so that each wave is in it. */
function everyNth<Item>(items: readonly Item[], most: number): Item[] {
  if (items.length <= most) return [...items]
  return Array.from({ length: most }, (_, n) => items[Math.floor((n * items.length) / most)] as Item)
}

async function copiedDevices(
  engine: Engine,
  targets: readonly OpenTarget[],
  request: CopyRequest,
): Promise<CopiedDevice[]> {
  const { db } = engine.store
  const devices: CopiedDevice[] = []
  for (let from = 0; from < targets.length; from += pageSize) {
    const page = targets.slice(from, from + pageSize)
    const seen = await findLastSeen(
      db,
      page.map(({ deviceId }) => deviceId),
    )
    for (const { deviceId, notAfter } of page) {
      const record = await findDevice(db, deviceId)
      if (!record) continue
      const rhythm = rhythmOf(seen.get(deviceId), engine.settings.connectivity.get(record.connectivity))
      const id: DeviceId = deviceIdOf(devices.length)
      const hasNumber = Object.hasOwn(record.tags, request.numberTag)
      devices.push({ record: { ...record, id }, notAfter, hasNumber, ...rhythm })
    }
  }
  return devices
}

/** So many gaps say more about a device than the profile of its kind. */
const enoughGaps = 3

/** By its own history; as long as there is none, as its connectivity says. */
function rhythmOf(
  seen: DeviceLastSeen | undefined,
  connectivity: Connectivity | undefined,
): Pick<CopiedDevice, 'seenAt' | 'usualGapMs' | 'longestGapMs'> {
  const checkInMs = connectivity?.checkInMs ?? dayMs
  const hasHistory = seen !== undefined && seen.gaps >= enoughGaps
  const usual = hasHistory ? seen.usualGapMs : checkInMs
  const longest = hasHistory ? seen.longestGapMs : checkInMs
  const usualGapMs = Math.max(hourMs, usual)
  return { seenAt: seen?.at ?? null, usualGapMs, longestGapMs: Math.max(usualGapMs, longest) }
}

/** What signs is another CA, with a key of its own. */
function copiedProfiles({ profiles }: EngineSettings): Map<string, Profile> {
  return new Map([...profiles].map(([name, profile]) => [name, { ...profile, issuer: issuingId }]))
}

/** The rules as they are, but for what a virtual clock with long ticks cannot go by. */
function copiedSettings(engine: Engine, profiles: ReadonlyMap<string, Profile>): EngineSettings {
  const { settings } = engine
  const kinds = settings.triggerKinds ?? new Set(engine.triggers.keys())
  const connectivity = new Map(
    [...settings.connectivity].map(([name, each]) => [
      name,
      { ...each, ladder: copiedLadder(each.ladder, kinds) },
    ]),
  )
  const { triggerKinds: _kinds, triggerCosts: _costs, ...rest } = settings
  return {
    ...rest,
    profiles,
    connectivity,
    renewal: { ...settings.renewal, isAutomatic: false, maximumPerMinute: 1_000_000 },
  }
}

/** Whatever carries a message to a device that calls in is a message here; ways that are not set up are passed over. */
function copiedLadder(ladder: Ladder, kinds: ReadonlySet<string>): Ladder {
  return ladder
    .filter(({ channel }) => channel === 'field' || kinds.has(channel))
    .map(({ channel, ...rung }): Rung => {
      const carried = channel === 'sms' || channel === 'field' ? channel : 'mqtt'
      return Object.assign(rung, { channel: carried } as const)
    })
}

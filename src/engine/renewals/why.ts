/**
 * `device why`: will this device survive the end of its certificate, what blocks it, what happened, and what comes next. The
 * answer is a pure function of what the records say now.
 */
import type { Instant } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import type { ApprovalRecord } from '../../store/approvals.ts'
import { findCampaign, type CampaignStatus } from '../../store/campaigns.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { attemptsOf, type AttemptRecord } from '../../store/renewal-attempts.ts'
import { renewalsOfDevice } from '../../store/renewal-lists.ts'
import { isOpenStatus, type RenewalRecord } from '../../store/renewal-record.ts'
import { findRetirement } from '../../store/retirements.ts'
import type { Connectivity, Engine } from '../context.ts'
import { deviceDetails, type DeviceDetails, type DeviceRow } from '../inventory/inventory.ts'
import type { TriggerKind } from '../ports.ts'
import type { Profile } from '../issuing/profile.ts'
import { connectivityOf } from './renewal-events.ts'
import type { SuggestedWindow } from './renewal-hint.ts'
import { renewalInfo } from './renewal-info.ts'
import { currentOf, explain } from './why-answer.ts'

/**
 * `yes`: nothing stands in the way. `at-risk`: it is late, silent or held up. `no`: without a person it will fall out, or has
 * done so.
 */
export type Survives = 'yes' | 'at-risk' | 'no'

export interface WhyEvent {
  readonly at: Instant
  readonly text: string
}

export interface Why {
  readonly deviceId: DeviceId
  readonly survives: Survives
  /** One sentence. */
  readonly answer: string
  /** What must change before it can renew; empty when nothing blocks it. */
  readonly blocks: readonly string[]
  /** What happened in the renewal at hand, oldest first. */
  readonly happened: readonly WhyEvent[]
  /** What happens next, and when; `at` is null when nobody but the device or a person decides it. */
  readonly next: { readonly at: Instant | null; readonly text: string }
}

/** Everything that the answer depends on. */
export interface WhyInput {
  readonly device: DeviceRow
  readonly profile: Pick<Profile, 'name' | 'renewBeforeMs' | 'renewExpiredForMs' | 'approval'> | null
  readonly connectivity: Connectivity
  /** Newest first. */
  readonly certificates: readonly CertificateRecord[]
  readonly waiting: readonly ApprovalRecord[]
  readonly secret: DeviceDetails['secret']
  /** The latest one, whatever its status. */
  readonly renewal: RenewalRecord | null
  readonly attempts: readonly AttemptRecord[]
  readonly campaign: {
    readonly id: string
    readonly status: CampaignStatus
    readonly reason: string | null
  } | null
  /** When the replaced certificate is retired; null when none waits for it. */
  readonly retiresAt: Instant | null
  /** When the device should renew by itself. */
  readonly window: SuggestedWindow | null
  /** Channels that are set up. */
  readonly channels: Pick<ReadonlySet<TriggerKind>, 'has'>
  readonly isAutomatic: boolean
  readonly now: Instant
}

/** @throws Refusal `not-found` */
export async function deviceWhy(engine: Engine, id: DeviceId): Promise<Why> {
  return explain(await gatherWhy(engine, id))
}

async function gatherWhy(engine: Engine, id: DeviceId): Promise<WhyInput> {
  const { settings, store, clock } = engine
  const now = clock.now()
  const { device, certificates, waiting, secret } = await deviceDetails(engine, id)
  const [latest = null] = await renewalsOfDevice(store.db, id, 1)
  const current = currentOf(certificates)
  const open = latest !== null && isOpenStatus(latest.status) ? latest : null
  const campaign =
    latest === null || latest.campaignId === '' ? null : await findCampaign(store.db, latest.campaignId)
  const retirement = latest === null ? null : await findRetirement(store.db, latest.certificateId)
  return {
    device,
    profile: settings.profiles.get(device.profile) ?? null,
    connectivity: connectivityOf(engine, { connectivity: open?.connectivity ?? device.connectivity }),
    certificates,
    waiting,
    secret,
    renewal: latest,
    attempts: latest === null ? [] : await attemptsOf(store.db, latest.id),
    campaign,
    retiresAt: retirement?.dueAt ?? null,
    window: current && (await renewalInfo(engine, current, { now, device })).suggestedWindow,
    // the command line has no links of its own: what the configuration sets up counts
    channels: settings.triggerKinds ?? (engine.triggers.size === 0 ? everyChannel : engine.triggers),
    isAutomatic: settings.renewal.isAutomatic,
    now,
  }
}

const everyChannel = { has: () => true }

/** Renewals and campaigns put into the records by hand, for tests of what reads them. */
import type { Instant } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { parseCampaignDefinition } from '../../src/engine/campaigns/campaign-read.ts'
import { emptySnapshot, writtenDefinition } from '../../src/engine/campaigns/campaign-record.ts'
import type { Engine } from '../../src/engine/context.ts'
import { insertCampaign, type CampaignRecord } from '../../src/store/campaigns.ts'
import { queueAttempts, settleAttempts, type AttemptStatus } from '../../src/store/renewal-attempts.ts'
import type { RenewalRecord } from '../../src/store/renewal-record.ts'
import {
  findOpenRenewal,
  insertPlannedRenewals,
  updateRenewal,
  type RenewalChange,
} from '../../src/store/renewals.ts'
import { testActor, type Enrolled } from './app.ts'

export async function putCampaign(
  engine: Engine,
  change: Partial<CampaignRecord> & { readonly id: string; readonly maximumPerMinute?: number },
): Promise<void> {
  const now = engine.clock.now()
  const { maximumPerMinute = 10, ...rest } = change
  const definition = parseCampaignDefinition({ selection: { all: true }, rollout: { maximumPerMinute } }, now)
  const record: CampaignRecord = {
    name: change.id,
    status: 'draft',
    definition: writtenDefinition({ definition, snapshot: emptySnapshot }),
    revision: 1,
    reason: null,
    createdAt: now,
    createdBy: testActor,
    startedAt: null,
    pausedAt: null,
    endedAt: null,
    tickedAt: null,
    admitted: 0,
    ...rest,
  }
  await engine.store.transaction(async (tx) => void (await insertCampaign(tx, record)))
}

export interface PutRenewal extends RenewalChange {
  /** Default: none. */
  readonly campaignId?: string
  readonly connectivity?: string
  readonly site?: string
}

/** An open renewal of the device's certificate, in any state. */
export async function putRenewal(
  engine: Engine,
  { record }: Pick<Enrolled, 'record'>,
  { campaignId = '', connectivity = 'weekly', site, nextAt = null, ...change }: PutRenewal = {},
): Promise<RenewalRecord> {
  const now = engine.clock.now()
  const deviceId = record.deviceId as DeviceId
  return await engine.store.transaction(async (tx) => {
    await insertPlannedRenewals(tx, [
      {
        campaignId,
        wave: 0,
        deviceId,
        slot: record.slot,
        certificateId: record.id,
        notAfter: record.notAfter,
        connectivity,
        site: site ?? null,
        nextAt,
        createdAt: now,
      },
    ])
    const planned = (await findOpenRenewal(tx, deviceId, record.slot)) as RenewalRecord
    await updateRenewal(tx, planned, change)
    return { ...planned, ...change }
  })
}

export interface PutAttempt {
  readonly rung: number
  readonly attempt: number
  readonly channel: string
  readonly at: Instant
  readonly status?: Exclude<AttemptStatus, 'queued' | 'delivered'>
  readonly detail?: string
}

export async function putAttempts(
  engine: Engine,
  { id, deviceId, climb }: RenewalRecord,
  attempts: readonly PutAttempt[],
): Promise<void> {
  await engine.store.transaction(async (tx) => {
    await queueAttempts(
      tx,
      attempts.map(({ rung, attempt, channel, at }) => ({
        renewalId: id,
        deviceId,
        climb,
        rung,
        attempt,
        channel,
        at,
      })),
    )
    await settleAttempts(
      tx,
      attempts.map(({ rung, attempt, channel, at, status = 'sent', detail = null }) => ({
        renewalId: id,
        climb,
        rung,
        attempt,
        channel,
        status,
        detail,
        reference: null,
        updatedAt: at,
      })),
    )
  })
}

/** A campaign as the engine works with it: the row, its definition, and what was measured when its targets were drawn. */
import type { Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { findCampaign, lockCampaign, type CampaignRecord } from '../../store/campaigns.ts'
import type { SelectionOutcome } from '../../store/campaign-selection.ts'
import type { Queries, Tx } from '../../store/schema.ts'
import { noSums, type CampaignSums } from './campaign-brakes.ts'
import type { CampaignDefinition } from './campaign-definition.ts'

export interface Snapshot {
  /** False while targets are being inserted, and after a crash in between. */
  readonly isDrawn: boolean
  /** Targets that were to be drawn, by wave. */
  readonly sizes: readonly number[]
  /** Share of the targets that were silent for longer than their check-in, percent. */
  readonly normalDarknessPercent: number
  /** Selected devices that are no targets, by reason. */
  readonly left: Readonly<Partial<Record<SelectionOutcome, number>>>
  /** What the brakes count from: the sums when it was started or last resumed, and that instant. */
  readonly since: CampaignSums
  readonly sinceAt: Instant
}

export interface Campaign extends Omit<CampaignRecord, 'definition'> {
  readonly definition: CampaignDefinition
  readonly snapshot: Snapshot
}

export const emptySnapshot: Snapshot = {
  isDrawn: false,
  sizes: [],
  normalDarknessPercent: 0,
  left: {},
  since: noSums,
  sinceAt: 0,
}

export function toCampaign(record: CampaignRecord): Campaign {
  const { definition, snapshot } = JSON.parse(record.definition) as Pick<Campaign, 'definition' | 'snapshot'>
  return { ...record, definition, snapshot }
}

/** What stands in the column: the same definition and snapshot give the same text. */
export function writtenDefinition({
  definition,
  snapshot,
}: Pick<Campaign, 'definition' | 'snapshot'>): string {
  return JSON.stringify({ definition, snapshot })
}

/** @throws Refusal `not-found` */
export async function requireCampaign(q: Queries, id: string): Promise<Campaign> {
  return toCampaign(found(await findCampaign(q, id), id))
}

/** The same, kept as it is until the transaction ends. */
export async function requireLocked(tx: Tx, id: string): Promise<Campaign> {
  return toCampaign(found(await lockCampaign(tx, id), id))
}

function found(record: CampaignRecord | null, id: string): CampaignRecord {
  if (record === null) throw new Refusal('not-found', `there is no campaign ${id}`)
  return record
}

const idPattern = /^[a-z0-9][a-z0-9-]{0,63}$/

/** @throws Refusal `campaign-invalid` */
export function checkCampaignId(id: string): string {
  if (idPattern.test(id)) return id
  throw new Refusal(
    'campaign-invalid',
    `${JSON.stringify(id)} is no name of a campaign: 1 to 64 of a-z, 0-9 and -, the first a letter or digit`,
  )
}

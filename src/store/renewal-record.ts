/** One row of the renewals and its two shapes: record in the program, row in the database. */
import { hourMs, type Instant } from '../base/clock.ts'
import type { CertificateId, DeviceId } from '../base/id.ts'
import type { RenewalTable } from './schema-campaigns.ts'

/**
 * `planned`: not asked yet. `triggered`: asked. `issued`: has a new certificate, not used yet. `confirmed`: uses it; the old
 * one works until its retirement. `retired`: the end. `escalated`: on the field list, and still open. `abandoned`: given up.
 */
export const renewalStatuses = [
  'planned',
  'triggered',
  'issued',
  'confirmed',
  'retired',
  'escalated',
  'abandoned',
] as const
export type RenewalStatus = (typeof renewalStatuses)[number]

/** While a renewal is open, no second one is opened for the same slot of the same device. */
export const openStatuses = ['planned', 'triggered', 'issued', 'confirmed', 'escalated'] as const

export function isOpenStatus(status: RenewalStatus): boolean {
  return (openStatuses as readonly string[]).includes(status)
}

/** Stands for the campaign of a renewal that was opened because it is due. */
export const noCampaign = ''

export interface RenewalRecord {
  readonly id: number
  /** '' when no campaign asked for it. */
  readonly campaignId: string
  /** From 0; 0 without a campaign. */
  readonly wave: number
  readonly deviceId: DeviceId
  readonly slot: string
  /** What is to be replaced, and when it ends. */
  readonly certificateId: CertificateId
  readonly notAfter: Instant
  /** Name of the connectivity profile, whose ladder it climbs. */
  readonly connectivity: string
  readonly site: string | null
  readonly status: RenewalStatus
  /** How often it was sent up its ladder again, from 0. */
  readonly climb: number
  /** Place on the ladder, from 0. */
  readonly rung: number
  /** Attempts begun on this rung. */
  readonly attempt: number
  /** When a pass must look at it; null when only an event moves it, or the campaign has not let it in. */
  readonly nextAt: Instant | null
  readonly newCertificateId: CertificateId | null
  /** First asked, of this climb. */
  readonly triggeredAt: Instant | null
  readonly issuedAt: Instant | null
  readonly deliveredAt: Instant | null
  readonly storedAt: Instant | null
  readonly confirmedAt: Instant | null
  readonly endedAt: Instant | null
  /** Why it is escalated or was abandoned; `resolved` while it climbs again after a person dealt with it. */
  readonly reason: string | null
  /** Who goes there. */
  readonly assignee: string | null
  readonly createdAt: Instant
}

export const renewalColumns = [
  'id',
  'campaign_id',
  'wave',
  'device_id',
  'slot',
  'certificate_id',
  'not_after',
  'connectivity',
  'site',
  'status',
  'climb',
  'rung',
  'attempt',
  'next_at',
  'new_certificate_id',
  'triggered_at',
  'issued_at',
  'delivered_at',
  'stored_at',
  'confirmed_at',
  'ended_at',
  'reason',
  'assignee',
  'created_at',
] as const

export type RenewalRow = Omit<RenewalTable, 'id'> & { readonly id: number }

export function toRenewal(row: RenewalRow): RenewalRecord {
  return {
    id: row.id,
    campaignId: row.campaign_id,
    wave: row.wave,
    deviceId: row.device_id as DeviceId,
    slot: row.slot,
    certificateId: row.certificate_id as CertificateId,
    notAfter: row.not_after,
    connectivity: row.connectivity,
    site: row.site,
    status: row.status as RenewalStatus,
    climb: row.climb,
    rung: row.rung,
    attempt: row.attempt,
    nextAt: row.next_at,
    newCertificateId: row.new_certificate_id as CertificateId | null,
    triggeredAt: row.triggered_at,
    issuedAt: row.issued_at,
    deliveredAt: row.delivered_at,
    storedAt: row.stored_at,
    confirmedAt: row.confirmed_at,
    endedAt: row.ended_at,
    reason: row.reason,
    assignee: row.assignee,
    createdAt: row.created_at,
  }
}

/**
 * Name of the sum that counts the renewals of a status: of one wave of a campaign (`campaign.<id>.<wave>.<status>`), or of
 * those without a campaign (`renewals.<status>`).
 */
export function renewalCounter(
  { campaignId, wave }: Pick<RenewalRecord, 'campaignId' | 'wave'>,
  status: RenewalStatus,
): string {
  return campaignId === noCampaign ? `renewals.${status}` : `campaign.${campaignId}.${wave}.${status}`
}

/** What the progress of a campaign over time is drawn from. */
export const flowSteps = ['triggered', 'issued', 'confirmed', 'ended'] as const
export type FlowStep = (typeof flowSteps)[number]

type FlowInstants = Pick<RenewalRecord, 'campaignId' | 'triggeredAt' | 'issuedAt' | 'confirmedAt' | 'endedAt'>

/** Name of the sum of the targets of a campaign that took a step in an hour (whole hours since 1970): `flow.<id>.<hour>.<step>`. */
export function flowCounter(campaignId: string, at: Instant, step: FlowStep): string {
  return `flow.${campaignId}.${Math.floor(at / hourMs)}.${step}`
}

/** The sums that a change moves, so that they are at each moment what the rows add up to. */
export function flowChanges(before: FlowInstants, after: FlowInstants): [name: string, delta: number][] {
  const { campaignId } = before
  if (campaignId === noCampaign) return []
  const changes: [name: string, delta: number][] = []
  for (const step of flowSteps) {
    const from = before[`${step}At`]
    const to = after[`${step}At`]
    if (from === to) continue
    if (from !== null) changes.push([flowCounter(campaignId, from, step), -1])
    if (to !== null) changes.push([flowCounter(campaignId, to, step), 1])
  }
  return changes
}

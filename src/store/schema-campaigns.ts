/** The tables of renewals and campaigns, as Kysely sees them. */
import type { Generated } from 'kysely'

export interface CampaignTables {
  campaigns: CampaignTable
  campaign_waves: CampaignWaveTable
  rehearsals: RehearsalTable
  renewals: RenewalTable
  renewal_attempts: RenewalAttemptTable
  retirements: RetirementTable
}

export interface CampaignTable {
  id: string
  name: string
  status: string
  /** Canonical JSON. */
  definition: string
  revision: number
  /** Why it is paused or was aborted. */
  reason: string | null
  created_at: number
  created_by: string
  started_at: number | null
  paused_at: number | null
  ended_at: number | null
  /** The last tick that admitted: what the rate is counted from. */
  ticked_at: number | null
  /** Devices let in so far. */
  admitted: number
}

export interface CampaignWaveTable {
  campaign_id: string
  wave: number
  size: number
  status: string
  opened_at: number | null
  soak_until: number | null
  closed_at: number | null
  approved_by: string | null
  approved_at: number | null
}

export interface RehearsalTable {
  id: Generated<number>
  campaign_id: string
  created_at: number
  created_by: string
  forecast: string
}

export interface RenewalTable {
  id: Generated<number>
  /** '' when no campaign asked for it. */
  campaign_id: string
  wave: number
  device_id: string
  slot: string
  /** What is to be replaced, and when it ends. */
  certificate_id: number
  not_after: number
  /** Name of the connectivity profile, whose ladder it climbs. */
  connectivity: string
  site: string | null
  status: string
  climb: number
  rung: number
  /** Attempts begun on this rung. */
  attempt: number
  /** When a pass must look at it; null when only an event moves it. */
  next_at: number | null
  new_certificate_id: number | null
  triggered_at: number | null
  issued_at: number | null
  delivered_at: number | null
  stored_at: number | null
  confirmed_at: number | null
  ended_at: number | null
  /** Why it is escalated or was abandoned. */
  reason: string | null
  /** Who goes there. */
  assignee: string | null
  created_at: number
}

export interface RenewalAttemptTable {
  id: Generated<number>
  renewal_id: number
  device_id: string
  climb: number
  rung: number
  attempt: number
  channel: string
  status: string
  detail: string | null
  /** The message's name at the provider. */
  reference: string | null
  at: number
  updated_at: number
}

export interface RetirementTable {
  certificate_id: number
  device_id: string
  slot: string
  replaced_by: number
  due_at: number
}

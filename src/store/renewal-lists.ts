/** Lists and sums of renewals, for people: the targets of a campaign, the history of a device, the field list. */
import { sql } from 'kysely'
import type { DeviceId } from '../base/id.ts'
import { readCounters } from './counters.ts'
import { assertLimit, pageOf, pairCursor, rowCursor, type Page, type PageRequest } from './page.ts'
import {
  noCampaign,
  renewalColumns,
  renewalStatuses,
  toRenewal,
  type FlowStep,
  type RenewalRecord,
  type RenewalStatus,
} from './renewal-record.ts'
import type { Queries } from './schema.ts'

export interface RenewalsRequest extends PageRequest {
  readonly campaignId: string
  readonly status?: RenewalStatus
  readonly wave?: number
}

/** The targets of a campaign in the order in which they were drawn. Index: renewals_campaign. */
export async function listRenewals(q: Queries, request: RenewalsRequest): Promise<Page<RenewalRecord>> {
  const { campaignId, status, wave, after, limit } = request
  assertLimit(limit)
  let query = q
    .selectFrom('renewals')
    .select(renewalColumns)
    .where('campaign_id', '=', campaignId)
    .where('campaign_id', '<>', sql.lit(noCampaign))
    .where('id', '>', rowCursor(after))
  if (status !== undefined) query = query.where('status', '=', status)
  if (wave !== undefined) query = query.where('wave', '=', wave)
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRenewal), limit, ({ id }) => String(id))
}

/** The renewals of a device, the latest first. Index: renewals_device. */
export async function renewalsOfDevice(
  q: Queries,
  deviceId: DeviceId,
  limit: number,
): Promise<RenewalRecord[]> {
  assertLimit(limit)
  const rows = await q
    .selectFrom('renewals')
    .select(renewalColumns)
    .where('device_id', '=', deviceId)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(toRenewal)
}

export interface FieldRequest extends PageRequest {
  readonly campaignId?: string
  readonly site?: string
  readonly assignee?: string
}

/** The field list: escalated renewals by the end of their certificates, the soonest first. Index: renewals_escalated. */
export async function listEscalated(q: Queries, request: FieldRequest): Promise<Page<RenewalRecord>> {
  const { campaignId, site, assignee, limit } = request
  assertLimit(limit)
  const after = pairCursor(request.after)
  let query = q.selectFrom('renewals').select(renewalColumns).where('status', '=', sql.lit('escalated'))
  if (campaignId !== undefined) query = query.where('campaign_id', '=', campaignId)
  if (site !== undefined) query = query.where('site', '=', site)
  if (assignee !== undefined) query = query.where('assignee', '=', assignee)
  if (after) {
    const [notAfter, id] = after
    query = query
      .where('not_after', '>=', notAfter)
      .where(sql<boolean>`(not_after > ${notAfter} or id > ${id})`)
  }
  const rows = await query
    .orderBy('not_after')
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRenewal), limit, ({ notAfter, id }) => `${notAfter}.${id}`)
}

export type RenewalCounts = Readonly<Record<RenewalStatus, number>>

/** How many renewals of each wave are in each status, from the sums that every change keeps. */
export async function countersOfCampaign(
  q: Queries,
  campaignId: string,
): Promise<Map<number, RenewalCounts>> {
  const prefix = `campaign.${campaignId}.`
  const waves = new Map<number, Record<RenewalStatus, number>>()
  for (const [name, value] of await readCounters(q, prefix)) {
    const [wave = '', status = ''] = name.slice(prefix.length).split('.')
    if (!renewalStatuses.includes(status as RenewalStatus)) continue
    const counts = waves.get(Number(wave)) ?? noRenewals()
    counts[status as RenewalStatus] = value
    waves.set(Number(wave), counts)
  }
  return waves
}

/** How many targets of a campaign took each step in which hour, in the order of hours; hours without any are left out. */
export async function flowOfCampaign(
  q: Queries,
  campaignId: string,
): Promise<{ readonly hour: number; readonly step: FlowStep; readonly count: number }[]> {
  const prefix = `flow.${campaignId}.`
  const sums = [...(await readCounters(q, prefix))].map(([name, count]) => {
    const [hour = '', step = ''] = name.slice(prefix.length).split('.')
    return { hour: Number(hour), step: step as FlowStep, count }
  })
  return sums.filter(({ count }) => count !== 0).sort((a, b) => a.hour - b.hour)
}

/** The same for renewals that no campaign asked for. */
export async function countersWithoutCampaign(q: Queries): Promise<RenewalCounts> {
  const counts = noRenewals()
  const sums = await readCounters(q, 'renewals.')
  for (const status of renewalStatuses) counts[status] = sums.get(`renewals.${status}`) ?? 0
  return counts
}

function noRenewals(): Record<RenewalStatus, number> {
  return Object.fromEntries(renewalStatuses.map((status) => [status, 0])) as Record<RenewalStatus, number>
}

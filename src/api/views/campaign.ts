/** A campaign, its waves, plan and report as the API shows them. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { campaignStatuses } from '../../engine/campaigns/campaign-series.ts'
import type { CampaignPlan } from '../../engine/campaigns/campaign-plan.ts'
import type { Campaign } from '../../engine/campaigns/campaign-record.ts'
import type { CampaignView } from '../../engine/campaigns/campaign-status.ts'
import { object } from '../route.ts'
import { instant, nullable, oneOf } from '../schemas.ts'
import { count, isoOrNull, text } from './values.ts'

const counts = Type.Record(Type.String(), count)
const percent = Type.Number({ minimum: 0 })

const campaignProperties = {
  id: text,
  name: text,
  description: text,
  status: oneOf(campaignStatuses),
  revision: count,
  reason: nullable(Type.String({ description: 'Why it is paused or was aborted.' })),
  targets: count,
  admitted: Type.Integer({ minimum: 0, description: 'Devices let in so far.' }),
  createdBy: text,
  createdAt: instant,
  startedAt: nullable(instant),
  pausedAt: nullable(instant),
  endedAt: nullable(instant),
}

export const campaign = object(campaignProperties, { $id: 'Campaign' })

const wave = object(
  {
    wave: count,
    name: text,
    status: text,
    size: count,
    counts,
    outcomes: object({ failed: count, rejected: count }),
    finishedPercent: percent,
    successPercent: percent,
    openedAt: nullable(instant),
    soakUntil: nullable(instant),
    closedAt: nullable(instant),
    approvedBy: nullable(text),
    approvedAt: nullable(instant),
  },
  { $id: 'Wave' },
)

export const campaignDetailProperties = {
  ...campaignProperties,
  counts: Type.Record(Type.String(), count, { description: 'Targets by state of their renewal.' }),
  trouble: Type.Record(Type.String(), count),
  ratePerMinute: Type.Number({ minimum: 0, description: 'Devices let in per minute at most, now.' }),
  waitsFor: nullable(Type.String({ description: 'Why nobody is let in right now.' })),
  normalDarknessPercent: percent,
  left: Type.Record(Type.String(), count, {
    description: 'Selected devices that are no targets, by reason.',
  }),
  waves: Type.Array(wave),
}

export const campaignDetail = object(campaignDetailProperties, { $id: 'CampaignDetails' })

export function campaignView(row: Campaign): Static<typeof campaign> {
  const { id, name, definition, snapshot, status, revision, reason, admitted, createdBy } = row
  return {
    id,
    name,
    description: definition.description,
    status,
    revision,
    reason,
    targets: snapshot.sizes.reduce((sum, each) => sum + each, 0),
    admitted,
    createdBy,
    createdAt: iso(row.createdAt),
    startedAt: isoOrNull(row.startedAt),
    pausedAt: isoOrNull(row.pausedAt),
    endedAt: isoOrNull(row.endedAt),
  }
}

export function campaignDetailView(view: CampaignView): Static<typeof campaignDetail> {
  const { campaign: row, targets, progress, ratePerMinute, waitsFor } = view
  return {
    ...campaignView(row),
    targets,
    counts: { ...view.counts },
    trouble: { ...progress.total },
    ratePerMinute,
    waitsFor,
    normalDarknessPercent: row.snapshot.normalDarknessPercent,
    left: { ...row.snapshot.left } as Record<string, number>,
    waves: view.waves.map((each) => ({
      wave: each.wave,
      name: each.name,
      status: each.status,
      size: each.size,
      counts: { ...each.counts },
      outcomes: { failed: each.outcomes.failed, rejected: each.outcomes.rejected },
      finishedPercent: each.verdict.finishedPercent,
      successPercent: each.verdict.successPercent,
      openedAt: isoOrNull(each.openedAt),
      soakUntil: isoOrNull(each.soakUntil),
      closedAt: isoOrNull(each.closedAt),
      approvedBy: each.approvedBy,
      approvedAt: isoOrNull(each.approvedAt),
    })),
  }
}

const reasons = Type.Array(object({ reason: text, count }))

export const campaignPlan = object(
  {
    selected: count,
    targets: count,
    left: reasons,
    lastSeen: Type.Array(object({ days: nullable(count), isNever: Type.Boolean(), count })),
    byConnectivity: Type.Array(object({ name: text, count })),
    normalDarknessPercent: percent,
    rate: object({ perMinute: Type.Number(), perDay: Type.Number(), capacityPerDay: Type.Number() }),
    waves: Type.Array(
      object({
        name: text,
        size: count,
        approval: text,
        soakMs: count,
        opensAt: nullable(instant),
        admittedAt: nullable(instant),
      }),
    ),
    finish: nullable(object({ earliest: instant, expected: instant, latest: instant })),
    approvals: count,
    lost: object({ atLeast: Type.Number(), atMost: Type.Number(), reasons }),
    sms: nullable(
      object({
        low: Type.Number(),
        expected: Type.Number(),
        high: Type.Number(),
        perMessage: nullable(Type.Number({ description: 'Thousandths of the operator’s currency.' })),
      }),
    ),
    warnings: Type.Array(text),
  },
  { $id: 'CampaignPlan' },
)

export function campaignPlanView(plan: CampaignPlan): Static<typeof campaignPlan> {
  const { waves, finish, sms, lost, rate } = plan
  return {
    selected: plan.selected,
    targets: plan.targets,
    left: [...plan.left],
    lastSeen: [...plan.lastSeen],
    byConnectivity: [...plan.byConnectivity],
    normalDarknessPercent: plan.normalDarknessPercent,
    rate: { ...rate },
    waves: waves.map(({ name, size, approval, soakMs, opensAt, admittedAt }) => ({
      name,
      size,
      approval,
      soakMs,
      opensAt: isoOrNull(opensAt),
      admittedAt: isoOrNull(admittedAt),
    })),
    finish: finish && {
      earliest: iso(finish.earliest),
      expected: iso(finish.expected),
      latest: iso(finish.latest),
    },
    approvals: plan.approvals,
    lost: { atLeast: lost.atLeast, atMost: lost.atMost, reasons: [...lost.reasons] },
    sms: sms && { ...sms },
    warnings: [...plan.warnings],
  }
}

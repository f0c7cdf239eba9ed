/** Campaigns: what they are, how far they are, what they would be. campaign-orders.ts has what people do to one. */
import { Type } from 'typebox'
import { iso } from '../../base/clock.ts'
import { createCampaign } from '../../engine/campaigns/campaign-create.ts'
import { planCampaign } from '../../engine/campaigns/campaign-plan.ts'
import { parseCampaignDefinition } from '../../engine/campaigns/campaign-read.ts'
import { campaignPage, campaignSeries, campaignStatuses } from '../../engine/campaigns/campaign-series.ts'
import { reportCampaign, viewCampaign } from '../../engine/campaigns/campaign-status.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { Answer, object, route, type Route } from '../route.ts'
import { instant, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'
import {
  campaign,
  campaignDetail,
  campaignDetailProperties,
  campaignDetailView,
  campaignPlan,
  campaignPlanView,
  campaignView,
} from '../views/campaign.ts'
import { count, text } from '../views/values.ts'

export const campaignId = Type.String({ minLength: 1, maxLength: 64, pattern: '^[a-z0-9][a-z0-9-]*$' })

/** The engine reads it, and its messages name each wrong key: docs/campaigns.md has all of them. */
export const campaignDefinition = Type.Record(Type.String(), Type.Unknown(), {
  $id: 'CampaignDefinition',
  description:
    'As a campaign file has it (docs/campaigns.md): selection, canary, waves, rollout, brakes and so on.',
})

const example = { selection: { site: 'kl' }, canary: false, rollout: { maximumPerMinute: 10 } }

export const campaignRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/campaigns/plan',
    operationId: 'planCampaign',
    summary: 'What a campaign would do; nothing is written',
    description: 'Reads every selected device: some seconds for millions.',
    permission: 'campaigns:write',
    scope: 'fleet',
    body: campaignDefinition,
    response: campaignPlan,
    examples: [{ summary: 'A site', body: example }],
    async handler({ engine, body, now }) {
      return campaignPlanView(await planCampaign(engine, parseCampaignDefinition(body, now), now))
    },
  }),
  route({
    method: 'POST',
    path: '/campaigns',
    operationId: 'createCampaign',
    summary: 'Creates a campaign with its targets; nothing is asked before it is started',
    permission: 'campaigns:write',
    scope: 'fleet',
    status: 201,
    body: object(
      {
        id: campaignId,
        name: Type.Optional(Type.String({ maxLength: 200 })),
        definition: campaignDefinition,
      },
      { $id: 'NewCampaign' },
    ),
    response: campaign,
    examples: [{ summary: 'A site', body: { id: 'winter', definition: example } }],
    async handler({ engine, body, actor, now }) {
      const definition = parseCampaignDefinition(body.definition, now)
      const request = { id: body.id, definition, actor, now }
      const made = await createCampaign(
        engine,
        body.name === undefined ? request : { ...request, name: body.name },
      )
      return new Answer(campaignView(made), { location: `/api/v1/campaigns/${made.id}` })
    },
  }),
  route({
    method: 'GET',
    path: '/campaigns',
    operationId: 'listCampaigns',
    summary: 'Campaigns in the order of their names',
    permission: 'inventory:read',
    scope: 'shared',
    query: { ...paging, ...sparse, status: Type.Optional(oneOf(campaignStatuses)) },
    response: pageOf(campaign),
    examples: [{ summary: 'All' }, { summary: 'Those that run', query: { status: 'running' } }],
    async handler({ engine, query }) {
      const { status } = query
      const request = pageRequest(query)
      return pageAnswer(
        await campaignPage(engine, status === undefined ? request : { ...request, status }),
        campaignView,
      )
    },
  }),
  route({
    method: 'GET',
    path: '/campaigns/{id}',
    operationId: 'getCampaign',
    summary: 'A campaign with its waves and how far it is',
    permission: 'inventory:read',
    scope: 'shared',
    params: { id: campaignId },
    query: sparse,
    response: campaignDetail,
    examples: [{ summary: 'One of them', params: { id: 'winter' } }],
    async handler({ engine, params, now }) {
      return campaignDetailView(await viewCampaign(engine, params.id, now))
    },
  }),
  route({
    method: 'GET',
    path: '/campaigns/{id}/series',
    operationId: 'getCampaignSeries',
    summary: 'Targets asked, issued, confirmed and ended so far, over time',
    permission: 'inventory:read',
    scope: 'shared',
    params: { id: campaignId },
    response: object(
      {
        targets: count,
        intervalMs: count,
        points: Type.Array(
          object({
            at: instant,
            triggered: Type.Integer(),
            issued: Type.Integer(),
            confirmed: Type.Integer(),
            ended: Type.Integer(),
          }),
        ),
      },
      { $id: 'CampaignSeries' },
    ),
    examples: [{ summary: 'One of them', params: { id: 'winter' } }],
    async handler({ engine, params, now }) {
      const { targets } = await viewCampaign(engine, params.id, now)
      const { intervalMs, points } = await campaignSeries(engine, params.id)
      return {
        targets,
        intervalMs,
        points: points.map(({ at, triggered, issued, confirmed, ended }) => ({
          at: iso(at),
          triggered,
          issued,
          confirmed,
          ended,
        })),
      }
    },
  }),
  route({
    method: 'GET',
    path: '/campaigns/{id}/report',
    operationId: 'getCampaignReport',
    summary: 'Why targets fell out, how fast the others answered, what was sent',
    description: 'Reads the targets themselves: some seconds for millions.',
    permission: 'inventory:read',
    scope: 'shared',
    params: { id: campaignId },
    response: object(
      {
        ...campaignDetailProperties,
        reasons: Type.Array(object({ status: text, reason: text, count }), {
          description: 'The most frequent first.',
        }),
        answers: Type.Array(object({ days: nullable(count), count }), {
          description: 'From first trigger to first use of the new certificate; null: longer.',
        }),
        attempts: Type.Array(object({ channel: text, status: text, count })),
        smsSpent: nullable(Type.Number()),
      },
      { $id: 'CampaignReport' },
    ),
    examples: [{ summary: 'One of them', params: { id: 'winter' } }],
    async handler({ engine, params, now }) {
      const report = await reportCampaign(engine, params.id, now)
      return {
        ...campaignDetailView(report),
        reasons: [...report.reasons],
        answers: [...report.answers],
        attempts: [...report.attempts],
        smsSpent: report.smsSpent,
      }
    },
  }),
]

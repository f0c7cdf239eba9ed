/** What people do to a campaign that is there: edit, start, pause, resume, approve, retry, skip, abort. */
import { Type } from 'typebox'
import type { DeviceId } from '../../base/id.ts'
import { editableKeys } from '../../engine/campaigns/campaign-definition.ts'
import type { Campaign } from '../../engine/campaigns/campaign-record.ts'
import { viewCampaignRecord } from '../../engine/campaigns/campaign-series.ts'
import {
  abortCampaign,
  approveWave,
  editCampaign,
  pauseCampaign,
  resumeCampaign,
  startCampaign,
  type CampaignOrder,
} from '../../engine/campaigns/campaign-state.ts'
import { retryTargets, skipTarget } from '../../engine/campaigns/campaign-target.ts'
import type { Engine } from '../../engine/context.ts'
import { object, route, type Call, type Route } from '../route.ts'
import { deviceIdText, dryRun, oneOf } from '../schemas.ts'
import { campaign, campaignView } from '../views/campaign.ts'
import { renewal, renewalView } from '../views/renewal.ts'
import { count, text } from '../views/values.ts'
import { campaignDefinition, campaignId } from './campaigns.ts'

const params = { id: campaignId }
const reason = Type.String({ minLength: 1, maxLength: 256, description: 'Goes on record.' })
const order = object({ reason: Type.Optional(reason) }, { $id: 'CampaignOrder' })

const definition = object(
  { id: text, revision: count, definition: campaignDefinition },
  {
    $id: 'WrittenCampaign',
    description: `Of it may change: ${editableKeys.join(', ')}, and approvals of waves.`,
  },
)

export const campaignOrderRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/campaigns/{id}/definition',
    operationId: 'getCampaignDefinition',
    summary: 'What the campaign is to do; its ETag is what an edit names',
    permission: 'inventory:read',
    scope: 'shared',
    params,
    response: definition,
    examples: [{ summary: 'One of them', params: { id: 'winter' } }],
    async handler({ engine, params: { id } }) {
      return definitionView(await viewCampaignRecord(engine, id))
    },
  }),
  route({
    method: 'PATCH',
    path: '/campaigns/{id}/definition',
    operationId: 'editCampaign',
    summary: 'Changes rate, brakes, stop criteria, time-out or schedule',
    permission: 'campaigns:write',
    scope: 'fleet',
    ifMatch: true,
    dryRun: true,
    params,
    query: dryRun,
    body: campaignDefinition,
    response: definition,
    examples: [{ summary: 'Slower', params: { id: 'winter' }, body: { rollout: { maximumPerMinute: 5 } } }],
    async handler({ engine, params: { id }, body, actor, now, requireMatch, isDryRun }) {
      requireMatch(definitionView(await viewCampaignRecord(engine, id)))
      return definitionView(await editCampaign(engine, { id, actor, now, edit: body, isDryRun }))
    },
  }),
  orderRoute('start', 'Starts it: the first wave opens with the next pass', startCampaign),
  orderRoute('pause', 'Lets no trigger leave from now on', pauseCampaign),
  orderRoute('resume', 'Goes on; the brakes count anew from here', resumeCampaign),
  route({
    method: 'POST',
    path: '/campaigns/{id}/approve',
    operationId: 'approveWave',
    summary: 'Lets a wave open that waits for a person',
    permission: 'campaigns:write',
    scope: 'fleet',
    params,
    body: object(
      {
        wave: Type.Optional(
          Type.Integer({ minimum: 0, description: 'The one whose turn it is without it.' }),
        ),
        override: Type.Optional(
          Type.Boolean({ description: 'Though the wave before has not soaked or does not meet its rule.' }),
        ),
        reason: Type.Optional(reason),
      },
      { $id: 'WaveApproval' },
    ),
    response: object({ campaign: text, wave: count, status: text }, { $id: 'ApprovedWave' }),
    examples: [
      { summary: 'The next one', params: { id: 'winter' }, body: { override: true, reason: 'looked at it' } },
    ],
    async handler({ engine, params: { id }, body, actor, now }) {
      const { override, ...rest } = body
      const { wave, status } = await approveWave(engine, {
        id,
        actor,
        now,
        ...rest,
        isOverride: override === true,
      })
      return { campaign: id, wave, status }
    },
  }),
  route({
    method: 'POST',
    path: '/campaigns/{id}/retry',
    operationId: 'retryTargets',
    summary: 'Asks targets again that were given up or are on the field list',
    permission: 'campaigns:write',
    scope: 'fleet',
    params,
    body: object(
      {
        device: Type.Optional(deviceIdText),
        statuses: Type.Optional(Type.Array(oneOf(['abandoned', 'escalated']), { minItems: 1, maxItems: 2 })),
        reason: Type.Optional(reason),
      },
      { $id: 'TargetRetry' },
    ),
    response: object(
      {
        retried: count,
        left: Type.Array(object({ device: text, reason: text }), { description: 'At most 1,000.' }),
        leftCount: count,
      },
      { $id: 'RetriedTargets' },
    ),
    examples: [{ summary: 'All', params: { id: 'winter' }, body: {} }],
    async handler({ engine, params: { id }, body, actor, now }) {
      const { device, ...rest } = body
      const request = { id, actor, now, ...rest }
      const { retried, left, leftCount } = await retryTargets(
        engine,
        device === undefined ? request : { ...request, deviceId: device as DeviceId },
      )
      return {
        retried,
        left: left.map((each) => ({ device: each.deviceId, reason: each.reason })),
        leftCount,
      }
    },
  }),
  route({
    method: 'POST',
    path: '/campaigns/{id}/skip',
    operationId: 'skipTarget',
    summary: 'Leaves one device out',
    permission: 'campaigns:write',
    scope: 'fleet',
    params,
    body: object({ device: deviceIdText, reason: Type.Optional(reason) }, { $id: 'TargetSkip' }),
    response: renewal,
    examples: [
      {
        summary: 'One device',
        params: { id: 'winter' },
        body: { device: 'meter-5', reason: 'is on a ship' },
      },
    ],
    async handler({ engine, params: { id }, body, actor, now }) {
      const { device, ...rest } = body
      return renewalView(await skipTarget(engine, { id, actor, now, ...rest, deviceId: device as DeviceId }))
    },
  }),
  orderRoute('abort', 'Ends it; a draft is deleted', abortCampaign),
]

function orderRoute(
  verb: 'start' | 'pause' | 'resume' | 'abort',
  summary: string,
  act: (engine: Engine, order: CampaignOrder) => Promise<Campaign>,
): Route {
  return route({
    method: 'POST',
    path: `/campaigns/{id}/${verb}`,
    operationId: `${verb}Campaign`,
    summary,
    permission: 'campaigns:write',
    scope: 'fleet',
    params,
    body: order,
    response: campaign,
    examples: [{ summary: 'One of them', params: { id: 'winter' }, body: { reason: 'as agreed' } }],
    async handler({
      engine,
      params: { id },
      body,
      actor,
      now,
    }: Call<{ id: string }, unknown, { reason?: string }>) {
      return campaignView(await act(engine, { id, actor, now, ...body }))
    },
  })
}

function definitionView({ id, revision, definition: written }: Campaign) {
  return { id, revision, definition: { ...written } }
}

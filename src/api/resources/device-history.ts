/** What happened to a device and what will: why, renewals, facts. */
import { Type } from 'typebox'
import { iso } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { subjects } from '../../engine/audit/audit.ts'
import { deviceDetails } from '../../engine/inventory/inventory.ts'
import { factsOf } from '../../engine/inventory/listing.ts'
import { deviceWhy } from '../../engine/renewals/why.ts'
import { renewalDetails, renewalsFor } from '../../engine/renewals/renewal-views.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { object, route, type Route } from '../route.ts'
import { deviceIdText, instant, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'
import { factSchema, factView } from '../views/fact.ts'
import { attempt, attemptView, renewalProperties, renewalView } from '../views/renewal.ts'
import { isoOrNull, text } from '../views/values.ts'

const why = object(
  {
    device: text,
    survives: oneOf(['yes', 'at-risk', 'no'], { description: 'Will it survive the end of its certificate.' }),
    answer: Type.String({ description: 'One sentence.' }),
    blocks: Type.Array(text, { description: 'What must change before it can renew.' }),
    happened: Type.Array(object({ at: instant, text })),
    next: object({ at: nullable(instant), text }),
  },
  { $id: 'Why' },
)

/** With attempts; the last renewals of a device are what people look at. */
const mostRenewals = 20

export const deviceHistoryRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/devices/{id}/why',
    operationId: 'whyDevice',
    summary: 'Will it survive the end of its certificate, what blocks it, what happened, what comes next',
    permission: 'inventory:read',
    scope: 'device',
    params: { id: deviceIdText },
    response: why,
    examples: [{ summary: 'One device', params: { id: 'meter-1' } }],
    async handler({ engine, scope, params }) {
      const { device } = await deviceDetails(engine, params.id as DeviceId, scope)
      const { survives, answer, blocks, happened, next } = await deviceWhy(engine, device.id)
      return {
        device: device.id,
        survives,
        answer,
        blocks: [...blocks],
        happened: happened.map((event) => ({ at: iso(event.at), text: event.text })),
        next: { at: isoOrNull(next.at), text: next.text },
      }
    },
  }),
  route({
    method: 'GET',
    path: '/devices/{id}/renewals',
    operationId: 'listDeviceRenewals',
    summary: `The last ${mostRenewals} renewals of a device with every attempt, the latest first`,
    permission: 'inventory:read',
    scope: 'device',
    params: { id: deviceIdText },
    response: object(
      {
        items: Type.Array(
          object({ ...renewalProperties, attempts: Type.Array(attempt) }, { $id: 'RenewalWithAttempts' }),
        ),
      },
      { $id: 'DeviceRenewals' },
    ),
    examples: [{ summary: 'One device', params: { id: 'meter-1' } }],
    async handler({ engine, scope, params }) {
      const { device } = await deviceDetails(engine, params.id as DeviceId, scope)
      const items = []
      for (const { id } of (await renewalsFor(engine, device.id)).slice(0, mostRenewals)) {
        const { renewal, attempts } = await renewalDetails(engine, id)
        items.push({ ...renewalView(renewal), attempts: attempts.map(attemptView) })
      }
      return { items }
    },
  }),
  route({
    method: 'GET',
    path: '/devices/{id}/facts',
    operationId: 'listDeviceFacts',
    summary: 'What the audit log has on a device itself, the newest first',
    permission: 'audit:read',
    scope: 'device',
    params: { id: deviceIdText },
    query: { ...paging, ...sparse },
    response: pageOf(factSchema),
    examples: [{ summary: 'One device', params: { id: 'meter-1' } }],
    async handler({ engine, scope, params, query }) {
      const { device } = await deviceDetails(engine, params.id as DeviceId, scope)
      const page = await factsOf(engine, subjects.device(device.id), pageRequest(query))
      return pageAnswer(page, factView)
    },
  }),
]

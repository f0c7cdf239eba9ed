/** Renewals, the field list, and what people do about it. */
import { Type } from 'typebox'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { deviceDetails } from '../../engine/inventory/inventory.ts'
import { deviceInScope, renewalList, renewalSorts } from '../../engine/inventory/listing.ts'
import { assignEntry, fieldEntries, resolveEntry, type FieldEntry } from '../../engine/renewals/field.ts'
import { renewalDetails } from '../../engine/renewals/renewal-views.ts'
import { renewalResource } from '../../filter/resources.ts'
import { filtering, listRequest } from '../listing.ts'
import { pageAnswer } from '../paging.ts'
import { object, route, type Route } from '../route.ts'
import { deviceIdText, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'
import { attempt, attemptView, renewal, renewalProperties, renewalView } from '../views/renewal.ts'
import { text } from '../views/values.ts'

const fieldEntry = object(
  {
    ...renewalProperties,
    issuer: nullable(text),
    serialNumber: nullable(text),
    daysLeft: Type.Integer({ description: 'Until the certificate ends; below 0 when it has.' }),
    why: Type.String({ description: 'The reason in words.' }),
    nextAction: text,
    attempts: Type.Array(attempt),
  },
  { $id: 'FieldEntry' },
)

const note = Type.String({ minLength: 1, maxLength: 256 })

export const renewalRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/renewals',
    operationId: 'listRenewals',
    summary: 'Renewals by filter',
    description:
      'In the order in which they were opened; those of `state=escalated` in the order of the ends of their certificates.',
    permission: 'inventory:read',
    scope: 'device',
    query: { ...paging, ...sparse, ...filtering(renewalResource, renewalSorts) },
    response: pageOf(renewal),
    examples: [
      { summary: 'Open ones, the newest first', query: { filter: 'state=open', sort: '-id' } },
      { summary: 'Of a campaign', query: { filter: 'campaign=autumn state!=retired' } },
    ],
    async handler({ engine, scope, query }) {
      return pageAnswer(await renewalList(engine, listRequest(query, scope)), renewalView, query.sort)
    },
  }),
  route({
    method: 'GET',
    path: '/renewals/{id}',
    operationId: 'getRenewal',
    summary: 'A renewal with every attempt',
    permission: 'inventory:read',
    scope: 'device',
    params: { id: Type.Integer({ minimum: 1 }) },
    query: sparse,
    response: object({ ...renewalProperties, attempts: Type.Array(attempt) }, { $id: 'RenewalDetails' }),
    examples: [{ summary: 'One of them', params: { id: '1' } }],
    async handler({ engine, scope, params }) {
      const { renewal: found, attempts } = await renewalDetails(engine, params.id)
      if (!(await deviceInScope(engine, found.deviceId, scope)))
        throw new Refusal('not-found', `there is no renewal ${params.id}`)
      return { ...renewalView(found), attempts: attempts.map(attemptView) }
    },
  }),
  route({
    method: 'GET',
    path: '/field-list',
    operationId: 'listField',
    summary: 'Devices that a person must deal with, the most urgent first',
    permission: 'inventory:read',
    scope: 'device',
    query: {
      ...paging,
      ...sparse,
      filter: filtering(renewalResource, renewalSorts).filter,
      site: Type.Optional(note),
      campaign: Type.Optional(note),
      assignee: Type.Optional(note),
    },
    response: pageOf(fieldEntry),
    examples: [{ summary: 'All' }, { summary: 'Of a site', query: { site: 'kl' } }],
    async handler({ engine, scope, query, now }) {
      const { site, campaign, assignee } = query
      const equal = { state: 'escalated', site, campaign, assignee }
      const { rows, next } = await renewalList(engine, listRequest(query, scope, equal))
      return pageAnswer({ rows: await fieldEntries(engine, rows, now), next }, fieldView)
    },
  }),
  route({
    method: 'POST',
    path: '/field-list/{device}/assign',
    operationId: 'assignField',
    summary: 'Says who goes there',
    permission: 'field:write',
    scope: 'device',
    params: { device: deviceIdText },
    body: object(
      {
        assignee: nullable(
          Type.String({ minLength: 1, maxLength: 256, description: 'A person, a team, a ticket.' }),
        ),
      },
      { $id: 'FieldAssignment' },
    ),
    response: renewal,
    examples: [{ summary: 'Somebody', params: { device: 'meter-2' }, body: { assignee: 'field team 3' } }],
    async handler({ engine, scope, params, body, actor }) {
      const { device } = await deviceDetails(engine, params.device as DeviceId, scope)
      return renewalView(await assignEntry(engine, { deviceId: device.id, actor, assignee: body.assignee }))
    },
  }),
  route({
    method: 'POST',
    path: '/field-list/{device}/resolve',
    operationId: 'resolveField',
    summary: 'Somebody has dealt with it',
    permission: 'field:write',
    scope: 'device',
    params: { device: deviceIdText },
    body: object({ note: Type.Optional(note) }, { $id: 'FieldResolution' }),
    response: object(
      {
        outcome: oneOf(['again', 'renewed'], {
          description:
            'again: it is asked again, from the foot of its ladder. renewed: it has a newer certificate.',
        }),
        renewal,
      },
      { $id: 'ResolvedField' },
    ),
    examples: [
      {
        summary: 'With what was found',
        params: { device: 'meter-2' },
        body: { note: 'the antenna was off' },
      },
    ],
    async handler({ engine, scope, params, body, actor }) {
      const { device } = await deviceDetails(engine, params.device as DeviceId, scope)
      const resolved = await resolveEntry(engine, {
        deviceId: device.id,
        actor,
        ...(body.note === undefined ? {} : { note: body.note }),
      })
      return { outcome: resolved.outcome, renewal: renewalView(resolved.renewal) }
    },
  }),
]

function fieldView({ renewal: row, certificate, attempts, daysLeft, reason, nextAction }: FieldEntry) {
  return {
    ...renewalView(row),
    issuer: certificate?.issuerId ?? null,
    serialNumber: certificate?.serialNumber ?? null,
    daysLeft,
    why: reason,
    nextAction,
    attempts: attempts.map(attemptView),
  }
}

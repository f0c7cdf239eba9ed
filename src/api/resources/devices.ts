/** Devices of the inventory: lists, records, edits. device-history.ts has what happened to them. */
import { Type } from 'typebox'
import { iso } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { addDevice } from '../../engine/inventory/device.ts'
import { editDevice, type EditedDevice } from '../../engine/inventory/device-change.ts'
import { deviceDetails, type DeviceRow } from '../../engine/inventory/inventory.ts'
import { deviceList, deviceSorts } from '../../engine/inventory/listing.ts'
import { newSecret } from '../../engine/issuing/secret.ts'
import { isInScope, type DeviceScope } from '../../engine/operators/permissions.ts'
import { deviceResource } from '../../filter/resources.ts'
import { filtering, listRequest } from '../listing.ts'
import { pageAnswer } from '../paging.ts'
import { Answer, object, route, type Route } from '../route.ts'
import { deviceIdText, dryRun, instant, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'
import { certificate, certificateView } from '../views/certificate.ts'
import {
  device,
  deviceProperties,
  deviceStates,
  deviceView,
  listedDevice,
  listedDeviceView,
} from '../views/device.ts'
import { approval, approvalView } from '../views/approval.ts'
import { isoOrNull } from '../views/values.ts'

const name = Type.String({ minLength: 1, maxLength: 256 })
const tags = Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 256 }), {
  maxProperties: 64,
})

/** What a person may write. */
const written = {
  profile: name,
  cohort: nullable(name),
  batch: nullable(name),
  site: nullable(name),
  connectivity: name,
  hardware: nullable(name),
  firmware: nullable(name),
}

const deviceRecord = object(
  { id: deviceIdText, ...written, tags: Type.Record(Type.String(), Type.String()) },
  { $id: 'DeviceRecord', description: 'What an edit changes.' },
)

const deviceDetail = object(
  {
    ...deviceProperties,
    certificates: Type.Array(certificate, { description: 'Newest first, at most 1,000.' }),
    waiting: Type.Array(approval, { description: 'Requests that wait for a person.' }),
    secret: nullable(
      object({ expiresAt: instant, usedAt: nullable(instant) }, { description: 'Of its one-time secret.' }),
    ),
  },
  { $id: 'DeviceDetails' },
)

export const deviceRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/devices',
    operationId: 'listDevices',
    summary: 'Devices by filter',
    description:
      'In the order of their ids; with a filter on `expires` in the order of the ends of their certificates. A page may have fewer items than asked for and still name a next one.',
    permission: 'inventory:read',
    scope: 'device',
    query: {
      ...paging,
      ...sparse,
      ...filtering(deviceResource, deviceSorts),
      state: Type.Optional(oneOf(deviceStates)),
      profile: Type.Optional(name),
      cohort: Type.Optional(name),
      batch: Type.Optional(name),
      site: Type.Optional(name),
      connectivity: Type.Optional(name),
    },
    response: pageOf(listedDevice),
    examples: [
      { summary: 'The first two', query: { limit: 2 } },
      { summary: 'Ids and states of those in use', query: { state: 'active', fields: 'id,state' } },
      { summary: 'What ends within a year at a site', query: { filter: 'expires<1y site=kl' } },
      { summary: 'By a tag, the last ids first', query: { filter: 'tag.floor=3', sort: '-id' } },
    ],
    async handler({ engine, scope, query }) {
      const { state, profile, cohort, batch, site, connectivity } = query
      const equal = { state, profile, cohort, batch, site, connectivity }
      return pageAnswer(
        await deviceList(engine, listRequest(query, scope, equal)),
        listedDeviceView,
        query.sort,
      )
    },
  }),
  route({
    method: 'POST',
    path: '/devices',
    operationId: 'addDevice',
    summary: 'Registers a device',
    description: 'It can then enrol with a secret or a factory identity.',
    permission: 'inventory:write',
    scope: 'device',
    dryRun: true,
    status: 201,
    query: dryRun,
    body: object(
      {
        ...Type.Partial(object(written)).properties,
        profile: name,
        id: deviceIdText,
        tags: Type.Optional(tags),
      },
      { $id: 'NewDevice' },
    ),
    response: device,
    examples: [
      {
        summary: 'One of a site',
        body: { id: 'meter-9', profile: 'industrial', site: 'kl', tags: { floor: '2' } },
      },
    ],
    async handler({ engine, scope, body, actor }) {
      requirePlace(scope, { cohort: body.cohort ?? null, site: body.site ?? null })
      const record = await addDevice(engine, body, actor)
      return new Answer(deviceView({ ...record, lastSeenAt: null }), {
        location: `/api/v1/devices/${encodeURIComponent(record.id)}`,
      })
    },
  }),
  route({
    method: 'GET',
    path: '/devices/{id}',
    operationId: 'getDevice',
    summary: 'A device with its certificates, and what waits for a person',
    permission: 'inventory:read',
    scope: 'device',
    params: { id: deviceIdText },
    query: sparse,
    response: deviceDetail,
    examples: [{ summary: 'One device', params: { id: 'meter-1' } }],
    async handler({ engine, scope, params, now }) {
      const details = await deviceDetails(engine, params.id as DeviceId, scope)
      const { secret } = details
      return {
        ...deviceView(details.device),
        certificates: details.certificates.map((row) => certificateView(row, now)),
        waiting: details.waiting.map(approvalView),
        secret: secret && { expiresAt: iso(secret.expiresAt), usedAt: isoOrNull(secret.usedAt) },
      }
    },
  }),
  route({
    method: 'GET',
    path: '/devices/{id}/record',
    operationId: 'getDeviceRecord',
    summary: 'What an edit changes; its ETag is what the edit names',
    permission: 'inventory:read',
    scope: 'device',
    params: { id: deviceIdText },
    response: deviceRecord,
    examples: [{ summary: 'One device', params: { id: 'meter-1' } }],
    async handler({ engine, scope, params }) {
      return recordView((await deviceDetails(engine, params.id as DeviceId, scope)).device)
    },
  }),
  route({
    method: 'PATCH',
    path: '/devices/{id}/record',
    operationId: 'editDevice',
    summary: 'Changes the record of a device',
    description: 'What is not named stays. Tags are added or replaced by name; null takes one away.',
    permission: 'inventory:write',
    scope: 'device',
    dryRun: true,
    ifMatch: true,
    params: { id: deviceIdText },
    query: dryRun,
    body: object(
      {
        ...Type.Partial(object(written)).properties,
        tags: Type.Optional(
          Type.Record(Type.String({ maxLength: 64 }), nullable(Type.String({ maxLength: 256 })), {
            maxProperties: 64,
          }),
        ),
      },
      { $id: 'DeviceEdit' },
    ),
    response: object({ record: deviceRecord, changed: Type.Array(Type.String()) }, { $id: 'EditedDevice' }),
    examples: [
      {
        summary: 'It moves to another cohort',
        params: { id: 'meter-3' },
        body: { cohort: 'pilot', tags: { floor: '4' } },
      },
    ],
    async handler({ engine, scope, params, body, actor, requireMatch }) {
      const id = params.id as DeviceId
      const { device: before } = await deviceDetails(engine, id, scope)
      requireMatch(recordView(before))
      requirePlace(scope, {
        cohort: body.cohort === undefined ? before.cohort : body.cohort,
        site: body.site === undefined ? before.site : body.site,
      })
      const { tags: given = {}, ...edit } = body
      const added = Object.entries(given).flatMap(([key, value]) => (value === null ? [] : [[key, value]]))
      const removeTags = Object.keys(given).filter((key) => given[key] === null)
      const tagEdit = { tags: Object.fromEntries(added) as Record<string, string>, removeTags }
      return editedView(await editDevice(engine, { id, edit: { ...edit, ...tagEdit }, actor }))
    },
  }),
  route({
    method: 'POST',
    path: '/devices/{id}/secret',
    operationId: 'makeDeviceSecret',
    summary: 'Makes a new one-time enrolment secret; the one before it is worth nothing from now on',
    permission: 'devices:enrol',
    scope: 'device',
    hasSecretAnswer: true,
    status: 201,
    params: { id: deviceIdText },
    response: object(
      {
        device: deviceIdText,
        secret: Type.String({ description: 'Shown this once; only its hash is kept.' }),
        expiresAt: instant,
      },
      { $id: 'DeviceSecret' },
    ),
    examples: [{ summary: 'For one device', params: { id: 'meter-3' } }],
    async handler({ engine, scope, params, actor }) {
      const { device: known } = await deviceDetails(engine, params.id as DeviceId, scope)
      const { deviceId, secret, expiresAt } = await newSecret(engine, { deviceId: known.id, actor })
      return { device: deviceId, secret, expiresAt: iso(expiresAt) }
    },
  }),
]

/** Nobody puts a device where he could not see it. */
function requirePlace(scope: DeviceScope, place: Pick<DeviceRow, 'cohort' | 'site'>): void {
  if (isInScope(place, scope)) return
  throw new Refusal(
    'permission-missing',
    'your roles are for a part of the fleet, and a device at this site and in this cohort is not in it',
  )
}

function recordView(row: Pick<DeviceRow, keyof typeof deviceRecord.properties>) {
  const { id, profile, connectivity, cohort, batch, site, hardware, firmware } = row
  return { id, profile, connectivity, cohort, batch, site, hardware, firmware, tags: { ...row.tags } }
}

function editedView({ after, changed }: EditedDevice) {
  return { record: recordView(after), changed: [...changed] }
}

/** Cases: devices that were taken out of service until somebody gives a verdict. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import {
  addToCase,
  caseDetails,
  casePage,
  openCase,
  verdicts,
  type CaseDetails,
  type CaseRecord,
} from '../../engine/cases/case.ts'
import { closeCase } from '../../engine/cases/verdict.ts'
import type { Engine } from '../../engine/context.ts'
import { deviceDetails } from '../../engine/inventory/inventory.ts'
import { deviceInScope } from '../../engine/inventory/listing.ts'
import type { DeviceScope } from '../../engine/operators/permissions.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { Answer, object, route, type Route } from '../route.ts'
import { deviceIdText, instant, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'
import { isoOrNull, text } from '../views/values.ts'

const caseProperties = {
  id: Type.Integer(),
  device: text,
  revocation: nullable(Type.Integer({ description: 'The revocation of many that opened it.' })),
  reason: nullable(Type.String({ description: 'RFC 5280 §5.3.1; null when nothing was revoked.' })),
  openedBy: text,
  openedAt: instant,
  verdict: nullable(oneOf(verdicts)),
  closedBy: nullable(text),
  closedAt: nullable(instant),
}

const caseSchema = object(caseProperties, { $id: 'Case' })

const entry = object(
  {
    at: instant,
    actor: text,
    note: nullable(text),
    file: nullable(object({ name: text, sha256: text, size: Type.Integer({ minimum: 0 }) })),
  },
  { $id: 'CaseEntry' },
)

const caseDetail = object(
  { ...caseProperties, deviceState: nullable(text), entries: Type.Array(entry) },
  { $id: 'CaseDetails' },
)

const params = { id: Type.Integer({ minimum: 1 }) }
const note = Type.String({ minLength: 1, maxLength: 4_000 })

export const caseRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/cases',
    operationId: 'openCase',
    summary: 'Takes a device out of service to look at it; nothing is revoked',
    permission: 'cases:write',
    scope: 'device',
    status: 201,
    body: object({ device: deviceIdText, note: Type.Optional(note) }, { $id: 'NewCase' }),
    response: caseSchema,
    examples: [
      {
        summary: 'A device that behaves oddly',
        body: { device: 'meter-6', note: 'calls in from elsewhere' },
      },
    ],
    async handler({ engine, scope, body, actor }) {
      const { device } = await deviceDetails(engine, body.device as DeviceId, scope)
      const opening = { deviceId: device.id, actor }
      const opened = await openCase(
        engine,
        body.note === undefined ? opening : { ...opening, note: body.note },
      )
      return new Answer(caseView(opened), { location: `/api/v1/cases/${opened.id}` })
    },
  }),
  route({
    method: 'GET',
    path: '/cases',
    operationId: 'listCases',
    summary: 'Cases, the oldest first',
    description: 'A page may have fewer items than asked for and still name a next one.',
    permission: 'inventory:read',
    scope: 'device',
    query: {
      ...paging,
      ...sparse,
      device: Type.Optional(deviceIdText),
      revocation: Type.Optional(Type.Integer({ minimum: 1 })),
      open: Type.Optional(Type.Boolean()),
    },
    response: pageOf(caseSchema),
    examples: [{ summary: 'Open ones', query: { open: true } }],
    async handler({ engine, scope, query }) {
      const { device, revocation, open } = query
      const filter = {
        ...(device === undefined ? {} : { deviceId: device as DeviceId }),
        ...(revocation === undefined ? {} : { revocationId: revocation }),
        ...(open === undefined ? {} : { isOpen: open }),
      }
      const { rows, next } = await casePage(engine, { ...pageRequest(query), filter })
      const visible: CaseRecord[] = []
      for (const row of rows) if (await deviceInScope(engine, row.deviceId, scope)) visible.push(row)
      return pageAnswer({ rows: visible, next }, caseView)
    },
  }),
  route({
    method: 'GET',
    path: '/cases/{id}',
    operationId: 'getCase',
    summary: 'A case with its notes and evidence',
    permission: 'inventory:read',
    scope: 'device',
    params,
    query: sparse,
    response: caseDetail,
    examples: [{ summary: 'One of them', params: { id: '1' } }],
    async handler({ engine, scope, params: { id } }) {
      return detailView(await find(engine, scope, id))
    },
  }),
  route({
    method: 'POST',
    path: '/cases/{id}/notes',
    operationId: 'addToCase',
    summary: 'Adds a note, or the hash of a piece of evidence',
    permission: 'cases:write',
    scope: 'device',
    params,
    body: object(
      {
        note: Type.Optional(note),
        file: Type.Optional(
          object({
            name: Type.String({ minLength: 1, maxLength: 255 }),
            sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
            size: Type.Integer({ minimum: 0 }),
          }),
        ),
      },
      { $id: 'CaseAddition' },
    ),
    response: caseDetail,
    examples: [{ summary: 'What was found', params: { id: '1' }, body: { note: 'the seal is broken' } }],
    async handler({ engine, scope, params: { id }, body, actor }) {
      await find(engine, scope, id)
      await addToCase(engine, { id, actor, note: body.note ?? null, file: body.file ?? null })
      return detailView(await caseDetails(engine, id))
    },
  }),
  route({
    method: 'POST',
    path: '/cases/{id}/close',
    operationId: 'closeCase',
    summary: 'Gives a verdict, which says what becomes of the device',
    permission: 'devices:state',
    scope: 'device',
    params,
    body: object({ verdict: oneOf(verdicts), note: Type.Optional(note) }, { $id: 'CaseVerdict' }),
    response: object(
      {
        case: caseSchema,
        deviceState: text,
        released: Type.Array(object({ issuer: text, serialNumber: text }), {
          description: 'Certificates that were on hold and are good again.',
        }),
        needsSecret: Type.Boolean({ description: 'The device has nothing to connect with.' }),
      },
      { $id: 'ClosedCase' },
    ),
    examples: [
      {
        summary: 'Nothing was wrong',
        params: { id: '1' },
        body: { verdict: 'cleared', note: 'a new SIM card' },
      },
    ],
    async handler({ engine, scope, params: { id }, body, actor }) {
      await find(engine, scope, id)
      const closed = await closeCase(engine, { id, actor, ...body })
      return {
        case: caseView(closed.record),
        deviceState: closed.deviceState,
        released: closed.released.map(({ issuerId, serialNumber }) => ({ issuer: issuerId, serialNumber })),
        needsSecret: closed.needsSecret,
      }
    },
  }),
]

/** @throws Refusal `not-found`, also outside the scope */
async function find(engine: Engine, scope: DeviceScope, id: number): Promise<CaseDetails> {
  const details = await caseDetails(engine, id)
  if (await deviceInScope(engine, details.record.deviceId, scope)) return details
  throw new Refusal('not-found', `there is no case ${id}`)
}

function caseView(row: CaseRecord): Static<typeof caseSchema> {
  const { id, deviceId, revocationId, reason, openedBy, openedAt, verdict, closedBy, closedAt } = row
  return {
    id,
    device: deviceId,
    revocation: revocationId,
    reason,
    openedBy,
    openedAt: iso(openedAt),
    verdict,
    closedBy,
    closedAt: isoOrNull(closedAt),
  }
}

function detailView({ record, entries, deviceState }: CaseDetails): Static<typeof caseDetail> {
  return {
    ...caseView(record),
    deviceState,
    entries: entries.map(({ at, actor, note: words, file }) => ({
      at: iso(at),
      actor,
      note: words,
      file: file && { name: file.name, sha256: file.sha256, size: file.size },
    })),
  }
}

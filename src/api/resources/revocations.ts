/** Revocations: of one certificate, of one device, of many; and how far those of many are. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { CertificateId, DeviceId } from '../../base/id.ts'
import { deviceDetails } from '../../engine/inventory/inventory.ts'
import { oneCertificate } from '../../engine/inventory/listing.ts'
import { isInScope } from '../../engine/operators/permissions.ts'
import { needsApproval } from '../../engine/proposals/approval-rule.ts'
import { propose } from '../../engine/proposals/proposal.ts'
import { batchRevocation } from '../../engine/revocation/revoke-proposal.ts'
import { revokeCertificate, revokeDevice, type Revoked } from '../../engine/revocation/revoke.ts'
import {
  cancelRevocation,
  countForApproval,
  orderRevocation,
  previewRevocation,
  revocationBatches,
  type RevocationBatch,
  type RevocationSelection,
} from '../../engine/revocation/revoke-batch.ts'
import { revocationReasons } from '../../pki/revocation-reason.ts'
import { object, route, type Route } from '../route.ts'
import { deviceIdText, dryRun, instant, nullable, oneOf } from '../schemas.ts'
import { proposal, proposalView } from '../views/proposal.ts'
import { count, isoOrNull, text } from '../views/values.ts'

const name = Type.String({ minLength: 1, maxLength: 256 })
const reason = oneOf(
  revocationReasons.filter((each) => each !== 'removeFromCRL'),
  { description: 'RFC 5280 §5.3.1.' },
)
const note = Type.Optional(Type.String({ minLength: 1, maxLength: 1_000, description: 'Goes on record.' }))

const selection = object(
  {
    batch: Type.Optional(name),
    cohort: Type.Optional(name),
    site: Type.Optional(name),
    profile: Type.Optional(name),
    connectivity: Type.Optional(name),
  },
  { $id: 'RevocationSelection', description: 'All that is named must hold; nothing named is refused.' },
)

const revoked = object(
  {
    certificates: Type.Array(object({ issuer: text, serialNumber: text })),
    deviceState: nullable(Type.String({ description: 'The new state of the device, when it changed.' })),
  },
  { $id: 'Revoked' },
)

const batch = object(
  {
    id: Type.Integer(),
    selection: Type.Record(Type.String(), Type.String()),
    reason: text,
    note: nullable(text),
    actor: text,
    status: oneOf(['waiting', 'running', 'done', 'cancelled']),
    devices: Type.Integer({ minimum: 0, description: 'Done so far.' }),
    certificates: count,
    createdAt: instant,
    startsAt: Type.String({
      format: 'date-time',
      description: 'Until then it can be cancelled without a trace.',
    }),
    endedAt: nullable(instant),
  },
  { $id: 'Revocation' },
)

export const revocationRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/certificates/{id}/revoke',
    operationId: 'revokeCertificate',
    summary: 'Revokes a certificate, for good',
    permission: 'certificates:revoke',
    scope: 'device',
    dryRun: true,
    params: { id: Type.Integer({ minimum: 1 }) },
    query: dryRun,
    body: object({ reason, note }, { $id: 'RevocationOrder' }),
    response: revoked,
    examples: [
      {
        summary: 'What it would do',
        params: { id: '3' },
        query: { dryRun: true },
        body: { reason: 'keyCompromise', note: 'found in a bin' },
      },
    ],
    async handler({ engine, scope, params, body, actor }) {
      const row = await oneCertificate(engine, params.id as CertificateId)
      if (!row || !isInScope(row, scope))
        throw new Refusal('not-found', `there is no certificate ${params.id}`)
      return revokedView(await revokeCertificate(engine, row, { ...body, actor }))
    },
  }),
  route({
    method: 'POST',
    path: '/devices/{id}/revoke',
    operationId: 'revokeDevice',
    summary: 'Revokes all that a device holds and takes it out of service',
    permission: 'certificates:revoke',
    scope: 'device',
    dryRun: true,
    params: { id: deviceIdText },
    query: dryRun,
    body: object({ reason, note }, { $id: 'DeviceRevocationOrder' }),
    response: revoked,
    examples: [
      {
        summary: 'A stolen one',
        params: { id: 'meter-7' },
        body: { reason: 'keyCompromise', note: 'stolen' },
      },
    ],
    async handler({ engine, scope, params, body, actor }) {
      const { device } = await deviceDetails(engine, params.id as DeviceId, scope)
      return revokedView(await revokeDevice(engine, device.id, { ...body, actor }))
    },
  }),
  route({
    method: 'POST',
    path: '/revocations/preview',
    operationId: 'previewRevocation',
    summary: 'What a revocation of many would do; nothing is written',
    permission: 'certificates:revoke',
    scope: 'fleet',
    body: object({ selection, reason }, { $id: 'RevocationQuestion' }),
    response: object(
      {
        devices: count,
        certificates: count,
        outOfService: Type.Integer({ minimum: 0, description: 'Devices that are out of service already.' }),
        liveSessions: Type.Integer({ minimum: 0, description: 'Devices heard from within the last minute.' }),
        openRenewals: Type.Integer({ minimum: 0, description: 'Renewals that would be given up.' }),
        sites: Type.Record(Type.String(), count),
        crls: Type.Array(object({ issuer: text, shard: count, entries: count, bytes: count }), {
          description: 'What the CRLs grow by.',
        }),
        needsApproval: Type.Boolean({ description: 'It must be proposed, and somebody else must allow it.' }),
      },
      { $id: 'RevocationPreview' },
    ),
    examples: [
      {
        summary: 'A manufacturing run',
        body: { selection: { batch: '2026-w40' }, reason: 'keyCompromise' },
      },
    ],
    async handler({ engine, body }) {
      const { sites, crls, ...sums } = await previewRevocation(engine, given(body.selection), body)
      return {
        ...sums,
        sites: Object.fromEntries(sites),
        crls: crls.map(({ issuerId, shard, entries, bytes }) => ({
          issuer: issuerId,
          shard,
          entries,
          bytes,
        })),
        needsApproval: needsApproval(engine, 'revoke-batch', sums.devices),
      }
    },
  }),
  route({
    method: 'POST',
    path: '/revocations',
    operationId: 'orderRevocation',
    summary:
      'Revokes what many devices hold; where the policy asks for it, a proposal that somebody else must allow',
    permission: 'certificates:revoke',
    scope: 'fleet',
    stepUp: true,
    status: 202,
    body: object(
      {
        selection,
        reason,
        note,
        delayMs: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 2_592_000_000,
            description: 'Begins so much later; cancelled until then.',
          }),
        ),
      },
      { $id: 'MassRevocationOrder' },
    ),
    response: object(
      { revocation: nullable(batch), proposal: nullable(proposal) },
      { $id: 'OrderedRevocation' },
    ),
    examples: [
      {
        summary: 'A manufacturing run, in an hour',
        body: { selection: { batch: '2026-w40' }, reason: 'keyCompromise', delayMs: 3_600_000 },
      },
    ],
    async handler({ engine, body, actor }) {
      const { reason: why, note: words = null, delayMs = 0 } = body
      const chosen = given(body.selection)
      if (needsApproval(engine, 'revoke-batch', await countForApproval(engine, chosen))) {
        const payload = { selection: { ...chosen }, reason: why, note: words, delayMs }
        const filed = await propose(engine, { kind: batchRevocation, payload, why: words, actor })
        return { revocation: null, proposal: proposalView(filed) }
      }
      const ordered = await orderRevocation(engine, {
        selection: chosen,
        reason: why,
        note: words,
        delayMs,
        actor,
      })
      return { revocation: batchView(ordered), proposal: null }
    },
  }),
  route({
    method: 'GET',
    path: '/revocations',
    operationId: 'listRevocations',
    summary: 'Revocations of many, the newest first, at most 100',
    permission: 'inventory:read',
    scope: 'fleet',
    response: object({ items: Type.Array(batch) }, { $id: 'Revocations' }),
    examples: [{ summary: 'All' }],
    async handler({ engine }) {
      return { items: (await revocationBatches(engine)).map(batchView) }
    },
  }),
  route({
    method: 'POST',
    path: '/revocations/{id}/cancel',
    operationId: 'cancelRevocation',
    summary: 'Stops it; what it has revoked stays revoked',
    permission: 'certificates:revoke',
    scope: 'fleet',
    params: { id: Type.Integer({ minimum: 1 }) },
    body: object({ note }, { $id: 'RevocationCancel' }),
    response: batch,
    examples: [{ summary: 'One that waits', params: { id: '1' }, body: { note: 'wrong run' } }],
    async handler({ engine, params, body, actor }) {
      return batchView(await cancelRevocation(engine, params.id, { ...body, actor }))
    },
  }),
]

function given(chosen: Static<typeof selection>): RevocationSelection {
  return chosen
}

function revokedView({ certificates, deviceState }: Revoked): Static<typeof revoked> {
  return {
    certificates: certificates.map(({ issuerId, serialNumber }) => ({ issuer: issuerId, serialNumber })),
    deviceState,
  }
}

function batchView(row: RevocationBatch): Static<typeof batch> {
  return {
    id: row.id,
    selection: JSON.parse(row.selection) as Record<string, string>,
    reason: row.reason,
    note: row.note,
    actor: row.actor,
    status: row.status,
    devices: row.devices,
    certificates: row.certificates,
    createdAt: iso(row.createdAt),
    startsAt: iso(row.startsAt),
    endedAt: isoOrNull(row.endedAt),
  }
}

/** Whom we let in and what devices get: trust anchors, profiles, enrolments that wait for a person. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { formatDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { deviceDetails, waitingRequests } from '../../engine/inventory/inventory.ts'
import { decideRequests } from '../../engine/issuing/approval.ts'
import type { Profile } from '../../engine/issuing/profile.ts'
import {
  addTrustAnchor,
  removeTrustAnchor,
  trustAnchors,
  type TrustAnchorRecord,
} from '../../engine/issuing/trust.ts'
import { decodePem, encodePem } from '../../pki/pem.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { Answer, object, route, type Route } from '../route.ts'
import { deviceIdText, instant, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'
import { approval, approvalView } from '../views/approval.ts'
import { text } from '../views/values.ts'

const anchor = object(
  {
    id: text,
    name: text,
    subject: text,
    deviceIdRule: Type.String({ description: 'Which part of a factory certificate is the device id.' }),
    profile: nullable(
      Type.String({ description: 'Of devices that are not registered yet; null: only registered ones.' }),
    ),
    createdAt: instant,
    pem: text,
  },
  { $id: 'TrustAnchor' },
)

const duration = nullable(Type.String({ examples: ['90d'] }))

const profile = object(
  {
    name: text,
    description: text,
    issuer: text,
    subject: text,
    subjectAltNames: Type.Array(text),
    keyAlgorithms: Type.Array(text),
    validity: duration,
    jitter: duration,
    renewBefore: duration,
    renewExpiredFor: duration,
    retireAfter: duration,
    rekey: text,
    approval: text,
    serverKeygen: Type.Boolean(),
    connectivity: text,
    purpose: text,
    contentHash: Type.String({
      description: 'SHA-256 over all of it: which rules a certificate was issued under.',
    }),
  },
  { $id: 'Profile' },
)

/** A CA of nobody: what an example shows. */
const examplePem = [
  '-----BEGIN CERTIFICATE-----',
  'MIIBuTCCAV+gAwIBAgIUdETNvYEzbDWSMwpdxZUaUoUsoRYwCgYIKoZIzj0EAwIw',
  'KTENMAsGA1UECgwEQWNtZTEYMBYGA1UEAwwPQWNtZSBGYWN0b3J5IENBMCAXDTI2',
  'MTEzMDIwMTQyMVoYDzIwNTEwNzIyMjAxNDIxWjApMQ0wCwYDVQQKDARBY21lMRgw',
  'FgYDVQQDDA9BY21lIEZhY3RvcnkgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC',
  'AARI4aSoHYcWTkHgzW6UckZ/A1MiPJkmWia+8MgBCFnMcCt16ryXr4LJD8X9YlWi',
  '2vwoZHDrFkEiLXuJr1joPclao2MwYTAdBgNVHQ4EFgQUbD5ffZsbHaqE8VY8b2RE',
  'vblXQCcwHwYDVR0jBBgwFoAUbD5ffZsbHaqE8VY8b2REvblXQCcwDwYDVR0TAQH/',
  'BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIhALxyflnu',
  'x1A5R0fvvH/D0LBxY9vF5TlFvtRtfaAlDNzaAiBf3y1jz5j/20hO9+J1COqb95o2',
  'NjfAVZKQU1dQZsEAHA==',
  '-----END CERTIFICATE-----',
  '',
].join('\n')

export const trustRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/profiles',
    operationId: 'listProfiles',
    summary: 'Certificate profiles, as the configuration has them',
    permission: 'inventory:read',
    scope: 'shared',
    query: sparse,
    response: object({ items: Type.Array(profile) }, { $id: 'Profiles' }),
    examples: [{ summary: 'All' }],
    async handler({ engine }) {
      return { items: [...engine.settings.profiles.values()].map(profileView) }
    },
  }),
  route({
    method: 'GET',
    path: '/trust-anchors',
    operationId: 'listTrustAnchors',
    summary: 'CAs of manufacturers whose factory identities let devices in',
    permission: 'inventory:read',
    scope: 'shared',
    query: sparse,
    response: object({ items: Type.Array(anchor) }, { $id: 'TrustAnchors' }),
    examples: [{ summary: 'All' }],
    async handler({ engine }) {
      return { items: (await trustAnchors(engine)).map(anchorView) }
    },
  }),
  route({
    method: 'POST',
    path: '/trust-anchors',
    operationId: 'addTrustAnchor',
    summary: 'Trusts the CA of a manufacturer',
    permission: 'trust:write',
    scope: 'fleet',
    stepUp: true,
    status: 201,
    body: object(
      {
        name: Type.String({ minLength: 1, maxLength: 64 }),
        pem: Type.String({ maxLength: 65_536, description: 'One CA certificate.' }),
        deviceIdRule: Type.String({ minLength: 1, maxLength: 256 }),
        profile: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 64 }))),
      },
      { $id: 'NewTrustAnchor' },
    ),
    response: anchor,
    examples: [
      {
        summary: 'A manufacturer',
        body: { name: 'Acme factory', deviceIdRule: 'subject.serialNumber', pem: examplePem },
      },
    ],
    async handler({ engine, body, actor }) {
      const { name, deviceIdRule, profile: only = null } = body
      const blocks = decodePem(body.pem).filter(({ label }) => label === 'CERTIFICATE')
      const [block, ...others] = blocks
      if (!block || others.length > 0) throw new Refusal('invalid-input', 'pem must hold one certificate')
      const record = await addTrustAnchor(engine, {
        name,
        deviceIdRule,
        profile: only,
        certificate: block.der,
        actor,
      })
      return new Answer(anchorView(record), { location: `/api/v1/trust-anchors/${record.id}` })
    },
  }),
  route({
    method: 'DELETE',
    path: '/trust-anchors/{id}',
    operationId: 'removeTrustAnchor',
    summary: 'Trusts it no more; devices that it let in keep their certificates',
    permission: 'trust:write',
    scope: 'fleet',
    stepUp: true,
    params: { id: Type.String({ minLength: 1, maxLength: 64 }) },
    examples: [{ summary: 'The manufacturer of before', params: { id: '58b2023c54b56802' } }],
    async handler({ engine, params, actor }) {
      await removeTrustAnchor(engine, params.id, actor)
    },
  }),
  route({
    method: 'GET',
    path: '/enrolment-requests',
    operationId: 'listEnrolmentRequests',
    summary: 'Enrolments that wait for a person, the oldest first',
    permission: 'inventory:read',
    scope: 'device',
    query: { ...paging, ...sparse },
    response: pageOf(approval),
    examples: [{ summary: 'All' }],
    async handler({ engine, scope, query }) {
      return pageAnswer(await waitingRequests(engine, { ...pageRequest(query), scope }), approvalView)
    },
  }),
  route({
    method: 'POST',
    path: '/enrolment-requests/{device}/decide',
    operationId: 'decideEnrolment',
    summary: 'Decides every request of a device that waits; it learns of it when it asks again',
    permission: 'devices:enrol',
    scope: 'device',
    params: { device: deviceIdText },
    body: object(
      {
        decision: oneOf(['approved', 'rejected']),
        reason: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
      },
      { $id: 'EnrolmentDecision' },
    ),
    response: object({ items: Type.Array(approval) }, { $id: 'DecidedEnrolments' }),
    examples: [
      {
        summary: 'Yes',
        params: { device: 'meter-8' },
        body: { decision: 'approved', reason: 'checked on site' },
      },
    ],
    async handler({ engine, scope, params, body, actor }) {
      const { device } = await deviceDetails(engine, params.device as DeviceId, scope)
      const { decision, reason } = body
      const order = { deviceId: device.id, decision, actor }
      const decided = await decideRequests(engine, reason === undefined ? order : { ...order, reason })
      return { items: decided.map((each) => Object.assign(approvalView(each), { status: decision })) }
    },
  }),
]

function anchorView(record: TrustAnchorRecord): Static<typeof anchor> {
  const { id, name, subject, deviceIdRule, profile: only, createdAt, certificate } = record
  return {
    id,
    name,
    subject,
    deviceIdRule,
    profile: only,
    createdAt: iso(createdAt),
    pem: encodePem('CERTIFICATE', certificate),
  }
}

function profileView(row: Profile): Static<typeof profile> {
  const shown = (ms: number | null): string | null => (ms === null ? null : formatDuration(ms))
  return {
    name: row.name,
    description: row.description,
    issuer: row.issuer,
    subject: row.subject,
    subjectAltNames: [...row.subjectAltNames],
    keyAlgorithms: [...row.keyAlgorithms],
    validity: shown(row.validityMs),
    jitter: shown(row.jitterMs),
    renewBefore: shown(row.renewBeforeMs),
    renewExpiredFor: shown(row.renewExpiredForMs),
    retireAfter: shown(row.retireAfterMs),
    rekey: row.rekey,
    approval: row.approval,
    serverKeygen: row.serverKeygen,
    connectivity: row.connectivity,
    purpose: row.purpose,
    contentHash: row.contentHash,
  }
}

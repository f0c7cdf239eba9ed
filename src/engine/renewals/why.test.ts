import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  enrolDevice,
  freshSecret,
  registerDevice,
  renew,
  renewalCsr,
  requestOf,
  testEngine,
  windowOpensAt,
  type Enrolled,
  type TestEngine,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { putAttempts, putCampaign, putRenewal } from '../../../test/helpers/renewals.ts'
import { dayMs, hourMs, type Instant } from '../../base/clock.ts'
import type { DeviceId, IssuerId } from '../../base/id.ts'
import { setStatus } from '../../store/certificates.ts'
import { setDeviceState, updateDevice } from '../../store/devices.ts'
import { recordLastSeen } from '../../store/last-seen.ts'
import { updateRenewal } from '../../store/renewals.ts'
import { insertRetirements } from '../../store/retirements.ts'
import { enroll } from '../issuing/enroll.ts'
import type { ProfileInput } from '../issuing/profile.ts'
import { flushSightings } from './sighting.ts'
import { deviceWhy, type Survives } from './why.ts'

const issuer = 'issuing' as IssuerId
const profiles: readonly ProfileInput[] = [
  { name: 'yearly', issuer, validityMs: 365 * dayMs, renewBeforeMs: 90 * dayMs, connectivity: 'weekly' },
  { name: 'life', issuer, validityMs: 900 * dayMs, renewBeforeMs: null },
  { name: 'grace', issuer, validityMs: 30 * dayMs, renewBeforeMs: 9 * dayMs, renewExpiredForMs: 5 * dayMs },
  { name: 'manual', issuer, validityMs: 365 * dayMs, renewBeforeMs: 90 * dayMs, approval: 'manual' },
]

interface Situation {
  readonly name: string
  /** Makes the device and brings it there. */
  readonly make: (id: string) => Promise<void>
  readonly survives: Survives
  readonly answer: RegExp
  readonly blocks: readonly RegExp[]
  readonly next: RegExp
  /** Whether the answer names an instant for what happens next. */
  readonly isTimed: boolean
  readonly happened?: readonly RegExp[]
}

let app: TestEngine
before(async () => {
  app = await testEngine({ profiles })
})
after(() => app.close())

const now = () => app.clock.now()
const seen = (id: string, at: Instant) =>
  app.engine.store.transaction((tx) =>
    recordLastSeen(tx, [{ deviceId: id as DeviceId, certificateId: null, at }]),
  )

/** Enrolled, in its renewal window, and seen a moment ago. */
async function due(id: string): Promise<Enrolled> {
  const device = await enrolDevice(app.engine, id, { profile: 'yearly' })
  await app.clock.advance(windowOpensAt(app.engine, device) + 10 * dayMs - now())
  await flushSightings(app.engine, now())
  await seen(id, now() - hourMs)
  return device
}

const situations: readonly Situation[] = [
  {
    name: 'no certificate',
    make: async (id) => void (await registerDevice(app.engine, id)),
    survives: 'no',
    answer: /has no certificate yet/,
    blocks: [],
    next: /perennial device secret/,
    isTimed: false,
  },
  {
    name: 'no certificate, with a secret',
    make: async (id) => {
      await registerDevice(app.engine, id)
      await freshSecret(app.engine, id)
    },
    survives: 'no',
    answer: /has no certificate yet/,
    blocks: [],
    next: /may enrol with its secret until/,
    isTimed: false,
  },
  {
    name: 'live',
    make: async (id) => void (await enrolDevice(app.engine, id, { profile: 'yearly' })),
    survives: 'yes',
    answer: /^Yes, as far as can be told: .*not due yet/,
    blocks: [],
    next: /due then: the renewal window opens/,
    isTimed: true,
    happened: [/got the certificate that it has/],
  },
  {
    name: 'due, and seen lately',
    make: async (id) => void (await due(id)),
    survives: 'yes',
    answer: /^Yes, if it renews in time/,
    blocks: [],
    next: /asked to renew/,
    isTimed: true,
  },
  {
    name: 'due, and silent',
    make: async (id) => {
      await due(id)
      await app.clock.advance(20 * dayMs)
    },
    survives: 'at-risk',
    answer: /^At risk/,
    blocks: [/last seen .*come by every 7d/],
    next: /asked to renew/,
    isTimed: true,
  },
  {
    name: 'triggered and silent',
    make: async (id) => {
      const device = await due(id)
      await app.clock.advance(20 * dayMs)
      const at = now() - 6 * dayMs
      const renewal = await putRenewal(app.engine, device, {
        status: 'triggered',
        attempt: 3,
        triggeredAt: at,
        nextAt: now() + dayMs,
      })
      await putAttempts(app.engine, renewal, [
        { rung: 0, attempt: 1, channel: 'mqtt', at: at - 14 * dayMs },
        { rung: 0, attempt: 2, channel: 'mqtt', at: at - 7 * dayMs, status: 'failed', detail: 'broker gone' },
        { rung: 0, attempt: 3, channel: 'mqtt', at },
      ])
    },
    survives: 'at-risk',
    answer: /it was asked 2 times and has not renewed/,
    blocks: [/last seen/],
    next: /asked by SMS/,
    isTimed: true,
    happened: [/MQTT message: sent/, /MQTT message: failed \(broker gone\)/, /MQTT message: sent/, /opened/],
  },
  {
    name: 'asked once, with repeats left',
    make: async (id) => {
      const device = await due(id)
      const renewal = await putRenewal(app.engine, device, {
        status: 'triggered',
        attempt: 1,
        triggeredAt: now(),
        nextAt: now() + 7 * dayMs,
      })
      await putAttempts(app.engine, renewal, [{ rung: 0, attempt: 1, channel: 'mqtt', at: now() }])
    },
    survives: 'yes',
    answer: /^Yes, if it answers: it was asked once/,
    blocks: [],
    next: /asked again by MQTT message, 2 of 3/,
    isTimed: true,
  },
  {
    name: 'issued but unused',
    make: async (id) => {
      const device = await due(id)
      const renewal = await putRenewal(app.engine, device, { status: 'triggered', triggeredAt: now() })
      const fresh = await renew(app.engine, device)
      await app.clock.advance(hourMs)
      const storedAt = now()
      await app.engine.store.transaction((tx) =>
        updateRenewal(tx, renewal, {
          status: 'issued',
          newCertificateId: fresh.record.id,
          issuedAt: storedAt - hourMs,
          storedAt,
          attempt: 3,
          nextAt: now() + 7 * dayMs,
        }),
      )
    },
    survives: 'at-risk',
    answer: /got a new certificate .* was not seen with it\. It says that it has stored it/,
    blocks: [/not used its new certificate/],
    next: /asked by SMS/,
    isTimed: true,
    happened: [/opened/, /got a new certificate/, /has stored it/],
  },
  {
    name: 'confirmed in grace',
    make: async (id) => {
      const device = await due(id)
      const fresh = await renew(app.engine, device)
      const { record } = device
      const open = await putRenewal(app.engine, device, {
        status: 'confirmed',
        newCertificateId: fresh.record.id,
        confirmedAt: now(),
      })
      await app.engine.store.transaction((tx) =>
        insertRetirements(tx, [
          {
            certificateId: record.id,
            deviceId: open.deviceId,
            slot: record.slot,
            replacedBy: fresh.record.id,
            dueAt: now() + 7 * dayMs,
          },
        ]),
      )
    },
    survives: 'yes',
    answer: /^Yes: it uses its new certificate/,
    blocks: [],
    next: /replaced certificate is retired then/,
    isTimed: true,
    happened: [/opened/, /first seen with the new certificate/],
  },
  {
    name: 'escalated',
    make: async (id) => {
      const device = await due(id)
      await putRenewal(app.engine, device, {
        status: 'escalated',
        reason: 'ladder-exhausted',
        assignee: 'anna',
        rung: 2,
        attempt: 1,
        nextAt: now() + dayMs,
      })
    },
    survives: 'no',
    answer: /on the field list, because it answered to none/,
    blocks: [/answered to none/],
    next: /^anna is assigned: visit: .*perennial field resolve/,
    isTimed: false,
  },
  {
    name: 'expired',
    make: async (id) => {
      const device = await enrolDevice(app.engine, id, { profile: 'yearly' })
      await app.clock.advance(device.record.notAfter + 3 * dayMs - now())
    },
    survives: 'no',
    answer: /^No, it has not: its certificate ended .*3 days ago/,
    blocks: [/ended certificate cannot renew/],
    next: /perennial device secret/,
    isTimed: false,
  },
  {
    name: 'expired, within the grace of its profile',
    make: async (id) => {
      const device = await enrolDevice(app.engine, id, { profile: 'grace' })
      await app.clock.advance(device.record.notAfter + 3 * dayMs - now())
    },
    survives: 'at-risk',
    answer: /still lets it renew/,
    blocks: [/has ended/],
    next: /may renew with the ended certificate/,
    isTimed: true,
  },
  {
    name: 'revoked',
    make: async (id) => {
      const device = await enrolDevice(app.engine, id, { profile: 'yearly' })
      const revokedAt = now()
      await app.engine.store.transaction((tx) =>
        setStatus(tx, device.record.id, { status: 'revoked', reason: 'keyCompromise', revokedAt }),
      )
    },
    survives: 'no',
    answer: /was revoked \(keyCompromise\)/,
    blocks: [/revoked/],
    next: /operator decides/,
    isTimed: false,
  },
  {
    name: 'quarantined',
    make: async (id) => {
      await enrolDevice(app.engine, id, { profile: 'yearly' })
      await app.engine.store.transaction((tx) => setDeviceState(tx, id as DeviceId, 'quarantined'))
    },
    survives: 'no',
    answer: /^No: it is quarantined/,
    blocks: [/quarantined/],
    next: /operator has finished the investigation/,
    isTimed: false,
  },
  {
    name: 'decommissioned',
    make: async (id) => {
      await enrolDevice(app.engine, id, { profile: 'yearly' })
      await app.engine.store.transaction((tx) => setDeviceState(tx, id as DeviceId, 'decommissioned'))
    },
    survives: 'no',
    answer: /decommissioned/,
    blocks: [],
    next: /stays out of service/,
    isTimed: false,
  },
  {
    name: 'a profile that never renews',
    make: async (id) => void (await enrolDevice(app.engine, id, { profile: 'life' })),
    survives: 'yes',
    answer: /profile life are for life/,
    blocks: [],
    next: /Nothing/,
    isTimed: false,
  },
  {
    name: 'its campaign is paused',
    make: async (id) => {
      const device = await due(id)
      await putCampaign(app.engine, { id: 'halted', status: 'paused', reason: 'failed 3 % of 500' })
      await putRenewal(app.engine, device, { campaignId: 'halted' })
    },
    survives: 'at-risk',
    answer: /while its campaign stands still/,
    blocks: [/campaign halted, which is to renew it, is paused \(failed 3 % of 500\)/],
    next: /perennial campaign resume halted/,
    isTimed: false,
    happened: [/campaign halted drew it, in wave 0/],
  },
  {
    name: 'its campaign runs, and it waits for its turn',
    make: async (id) => {
      const device = await due(id)
      await putCampaign(app.engine, { id: 'running', status: 'running' })
      await putRenewal(app.engine, device, { campaignId: 'running' })
    },
    survives: 'yes',
    answer: /renewal is planned\. Campaign running renews it, in wave 0/,
    blocks: [],
    next: /its turn in the campaign comes/,
    isTimed: true,
  },
  {
    name: 'waits for approval',
    make: async (id) => {
      await registerDevice(app.engine, id, { profile: 'manual' })
      await enroll(app.engine, requestOf(await freshSecret(app.engine, id), createKey().csr()))
    },
    survives: 'no',
    answer: /has no certificate yet/,
    blocks: [/waits for a person: `perennial device approve/],
    next: /when a person has approved/,
    isTimed: false,
  },
  {
    name: 'waits for approval of its renewal',
    make: async (id) => {
      const { engine } = app
      const device = await due(id)
      await engine.store.transaction((tx) => updateDevice(tx, id as DeviceId, { profile: 'manual' }))
      const csr = renewalCsr(createKey(), device.certificate)
      const outcome = await enroll(engine, requestOf(device.peer, csr, { operation: 'reenroll' }))
      assert.equal(outcome.kind, 'pending')
    },
    survives: 'yes',
    answer: /^Yes, if it renews in time/,
    blocks: [/waits for a person/],
    next: /asked to renew/,
    isTimed: true,
  },
]

describe('device why', () => {
  for (const [n, situation] of situations.entries()) {
    test(situation.name, async () => {
      const id = `SN-${String(n).padStart(4, '0')}`
      await situation.make(id)
      const why = await deviceWhy(app.engine, id as DeviceId)
      assert.equal(why.survives, situation.survives, JSON.stringify(why))
      assert.match(why.answer, situation.answer)
      assert.equal(why.blocks.length, situation.blocks.length, JSON.stringify(why.blocks))
      for (const [i, block] of situation.blocks.entries()) assert.match(why.blocks[i] ?? '', block)
      assert.match(why.next.text, situation.next)
      assert.equal(why.next.at !== null, situation.isTimed, JSON.stringify(why.next))
      const texts = why.happened.map(({ text }) => text)
      for (const [i, text] of (situation.happened ?? []).entries()) assert.match(texts[i] ?? '', text)
      const instants = why.happened.map(({ at }) => at)
      assert.deepEqual(
        instants,
        instants.toSorted((a, b) => a - b),
        'oldest first',
      )
    })
  }
})

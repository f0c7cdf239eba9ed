import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  enrolDevice,
  forEachEngine,
  refusal,
  renew,
  testActor,
  windowOpensAt,
  type Enrolled,
} from '../../../test/helpers/app.ts'
import { putAttempts, putRenewal } from '../../../test/helpers/renewals.ts'
import { dayMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { confirmCertificate } from '../../store/certificates.ts'
import { recentFacts } from '../../store/facts.ts'
import { findOpenRenewal, findRenewal } from '../../store/renewals.ts'
import { readFact } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { assignEntry, fieldPage, resolveEntry } from './field.ts'
import { shippedLadders } from './ladder.ts'
import { stepRenewal } from './renewal-step.ts'

const actor = testActor

async function escalated(engine: Engine, device: Enrolled, change: { site?: string } = {}) {
  return await putRenewal(engine, device, {
    status: 'escalated',
    reason: 'ladder-exhausted',
    rung: 2,
    attempt: 1,
    triggeredAt: engine.clock.now() - 30 * dayMs,
    nextAt: engine.clock.now() + dayMs,
    ...change,
  })
}

async function factsOf(engine: Engine) {
  const facts = await recentFacts(engine.store.db, { limit: 20 })
  return facts
    .map(({ entry }) => readFact(entry))
    .filter(({ action }) => action.startsWith('renewal.'))
    .map(({ action, actor: by, reason, details }) => ({ action, by, reason, details }))
}

forEachEngine((start) => {
  test('the list has every attempt with its outcome, the most urgent device first', async () => {
    const { engine, clock } = await start()
    const later = await enrolDevice(engine, 'SN-2', { profile: 'industrial' })
    const sooner = await enrolDevice(engine, 'SN-1', { profile: 'gateway' })
    await clock.advance(windowOpensAt(engine, sooner) + 20 * dayMs - clock.now())
    await escalated(engine, later)
    const renewal = await escalated(engine, sooner, { site: 'graz' })
    await putAttempts(engine, renewal, [
      { rung: 0, attempt: 1, channel: 'mqtt', at: clock.now() - 9 * dayMs },
      {
        rung: 1,
        attempt: 1,
        channel: 'sms',
        at: clock.now() - 2 * dayMs,
        status: 'failed',
        detail: 'no number',
      },
    ])
    const { rows } = await fieldPage(engine, { limit: 10 })
    assert.deepEqual(
      rows.map(({ renewal: { deviceId } }) => deviceId),
      ['SN-1', 'SN-2'],
    )
    const [first] = rows
    assert.ok(first)
    assert.equal(first.daysLeft, Math.floor((sooner.record.notAfter - clock.now()) / dayMs))
    assert.equal(first.certificate?.serialNumber, sooner.record.serialNumber)
    assert.deepEqual(
      first.attempts.map(({ channel, status, detail }) => `${channel} ${status} ${detail ?? ''}`),
      ['mqtt sent ', 'sms failed no number'],
    )
    assert.match(first.reason, /answered to none/)
    assert.match(first.nextAction, /renew it on the spot/)
    assert.equal((await fieldPage(engine, { limit: 10, site: 'graz' })).rows.length, 1)
    const page = await fieldPage(engine, { limit: 1 })
    const rest = await fieldPage(engine, { limit: 1, after: page.next })
    assert.equal(rest.rows[0]?.renewal.deviceId, 'SN-2')
  })

  test('an assignee is on the list and on record, and can be taken back', async () => {
    const { engine } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await escalated(engine, device)
    const deviceId = 'SN-1' as DeviceId
    await assignEntry(engine, { deviceId, actor, assignee: 'anna' })
    assert.equal((await fieldPage(engine, { limit: 1, assignee: 'anna' })).rows.length, 1)
    await assignEntry(engine, { deviceId, actor, assignee: 'anna' })
    await assignEntry(engine, { deviceId, actor, assignee: null })
    assert.equal((await fieldPage(engine, { limit: 1 })).rows[0]?.renewal.assignee, null)
    assert.deepEqual(
      (await factsOf(engine)).map(({ action, by, details }) => [action, by, details]).toReversed(),
      [
        ['renewal.assigned', actor, { deviceId, assignee: 'anna' }],
        ['renewal.assigned', actor, { deviceId, before: 'anna' }],
      ],
    )
    const hostile = await refusal(assignEntry(engine, { deviceId, actor, assignee: 'a\u202eb' }))
    assert.equal(hostile.code, 'invalid-input')
  })

  test('a resolved entry is asked again from the foot of its ladder, even after its certificate has ended', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await clock.advance(device.record.notAfter + 5 * dayMs - clock.now())
    const { id } = await escalated(engine, device)
    const note = 'new antenna'
    const { outcome, renewal } = await resolveEntry(engine, { deviceId: 'SN-1' as DeviceId, actor, note })
    assert.equal(outcome, 'again')
    assert.equal(renewal.assignee, null)
    const after = await findRenewal(engine.store.db, id)
    assert.ok(after)
    const step = stepRenewal(after, clock.now(), {
      ladder: shippedLadders.weekly,
      channels: new Set(['mqtt', 'sms'] as const),
      obstacle: null,
    })
    assert.deepEqual(step.effects, [{ kind: 'send', channel: 'mqtt', rung: 0, attempt: 1 }])
    const [resolved] = await factsOf(engine)
    assert.deepEqual(resolved, {
      action: 'renewal.resolved',
      by: actor,
      reason: note,
      details: { deviceId: 'SN-1', outcome: 'again' },
    })
    assert.equal((await fieldPage(engine, { limit: 1 })).rows.length, 0)
  })

  test('a device that was renewed by hand and seen with it is done', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    const fresh = await renew(engine, device)
    const { id } = await escalated(engine, device)
    await engine.store.transaction((tx) => confirmCertificate(tx, { id: fresh.record.id, at: clock.now() }))
    const { outcome } = await resolveEntry(engine, { deviceId: 'SN-1' as DeviceId, actor })
    assert.equal(outcome, 'renewed')
    const after = await findRenewal(engine.store.db, id)
    assert.deepEqual([after?.status, after?.newCertificateId], ['retired', fresh.record.id])
    assert.equal(await findOpenRenewal(engine.store.db, 'SN-1' as DeviceId, 'default'), null)
  })

  test('a device with a new certificate that it has not shown yet gets its time to show it', async () => {
    const { engine, clock } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    const fresh = await renew(engine, device)
    await escalated(engine, device)
    const { outcome, renewal } = await resolveEntry(engine, { deviceId: 'SN-1' as DeviceId, actor })
    assert.deepEqual(
      [outcome, renewal.status, renewal.newCertificateId],
      ['renewed', 'issued', fresh.record.id],
    )
    assert.ok((renewal.nextAt ?? 0) >= clock.now() + 7 * dayMs)
  })

  test('only a device that is on the list can be assigned or resolved', async () => {
    const { engine } = await start()
    const device = await enrolDevice(engine, 'SN-1')
    const deviceId = 'SN-1' as DeviceId
    assert.equal((await refusal(resolveEntry(engine, { deviceId, actor }))).code, 'not-found')
    await putRenewal(engine, device, { status: 'triggered' })
    assert.equal((await refusal(resolveEntry(engine, { deviceId, actor }))).code, 'not-found')
    assert.equal((await refusal(assignEntry(engine, { deviceId, actor, assignee: 'x' }))).code, 'not-found')
  })
})

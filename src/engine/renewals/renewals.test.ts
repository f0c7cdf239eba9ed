import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, hourMs, minuteMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { setStatus } from '../../store/certificates.ts'
import { setDeviceState } from '../../store/devices.ts'
import { recentFacts } from '../../store/facts.ts'
import { findCertificate } from '../../store/inventory.ts'
import { attemptsOf } from '../../store/renewal-attempts.ts'
import { countersWithoutCampaign } from '../../store/renewal-lists.ts'
import {
  enrolDevice,
  forEachEngine,
  issuingId,
  renew,
  windowOpensAt,
  type Enrolled,
  type TestEngine,
} from '../../../test/helpers/app.ts'
import { renewalRig, type RenewalRig } from '../../../test/helpers/renewal-rig.ts'
import type { Connectivity } from '../context.ts'
import { defaultConnectivity } from '../issuing/default-profiles.ts'
import { parseRung } from './ladder.ts'
import { defaultRenewalSettings, type RenewalSettings } from './renewal-settings.ts'
import { noteSighting } from './sighting.ts'

const quick: Connectivity = {
  checkInMs: dayMs,
  ladder: ['mqtt wait=1d repeats=2', 'sms wait=1d', 'field before=5d'].map(parseRung),
}

forEachEngine((start) => {
  /** A device whose window has just opened, due at once. */
  async function due(
    renewal: Partial<RenewalSettings> = {},
  ): Promise<{ app: TestEngine; rig: RenewalRig; device: Enrolled }> {
    const app = await start({
      connectivity: new Map([...defaultConnectivity, ['quick', quick]]),
      settings: { renewal: { ...defaultRenewalSettings, spread: 0, ...renewal } },
    })
    const device = await enrolDevice(app.engine, 'SN-1', { connectivity: 'quick', tags: { msisdn: '+43' } })
    const rig = renewalRig(app)
    await rig.passTime(windowOpensAt(app.engine, device) - app.clock.now() - 1, 20 * dayMs)
    assert.equal(rig.sent.length, 0, 'nobody is asked before the window opens')
    await rig.passTime(1, 1)
    return { app, rig, device }
  }

  test('a device whose window opens is asked without a campaign, renews, is seen, and the old one is retired', async () => {
    const { app, rig, device } = await due()
    const { engine, clock } = app
    const { issuerId, serialNumber, notAfter } = device.record
    const [first] = rig.sent
    assert.equal(rig.sent.length, 1)
    assert.equal(first?.kind, 'mqtt')
    assert.equal(first?.trigger.certificate, `${issuerId}/${serialNumber}`)
    assert.deepEqual(first?.trigger.tags, { msisdn: '+43' })
    assert.equal(first?.trigger.notAfter, notAfter)
    assert.equal((await rig.renewal('SN-1'))?.status, 'triggered')

    const used = await renew(engine, device)
    assert.equal((await rig.renewal('SN-1'))?.status, 'issued')
    await clock.advance(hourMs)
    await noteSighting(engine, used.certificate)
    await rig.passes()
    const confirmed = await rig.renewal('SN-1')
    assert.deepEqual([confirmed?.status, confirmed?.newCertificateId], ['confirmed', used.record.id])
    assert.deepEqual(rig.retracted, ['SN-1', 'SN-1', 'SN-1'], 'what stands on each channel is taken back')

    await rig.passTime(7 * dayMs - 1)
    assert.equal((await rig.renewal('SN-1'))?.status, 'confirmed')
    await rig.passTime(hourMs)
    const retired = await rig.renewal('SN-1')
    assert.equal(retired?.status, 'retired')
    assert.equal((await findCertificate(engine.store.db, device.record.id))?.status, 'superseded')
    assert.equal(rig.sent.length, 1)
    assert.deepEqual(await countersWithoutCampaign(engine.store.db), {
      planned: 0,
      triggered: 0,
      issued: 0,
      confirmed: 0,
      retired: 1,
      escalated: 0,
      abandoned: 0,
    })
  })

  test('a silent device climbs its ladder to the field list, and every attempt is on record', async () => {
    const { app, rig, device } = await due()
    await rig.passTime(device.record.notAfter - app.clock.now() - 5 * dayMs, 6 * hourMs)
    assert.deepEqual(
      rig.sent.map(({ kind }) => kind),
      ['mqtt', 'mqtt', 'sms'],
    )
    // a reminder puts nobody off: a device whose contacts come as often as the reminders would never renew
    const [asked, ...reminders] = rig.sent.map(({ trigger }) => trigger)
    assert.equal(asked?.window.start, asked?.issuedAt)
    for (const { window, issuedAt } of reminders) {
      assert.deepEqual(window, asked?.window)
      assert.ok(issuedAt > window.end)
    }
    const renewal = await rig.renewal('SN-1')
    assert.deepEqual([renewal?.status, renewal?.reason], ['escalated', 'ladder-exhausted'])
    const attempts = await attemptsOf(app.engine.store.db, renewal?.id ?? 0)
    assert.deepEqual(
      attempts.map(({ channel, rung, attempt, status }) => `${channel} ${rung}.${attempt} ${status}`),
      ['mqtt 0.1 sent', 'mqtt 0.2 sent', 'sms 1.1 sent'],
    )
    const facts = await recentFacts(app.engine.store.db, { action: 'renewal.escalated', limit: 5 })
    assert.equal(facts.length, 1)
    // one that is on the list may still renew
    await renew(app.engine, device)
    assert.equal((await rig.renewal('SN-1'))?.status, 'issued')
  })

  test('a device that renews by itself is not asked', async () => {
    const { app, rig, device } = await due({ spread: 0.5 })
    assert.equal((await rig.renewal('SN-1'))?.status, 'planned')
    const used = await renew(app.engine, device)
    await app.clock.advance(hourMs)
    await noteSighting(app.engine, used.certificate)
    await rig.passTime(50 * dayMs, 5 * dayMs)
    assert.deepEqual([rig.sent.length, (await rig.renewal('SN-1'))?.status], [0, 'retired'])
  })

  for (const state of ['quarantined', 'decommissioned'] as const) {
    test(`a device that is ${state} in between is asked no more`, async () => {
      const { app, rig } = await due()
      await app.engine.store.transaction(async (tx) => {
        await setDeviceState(tx, 'SN-1' as DeviceId, state)
      })
      await rig.passTime(3 * dayMs)
      const renewal = await rig.renewal('SN-1')
      assert.deepEqual(
        [renewal?.status, renewal?.reason, rig.sent.length],
        ['abandoned', `device-${state}`, 1],
      )
    })
  }

  test('a revoked certificate is not renewed', async () => {
    const { app, rig, device } = await due()
    await app.engine.store.transaction(async (tx) => {
      const change = { status: 'revoked', reason: 'keyCompromise', revokedAt: app.clock.now() } as const
      await setStatus(tx, device.record.id, change)
    })
    await rig.passTime(3 * dayMs)
    const renewal = await rig.renewal('SN-1')
    assert.deepEqual([renewal?.status, renewal?.reason], ['abandoned', 'certificate-revoked'])
    await rig.passTime(3 * dayMs)
    assert.equal((await rig.renewal('SN-1'))?.id, renewal?.id, 'no second one is opened')
  })

  test('a channel that cannot reach a device is left at once; one that fails is tried again', async () => {
    const { rig } = await due()
    let failures = 0
    rig.onSend = (kind) => {
      if (kind === 'mqtt') throw new Refusal('trigger-impossible', 'no topic')
      failures += 1
      if (failures === 1) throw new Refusal('trigger-failed', 'provider is down')
    }
    await rig.passTime(dayMs + hourMs, 10 * minuteMs)
    assert.deepEqual(
      rig.sent.map(({ kind }) => kind),
      ['mqtt', 'sms'],
    )
    const renewal = await rig.renewal('SN-1')
    const attempts = await attemptsOf(rig.engine.store.db, renewal?.id ?? 0)
    assert.deepEqual(
      attempts.map(({ channel, status, detail }) => [channel, status, detail]),
      [
        ['mqtt', 'sent', null],
        ['mqtt', 'failed', 'no topic'],
        ['sms', 'sent', null],
      ],
    )
  })

  test('over its budget a channel waits for the next day, and the attempt does not count', async () => {
    const { rig } = await due()
    let isOver = true
    rig.onSend = (kind) => {
      if (kind === 'sms' && isOver)
        throw new Refusal('trigger-over-budget', 'used up', { retryAfterMs: 5 * hourMs })
    }
    await rig.passTime(2 * dayMs)
    const renewal = await rig.renewal('SN-1')
    const last = (await attemptsOf(rig.engine.store.db, renewal?.id ?? 0)).at(-1)
    assert.deepEqual([last?.channel, last?.status], ['sms', 'withheld'])
    isOver = false
    await rig.passTime(5 * hourMs)
    assert.equal(rig.sent.at(-1)?.kind, 'sms')
    assert.equal((await rig.renewal('SN-1'))?.attempt, 1)
  })

  test('no more are asked in a minute than the settings say', async () => {
    const even = { name: 'even', issuer: issuingId, validityMs: 60 * dayMs, renewBeforeMs: 30 * dayMs }
    const app = await start({
      profiles: [even],
      settings: { renewal: { ...defaultRenewalSettings, spread: 0, maximumPerMinute: 3 } },
    })
    const devices: Enrolled[] = []
    for (let n = 0; n < 8; n++) devices.push(await enrolDevice(app.engine, `SN-${n}`, { profile: 'even' }))
    const rig = renewalRig(app)
    const opensAt = Math.max(...devices.map((device) => windowOpensAt(app.engine, device)))
    await rig.passTime(opensAt - 5 * minuteMs - app.clock.now(), 20 * dayMs)
    await app.clock.advance(5 * minuteMs)
    const asked: number[] = []
    for (let minute = 0; minute < 4; minute++) {
      await rig.passes()
      await rig.passes()
      asked.push(rig.sent.length)
      await app.clock.advance(minuteMs)
    }
    assert.deepEqual(asked, [3, 6, 8, 8])
  })

  test('with the automatic off, nobody is asked', async () => {
    const { rig } = await due({ isAutomatic: false }).catch(() => ({ rig: null }))
    assert.ok(rig)
    assert.deepEqual([rig.sent.length, await rig.renewal('SN-1')], [0, null])
  })
})

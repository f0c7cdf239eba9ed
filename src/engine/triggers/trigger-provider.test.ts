/** What a renewal does when the provider of a paid channel is down, out of money, or does not know the device. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrolDevice, forEachEngine, testSettings, testStart } from '../../../test/helpers/app.ts'
import { putRenewal } from '../../../test/helpers/renewals.ts'
import { dayMs, hourMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { attemptsOf } from '../../store/renewal-attempts.ts'
import { findRenewal } from '../../store/renewals.ts'
import type { Trigger, TriggerChannel } from '../ports.ts'
import { stepDueRenewals } from '../renewals/renewals.ts'
import { triggerSpending } from './trigger-budget.ts'
import { sendTriggers } from './trigger-tasks.ts'

const ladder = [
  { channel: 'sms', waitMs: 3 * dayMs, repeats: 2, beforeMs: null },
  { channel: 'field', waitMs: 0, repeats: 1, beforeMs: 7 * dayMs },
] as const
const connectivity = new Map([['weekly', { checkInMs: 7 * dayMs, ladder }]])
const never = new AbortController().signal
const noFence = async () => {}

forEachEngine((start) => {
  /** Devices whose renewals are due by SMS at 50 each, with 100 a day. */
  async function rig(devices: number) {
    const provider = { failure: null as Refusal | null, sent: [] as Trigger[] }
    const channel: TriggerChannel = {
      kind: 'sms',
      parallel: 4,
      async send(trigger) {
        if (provider.failure) throw provider.failure
        provider.sent.push(trigger)
        return { reference: trigger.idempotencyKey }
      },
      close: async () => {},
    }
    const cost = { perMessage: 50, dailyBudget: 100, campaignBudget: 1_000 }
    const settings = { ...testSettings({ connectivity }), triggerCosts: new Map([['sms' as const, cost]]) }
    const app = await start({ connectivity, settings, triggers: new Map([['sms', channel]]) })
    const { engine, clock } = app
    const renewals: number[] = []
    for (let i = 0; i < devices; i++) {
      const device = await enrolDevice(engine, `meter-${i}`, { connectivity: 'weekly' })
      renewals.push((await putRenewal(engine, device, { nextAt: testStart })).id)
    }
    return {
      provider,
      engine,
      clock,
      async pass() {
        const now = clock.now()
        await stepDueRenewals(engine, now, never, noFence)
        await sendTriggers(engine, 'sms', now, never)
      },
      async attempts() {
        const all = await Promise.all(renewals.map((id) => attemptsOf(engine.store.db, id)))
        return all.flat().map(({ attempt, status }) => `${attempt} ${status}`)
      },
      renewal: async () => await findRenewal(engine.store.db, renewals[0] ?? 0),
      spent: async () =>
        (await triggerSpending(engine.store.db, 'sms', { now: clock.now(), campaignId: null })).today,
      close: () => app.close(),
    }
  }

  test('over the day’s budget nothing leaves; the rest is asked for on the next day, as the same attempt', async () => {
    const { provider, clock, pass, attempts, close } = await rig(3)
    await pass()
    assert.equal(provider.sent.length, 2)
    assert.deepEqual((await attempts()).toSorted(), ['1 sent', '1 sent', '1 withheld'])
    await clock.advance(11 * hourMs)
    await pass()
    assert.equal(provider.sent.length, 2)
    await clock.advance(2 * hourMs)
    await pass()
    await pass()
    assert.equal(provider.sent.length, 3)
    assert.equal(new Set(provider.sent.map(({ deviceId }) => deviceId)).size, 3)
    assert.deepEqual(await attempts(), ['1 sent', '1 sent', '1 sent'])
    await close()
  })

  test('a provider that is down costs nothing and no attempt; when it is back the message leaves once', async () => {
    const { provider, clock, pass, attempts, spent, close } = await rig(1)
    provider.failure = new Refusal('trigger-failed', 'the SMS provider answered 500')
    for (let i = 0; i < 5; i++) {
      await pass()
      await clock.advance(hourMs)
    }
    assert.deepEqual(await attempts(), ['1 queued'])
    assert.equal(await spent(), 0)
    provider.failure = null
    await pass()
    await pass()
    assert.deepEqual(await attempts(), ['1 sent'])
    assert.equal(provider.sent.length, 1)
    assert.equal(await spent(), 50)
    await close()
  })

  test('a device without a number climbs at once, and costs nothing', async () => {
    const { provider, pass, attempts, renewal, spent, close } = await rig(1)
    provider.failure = new Refusal('trigger-impossible', 'no number')
    await pass()
    await pass()
    assert.deepEqual(await attempts(), ['1 failed'])
    assert.equal((await renewal())?.rung, 1)
    assert.equal(await spent(), 0)
    await close()
  })
})

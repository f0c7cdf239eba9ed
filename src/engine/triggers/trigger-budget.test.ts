import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleTrigger } from '../../../test/conformance/trigger.ts'
import { refusal } from '../../../test/helpers/app.ts'
import { plainEngine } from '../../../test/helpers/plain-engine.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import { dayMs, hourMs, VirtualClock } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { Engine } from '../context.ts'
import type { Trigger, TriggerChannel } from '../ports.ts'
import { sendWithinBudget, triggerSpending, type TriggerCost } from './trigger-budget.ts'

const noon = Date.UTC(2026, 10, 20, 12)
const never = new AbortController().signal
const cost: TriggerCost = { perMessage: 50, dailyBudget: 200, campaignBudget: 120 }
const alone = sampleTrigger({ campaignId: null })

forEachStore((_name, open) => {
  async function start(): Promise<{ engine: Engine; clock: VirtualClock }> {
    const clock = new VirtualClock(noon)
    const plain = plainEngine(await open(), { clock })
    const settings = { ...plain.settings, triggerCosts: new Map([['sms' as const, cost]]) }
    return { engine: { ...plain, settings }, clock }
  }

  test('lets through what the day pays for, exactly, and goes on the next day', async () => {
    const { engine, clock } = await start()
    const channel = recordingChannel()
    for (let i = 0; i < 4; i++) await sendWithinBudget(engine, channel, alone, never)
    const refused = await refusal(sendWithinBudget(engine, channel, alone, never))
    assert.equal(refused.code, 'trigger-over-budget')
    assert.equal(refused.retryAfterMs, 12 * hourMs)
    assert.equal(channel.sent.length, 4)
    await clock.advance(12 * hourMs - 1)
    assert.equal((await refusal(sendWithinBudget(engine, channel, alone, never))).retryAfterMs, 1)
    await clock.advance(1)
    await sendWithinBudget(engine, channel, alone, never)
    assert.equal(channel.sent.length, 5)
  })

  test('a campaign has a cap of its own, and its refusal costs the day nothing', async () => {
    const { engine, clock } = await start()
    const channel = recordingChannel()
    const trigger = sampleTrigger({ campaignId: 'spring' })
    await sendWithinBudget(engine, channel, trigger, never)
    await sendWithinBudget(engine, channel, trigger, never)
    const refused = await refusal(sendWithinBudget(engine, channel, trigger, never))
    assert.match(refused.message, /campaign spring/)
    assert.deepEqual(await spending(engine, 'spring'), { today: 100, campaign: 100 })
    await sendWithinBudget(engine, channel, sampleTrigger({ campaignId: 'autumn' }), never)
    await clock.advance(3 * dayMs)
    await refusal(sendWithinBudget(engine, channel, trigger, never))
    assert.deepEqual(await spending(engine, 'spring'), { today: 0, campaign: 100 })
  })

  test('two nodes at one time do not spend more than the cap together', async () => {
    const { engine } = await start()
    const channel = recordingChannel()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, () => sendWithinBudget(engine, channel, alone, never)),
    )
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 4)
    assert.equal(channel.sent.length, 4)
    assert.equal((await spending(engine, null)).today, 200)
  })

  test('what did not leave costs nothing; what was cut off in the middle stays charged', async () => {
    const { engine } = await start()
    const timeOut = new DOMException('no answer', 'TimeoutError')
    const failures = [
      [new Refusal('trigger-failed', 'the provider is down'), 0],
      [new Refusal('trigger-impossible', 'no number'), 0],
      [new Refusal('trigger-failed', 'no answer', { cause: timeOut }), 50],
      [timeOut, 50],
    ] as const
    for (const [failure, charged] of failures) {
      const before = await spending(engine, 'spring')
      const channel = recordingChannel(failure)
      const trigger = sampleTrigger({ campaignId: 'spring' })
      await assert.rejects(sendWithinBudget(engine, channel, trigger, never), failure)
      const after = await spending(engine, 'spring')
      assert.equal(after.today - before.today, charged)
      assert.equal((after.campaign ?? 0) - (before.campaign ?? 0), charged)
    }
  })

  test('a channel without a price is not counted', async () => {
    const { engine } = await start()
    const channel = { ...recordingChannel(), kind: 'webhook' as const }
    for (let i = 0; i < 10; i++) await sendWithinBudget(engine, channel, alone, never)
    assert.equal(
      (await triggerSpending(engine.store.db, 'webhook', { now: noon, campaignId: null })).today,
      0,
    )
  })

  test('days that are long over are forgotten, campaigns are not', async () => {
    const { engine, clock } = await start()
    const channel = recordingChannel()
    await sendWithinBudget(engine, channel, sampleTrigger({ campaignId: 'spring' }), never)
    const keys = async () =>
      (await engine.store.db.selectFrom('meta').select('key').where('key', 'like', 'spent.%').execute())
        .map(({ key }) => key)
        .toSorted()
    assert.deepEqual(await keys(), ['spent.sms.campaign.spring', 'spent.sms.day.2026-11-20'])
    await clock.advance(8 * dayMs)
    await sendWithinBudget(engine, channel, alone, never)
    assert.deepEqual(await keys(), ['spent.sms.campaign.spring', 'spent.sms.day.2026-11-28'])
  })
})

async function spending(engine: Engine, campaignId: string | null) {
  return await triggerSpending(engine.store.db, 'sms', { now: engine.clock.now(), campaignId })
}

function recordingChannel(failure?: Error): TriggerChannel & { readonly sent: Trigger[] } {
  const sent: Trigger[] = []
  return {
    kind: 'sms',
    parallel: 4,
    sent,
    async send(trigger) {
      if (failure) throw failure
      sent.push(trigger)
      return { reference: null }
    },
    close: async () => {},
  }
}

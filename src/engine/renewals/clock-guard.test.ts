import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, type Instant } from '../../base/clock.ts'
import { recentFacts } from '../../store/facts.ts'
import {
  enrolDevice,
  forEachEngine,
  testActor,
  windowOpensAt,
  type TestEngine,
} from '../../../test/helpers/app.ts'
import { acceptClock, checkClock, isClockTrusted } from './clock-guard.ts'
import { openDueRenewals } from './due-renewals.ts'
import { forgetRetired } from '../inventory/forget.ts'
import { renewalsJob } from './renewals.ts'
import { retireCertificates } from './retire.ts'
import { countersWithoutCampaign } from '../../store/renewal-lists.ts'

const signal = new AbortController().signal
const noFence = async (): Promise<void> => {}
const tenYears = 3_650 * dayMs

forEachEngine((start) => {
  const jumps: readonly (readonly [name: string, jumpMs: number, isTrusted: boolean])[] = [
    ['30 days ahead, the longest that is believed', 30 * dayMs, true],
    ['30 days and a millisecond ahead', 30 * dayMs + 1, false],
    ['ten years ahead', tenYears, false],
    ['a day back', -dayMs, true],
    ['a day and a millisecond back', -dayMs - 1, false],
    ['ten years back', -tenYears, false],
  ]
  for (const [name, jumpMs, isTrusted] of jumps) {
    test(`a clock that jumps ${name} is ${isTrusted ? '' : 'not '}believed`, async () => {
      const { engine, clock } = await start()
      const begin = clock.now()
      assert.equal(await isClockTrusted(engine, begin), true)
      assert.equal(await isClockTrusted(engine, begin + jumpMs), isTrusted)
      // asked again it says the same, and when the clock is put right all goes on
      assert.equal(await isClockTrusted(engine, begin + jumpMs), isTrusted)
      if (!isTrusted) assert.equal(await isClockTrusted(engine, begin + dayMs), true)
    })
  }

  test('a person may say that the clock is right; that is on record', async () => {
    const { engine, clock } = await start()
    const begin = clock.now()
    await isClockTrusted(engine, begin)
    assert.match((await checkClock(engine, begin + tenYears)).problem ?? '', /3650d ahead/)
    await acceptClock(engine, begin + tenYears, testActor)
    assert.equal((await checkClock(engine, begin + tenYears)).problem, null)
    assert.equal((await recentFacts(engine.store.db, { limit: 1 }))[0]?.action, 'clock.accepted')
  })

  test('no pass acts on a fleet after one jump', async () => {
    const app = await start()
    const { engine, clock } = app
    const device = await enrolDevice(engine, 'SN-1')
    const opensAt = windowOpensAt(engine, device)
    await passes(app, clock.now())
    for (const jumped of [opensAt + 20 * dayMs, clock.now() + tenYears, clock.now() - tenYears]) {
      assert.equal(await passes(app, jumped), 0)
    }
    const counts = await countersWithoutCampaign(engine.store.db)
    assert.equal(
      Object.values(counts).reduce((sum, count) => sum + count),
      0,
    )
  })
})

async function passes({ engine }: TestEngine, now: Instant): Promise<number> {
  let worked = 0
  for (const job of [openDueRenewals(1), renewalsJob(1), retireCertificates, forgetRetired()]) {
    worked += (await job.run(engine, now, signal, noFence)).worked
  }
  return worked
}

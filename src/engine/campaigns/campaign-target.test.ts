/** Single targets: out of a campaign, and asked again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachEngine, refusal, testActor } from '../../../test/helpers/app.ts'
import {
  assertConserved,
  campaignFleet,
  startedCampaign,
  type CampaignFleet,
} from '../../../test/helpers/campaign-fleet.ts'
import { dayMs, minuteMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { attemptsOf } from '../../store/renewal-attempts.ts'
import { findOpenRenewal } from '../../store/renewals.ts'
import { retryTargets, skipTarget } from './campaign-target.ts'

const at = (fleet: CampaignFleet, id = 'spring') => ({ id, actor: testActor, now: fleet.clock.now() })
const device = (n: number) => `D-00${n}` as DeviceId
const oneWave = { canary: 'off', waves: [], rollout: { maximumPerMinute: 60 } }

async function stateOf(fleet: CampaignFleet, n: number): Promise<unknown[]> {
  const target = (await fleet.targets('spring')).find(({ deviceId }) => deviceId === device(n))
  return [target?.status, target?.reason]
}

forEachEngine((start) => {
  test('skipped and given-up targets: out, and asked again', async () => {
    const fleet = await campaignFleet(start, 4)
    const { engine } = fleet
    await startedCampaign(fleet, 'spring', { selection: { all: true }, ...oneWave })
    await skipTarget(engine, { ...at(fleet), deviceId: device(0), reason: 'to be replaced' })
    assert.deepEqual(await stateOf(fleet, 0), ['abandoned', 'skipped'])
    await fleet.run(2 * minuteMs)
    assert.equal(
      fleet.sent.some(({ deviceId }) => deviceId === device(0)),
      false,
    )
    for (const n of [1, 2, 3]) await fleet.answer(device(n))
    await fleet.tick()
    assert.equal((await fleet.view('spring')).campaign.status, 'completed')
    assert.equal(
      (await refusal(skipTarget(engine, { ...at(fleet), deviceId: device(1) }))).code,
      'campaign-state',
    )
    assert.equal(
      (await refusal(skipTarget(engine, { ...at(fleet), deviceId: 'stranger' as DeviceId }))).code,
      'not-found',
    )

    const dry = await retryTargets(engine, { ...at(fleet), isDryRun: true })
    assert.deepEqual([dry.retried, (await fleet.view('spring')).campaign.status], [1, 'completed'])
    const again = await retryTargets(engine, at(fleet))
    assert.deepEqual([again.retried, again.leftCount], [1, 0])
    await fleet.run(2 * minuteMs)
    assert.deepEqual(await stateOf(fleet, 0), ['triggered', 'resolved'])
    const one = await retryTargets(engine, { ...at(fleet), deviceId: device(1) })
    assert.deepEqual(one.left, [{ deviceId: device(1), reason: 'it is retired' }])
    await fleet.answer(device(0))
    await fleet.tick()
    assert.equal((await fleet.view('spring')).campaign.status, 'completed')
    await assertConserved(fleet, 'spring', 4)
  })

  test('a target that is asked again is a new one for the brakes, and what was sent before stays on record', async () => {
    const fleet = await campaignFleet(start, 2)
    const { engine, clock } = fleet
    await startedCampaign(fleet, 'spring', {
      selection: { all: true },
      ...oneWave,
      rollout: { maximumPerMinute: 1 },
    })
    await fleet.run(3 * minuteMs)
    const [first] = await fleet.targets('spring')
    assert.ok(first)
    for (let day = 0; day < 60; day++) {
      await clock.advance(2 * dayMs)
      await fleet.tick()
      if ((await fleet.view('spring')).counts.escalated === 2) break
    }
    assert.deepEqual(await stateOf(fleet, 0), ['escalated', 'ladder-exhausted'])
    assert.equal((await fleet.view('spring')).progress.total.timedOut, 2)
    const before = await attemptsOf(engine.store.db, first.id)
    assert.ok(before.length > 1)

    assert.equal((await retryTargets(engine, at(fleet))).retried, 2)
    const waiting = await findOpenRenewal(engine.store.db, first.deviceId, 'default')
    assert.deepEqual([waiting?.climb, waiting?.triggeredAt, waiting?.nextAt], [1, null, null])
    const sentBefore = fleet.sent.length
    await fleet.run(3 * minuteMs)
    assert.equal(fleet.sent.length, sentBefore + 2)
    assert.equal((await fleet.view('spring')).progress.total.timedOut, 0)
    const after = await attemptsOf(engine.store.db, first.id)
    assert.deepEqual(after.slice(0, before.length), before)
    assert.deepEqual(
      after.slice(before.length).map(({ climb, rung, attempt, status }) => [climb, rung, attempt, status]),
      [[1, 0, 1, 'sent']],
    )
    // whoever drops repeats by their key takes this one for what it is
    const keys = fleet.sent.map(({ idempotencyKey }) => idempotencyKey)
    assert.equal(new Set(keys).size, keys.length)
    await assertConserved(fleet, 'spring', 2)
  })
})

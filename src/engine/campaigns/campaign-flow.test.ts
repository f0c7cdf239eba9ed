/** One campaign from canary to completion, with a pause by a brake in between; targets are counted after every tick. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachEngine } from '../../../test/helpers/app.ts'
import {
  assertConserved,
  campaignFleet,
  idsOf,
  startedCampaign,
  type CampaignFleet,
} from '../../../test/helpers/campaign-fleet.ts'
import { minuteMs } from '../../base/clock.ts'
import { factsAfter } from '../../store/facts.ts'
import type { DeviceId } from '../../base/id.ts'
import { lockOpenRenewal } from '../../store/renewals.ts'
import { readFact } from '../audit/audit.ts'
import { renewalFailed } from './campaign-failure.ts'
import { resumeCampaign } from './campaign-state.ts'
import { reportCampaign } from './campaign-status.ts'

const id = 'spring'
const size = 300

const definition = {
  selection: { cohort: 'all' },
  canary: { percentage: 4, minimum: 12, soak: '10m', finishedPercentage: 100 },
  waves: [{ percentage: 30, soak: '10m', finishedPercentage: 90, successPercentage: 90 }],
  rollout: { maximumPerMinute: 60 },
  brakes: { failed: { thresholdPercentage: 2, minNumberOfExecutedThings: 20 } },
}

async function minutes(fleet: CampaignFleet, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await fleet.run(minuteMs)
    await assertConserved(fleet, id, size)
  }
}

async function asked(fleet: CampaignFleet, wave: number): Promise<DeviceId[]> {
  const targets = await fleet.targets(id)
  return idsOf(targets.filter((target) => target.wave === wave && target.status === 'triggered'))
}

async function reportFailure({ engine, clock }: CampaignFleet, deviceId: DeviceId): Promise<void> {
  await engine.store.transaction(async (tx) => {
    const renewal = await lockOpenRenewal(tx, deviceId, 'default')
    assert.ok(renewal)
    const failure = { outcome: 'failed', detail: 'flash is full', now: clock.now() } as const
    await renewalFailed(tx, renewal, failure)
    // a device that repeats itself counts once
    await renewalFailed(tx, renewal, failure)
  })
}

forEachEngine((start) => {
  test('300 devices: canary, waves, a pause by a brake, resumption, completion', async () => {
    const fleet = await campaignFleet(start, size, (n) => ({
      cohort: 'all',
      hardware: `rev-${'abc'[n % 3] ?? ''}`,
      site: n % 2 === 0 ? 'north' : 'south',
    }))
    await startedCampaign(fleet, id, definition)
    assert.deepEqual(
      (await fleet.view(id)).waves.map((wave) => wave.size),
      [12, 90, 198],
    )

    // the canary is a sample of every hardware at every site
    const canary = (await fleet.targets(id)).filter(({ wave }) => wave === 0)
    const kinds = new Set(canary.map(({ deviceId }) => Number(deviceId.slice(2)) % 6))
    assert.equal(kinds.size, 6)

    await fleet.tick()
    assert.equal(fleet.sent.length, 1, 'a start is no burst')
    await minutes(fleet, 1)
    assert.equal(fleet.sent.length, 12)
    assert.equal((await fleet.view(id)).waves[0]?.status, 'open')
    await minutes(fleet, 1)
    assert.match((await fleet.view(id)).waitsFor ?? '', /^the soak of canary, until /)
    await minutes(fleet, 15)
    assert.equal(fleet.sent.length, 12, 'nobody else is asked while the canary has not answered')
    assert.match((await fleet.view(id)).waitsFor ?? '', /^the success rule of canary: 0 of 100 % finished/)
    for (const device of await asked(fleet, 0)) await fleet.answer(device)

    await minutes(fleet, 1)
    assert.equal(fleet.sent.length, 12 + 60, 'a late tick lets in one minute of the rate, not more')
    const [first = [], second = []] = [
      (await asked(fleet, 1)).slice(0, 40),
      (await asked(fleet, 1)).slice(40),
    ]
    for (const device of first) await fleet.answer(device)
    const failing = second.slice(0, 2)
    for (const device of failing) await reportFailure(fleet, device)
    await fleet.tick()
    const paused = await fleet.view(id)
    assert.equal(paused.campaign.status, 'paused')
    assert.equal(paused.campaign.reason, 'failed: 2 (3.7 %) of 54 that finished; the limit is 2 %')
    await assertConserved(fleet, id, size)
    const before = fleet.sent.length
    await minutes(fleet, 30)
    assert.equal(fleet.sent.length, before, 'no trigger leaves after the pause')

    await resumeCampaign(fleet.engine, { id, actor: 'cli:test', now: fleet.clock.now() })
    await minutes(fleet, 3)
    assert.equal((await fleet.view(id)).campaign.status, 'running', 'what was before does not stop it again')
    for (const device of await asked(fleet, 1)) await fleet.answer(device)
    await minutes(fleet, 16)
    for (const device of await asked(fleet, 2)) await fleet.answer(device)
    await minutes(fleet, 1)

    const over = await fleet.view(id)
    assert.equal(over.campaign.status, 'completed')
    assert.equal(over.counts.retired, size)
    assert.equal(fleet.sent.length, size, 'each device was asked once')
    assert.equal(over.campaign.admitted, size)
    const report = await reportCampaign(fleet.engine, id, fleet.clock.now())
    assert.deepEqual(report.reasons, [])
    assert.deepEqual(report.answers[0], { days: 1, count: size })
    assert.deepEqual(report.attempts, [{ channel: 'mqtt', status: 'sent', count: size }])
    assert.deepEqual(await actions(fleet), [
      'campaign.created',
      'campaign.started',
      'campaign.wave-opened',
      'campaign.wave-opened',
      'campaign.paused',
      'campaign.resumed',
      'campaign.wave-opened',
      'campaign.completed',
    ])
  })
})

async function actions({ engine }: CampaignFleet): Promise<string[]> {
  const facts = await factsAfter(engine.store.db, { subject: `campaign:${id}`, afterId: 0, limit: 1_000 })
  return facts.map(({ entry }) => readFact(entry).action)
}

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { forEachEngine, refusal, testActor } from '../../../test/helpers/app.ts'
import { campaignFleet, startedCampaign, type CampaignFleet } from '../../../test/helpers/campaign-fleet.ts'
import { dayMs, hourMs } from '../../base/clock.ts'
import { abortCampaign } from '../../engine/campaigns/campaign-state.ts'
import { createCampaign } from '../../engine/campaigns/campaign-create.ts'
import { parseCampaignDefinition } from '../../engine/campaigns/campaign-read.ts'
import { keepRehearsal, latestRehearsal } from '../../engine/campaigns/rehearsal.ts'
import { recordLastSeen } from '../../store/last-seen.ts'
import { factsAfter } from '../../store/facts.ts'
import { copyInstallation } from './copy.ts'
import { band, rehearse } from './rehearse.ts'
import { scaledCampaign } from './scaled-campaign.ts'

const id = 'spring'
const size = 24
const silent = 4

const definition = {
  selection: { profile: 'fleet' },
  canary: { percentage: 50, soak: '1h', finishedPercentage: 50, successPercentage: 50 },
  waves: [],
  rollout: { maximumPerMinute: 1 },
  // so few devices would trip them by luck
  brakes: { timedOut: null },
}

/** Every device has called in daily since it was enrolled; the last four stopped a hundred days ago. */
async function callIns(fleet: CampaignFleet): Promise<void> {
  const { engine, clock, devices } = fleet
  const now = clock.now()
  const ids = [...devices.values()].flatMap(({ record }) => record.deviceId ?? [])
  for (let ago = 124; ago >= 0; ago--) {
    const awake = ago < 100 ? ids.slice(0, size - silent) : ids
    const at = now - hourMs - ago * dayMs
    const sightings = awake.map((deviceId) => ({ deviceId, certificateId: null, at }))
    await engine.store.transaction(async (tx) => await recordLastSeen(tx, sightings))
  }
}

async function draft({ engine, clock }: CampaignFleet): Promise<void> {
  const now = clock.now()
  await createCampaign(engine, {
    id,
    definition: parseCampaignDefinition(definition, now),
    actor: testActor,
    now,
  })
}

const request = { campaignId: id, most: 100, numberTag: 'msisdn', tickMs: hourMs }

forEachEngine((start) => {
  test('the copy has every target with its own end, rhythm and silence', async () => {
    const fleet = await campaignFleet(start, size, (n) => ({ tags: n < 3 ? { msisdn: `+4915${n}` } : {} }))
    await callIns(fleet)
    await draft(fleet)
    const now = fleet.clock.now()
    const { fleet: copied, targets } = await copyInstallation(fleet.engine, { ...request, now })
    assert.equal(targets, size)
    assert.equal(copied.devices.length, size)
    const ends = new Set([...fleet.devices.values()].map(({ record }) => record.notAfter))
    assert.deepEqual(new Set(copied.devices.map(({ notAfter }) => notAfter)), ends)
    assert.deepEqual(
      copied.devices.filter(({ usualGapMs, longestGapMs }) => usualGapMs > dayMs || longestGapMs > 2 * dayMs),
      [],
    )
    const long = copied.devices.filter(({ seenAt }) => seenAt !== null && now - seenAt > 50 * dayMs)
    assert.equal(long.length, silent)
    assert.equal(copied.devices.filter(({ hasNumber }) => hasNumber).length, 3)
    assert.ok(copied.devices.every(({ record }) => record.id.startsWith('SIM-')))
  })

  test('a rehearsal leaves the installation as it is, and is kept and compared when it is told to', async () => {
    const fleet = await campaignFleet(start, size)
    await callIns(fleet)
    await draft(fleet)
    const { engine, clock } = fleet
    const now = clock.now()
    const before = await factsAfter(engine.store.db, { afterId: 0, limit: 10_000 })
    const rehearsed = await rehearse(engine, { ...request, now, seeds: ['1', '2'], days: 20 })
    assert.ok(rehearsed)
    const after = await factsAfter(engine.store.db, { afterId: 0, limit: 10_000 })
    assert.equal(after.length, before.length)
    assert.equal((await fleet.view(id)).counts.planned, size)
    assert.equal(fleet.sent.length, 0)

    const { forecast, results } = rehearsed
    assert.deepEqual(
      results.flatMap(({ runs }) => runs.flatMap(({ invariants }) => invariants.violations)),
      [],
    )
    assert.equal(forecast.targets, size)
    assert.deepEqual(forecast.open[0], { low: size, middle: size, high: size })
    assert.equal(forecast.open.length, forecast.days + 1)
    // those who call in daily have renewed; of the silent ones hardly anybody has come back in twenty days
    const last = forecast.open.at(-1)
    assert.ok(last && last.low >= 1 && last.high <= silent, JSON.stringify(last))
    const issued = results.map(({ runs }) => runs[0]?.outcome.certificates ?? 0)
    assert.ok(issued.every((count) => count >= size - silent))

    await keepRehearsal(engine, { campaignId: id, forecast, actor: testActor, now })
    const kept = await latestRehearsal(engine, id, now)
    assert.deepEqual(kept?.forecast, JSON.parse(JSON.stringify(forecast)))
    assert.equal(kept?.comparison, null)
  })

  test('a campaign that runs is compared by its own day', async () => {
    const fleet = await campaignFleet(start, size)
    await callIns(fleet)
    await startedCampaign(fleet, id, definition)
    const { engine, clock } = fleet
    const at = clock.now()
    const rehearsed = await rehearse(engine, { ...request, now: at, seeds: ['1'], days: 5 })
    assert.ok(rehearsed)
    await keepRehearsal(engine, { campaignId: id, forecast: rehearsed.forecast, actor: testActor, now: at })
    await clock.advance(3 * dayMs + hourMs)
    const kept = await latestRehearsal(engine, id, clock.now())
    assert.equal(kept?.comparison?.day, 3)
    // nobody answered here
    assert.equal(kept.comparison.open.real, size)
    assert.ok(kept.comparison.open.foreseen.middle < size)
  })

  test('refuses a campaign that has ended, and one that there is not', async () => {
    const fleet = await campaignFleet(start, 3)
    await startedCampaign(fleet, id, definition)
    const now = fleet.clock.now()
    await abortCampaign(fleet.engine, { id, actor: testActor, now })
    assert.equal((await refusal(copyInstallation(fleet.engine, { ...request, now }))).code, 'campaign-state')
    const unknown = copyInstallation(fleet.engine, { ...request, campaignId: 'none', now })
    assert.equal((await refusal(unknown)).code, 'not-found')
  })
})

suite('a sample of a campaign', () => {
  const whole = parseCampaignDefinition(
    {
      selection: { all: true },
      rollout: {
        maximumPerMinute: 600,
        exponentialRate: {
          baseRatePerMinute: 10,
          incrementFactor: 2,
          rateIncreaseCriteria: { numberOfNotifiedThings: 1_000 },
        },
      },
    },
    0,
  )
  test('counts shrink with it, shares stay, and the rate is that of a whole tick', () => {
    const scaled = scaledCampaign(whole, { share: 0.1, minutesPerTick: 60 })
    assert.equal(scaled.rollout.maximumPerMinute, 3_600)
    assert.equal(scaled.rollout.exponentialRate?.baseRatePerMinute, 60)
    assert.equal(scaled.rollout.exponentialRate.rateIncreaseCriteria.numberOfNotifiedThings, 100)
    assert.equal(scaled.brakes.failed?.minNumberOfExecutedThings, 50)
    assert.equal(scaled.brakes.failed.thresholdPercentage, 2)
    assert.equal(scaled.waves[0]?.minimum, 5)
    assert.equal(scaled.waves[0].percentage, whole.waves[0]?.percentage)
  })
  test('nothing shrinks to nothing', () => {
    const scaled = scaledCampaign(whole, { share: 1e-6, minutesPerTick: 60 })
    assert.equal(scaled.rollout.maximumPerMinute, 1)
    assert.equal(scaled.waves[0]?.minimum, 1)
  })
})

test('a band is the tenth, the fiftieth and the ninetieth of a hundred', () => {
  assert.deepEqual(band(Array.from({ length: 100 }, (_, n) => 100 - n)), { low: 10, middle: 50, high: 90 })
  assert.deepEqual(band([7]), { low: 7, middle: 7, high: 7 })
})

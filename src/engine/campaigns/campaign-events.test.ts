/** What happens around a campaign: other campaigns, devices that act by themselves, operators who change their minds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachEngine, refusal, renew, testActor } from '../../../test/helpers/app.ts'
import {
  assertConserved,
  campaignFleet,
  startedCampaign,
  type CampaignFleet,
} from '../../../test/helpers/campaign-fleet.ts'
import { dayMs, hourMs, minuteMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { setDeviceState, updateDevice } from '../../store/devices.ts'
import type { RenewalStatus } from '../../store/renewal-record.ts'
import { findOpenRenewal, insertPlannedRenewals } from '../../store/renewals.ts'
import { continueCampaign, createCampaign } from './campaign-create.ts'
import { planCampaign } from './campaign-plan.ts'
import { parseCampaignDefinition } from './campaign-read.ts'
import {
  abortCampaign,
  approveWave,
  editCampaign,
  pauseCampaign,
  resumeCampaign,
  startCampaign,
} from './campaign-state.ts'

const at = (fleet: CampaignFleet, id = 'spring') => ({ id, actor: testActor, now: fleet.clock.now() })
const device = (n: number) => `D-00${n}` as DeviceId
const oneWave = { canary: 'off', waves: [], rollout: { maximumPerMinute: 60 } }

async function stateOf(fleet: CampaignFleet, id: string, n: number): Promise<[RenewalStatus, string | null]> {
  const target = (await fleet.targets(id)).find(({ deviceId }) => deviceId === device(n))
  assert.ok(target, `${device(n)} is a target of ${id}`)
  return [target.status, target.reason]
}

function definition(fleet: CampaignFleet, written: object) {
  return parseCampaignDefinition(written, fleet.clock.now())
}

forEachEngine((start) => {
  test('two campaigns that match one device: the first keeps it, the second counts it as left out', async () => {
    const fleet = await campaignFleet(start, 6, (n) => ({ cohort: n < 4 ? 'a' : 'b' }))
    await startedCampaign(fleet, 'spring', { selection: { cohort: 'a' }, ...oneWave })
    const written = { selection: { all: true }, ...oneWave }
    const plan = await planCampaign(fleet.engine, definition(fleet, written), fleet.clock.now())
    assert.deepEqual([plan.selected, plan.targets], [6, 2])
    assert.deepEqual(plan.left, [{ reason: 'other-campaign', count: 4 }])
    await startedCampaign(fleet, 'summer', written)
    assert.deepEqual((await fleet.targets('summer')).map(({ deviceId }) => deviceId).sort(), [
      device(4),
      device(5),
    ])
    const again = await refusal(startedCampaign(fleet, 'autumn', written))
    assert.equal(again.code, 'campaign-state')
    assert.match(again.message, /no selected device can be a target: 6 other-campaign/)
  })

  test('a renewal that is due and has not asked is taken over; one that has asked keeps its device', async () => {
    const fleet = await campaignFleet(start, 3)
    const { engine, clock } = fleet
    const due = [0, 1].map((n) => {
      const { record } = fleet.devices.get(device(n))!
      return {
        campaignId: '',
        wave: 0,
        deviceId: device(n),
        slot: 'default',
        certificateId: record.id,
        notAfter: record.notAfter,
        connectivity: 'daily',
        site: null,
        nextAt: n === 0 ? clock.now() : clock.now() + 30 * dayMs,
        createdAt: clock.now(),
      }
    })
    await engine.store.transaction((tx) => insertPlannedRenewals(tx, due))
    await fleet.tick()
    assert.equal(fleet.sent.length, 1)
    await startedCampaign(fleet, 'spring', { selection: { all: true }, ...oneWave })
    assert.deepEqual((await fleet.targets('spring')).map(({ deviceId }) => deviceId).sort(), [
      device(1),
      device(2),
    ])
    assert.deepEqual((await fleet.view('spring')).campaign.snapshot.left, { 'being-renewed': 1 })
    await fleet.run(2 * minuteMs)
    assert.equal(fleet.sent.length, 3, 'the one that was taken over is asked now')
    await assertConserved(fleet, 'spring', 2)
  })

  test('devices that renew by themselves, leave the cohort, are quarantined or decommissioned', async () => {
    const fleet = await campaignFleet(start, 6, () => ({ cohort: 'a' }))
    const { engine } = fleet
    const later = { schedulingConfig: { startTime: new Date(fleet.clock.now() + hourMs).toISOString() } }
    await startedCampaign(fleet, 'spring', { selection: { cohort: 'a' }, ...oneWave, ...later })
    await fleet.run(5 * minuteMs)
    assert.equal(fleet.sent.length, 0, 'nobody is asked before its start time')

    await fleet.answer(device(0))
    assert.deepEqual(await stateOf(fleet, 'spring', 0), ['retired', null])
    await engine.store.transaction(async (tx) => {
      await updateDevice(tx, device(1), { cohort: 'b' })
      await setDeviceState(tx, device(2), 'quarantined')
      await setDeviceState(tx, device(3), 'decommissioned')
    })
    await fleet.clock.advance(hourMs)
    await fleet.run(2 * minuteMs)
    assert.deepEqual(await stateOf(fleet, 'spring', 1), ['abandoned', 'no-longer-selected'])
    assert.deepEqual(await stateOf(fleet, 'spring', 2), ['abandoned', 'device-quarantined'])
    assert.deepEqual(await stateOf(fleet, 'spring', 3), ['abandoned', 'device-decommissioned'])
    assert.deepEqual(fleet.sent.map(({ deviceId }) => deviceId).sort(), [device(4), device(5)])
    await assertConserved(fleet, 'spring', 6)

    // one that joins the cohort is in no campaign: targets are drawn once
    await engine.store.transaction((tx) => updateDevice(tx, device(1), { cohort: 'a' }))
    await fleet.run(5 * minuteMs)
    assert.equal(fleet.sent.length, 2)
    await fleet.answer(device(4))
    await fleet.answer(device(5))
    await fleet.tick()
    assert.equal((await fleet.view('spring')).campaign.status, 'completed')
  })

  test('a device that is quarantined after it was asked is given up at its next look', async () => {
    const fleet = await campaignFleet(start, 2)
    await startedCampaign(fleet, 'spring', { selection: { all: true }, ...oneWave })
    await fleet.run(2 * minuteMs)
    assert.deepEqual(await stateOf(fleet, 'spring', 0), ['triggered', null])
    await fleet.engine.store.transaction((tx) => setDeviceState(tx, device(0), 'quarantined'))
    await fleet.clock.advance(2 * dayMs)
    await fleet.tick()
    assert.deepEqual(await stateOf(fleet, 'spring', 0), ['abandoned', 'device-quarantined'])
    await assertConserved(fleet, 'spring', 2)
  })

  test('an enrolment that is refused counts once against its campaign, and the device may yet succeed', async () => {
    const fleet = await campaignFleet(start, 2)
    await startedCampaign(fleet, 'spring', { selection: { all: true }, ...oneWave })
    await fleet.run(2 * minuteMs)
    const first = fleet.devices.get(device(0))!
    for (let n = 0; n < 3; n++)
      assert.equal((await refusal(renew(fleet.engine, first, first.key))).code, 'key-reused')
    assert.equal((await fleet.view('spring')).progress.total.rejected, 1)
    assert.deepEqual(await stateOf(fleet, 'spring', 0), ['triggered', null])
    await fleet.answer(device(0))
    assert.deepEqual(await stateOf(fleet, 'spring', 0), ['retired', null])
    await assertConserved(fleet, 'spring', 2)
  })

  test('a pause holds back what is due and what waits; a resumption asks again', async () => {
    const fleet = await campaignFleet(start, 5)
    await startedCampaign(fleet, 'spring', {
      selection: { all: true },
      ...oneWave,
      rollout: { maximumPerMinute: 1 },
    })
    await fleet.run(2 * minuteMs)
    const before = fleet.sent.length
    await pauseCampaign(fleet.engine, { ...at(fleet), reason: 'works on the mast' })
    await fleet.clock.advance(3 * dayMs)
    await fleet.run(5 * minuteMs)
    assert.equal(fleet.sent.length, before)
    assert.equal((await fleet.view('spring')).waitsFor, 'a person to resume it: works on the mast')
    assert.equal((await refusal(pauseCampaign(fleet.engine, at(fleet)))).code, 'campaign-state')
    await resumeCampaign(fleet.engine, at(fleet))
    await fleet.run(minuteMs)
    assert.ok(fleet.sent.length > before)
  })

  test('an abort frees whoever uses no new certificate, and revokes nothing', async () => {
    const fleet = await campaignFleet(start, 5)
    await startedCampaign(fleet, 'spring', {
      selection: { all: true },
      ...oneWave,
      rollout: { maximumPerMinute: 1 },
    })
    await fleet.run(2 * minuteMs)
    const asked = fleet.sent.map(({ deviceId }) => deviceId)
    await fleet.answer(asked[0]!)
    await abortCampaign(fleet.engine, { ...at(fleet), reason: 'wrong list' })
    await fleet.run(3 * minuteMs)
    const { campaign, counts } = await fleet.view('spring')
    assert.deepEqual(
      [campaign.status, campaign.reason, counts.retired, counts.abandoned],
      ['aborted', 'wrong list', 1, 4],
    )
    assert.equal(campaign.endedAt !== null, true)
    assert.equal(fleet.sent.length, asked.length, 'no trigger leaves after the abort')
    for (const id of fleet.devices.keys())
      assert.equal(await findOpenRenewal(fleet.engine.store.db, id as DeviceId, 'default'), null)
    await fleet.answer(device(4))
    for (const refused of [startCampaign, pauseCampaign, resumeCampaign, abortCampaign])
      assert.equal((await refusal(refused(fleet.engine, at(fleet)))).code, 'campaign-state')
    await assertConserved(fleet, 'spring', 5)
  })

  test('edits in flight: rate and windows go at once, selection and waves are refused', async () => {
    const fleet = await campaignFleet(start, 40)
    await startedCampaign(fleet, 'spring', {
      selection: { all: true },
      ...oneWave,
      rollout: { maximumPerMinute: 1 },
    })
    await fleet.run(3 * minuteMs)
    const slow = fleet.sent.length
    assert.ok(slow <= 4)
    const edited = await editCampaign(fleet.engine, {
      ...at(fleet),
      edit: { rollout: { maximumPerMinute: 20 } },
    })
    assert.equal(edited.revision, 2)
    await fleet.run(minuteMs)
    assert.equal(fleet.sent.length, slow + 20)
    // testStart is noon: a window at night holds everything
    const night = {
      schedulingConfig: { maintenanceWindows: [{ startTime: 'cron(0 2 * * ? *)', durationInMinutes: 60 }] },
    }
    await editCampaign(fleet.engine, { ...at(fleet), edit: night })
    await fleet.run(5 * minuteMs)
    assert.equal(fleet.sent.length, slow + 20)
    assert.equal((await fleet.view('spring')).waitsFor, 'its next maintenance window')
    const fixed = await refusal(
      editCampaign(fleet.engine, { ...at(fleet), edit: { selection: { all: true } } }),
    )
    assert.equal(fixed.code, 'campaign-state')
    const dry = await editCampaign(fleet.engine, { ...at(fleet), edit: night, isDryRun: true })
    assert.equal(dry.revision, 4)
    assert.equal((await fleet.view('spring')).campaign.revision, 3)
  })

  test('maintenance windows are those of the site, and of the others the default', async () => {
    const zones = new Map([['graz', { timeZone: 'Europe/Vienna' }]])
    const sites = ['graz', 'lima', undefined] as const
    const fleet = await campaignFleet(
      async (options) => await start({ ...options, settings: { sites: zones } }),
      6,
      (n) => (sites[n % 3] === undefined ? {} : { site: sites[n % 3]! }),
    )
    // noon UTC is one o’clock in Graz
    const windows = [{ startTime: 'cron(0 13 * * ? *)', durationInMinutes: 30 }]
    await startedCampaign(fleet, 'spring', {
      selection: { all: true },
      ...oneWave,
      schedulingConfig: { maintenanceWindows: windows },
    })
    await fleet.run(5 * minuteMs)
    assert.deepEqual(new Set(fleet.sent.map(({ site }) => site)), new Set(['graz']))
    assert.equal(fleet.sent.length, 2)
    await fleet.clock.advance(hourMs)
    await fleet.run(5 * minuteMs)
    assert.equal(fleet.sent.length, 6)
  })

  test('a wave waits for a person; an override does not wait for its soak', async () => {
    const fleet = await campaignFleet(start, 10)
    await startedCampaign(fleet, 'spring', {
      selection: { all: true },
      canary: { percentage: 20, minimum: 2, soak: '1h', finishedPercentage: 0 },
      waves: [{ percentage: 30, approval: 'manual', soak: '1d' }, {}],
      rollout: { maximumPerMinute: 60 },
    })
    await fleet.run(3 * minuteMs)
    const early = await refusal(approveWave(fleet.engine, at(fleet)))
    assert.match(early.message, /wave 1 does not wait for approval: canary is soaking; an override/)
    await fleet.clock.advance(hourMs)
    await fleet.run(5 * minuteMs)
    assert.equal((await fleet.view('spring')).waitsFor, 'a person to approve wave 1')
    assert.equal(fleet.sent.length, 2)
    assert.equal((await refusal(approveWave(fleet.engine, { ...at(fleet), wave: 2 }))).code, 'campaign-state')
    await approveWave(fleet.engine, { ...at(fleet), wave: 1 })
    await fleet.run(2 * minuteMs)
    assert.equal(fleet.sent.length, 5)
    await approveWave(fleet.engine, { ...at(fleet), wave: 2, isOverride: true, reason: 'seen enough' })
    await fleet.run(2 * minuteMs)
    assert.equal(fleet.sent.length, 10)
    await assertConserved(fleet, 'spring', 10)
  })

  test('those that were not asked by the end time are let go, and the others go on', async () => {
    const fleet = await campaignFleet(start, 5)
    const endTime = new Date(fleet.clock.now() + 3 * minuteMs).toISOString()
    await startedCampaign(fleet, 'spring', {
      selection: { all: true },
      ...oneWave,
      rollout: { maximumPerMinute: 1 },
      schedulingConfig: { endTime },
    })
    await fleet.run(6 * minuteMs)
    const { counts } = await fleet.view('spring')
    assert.deepEqual([counts.planned, counts.abandoned + counts.triggered], [0, 5])
    assert.ok(counts.triggered > 0 && counts.abandoned > 0)
    for (const { deviceId } of fleet.sent) await fleet.answer(deviceId)
    await fleet.tick()
    assert.equal((await fleet.view('spring')).campaign.status, 'completed')
    await assertConserved(fleet, 'spring', 5)
  })

  test('after its end time a campaign is over, though a wave still waits for a person', async () => {
    const fleet = await campaignFleet(start, 5)
    await startedCampaign(fleet, 'spring', {
      selection: { all: true },
      canary: { percentage: 20, minimum: 1, soak: '1m' },
      waves: [{ approval: 'manual' }],
      rollout: { maximumPerMinute: 60 },
      schedulingConfig: { endTime: new Date(fleet.clock.now() + 10 * minuteMs).toISOString() },
    })
    await fleet.run(2 * minuteMs)
    for (const { deviceId } of fleet.sent) await fleet.answer(deviceId)
    await fleet.run(4 * minuteMs)
    assert.equal((await fleet.view('spring')).waitsFor, 'a person to approve wave 1')
    await fleet.run(6 * minuteMs)
    const { campaign, counts } = await fleet.view('spring')
    assert.deepEqual([campaign.status, counts.retired, counts.abandoned], ['completed', 1, 4])
    await assertConserved(fleet, 'spring', 5)
  })

  test('a creation that was cut off is completed with the same waves, or deleted', async () => {
    const fleet = await campaignFleet(start, 30)
    const { engine } = fleet
    const written = {
      selection: { all: true },
      canary: { percentage: 10, minimum: 5 },
      waves: [{ percentage: 40 }],
    }
    const drawn = definition(fleet, written)
    const cut = async (id: string) => {
      await assert.rejects(
        createCampaign(engine, {
          ...at(fleet, id),
          definition: drawn,
          onProgress: (step, done) => {
            if (step === 'inserting' && done >= 5) throw new Error('power cut')
          },
        }),
        /power cut/,
      )
    }
    await cut('spring')
    const canary = (await fleet.targets('spring')).map(({ deviceId }) => deviceId)
    assert.equal(canary.length, 5)
    assert.equal((await refusal(startCampaign(engine, at(fleet)))).code, 'campaign-state')
    assert.equal(
      (await refusal(createCampaign(engine, { ...at(fleet), definition: drawn }))).code,
      'already-exists',
    )
    await continueCampaign(engine, at(fleet))
    const targets = await fleet.targets('spring')
    assert.deepEqual(
      [0, 1, 2].map((wave) => targets.filter((target) => target.wave === wave).length),
      [5, 12, 13],
    )
    assert.deepEqual(
      targets.slice(0, 5).map(({ deviceId }) => deviceId),
      canary,
    )
    await assertConserved(fleet, 'spring', 30)
    assert.equal((await refusal(continueCampaign(engine, at(fleet)))).code, 'campaign-state')

    await abortCampaign(engine, at(fleet))
    assert.equal((await refusal(fleet.view('spring'))).code, 'not-found')
    await cut('summer')
    await abortCampaign(engine, at(fleet, 'summer'))
    assert.deepEqual(await fleet.targets('summer'), [])
    await createCampaign(engine, { ...at(fleet, 'summer'), definition: drawn })
    await assertConserved(fleet, 'summer', 30)
  })
})

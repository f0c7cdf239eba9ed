/** Whom a selection means, why some are left out, and what a plan makes of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrolDevice, forEachEngine, registerDevice } from '../../../test/helpers/app.ts'
import { fleetProfile } from '../../../test/helpers/campaign-fleet.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { dayMs, hourMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { candidatePage, type SelectionOutcome } from '../../store/campaign-selection.ts'
import { setDeviceState } from '../../store/devices.ts'
import { recordLastSeen } from '../../store/last-seen.ts'
import { planCampaign, selectionRequest } from './campaign-plan.ts'
import { parseCampaignDefinition } from './campaign-read.ts'
import type { Engine } from '../context.ts'
import { shippedLadders } from '../renewals/ladder.ts'

const forLife = { ...fleetProfile, name: 'for-life', renewBeforeMs: null }
const short = { ...fleetProfile, name: 'short', validityMs: 100 * dayMs }
const connectivity = new Map([['daily', { checkInMs: 2 * dayMs, ladder: shippedLadders.daily }]])

forEachEngine((start) => {
  async function fleet() {
    const started = await start({
      profiles: [fleetProfile, forLife, short],
      connectivity,
      settings: {
        triggerCosts: new Map([['sms', { perMessage: 40, dailyBudget: 1_000, campaignBudget: 1_000 }]]),
      },
    })
    const { engine, clock } = started
    const common = { profile: 'fleet', cohort: 'a' }
    await enrolDevice(engine, 'P-1', { ...common, site: 'graz', batch: 'run-1', tags: { owner: 'north' } })
    await enrolDevice(engine, 'P-2', { ...common, site: 'graz', tags: { owner: 'north"' } })
    await enrolDevice(engine, 'P-3', { ...common, cohort: 'b', key: createKey('rsa-2048') })
    await enrolDevice(engine, 'P-4', { profile: 'for-life' })
    await enrolDevice(engine, 'P-5', common)
    await enrolDevice(engine, 'P-6', common)
    await registerDevice(engine, 'P-7', common)
    await clock.advance(125 * dayMs)
    await enrolDevice(engine, 'P-8', common)
    await engine.store.transaction(async (tx) => {
      await setDeviceState(tx, 'P-5' as DeviceId, 'quarantined')
      await setDeviceState(tx, 'P-6' as DeviceId, 'decommissioned')
    })
    const seen = (id: string, ago: number) => ({
      deviceId: id as DeviceId,
      certificateId: null,
      at: clock.now() - ago,
    })
    await engine.store.transaction((tx) =>
      recordLastSeen(tx, [seen('P-1', hourMs), seen('P-2', 5 * dayMs), seen('P-3', 40 * dayMs)]),
    )
    return started
  }

  async function targetsOf(engine: Engine, selection: object): Promise<string[]> {
    const now = engine.clock.now()
    const definition = parseCampaignDefinition({ selection }, now)
    const page = await candidatePage(engine.store.db, {
      ...(await selectionRequest(engine, definition, now)),
      limit: 100,
    })
    const { targets } = await planCampaign(engine, definition, now)
    assert.equal(targets, page.rows.length, 'the plan counts what would be drawn')
    return page.rows.map(({ deviceId }) => deviceId)
  }

  test('each condition narrows the selection', async () => {
    const { engine } = await fleet()
    const cases: readonly (readonly [object, readonly string[]])[] = [
      [{ all: true }, ['P-1', 'P-2', 'P-3']],
      [{ profile: 'fleet' }, ['P-1', 'P-2', 'P-3']],
      [{ cohort: 'a' }, ['P-1', 'P-2']],
      [{ cohort: 'a', batch: 'run-1' }, ['P-1']],
      [{ site: 'graz' }, ['P-1', 'P-2']],
      [{ site: 'Graz' }, []],
      [{ tags: { owner: 'north' } }, ['P-1']],
      [{ tags: { owner: 'north"' } }, ['P-2']],
      [{ tags: { owner: 'nort' } }, []],
      [{ tags: { owne: 'north' } }, []],
      [{ issuer: 'issuing' }, ['P-1', 'P-2', 'P-3']],
      [{ issuer: 'root' }, []],
      [{ keyAlgorithm: 'rsa-2048' }, ['P-3']],
      [{ expiringBefore: '86d' }, ['P-1', 'P-2', 'P-3']],
      [{ expiringBefore: '84d' }, []],
      [{ lastSeenBefore: '30d' }, ['P-3']],
      [{ lastSeenBefore: '5d' }, ['P-3']],
      [{ lastSeenBefore: '4d', cohort: 'a' }, ['P-2']],
    ]
    for (const [selection, expected] of cases)
      assert.deepEqual(await targetsOf(engine, selection), expected, JSON.stringify(selection))
  })

  test('says why devices are left out, who is silent, and what SMS would cost', async () => {
    const { engine, clock } = await fleet()
    const definition = parseCampaignDefinition({ selection: { all: true } }, clock.now())
    const plan = await planCampaign(engine, definition, clock.now())
    assert.equal(plan.selected, 8)
    const left = Object.fromEntries(plan.left.map(({ reason, count }) => [reason, count]))
    const expected: Partial<Record<SelectionOutcome, number>> = {
      quarantined: 1,
      decommissioned: 1,
      'no-certificate': 1,
      'never-renewed': 1,
      'not-yet': 1,
    }
    assert.deepEqual(left, expected)
    assert.deepEqual(
      plan.lastSeen.map(({ count }) => count),
      [1, 0, 1, 0, 1, 0, 0],
    )
    assert.equal(Math.round(plan.normalDarknessPercent), 67)
    assert.deepEqual(plan.lost, {
      atLeast: 0,
      atMost: 2,
      reasons: [
        { reason: 'dark', count: 1 },
        { reason: 'overdue', count: 1 },
      ],
    })
    // the ladder of `daily` has two messages
    assert.deepEqual(plan.sms, { low: 1, expected: 3, high: 4, perMessage: 40 })
  })

  test('at a rate that is too slow, the certificates that end before their turn are counted', async () => {
    const started = await start({ profiles: [short], connectivity })
    const { engine, clock } = started
    for (let n = 0; n < 20; n++) await enrolDevice(engine, `S-${n}`, { profile: 'short' })
    await clock.advance(90 * dayMs)
    const seen = Array.from({ length: 20 }, (_, n) => ({
      deviceId: `S-${n}` as DeviceId,
      certificateId: null,
      at: clock.now(),
    }))
    await engine.store.transaction((tx) => recordLastSeen(tx, seen))
    const late = async (soak: string) => {
      const written = { selection: { all: true }, canary: { percentage: 50, minimum: 1, soak } }
      const plan = await planCampaign(engine, parseCampaignDefinition(written, clock.now()), clock.now())
      return plan.lost.reasons
    }
    assert.deepEqual(await late('1d'), [])
    assert.deepEqual(await late('30d'), [{ reason: 'late', count: 10 }])
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  applyWhatIf,
  cliffCampaign,
  flatten,
  forecastWeeks,
  jittered,
  type ForecastInput,
} from './expiry-forecast.ts'

const today = 20_000

function input(ends: Readonly<Record<number, number>>, change: Partial<ForecastInput> = {}): ForecastInput {
  const days = new Map(Object.entries(ends).map(([after, count]) => [today + Number(after), count]))
  return {
    today,
    weeks: 26,
    groups: [{ profile: 'meter', ends: days, windowDays: 30 }],
    spread: 0.5,
    perWeek: 1_000,
    ...change,
  }
}

test('renewals fall into the first half of the window, and nothing lapses while the rate suffices', () => {
  const weeks = forecastWeeks(input({ 60: 900 }))
  assert.equal(
    weeks.reduce((sum, { renewed }) => sum + renewed, 0),
    900,
  )
  assert.equal(
    weeks.reduce((sum, { lapsed }) => sum + lapsed, 0),
    0,
  )
  // the window opens after 30 days, half of it ends after 45
  assert.deepEqual(
    weeks.flatMap(({ due }, week) => (due > 0 ? [week] : [])),
    [4, 5, 6],
  )
})

test('a cliff above the rate lapses: what is not done by its end', () => {
  const weeks = forecastWeeks(input({ 60: 10_000 }))
  const lapsed = weeks.reduce((sum, each) => sum + each.lapsed, 0)
  // 31 days at 143 a day
  assert.ok(lapsed > 5_000 && lapsed < 6_000, String(lapsed))
  assert.ok((weeks[6]?.backlog ?? 0) > 6_000)
})

test('a longer window and a higher rate are what saves them', () => {
  const cliff = input({ 100: 10_000 })
  const lapsed = (given: ForecastInput) => forecastWeeks(given).reduce((sum, each) => sum + each.lapsed, 0)
  assert.ok(lapsed(cliff) > 0)
  assert.equal(lapsed(applyWhatIf(cliff, { windowDays: 90 })), 0)
  assert.equal(lapsed(applyWhatIf(cliff, { perWeek: 5_000 })), 0)
})

test('jitter spreads an end over the days before it, and loses nobody', () => {
  const spread = jittered(new Map([[today + 50, 300]]), 30, today)
  assert.equal(spread.size, 30)
  assert.ok([...spread.values()].every((each) => Math.abs(each - 10) < 1e-9))
  const near = jittered(new Map([[today + 5, 300]]), 30, today)
  assert.ok(Math.abs([...near.values()].reduce((sum, each) => sum + each, 0) - 300) < 1e-6)
  assert.ok(Math.min(...near.keys()) === today)
})

test('certificates for life are counted and never renewed', () => {
  const weeks = forecastWeeks(
    input({}, { groups: [{ profile: 'dac', ends: new Map([[today + 8, 5]]), windowDays: null }] }),
  )
  assert.equal(weeks[1]?.ends, 5)
  assert.equal(
    weeks.reduce((sum, { renewed, lapsed }) => sum + renewed + lapsed, 0),
    0,
  )
})

test('a cliff is flattened into the weeks of its window', () => {
  const { cliffs } = flatten(input({ 60: 3_500 }))
  const [cliff] = cliffs
  assert.equal(cliffs.length, 1)
  assert.equal(cliff?.unplaced, 0)
  assert.deepEqual(
    cliff?.renewals.map(({ count }) => count),
    [500, 1_000, 1_000, 1_000],
  )
  const campaign = cliffCampaign(cliff as NonNullable<typeof cliff>, { perWeek: 1_000 })
  assert.equal((campaign['selection'] as { expiringBefore: string }).expiringBefore.length, 10)
})

test('what no week of the window has room for is said', () => {
  const [cliff] = flatten(input({ 60: 10_000 })).cliffs
  assert.equal(cliff?.unplaced, 5_000)
})

test('no week gets more than the rate, none is renewed after its end or before its window, and all are accounted for', () => {
  const ends = fc.dictionary(fc.integer({ min: 0, max: 180 }).map(String), fc.integer({ min: 1, max: 5_000 }))
  fc.assert(
    fc.property(ends, fc.integer({ min: 100, max: 5_000 }), (given, perWeek) => {
      const asked = input(given as Record<number, number>, { perWeek })
      const load = new Map<number, number>()
      for (const { fromDay, count, renewals, unplaced } of flatten(asked).cliffs) {
        const done = renewals.reduce((sum, each) => sum + each.count, 0)
        assert.ok(Math.abs(done + unplaced - count) <= renewals.length + 1)
        for (const each of renewals) {
          assert.ok(each.fromDay <= fromDay && each.fromDay >= fromDay - 35)
          load.set(each.fromDay, (load.get(each.fromDay) ?? 0) + each.count)
        }
      }
      for (const each of load.values()) assert.ok(each <= perWeek + 30, String(each))
    }),
    { numRuns: 50 },
  )
})

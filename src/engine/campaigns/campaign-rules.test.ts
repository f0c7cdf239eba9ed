/** Rate, brakes, windows, waves and the order of devices: pure functions, as tables of cases. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { dayMs, hourMs, minuteMs, secondMs } from '../../base/clock.ts'
import type { WaveRecord } from '../../store/campaigns.ts'
import { brakeVerdict, noSums, type CampaignSums } from './campaign-brakes.ts'
import { isInWindow, isTimeZone, openShare } from './campaign-cron.ts'
import { admissionMs } from './campaign-forecast.ts'
import { drawWaves, waveSizes } from './campaign-order.ts'
import { budgetOf, currentRate } from './campaign-rate.ts'
import { parseCampaignDefinition } from './campaign-read.ts'
import { noCounts } from './campaign-sums.ts'
import { movedWaves } from './campaign-waves.ts'

const now = Date.UTC(2026, 10, 20, 12)
const defined = (written: object) => parseCampaignDefinition({ selection: { all: true }, ...written }, now)

suite('rate', () => {
  const budgets = [
    // ticked at, rate, devices, what the next one counts from after all were let in
    ['never before: one device, no burst', null, 60, 1, now],
    ['ten seconds at 60 a minute', now - 10 * secondMs, 60, 10, now],
    ['what is not enough for one more is kept', now - 1_500, 60, 1, now - 500],
    ['slower than one in a tick', now - 10 * secondMs, 2, 0, now - 10 * secondMs],
    ['exactly a minute', now - minuteMs, 100, 100, now],
    ['a tick that comes a day late has one minute', now - dayMs, 100, 100, now],
    ['a clock that went back has nothing', now + hourMs, 100, 0, now],
  ] as const
  for (const [name, tickedAt, rate, devices, next] of budgets) {
    test(name, () => {
      const budget = budgetOf(tickedAt, now, rate)
      assert.equal(budget.devices, devices)
      assert.equal(budget.spent(devices), next)
    })
  }

  test('over an hour of ticks of any length, never more than the rate', () => {
    for (const tickMs of [1_000, 7_777, 10_000, 59_999, 600_000]) {
      let tickedAt: number | null = now
      let admitted = 0
      for (let at = now + tickMs; at <= now + hourMs; at += tickMs) {
        const budget = budgetOf(tickedAt, at, 17)
        admitted += budget.devices
        tickedAt = budget.spent(budget.devices)
      }
      const ticks = Math.floor(hourMs / tickMs)
      const most = Math.min(17 * 60, ticks * 17)
      // the bucket overflows a little when ticks are as long as it is deep
      assert.ok(admitted <= most && admitted >= 0.95 * most, `${tickMs}: ${admitted}`)
    }
  })

  const { rollout } = defined({
    rollout: {
      maximumPerMinute: 1000,
      exponentialRate: {
        baseRatePerMinute: 50,
        incrementFactor: 2,
        rateIncreaseCriteria: { numberOfNotifiedThings: 100 },
      },
    },
  })
  const rates = [
    [0, 50],
    [99, 50],
    [100, 100],
    [250, 200],
    [10_000, 1000],
    [2_200_000, 1000],
  ] as const
  for (const [notified, rate] of rates) {
    test(`${notified} asked: ${rate} a minute`, () =>
      assert.equal(currentRate(rollout, { notified, succeeded: 0 }), rate))
  }

  test('by successes, those that were only asked do not count', () => {
    const criteria = { numberOfNotifiedThings: null, numberOfSucceededThings: 100 }
    const bySuccess = {
      ...rollout,
      exponentialRate: { ...rollout.exponentialRate!, rateIncreaseCriteria: criteria },
    }
    assert.equal(currentRate(bySuccess, { notified: 5_000, succeeded: 99 }), 50)
    assert.equal(currentRate(bySuccess, { notified: 5_000, succeeded: 100 }), 100)
  })

  test('the forecast of a growing rate is the sum of its steps', () => {
    assert.equal(admissionMs(rollout, 0, 300), 2 * minuteMs + minuteMs + minuteMs / 2)
  })
})

suite('brakes', () => {
  const definition = defined({
    abortConfig: {
      criteriaList: [
        { failureType: 'ALL', action: 'CANCEL', thresholdPercentage: 20, minNumberOfExecutedThings: 1_000 },
        { failureType: 'REJECTED', action: 'PAUSE', thresholdPercentage: 1, minNumberOfExecutedThings: 100 },
      ],
    },
  })
  const cases: readonly (readonly [name: string, sums: Partial<CampaignSums>, expected: string | null])[] = [
    ['nothing happened', {}, null],
    ['2 % of 499 failed: too few finished', { succeeded: 489, answered: 489, failed: 10 }, null],
    ['just under 2 % of 500', { succeeded: 491, answered: 491, failed: 9 }, null],
    ['2 % of 500', { succeeded: 490, answered: 490, failed: 10 }, 'PAUSE failed'],
    ['failed and rejected add up', { succeeded: 490, answered: 490, failed: 6, rejected: 4 }, 'PAUSE failed'],
    ['silent, 0.2 % of 500', { answered: 500, silent: 1 }, 'PAUSE silent'],
    ['silent, too few answered', { answered: 499, silent: 50 }, null],
    ['silent, just under', { answered: 1_001, silent: 2 }, null],
    ['dark as usual and 10 points: 17 of 100', { answered: 83, timedOut: 17 }, 'PAUSE timedOut'],
    ['dark as usual and 9 points', { answered: 84, timedOut: 16 }, null],
    ['too few to tell', { answered: 1, timedOut: 98 }, null],
    ['signer errors', { signerErrors: 10 }, 'PAUSE signerErrors'],
    ['one signer error less', { signerErrors: 9 }, null],
    [
      'rejected by the operator’s own criterion',
      { succeeded: 99, answered: 99, rejected: 1 },
      'PAUSE REJECTED',
    ],
    ['aborts before it pauses', { succeeded: 800, answered: 800, failed: 200 }, 'CANCEL ALL'],
  ]
  for (const [name, partial, expected] of cases) {
    test(name, () => {
      const sums = { ...noSums, ...partial }
      const verdict = brakeVerdict({ definition, total: sums, since: sums, normalDarknessPercent: 7 })
      assert.equal(verdict && `${verdict.action} ${verdict.brake}`, expected)
    })
  }

  test('who resumes has seen what was before: it pauses for nothing older, but still cancels', () => {
    const total = { ...noSums, succeeded: 490, answered: 490, failed: 10 }
    const input = { definition, total, since: noSums, normalDarknessPercent: 7 }
    assert.equal(brakeVerdict(input), null)
    const worse = { ...total, failed: 200, succeeded: 800 }
    assert.equal(brakeVerdict({ ...input, total: worse })?.action, 'CANCEL')
  })

  test('brakes that are off stop nothing', () => {
    const { brakes } = defined({
      brakes: { failed: 'off', silent: 'off', timedOut: 'off', signerErrors: 'off' },
    })
    const sums = {
      ...noSums,
      answered: 900,
      succeeded: 900,
      failed: 900,
      timedOut: 900,
      silent: 900,
      signerErrors: 900,
    }
    const off = { ...defined({}), brakes }
    assert.equal(brakeVerdict({ definition: off, total: sums, since: sums, normalDarknessPercent: 0 }), null)
  })
})

suite('maintenance windows', () => {
  const night = [{ startTime: 'cron(0 22 ? * MON-FRI *)', durationInMinutes: 480 }]
  const utc = (day: number, hour: number, minute = 0) => Date.UTC(2026, 10, day, hour, minute)
  // 2026-11-20 is a Friday
  const cases = [
    ['Friday at 22:00, its first minute', utc(20, 22), 'UTC', true],
    ['a minute before', utc(20, 21, 59), 'UTC', false],
    ['Saturday at 5:59, begun on Friday', utc(21, 5, 59), 'UTC', true],
    ['Saturday at 6:00, its end', utc(21, 6), 'UTC', false],
    ['Saturday night', utc(21, 23), 'UTC', false],
    ['Vienna is an hour ahead', utc(20, 21), 'Europe/Vienna', true],
    ['São Paulo is three behind', utc(20, 22), 'America/Sao_Paulo', false],
    ['Kathmandu has a quarter', utc(20, 16, 15), 'Asia/Kathmandu', true],
    ['Kathmandu, a minute before', utc(20, 16, 14), 'Asia/Kathmandu', false],
  ] as const
  for (const [name, at, zone, expected] of cases) {
    test(name, () => assert.equal(isInWindow(night, at, zone), expected))
  }

  test('in the night when clocks go forward, a window that begins in the lost hour is what is left of it', () => {
    const early = [{ startTime: 'cron(30 2 * * ? *)', durationInMinutes: 60 }]
    // 2026-03-29 in Vienna: 01:59:59 +01 is followed by 03:00 +02, at 01:00 UTC
    assert.equal(isInWindow(early, Date.UTC(2026, 2, 29, 0, 59), 'Europe/Vienna'), false)
    assert.equal(isInWindow(early, Date.UTC(2026, 2, 29, 1, 0), 'Europe/Vienna'), true)
    assert.equal(isInWindow(early, Date.UTC(2026, 2, 29, 1, 30), 'Europe/Vienna'), false)
  })

  test('the share of a week that is open', () => {
    assert.equal(openShare([], now), 1)
    assert.equal(openShare([{ startTime: 'cron(0 0 * * ? *)', durationInMinutes: 360 }], now), 0.25)
    assert.equal(openShare([{ startTime: 'cron(0 0 31 2 ? *)', durationInMinutes: 60 }], now), 0)
  })

  test('time zones are those of the IANA database', () => {
    for (const name of ['UTC', 'Europe/Vienna', 'America/Argentina/Ushuaia'])
      assert.equal(isTimeZone(name), true)
    for (const name of ['', 'Europe/Wien', '+02:00', 'local']) assert.equal(isTimeZone(name), false)
  })
})

suite('waves', () => {
  const definition = defined({ canary: { percentage: 0.1 }, waves: [{ percentage: 10 }] })
  const sizes = [
    [2_200_000, [2_200, 220_000, 1_977_800]],
    [1_000, [50, 100, 850]],
    [60, [50, 6, 4]],
    [50, [50, 0, 0]],
    [7, [7, 0, 0]],
    [0, [0, 0, 0]],
  ] as const
  for (const [total, expected] of sizes) {
    test(`of ${total} devices`, () => assert.deepEqual(waveSizes(definition.waves, total), expected))
  }

  const devices = Array.from({ length: 2_000 }, (_, n) => ({
    deviceId: `D-${n}`,
    notAfter: now + (n % 50) * dayMs,
    hardware: n % 10 === 0 ? 'rare' : 'usual',
    firmware: `1.${n % 4}`,
    site: `site-${n % 5}`,
  }))

  test('each is in exactly one wave, and the same again', () => {
    const drawn = drawWaves('spring', devices, [100, 900, 1_000])
    const places = drawn.flatMap((wave) => [...wave])
    assert.deepEqual(
      drawn.map((wave) => wave.length),
      [100, 900, 1_000],
    )
    assert.equal(new Set(places).size, 2_000)
    assert.deepEqual(drawWaves('spring', devices, [100, 900, 1_000]), drawn)
    assert.notDeepEqual(drawWaves('autumn', devices, [100, 900, 1_000]), drawn)
  })

  test('each stratum is in each wave in its proportion, to within one', () => {
    const drawn = drawWaves('spring', devices, [100, 900, 1_000])
    const strataOf = (wave: Uint32Array) => {
      const counts = new Map<string, number>()
      for (const at of wave) {
        const { hardware, firmware, site } = devices[at]!
        const key = `${hardware} ${firmware} ${site}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      return counts
    }
    const whole = strataOf(Uint32Array.from(devices.keys()))
    const canary = strataOf(drawn[0]!)
    for (const [key, count] of whole) {
      const expected = (count * 100) / 2_000
      assert.ok(Math.abs((canary.get(key) ?? 0) - expected) <= 1, `${key}: ${canary.get(key)} of ${expected}`)
    }
  })

  test('the canary has each hardware with each firmware, and each site, however rare, as far as it has room', () => {
    const rare = devices.map((each, n) => ({
      ...each,
      hardware: n === 7 ? 'prototype' : each.hardware,
      firmware: n === 11 || n === 13 ? '0.9-beta' : each.firmware,
      site: n % 50 === 1 ? `village ${n}` : each.site,
    }))
    const kinds = (positions: Iterable<number>) => {
      const all = [...positions].map((at) => rare[at]!)
      return {
        pairs: new Set(all.map(({ hardware, firmware }) => `${hardware} ${firmware}`)).size,
        sites: new Set(all.map(({ site }) => site)).size,
      }
    }
    const whole = kinds(rare.keys())
    const [canary = new Uint32Array()] = drawWaves('spring', rare, [100, 1_900])
    assert.deepEqual(kinds(canary), whole)
    assert.ok(whole.sites > 40, 'there are many sites')
    // with less room the pairs come before the sites, and no device is drawn twice
    const drawn = drawWaves('spring', rare, [20, 1_980])
    assert.equal(kinds(drawn[0]!).pairs, whole.pairs)
    assert.ok(kinds(drawn[0]!).sites > 10)
    const [early = new Uint32Array(), late = new Uint32Array()] = drawn
    assert.equal(new Set([...early, ...late]).size, 2_000)
  })

  test('inside a wave the certificate that ends first comes first', () => {
    for (const wave of drawWaves('spring', devices, [100, 900, 1_000])) {
      const ends = [...wave].map((at) => devices[at]!.notAfter)
      assert.deepEqual(
        ends,
        [...ends].sort((a, b) => a - b),
      )
    }
  })
})

suite('opening of waves', () => {
  const definition = defined({
    canary: { percentage: 10, soak: '1h', successPercentage: 90, finishedPercentage: 50 },
    waves: [{ percentage: 50, soak: '1h', approval: 'manual' }],
  })
  const wave = (number: number, change: Partial<WaveRecord> = {}): WaveRecord => ({
    campaignId: 'spring',
    wave: number,
    size: 10,
    status: 'waiting',
    openedAt: null,
    soakUntil: null,
    closedAt: null,
    approvedBy: null,
    approvedAt: null,
    ...change,
  })
  const soaking = { status: 'soaking', openedAt: now - dayMs, soakUntil: now } as const
  const counted = (change: object, outcomes: object = {}) => ({
    counts: { ...noCounts, ...change },
    outcomes: { failed: 0, rejected: 0, ...outcomes },
  })
  const move = (
    first: Partial<WaveRecord>,
    sums: ReturnType<typeof counted>,
    second: Partial<WaveRecord> = {},
  ) =>
    movedWaves({
      definition,
      waves: [wave(0, first), wave(1, second), wave(2)],
      progress: {
        waves: new Map([
          [0, sums],
          [1, counted({ planned: 10 })],
          [2, counted({ planned: 10 })],
        ]),
      },
      now,
    }).changed.map((each) => `${each.wave} ${each.status}`)

  const cases = [
    ['the first opens at once', move({}, counted({ planned: 10 })), ['0 open']],
    [
      'it stays open until all are asked',
      move({ status: 'open', openedAt: now }, counted({ planned: 1, triggered: 9 })),
      [],
    ],
    [
      'it soaks when all are asked',
      move({ status: 'open', openedAt: now }, counted({ triggered: 10 })),
      ['0 soaking'],
    ],
    [
      'a millisecond before the end of its soak',
      move({ ...soaking, soakUntil: now + 1 }, counted({ confirmed: 10 })),
      [],
    ],
    [
      'soaked and successful: the next waits for a person',
      move(soaking, counted({ confirmed: 10 })),
      ['0 done', '1 approval'],
    ],
    [
      'an approval that was given opens it',
      move(soaking, counted({ confirmed: 10 }), { approvedAt: now }),
      ['0 done', '1 open'],
    ],
    ['too few have finished', move(soaking, counted({ confirmed: 4, triggered: 6 })), []],
    [
      'just enough have finished',
      move(soaking, counted({ confirmed: 5, triggered: 5 })),
      ['0 done', '1 approval'],
    ],
    [
      'the field list counts as finished',
      move(soaking, counted({ confirmed: 1, escalated: 4, triggered: 5 })),
      ['0 done', '1 approval'],
    ],
    [
      'issued and not used is no success',
      move(soaking, counted({ confirmed: 4, issued: 1, triggered: 5 })),
      [],
    ],
    [
      'failures count against success',
      move(soaking, counted({ confirmed: 8, triggered: 2 }, { failed: 1 })),
      [],
    ],
    [
      'nine of ten succeeded',
      move(soaking, counted({ confirmed: 9, triggered: 1 }, { failed: 1 })),
      ['0 done', '1 approval'],
    ],
  ] as const
  for (const [name, changed, expected] of cases) test(name, () => assert.deepEqual(changed, expected))

  test('the last wave has nothing to soak for', () => {
    const { changed } = movedWaves({
      definition,
      waves: [
        wave(0, { status: 'done' }),
        wave(1, { status: 'done' }),
        wave(2, { status: 'open', openedAt: now }),
      ],
      progress: { waves: new Map([[2, counted({ triggered: 10 })]]) },
      now,
    })
    assert.deepEqual(
      changed.map(({ status }) => status),
      ['done'],
    )
  })
})

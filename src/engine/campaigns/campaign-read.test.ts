import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { campaignDefaults } from './campaign-definition.ts'
import { editedDefinition, parseCampaignDefinition } from './campaign-read.ts'

const now = Date.UTC(2026, 10, 20, 12)
const all = { selection: { all: true } }

function reasonOf(written: unknown, code = 'campaign-invalid'): string {
  try {
    parseCampaignDefinition(written, now)
  } catch (error) {
    assert.ok(error instanceof Refusal && error.code === code, String(error))
    return error.message
  }
  throw new Error(`accepted: ${JSON.stringify(written)}`)
}

const wave = { percentage: 10 }
const criterion = {
  failureType: 'FAILED',
  action: 'CANCEL',
  thresholdPercentage: 5,
  minNumberOfExecutedThings: 100,
}
const exponential = (change: object) => ({
  ...all,
  rollout: {
    maximumPerMinute: 1000,
    exponentialRate: {
      baseRatePerMinute: 50,
      incrementFactor: 1.5,
      rateIncreaseCriteria: { numberOfNotifiedThings: 1000 },
      ...change,
    },
  },
})
const window = (startTime: unknown, durationInMinutes: unknown = 60) => ({
  ...all,
  schedulingConfig: { maintenanceWindows: [{ startTime, durationInMinutes }] },
})

const invalid: readonly (readonly [name: string, written: unknown, reason: RegExp])[] = [
  ['nothing', null, /the definition must be an object of keys, not null/],
  ['a list', [], /must be an object of keys/],
  ['a text', 'all', /must be an object of keys, not "all"/],
  ['an unknown key', { ...all, wave: [] }, /unknown key wave; there are description, selection/],
  ['no selection', {}, /selection says nothing: give at least one of profile, cohort/],
  ['an empty selection', { selection: { all: false } }, /selection says nothing/],
  [
    'all and more',
    { selection: { all: true, cohort: 'a' } },
    /selection.all is every device: it stands alone/,
  ],
  ['an unknown selection', { selection: { model: 'x' } }, /unknown key selection.model/],
  ['a cohort that is a number', { selection: { cohort: 7 } }, /selection.cohort must be a text/],
  ['an empty cohort', { selection: { cohort: '' } }, /selection.cohort must be a text of 1 to 200/],
  ['a bad key algorithm', { selection: { keyAlgorithm: 'rsa' } }, /selection.keyAlgorithm must be one of/],
  ['a bad instant', { selection: { expiringBefore: 'soon' } }, /selection.expiringBefore must be a day like/],
  ['an impossible day', { selection: { expiringBefore: '2027-13-01' } }, /must be a day like/],
  ['an instant without offset', { selection: { lastSeenBefore: '2027-01-01T00:00:00' } }, /must be a day/],
  ['a tag that is no text', { selection: { tags: { line: 4 } } }, /selection.tags.line must be a text/],
  ['a tag with a quote', { selection: { tags: { 'a"b': 'x' } } }, /selection.tags: the name "a\\"b"/],
  [
    'waves over 100 %',
    { ...all, canary: { percentage: 1 }, waves: [{ percentage: 40 }, { percentage: 60 }] },
    /the waves add up to 101 %, more than 100 %: canary 1 % \+ wave 1 40 % \+ wave 2 60 %/,
  ],
  [
    'just over 100 %',
    { ...all, canary: 'off', waves: [{ percentage: 99.999 }, { percentage: 0.002 }] },
    /100.001 %/,
  ],
  [
    'a share of 0',
    { ...all, waves: [{ percentage: 0 }] },
    /waves\[0\].percentage must be a number from 0.001/,
  ],
  ['a share below 0', { ...all, waves: [{ percentage: -5 }] }, /waves\[0\].percentage/],
  [
    'a share that is a text',
    { ...all, waves: [{ percentage: '10' }] },
    /waves\[0\].percentage must be a number/,
  ],
  ['no share but in the last', { ...all, waves: [{}, wave] }, /waves\[0\].percentage is missing/],
  ['waves that are no list', { ...all, waves: { percentage: 10 } }, /waves must be a list/],
  ['a wave that is a number', { ...all, waves: [10] }, /waves\[0\] must be an object/],
  [
    'two waves of one name',
    { ...all, waves: [{ ...wave, name: 'canary' }] },
    /two waves have the name canary/,
  ],
  [
    'too many waves',
    { ...all, waves: Array.from({ length: 60 }, () => ({ percentage: 1 })) },
    /there are 6[0-9] waves; at most 50/,
  ],
  ['a soak without unit', { ...all, waves: [{ ...wave, soak: '10' }] }, /waves\[0\].soak must be a duration/],
  ['a soak of two years', { ...all, waves: [{ ...wave, soak: '2y' }] }, /waves\[0\].soak must be a duration/],
  [
    'success above 100',
    { ...all, canary: { successPercentage: 101 } },
    /canary.successPercentage must be a number from 0 to 100/,
  ],
  [
    'an unknown approval',
    { ...all, canary: { approval: 'boss' } },
    /canary.approval must be one of manual, automatic/,
  ],
  [
    'a rate of 0',
    { ...all, rollout: { maximumPerMinute: 0 } },
    /rollout.maximumPerMinute must be a whole number from 1/,
  ],
  ['a rate with a fraction', { ...all, rollout: { maximumPerMinute: 1.5 } }, /whole number/],
  [
    'an exponential rate without base',
    exponential({ baseRatePerMinute: null }),
    /baseRatePerMinute is missing/,
  ],
  [
    'a base above the maximum',
    exponential({ baseRatePerMinute: 1001 }),
    /\(1001\) is above rollout.maximumPerMinute \(1000\)/,
  ],
  ['a factor of 1', exponential({ incrementFactor: 1 }), /incrementFactor must be a number from 1.1 to 5/],
  [
    'no criterion',
    exponential({ rateIncreaseCriteria: {} }),
    /needs one of numberOfNotifiedThings and numberOfSucceededThings/,
  ],
  [
    'two criteria',
    exponential({ rateIncreaseCriteria: { numberOfNotifiedThings: 1, numberOfSucceededThings: 1 } }),
    /needs one of/,
  ],
  ['an unknown brake', { ...all, brakes: { heat: {} } }, /unknown key brakes.heat/],
  [
    'a brake of 0 %',
    { ...all, brakes: { failed: { thresholdPercentage: 0 } } },
    /brakes.failed.thresholdPercentage/,
  ],
  ['a brake that is a number', { ...all, brakes: { silent: 3 } }, /brakes.silent must be an object/],
  [
    'a criterion without type',
    { ...all, abortConfig: { criteriaList: [{ ...criterion, failureType: null }] } },
    /criteriaList\[0\].failureType is missing/,
  ],
  [
    'an unknown failure type',
    { ...all, abortConfig: { criteriaList: [{ ...criterion, failureType: 'SLOW' }] } },
    /must be one of FAILED, REJECTED, TIMED_OUT, ALL/,
  ],
  [
    'an unknown action',
    { ...all, abortConfig: { criteriaList: [{ ...criterion, action: 'REVOKE' }] } },
    /must be one of CANCEL, PAUSE/,
  ],
  [
    'a timeout of 0',
    { ...all, timeoutConfig: { inProgressTimeoutInMinutes: 0 } },
    /inProgressTimeoutInMinutes must be a whole number/,
  ],
  [
    'an end before the start',
    { ...all, schedulingConfig: { startTime: '2027-02-01', endTime: '2027-02-01' } },
    /endTime must be later than its startTime/,
  ],
  [
    'an unknown end',
    { ...all, schedulingConfig: { endBehavior: 'FORCE' } },
    /endBehavior must be one of STOP_ROLLOUT, CANCEL/,
  ],
  ['a window that is no cron', window('02:00'), /maintenanceWindows\[0\].startTime 02:00: it must be cron\(/],
  ['a window with five fields', window('cron(0 2 * * *)'), /it must be cron\(/],
  ['a window at 25 o’clock', window('cron(0 25 * * ? *)'), /its hours is not understood/],
  ['a window in one year', window('cron(0 2 * * ? 2027)'), /its year must be \*/],
  ['a window on the last Friday', window('cron(0 2 ? * 6L *)'), /its day of week is not understood/],
  [
    'a window of a day',
    window('cron(0 2 * * ? *)', 1_440),
    /durationInMinutes must be a whole number from 1 to 1410/,
  ],
  ['a window without length', window('cron(0 2 * * ? *)', null), /durationInMinutes is missing/],
]

for (const [name, written, reason] of invalid) {
  test(`refuses ${name}`, () => assert.match(reasonOf(written), reason))
}

test('fills in the defaults of the issue: canary of 0.1 %, at least 50, and brakes', () => {
  const definition = parseCampaignDefinition(all, now)
  assert.deepEqual(
    definition.waves.map(({ name, percentage, minimum }) => [name, percentage, minimum]),
    [
      ['canary', 0.1, 50],
      ['wave 1', null, 1],
    ],
  )
  assert.deepEqual(definition.brakes, campaignDefaults.brakes)
  assert.deepEqual(definition.brakes.failed, { thresholdPercentage: 2, minNumberOfExecutedThings: 500 })
  assert.equal(definition.brakes.silent?.thresholdPercentage, 0.2)
  assert.equal(definition.brakes.timedOut?.pointsAboveNormal, 10)
})

test('waves may add up to exactly 100 %, and the last takes what rounding leaves', () => {
  const { waves } = parseCampaignDefinition(
    { ...all, canary: { percentage: 10 }, waves: [{ percentage: 30 }, { percentage: 60, soak: '2d' }] },
    now,
  )
  assert.deepEqual(
    waves.map(({ percentage }) => percentage),
    [10, 30, null],
  )
  assert.equal(waves[2]?.soakMs, 2 * dayMs)
})

test('without a canary the list stands alone', () => {
  const { waves } = parseCampaignDefinition({ ...all, canary: 'off', waves: [{ percentage: 5 }] }, now)
  assert.deepEqual(
    waves.map(({ name, percentage }) => [name, percentage]),
    [
      ['wave 1', 5],
      ['wave 2', null],
    ],
  )
})

test('durations count from now: until an end, and back to a last contact', () => {
  const { selection } = parseCampaignDefinition(
    { selection: { expiringBefore: '90d', lastSeenBefore: '30d' } },
    now,
  )
  assert.deepEqual([selection.expiringBefore, selection.lastSeenBefore], [now + 90 * dayMs, now - 30 * dayMs])
})

test('a brake is switched off by the word, and changed key by key', () => {
  const { brakes } = parseCampaignDefinition(
    { ...all, brakes: { silent: 'off', signerErrors: false, failed: { thresholdPercentage: 5 } } },
    now,
  )
  assert.deepEqual([brakes.silent, brakes.signerErrors], [null, null])
  assert.deepEqual(brakes.failed, { thresholdPercentage: 5, minNumberOfExecutedThings: 500 })
})

test('an edit replaces the parts that it names and keeps the others', () => {
  const before = parseCampaignDefinition({ ...all, rollout: { maximumPerMinute: 7 } }, now)
  const after = editedDefinition(
    before,
    { brakes: { failed: 'off' }, approvals: { 'wave 1': 'manual' } },
    now,
  )
  assert.equal(after.rollout.maximumPerMinute, 7)
  assert.equal(after.brakes.failed, null)
  assert.deepEqual(after.brakes.silent, before.brakes.silent)
  assert.deepEqual(
    after.waves.map(({ approval }) => approval),
    ['automatic', 'manual'],
  )
})

const edits: readonly (readonly [edit: unknown, code: string, reason: RegExp])[] = [
  [{ selection: { all: true } }, 'campaign-state', /selection was fixed when the targets were drawn/],
  [{ waves: [] }, 'campaign-state', /waves was fixed/],
  [{ canary: 'off' }, 'campaign-state', /canary was fixed/],
  [{}, 'campaign-invalid', /the change is empty/],
  [{ rate: 3 }, 'campaign-invalid', /unknown key rate/],
  [{ approvals: { '9': 'manual' } }, 'campaign-invalid', /there is no wave 9; there are canary, wave 1/],
  [{ schedulingConfig: { endTime: '2026-11-20' } }, 'campaign-invalid', /endTime has passed already/],
]

for (const [edit, code, reason] of edits) {
  test(`refuses the edit ${JSON.stringify(edit)}`, () => {
    const before = parseCampaignDefinition(all, now)
    assert.throws(
      () => editedDefinition(before, edit, now),
      (error) => error instanceof Refusal && error.code === code && reason.test(error.message),
    )
  })
}

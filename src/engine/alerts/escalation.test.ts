import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, hourMs, minuteMs } from '../../base/clock.ts'
import type { SilenceRecord } from '../../store/alerts.ts'
import { defaultAlertSettings, type AlertSettings, type NotifierSettings } from './alert-settings.ts'
import { escalationOf, mayHearNow, planEscalation, silenceOf } from './escalation.ts'

const friday = Date.UTC(2026, 10, 20)
const noon = friday + 12 * hourMs
const night = friday + 23 * hourMs

const always: NotifierSettings = { calendar: null, outsideHours: 'wait', breaksThrough: 'critical' }
const office: NotifierSettings = { ...always, calendar: 'office' }

const settings: AlertSettings = {
  ...defaultAlertSettings,
  calendars: new Map([
    [
      'office',
      {
        timeZone: 'UTC',
        hours: [{ days: [1, 2, 3, 4, 5], from: 480, to: 1_080 }],
        daysOff: new Set<string>(),
      },
    ],
  ]),
  notifiers: new Map([
    ['mail', office],
    ['day', { ...office, outsideHours: 'skip' as const }],
    ['pager', always],
    ['boss', { ...office, breaksThrough: 'never' as const }],
  ]),
  escalations: [
    {
      name: 'default',
      rules: [],
      minimumSeverity: 'notice',
      steps: [
        { notifier: 'mail', afterMs: 0 },
        { notifier: 'pager', afterMs: 15 * minuteMs },
        { notifier: 'boss', afterMs: hourMs },
      ],
    },
  ],
}

const alert = {
  rule: 'crl-old',
  key: 'issuing complete',
  severity: 'warning',
  acknowledgedAt: null,
  step: 0,
  nextAt: noon,
} as const

const silence: SilenceRecord = {
  id: 1,
  rule: 'crl-old',
  key: null,
  severity: null,
  reason: 'x',
  createdBy: 'cli:test',
  createdAt: 0,
  endsAt: noon + dayMs,
  endedBy: null,
}

test('the first step at once, the next when it has had its time, and then nobody', () => {
  const first = planEscalation(alert, settings, [], noon)
  assert.deepEqual(first, { notifiers: ['mail'], step: 1, nextAt: noon + 15 * minuteMs })
  const early = planEscalation({ ...alert, ...first }, settings, [], noon + 15 * minuteMs - 1)
  assert.deepEqual(early, { notifiers: [], step: 1, nextAt: noon + 15 * minuteMs })
  const second = planEscalation({ ...alert, ...first }, settings, [], noon + 15 * minuteMs)
  assert.deepEqual(second, { notifiers: ['pager'], step: 2, nextAt: noon + 75 * minuteMs })
  const third = planEscalation({ ...alert, ...second }, settings, [], noon + 75 * minuteMs)
  assert.deepEqual(third, { notifiers: ['boss'], step: 3, nextAt: null })
})

test('an acknowledged alert climbs no further', () => {
  const plan = planEscalation({ ...alert, acknowledgedAt: noon, step: 1 }, settings, [], noon + dayMs)
  assert.deepEqual(plan, { notifiers: [], step: 1, nextAt: null })
})

test('at night a warning waits for the morning of the next working day', () => {
  const plan = planEscalation({ ...alert, nextAt: night }, settings, [], night)
  assert.deepEqual(plan, { notifiers: [], step: 0, nextAt: Date.UTC(2026, 10, 23, 8) })
})

test('what is critical breaks through, but where it is never to', () => {
  const critical = { ...alert, severity: 'critical', nextAt: night } as const
  assert.deepEqual(planEscalation(critical, settings, [], night).notifiers, ['mail'])
  assert.deepEqual(planEscalation({ ...critical, step: 2 }, settings, [], night).notifiers, [])
})

test('who is passed over outside his hours leaves it to the next', () => {
  const steps = [
    { notifier: 'day', afterMs: 0 },
    { notifier: 'pager', afterMs: hourMs },
  ]
  const follow = { ...settings, escalations: [{ ...settings.escalations[0]!, steps }] }
  assert.deepEqual(planEscalation({ ...alert, nextAt: night }, follow, [], night), {
    notifiers: ['pager'],
    step: 2,
    nextAt: null,
  })
  assert.deepEqual(planEscalation(alert, follow, [], noon).notifiers, ['day'])
})

test('a silence holds everybody off, and its end lets them in', () => {
  assert.deepEqual(planEscalation(alert, settings, [silence], noon).notifiers, [])
  assert.deepEqual(
    planEscalation(alert, settings, [silence], silence.endsAt).notifiers.length,
    0,
    'it is Saturday',
  )
  assert.deepEqual(planEscalation(alert, settings, [{ ...silence, endsAt: noon }], noon).notifiers, ['mail'])
})

test('a silence covers what it names, up to its severity', () => {
  assert.equal(silenceOf({ ...alert, rule: 'tasks-dead' }, [silence], noon), null)
  assert.equal(silenceOf({ ...alert, key: 'b' }, [{ ...silence, key: 'a' }], noon), null)
  const warnings = { ...silence, rule: null, severity: 'warning' } as const
  assert.equal(silenceOf({ ...alert, severity: 'critical' }, [warnings], noon), null)
  assert.equal(silenceOf(alert, [warnings], noon)?.id, 1)
})

test('the first escalation that fits takes the alert', () => {
  const [all] = settings.escalations
  assert.ok(all)
  const crl = { ...all, name: 'crl', rules: ['crl-old'] } as const
  const grave = { ...all, name: 'grave', minimumSeverity: 'critical' } as const
  assert.equal(escalationOf(alert, [grave, crl, all])?.name, 'crl')
  assert.equal(escalationOf({ ...alert, rule: 'tasks-dead' }, [crl, grave]), null)
})

test('an escalation that came with a new configuration is begun', () => {
  assert.deepEqual(planEscalation({ ...alert, nextAt: null }, settings, [], noon).notifiers, ['mail'])
})

test('good news wakes nobody', () => {
  assert.equal(mayHearNow('mail', settings, noon), true)
  assert.equal(mayHearNow('mail', settings, night), false)
  assert.equal(mayHearNow('pager', settings, night), true)
})

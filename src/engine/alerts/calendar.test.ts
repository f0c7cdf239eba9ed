import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs, minuteMs } from '../../base/clock.ts'
import { calendarProblem, isCalendarOpen, nextOpening, parseHours, type Calendar } from './calendar.ts'

function calendar(hours: readonly string[], timeZone = 'UTC', daysOff: readonly string[] = []): Calendar {
  const parsed = hours.map((text) => {
    const each = parseHours(text)
    assert.ok(typeof each !== 'string', String(each))
    return each
  })
  return { timeZone, hours: parsed, daysOff: new Set(daysOff) }
}

const office = calendar(['MON-FRI 08:00-18:00'])
const friday = Date.UTC(2026, 10, 20)

test('is open from its first minute and closed from its last', () => {
  assert.equal(isCalendarOpen(office, friday + 8 * hourMs - minuteMs), false)
  assert.equal(isCalendarOpen(office, friday + 8 * hourMs), true)
  assert.equal(isCalendarOpen(office, friday + 18 * hourMs - minuteMs), true)
  assert.equal(isCalendarOpen(office, friday + 18 * hourMs), false)
})

test('after Friday evening comes Monday morning', () => {
  assert.equal(nextOpening(office, friday + 19 * hourMs), Date.UTC(2026, 10, 23, 8))
  assert.equal(nextOpening(office, friday + 9 * hourMs), friday + 9 * hourMs)
})

test('hours are those of the wall clock, also after the clocks change', () => {
  const vienna = calendar(['MON-FRI 08:00-18:00'], 'Europe/Vienna')
  // summer time ends on 25 October 2026
  assert.equal(nextOpening(vienna, Date.UTC(2026, 9, 23, 0)), Date.UTC(2026, 9, 23, 6))
  assert.equal(nextOpening(vienna, Date.UTC(2026, 9, 26, 0)), Date.UTC(2026, 9, 26, 7))
})

test('hours over midnight belong to the day on which they begin', () => {
  const night = calendar(['FRI 22:00-06:00'])
  assert.equal(isCalendarOpen(night, friday + 23 * hourMs), true)
  assert.equal(isCalendarOpen(night, friday + 29 * hourMs), true)
  assert.equal(isCalendarOpen(night, friday + 30 * hourMs), false)
  assert.equal(isCalendarOpen(night, friday + hourMs), false)
})

test('a day off is closed', () => {
  const off = calendar(['MON-SUN 08:00-18:00'], 'UTC', ['2026-11-20'])
  assert.equal(isCalendarOpen(off, friday + 12 * hourMs), false)
  assert.equal(nextOpening(off, friday + 12 * hourMs), Date.UTC(2026, 10, 21, 8))
})

test('days may go over the end of the week', () => {
  assert.deepEqual(parseHours('SAT-MON 00:00-12:00'), { days: [0, 1, 6], from: 0, to: 720 })
  assert.deepEqual(parseHours('sun,WED 09:30-24:00'), { days: [0, 3], from: 570, to: 1_440 })
})

test('what makes no sense is said', () => {
  for (const text of [
    '',
    'MON',
    'MON 8-18',
    'MON-FRI-SUN 08:00-18:00',
    'XYZ 08:00-18:00',
    'MON 25:00-26:00',
    'MON 08:60-09:00',
    'MON 08:00-08:00',
  ])
    assert.equal(typeof parseHours(text), 'string', text)
  assert.match(calendarProblem('Europe/Vienn', []) ?? '', /time zone/)
  assert.match(calendarProblem('UTC', ['2026-13-01']) ?? '', /no day/)
  assert.equal(calendarProblem('UTC', ['2026-12-25']), null)
})

test('a calendar that never opens says so', () => {
  assert.equal(nextOpening({ timeZone: 'UTC', hours: [], daysOff: new Set() }, friday), null)
})

/** Working hours with a time zone, and days off: when a person may be written to. */
import { dayMs, minuteMs, type Instant } from '../../base/clock.ts'
import { isTimeZone, wallClock } from '../campaigns/campaign-cron.ts'

export interface CalendarHours {
  /** 0 = Sunday. */
  readonly days: readonly number[]
  /** Minutes of the day, the end exclusive; an end before the start is one of the next day. */
  readonly from: number
  readonly to: number
}

export interface Calendar {
  readonly timeZone: string
  /** Open when one of them holds. */
  readonly hours: readonly CalendarHours[]
  /** `2026-12-25`: closed all day. */
  readonly daysOff: ReadonlySet<string>
}

const dayNames = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']

/** Reads `MON-FRI 08:00-18:00`; also `SAT,SUN 22:00-06:00`. @returns what is wrong */
export function parseHours(text: string): CalendarHours | string {
  const match = /^(\S+)\s+(\d{2}):(\d{2})-(\d{2}):(\d{2})$/.exec(text.trim())
  if (!match) return 'it must be days and hours, such as MON-FRI 08:00-18:00'
  const [, days = '', ...figures] = match
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = figures.map(Number)
  const from = fromHour * 60 + fromMinute
  const to = toHour * 60 + toMinute
  if (fromMinute > 59 || toMinute > 59 || from >= 1_440 || to > 1_440)
    return 'its hours are not those of a day'
  if (from === to) return 'it begins when it ends'
  const parsed = parseDays(days)
  return parsed === null ? 'its days are not like MON-FRI or SAT,SUN' : { days: parsed, from, to }
}

function parseDays(text: string): readonly number[] | null {
  const days = new Set<number>()
  for (const part of text.toUpperCase().split(',')) {
    const [first = '', last = first, ...more] = part.split('-')
    const from = dayNames.indexOf(first)
    const to = dayNames.indexOf(last)
    if (from === -1 || to === -1 || more.length > 0) return null
    for (let day = from; ; day = (day + 1) % 7) {
      days.add(day)
      if (day === to) break
    }
  }
  return [...days].sort((a, b) => a - b)
}

export function isCalendarOpen({ timeZone, hours, daysOff }: Calendar, at: Instant): boolean {
  const local = wallClock(at, timeZone)
  const midnight = Math.floor(local / dayMs) * dayMs
  if (daysOff.has(dayText(midnight))) return false
  const minute = Math.floor((local - midnight) / minuteMs)
  const today = new Date(midnight).getUTCDay()
  const yesterday = (today + 6) % 7
  return hours.some(({ days, from, to }) => {
    if (from < to) return days.includes(today) && minute >= from && minute < to
    // over midnight: the evening of its day, or the morning after
    return (days.includes(today) && minute >= from) || (days.includes(yesterday) && minute < to)
  })
}

const stepMs = 15 * minuteMs
const searchMs = 31 * dayMs

/** The first quarter of an hour from `at` on at which it is open; null when there is none within a month. */
export function nextOpening(calendar: Calendar, at: Instant): Instant | null {
  if (isCalendarOpen(calendar, at)) return at
  const first = Math.ceil(at / stepMs) * stepMs
  for (let each = first; each <= at + searchMs; each += stepMs)
    if (isCalendarOpen(calendar, each)) return each
  return null
}

function dayText(midnight: Instant): string {
  return new Date(midnight).toISOString().slice(0, 10)
}

/** @returns what is wrong, or null */
export function calendarProblem(timeZone: string, daysOff: readonly string[]): string | null {
  if (!isTimeZone(timeZone)) return `${timeZone} is no time zone of the IANA database, such as Europe/Vienna`
  const wrong = daysOff.find((day) => Number.isNaN(Date.parse(`${day}T00:00:00Z`)))
  return wrong === undefined ? null : `${wrong} is no day like 2026-12-25`
}

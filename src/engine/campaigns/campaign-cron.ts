/** Maintenance windows: an AWS cron expression and a length, in the time zone of the site. */
import { dayMs, minuteMs, type Instant } from '../../base/clock.ts'
import type { MaintenanceWindow } from './campaign-definition.ts'

/** The minutes, hours and days at which a window begins; null = every one. */
export interface Cron {
  readonly minutes: readonly number[]
  readonly hours: readonly number[]
  readonly daysOfMonth: ReadonlySet<number> | null
  readonly months: ReadonlySet<number> | null
  /** 1 = Sunday, as AWS counts. */
  readonly daysOfWeek: ReadonlySet<number> | null
}

const monthNames = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']
const dayNames = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']

/** Reads `cron(0 2 ? * MON-FRI *)`. Years other than `*`, and `L`, `W` and `#`, are not understood. @returns what is wrong */
export function parseCron(text: string): Cron | string {
  const match = /^cron\((.*)\)$/.exec(text.trim())
  const fields = match?.[1]?.trim().split(/\s+/) ?? []
  if (fields.length !== 6)
    return 'it must be cron(minutes hours day-of-month month day-of-week year), such as cron(0 2 ? * MON-FRI *)'
  const [minute = '', hour = '', dayOfMonth = '', month = '', dayOfWeek = '', year = ''] = fields
  if (year !== '*') return 'its year must be *'
  const minutes = parseField(minute, 0, 59)
  const hours = parseField(hour, 0, 23)
  const daysOfMonth = parseField(dayOfMonth, 1, 31)
  const months = parseField(month, 1, 12, monthNames)
  const daysOfWeek = parseField(dayOfWeek, 1, 7, dayNames)
  const parts = { minutes, hours, 'day of month': daysOfMonth, month: months, 'day of week': daysOfWeek }
  for (const [name, value] of Object.entries(parts))
    if (value === undefined) return `its ${name} is not understood`
  return {
    minutes: minutes ?? range(0, 59),
    hours: hours ?? range(0, 23),
    daysOfMonth: daysOfMonth ? new Set(daysOfMonth) : null,
    months: months ? new Set(months) : null,
    daysOfWeek: daysOfWeek ? new Set(daysOfWeek) : null,
  }
}

/** A list of values and ranges, with steps; null for every one, undefined when it is not understood. */
function parseField(
  text: string,
  low: number,
  high: number,
  names: readonly string[] = [],
): readonly number[] | null | undefined {
  if (text === '*' || text === '?') return null
  const values: number[] = []
  for (const part of text.split(',')) {
    const match = /^([A-Za-z0-9]+|\*)(?:-([A-Za-z0-9]+))?(?:\/([1-9][0-9]?))?$/.exec(part)
    if (!match) return undefined
    const [, from = '', to, step] = match
    if (from === '*' && to !== undefined) return undefined
    const first = from === '*' ? low : valueOf(from, low, names)
    const last =
      to !== undefined ? valueOf(to, low, names) : from === '*' || step !== undefined ? high : first
    if (first === null || last === null || first < low || last > high || first > last) return undefined
    for (let value = first; value <= last; value += Number(step ?? 1)) values.push(value)
  }
  return [...new Set(values)].sort((a, b) => a - b)
}

function valueOf(text: string, low: number, names: readonly string[]): number | null {
  const named = names.indexOf(text.toUpperCase())
  if (named >= 0) return named + low
  return /^[0-9]{1,2}$/.test(text) ? Number(text) : null
}

function range(low: number, high: number): number[] {
  return Array.from({ length: high - low + 1 }, (_, i) => low + i)
}

/** A time zone of the IANA database, as Intl knows it. */
export function isTimeZone(name: string): boolean {
  if (name === '' || /^[+-]/.test(name)) return false
  try {
    formatOf(name)
    return true
  } catch {
    return false
  }
}

/** Building one costs some hundred microseconds, and a tick asks for each zone again. */
const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    formats.set(timeZone, format)
  }
  return format
}

/** What the wall clock shows there, as if it were UTC: epoch ms of those figures. @param timeZone one that `isTimeZone` */
export function wallClock(at: Instant, timeZone: string): Instant {
  const figures: Record<string, number> = {}
  for (const { type, value } of formatOf(timeZone).formatToParts(at)) figures[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = figures
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

/**
 * Whether work may be begun now: inside one of the windows, from its first instant (inclusive) to its end (exclusive). On
 * the night when clocks change, a window is as long as the wall clock says.
 * @param windows none = at any time; their expressions were checked when the definition was read
 */
export function isInWindow(windows: readonly MaintenanceWindow[], at: Instant, timeZone: string): boolean {
  if (windows.length === 0) return true
  const local = wallClock(at, timeZone)
  return windows.some(({ startTime, durationInMinutes }) => {
    const cron = parseCron(startTime)
    return typeof cron !== 'string' && covers(cron, durationInMinutes * minuteMs, local)
  })
}

/** @param durationMs shorter than a day, so a window that is open began today or yesterday */
function covers(cron: Cron, durationMs: number, local: Instant): boolean {
  const today = Math.floor(local / dayMs) * dayMs
  return [today, today - dayMs].some((day) => {
    if (!isStartDay(cron, day)) return false
    return cron.hours.some((hour) =>
      cron.minutes.some((minute) => {
        const since = local - (day + (hour * 60 + minute) * minuteMs)
        return since >= 0 && since < durationMs
      }),
    )
  })
}

function isStartDay({ daysOfMonth, months, daysOfWeek }: Cron, day: Instant): boolean {
  const date = new Date(day)
  return (
    (daysOfMonth === null || daysOfMonth.has(date.getUTCDate())) &&
    (months === null || months.has(date.getUTCMonth() + 1)) &&
    (daysOfWeek === null || daysOfWeek.has(date.getUTCDay() + 1))
  )
}

/** Share of a week in which at least one window is open, for forecasts: 1 = always. */
export function openShare(windows: readonly MaintenanceWindow[], from: Instant): number {
  if (windows.length === 0) return 1
  const steps = 7 * 24 * 12
  let open = 0
  for (let step = 0; step < steps; step++) if (isInWindow(windows, from + step * 5 * minuteMs, 'UTC')) open++
  return open / steps
}

/** Durations are `"90d"` strings in configuration and milliseconds everywhere else. */
import { dayMs, hourMs, minuteMs, secondMs } from './instant.ts'

const units: Readonly<Record<string, number>> = {
  s: secondMs,
  m: minuteMs,
  h: hourMs,
  d: dayMs,
  w: 7 * dayMs,
  y: 365 * dayMs,
}

export const durationPattern = '^(0|[1-9][0-9]*(s|m|h|d|w|y))$'

/**
 * @param text `0`, or a whole number and one unit: `30s`, `5m`, `12h`, `90d`, `2w`, `3y` (a year is 365 days)
 * @returns milliseconds, or null when the text is not a duration
 */
export function parseDuration(text: string): number | null {
  if (text === '0') return 0
  const match = /^([1-9][0-9]*)([smhdwy])$/.exec(text)
  if (!match) return null
  const ms = Number(match[1]) * (units[match[2] as string] as number)
  return Number.isSafeInteger(ms) ? ms : null
}

/** The largest unit that divides the duration evenly, years excepted: 7776000000 → `90d`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0'
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = units[unit] as number
    if (ms % size === 0) return `${ms / size}${unit}`
  }
  return `${ms / secondMs}s`
}

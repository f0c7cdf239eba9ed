import { dayMs, secondMs, type Instant } from './clock.ts'

/** Whoever asks us to wait longer than this is asked sooner. */
const longestMs = dayMs

/** RFC 9110 §10.2.3: seconds or an HTTP date. @returns ms from now, at most a day, or null when it says nothing */
export function parseRetryAfter(text: string | null, now: Instant): number | null {
  if (text === null) return null
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * secondMs : Date.parse(text) - now
  return Number.isNaN(ms) ? null : Math.min(longestMs, Math.max(0, ms))
}

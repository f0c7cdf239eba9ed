/** Instants and spans as people read them. Instants carry their offset: always UTC. */
import { dayMs, hourMs, iso, minuteMs, type Instant } from '../base/clock.ts'

/** `2026-11-20 12:00:00Z`. */
export function instant(at: Instant): string {
  return iso(at).replace('T', ' ')
}

/** `2026-11-20`. */
export function day(at: Instant): string {
  return iso(at).slice(0, 10)
}

/** `in 12 days`, `expired 3 hours ago`. */
export function describeLeft(notAfter: Instant, now: Instant): string {
  return notAfter >= now ? `in ${span(notAfter - now)}` : `expired ${span(now - notAfter)} ago`
}

/** `5 minutes ago`; `never` for null. */
export function ago(at: Instant | null, now: Instant): string {
  if (at === null) return 'never'
  if (Math.abs(now - at) < minuteMs) return 'just now'
  return at > now ? `in ${span(at - now)}` : `${span(now - at)} ago`
}

/** A span in its largest sensible unit: below two days in hours, below two hours in minutes. */
export function span(ms: number): string {
  const days = Math.floor(ms / dayMs)
  if (days >= 2 * 365) return `${(days / 365.25).toFixed(1)} years`
  if (days >= 2) return `${days} days`
  const hours = Math.floor(ms / hourMs)
  if (hours >= 2) return `${hours} hours`
  const minutes = Math.floor(ms / minuteMs)
  return minutes === 1 ? '1 minute' : `${minutes} minutes`
}

/** Instants in words: in UTC, in the time of this browser, or in that of a site. */
import { useSyncExternalStore } from 'react'
import { kept } from './kept.ts'

export const minuteMs = 60_000
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

/** `utc`, `local`, or the name of a time zone. */
export const zone = kept('zone', 'utc')

export function useZone(): string {
  return useSyncExternalStore(zone.subscribe, zone.read)
}

type Style = 'minute' | 'second' | 'day'

const formats = new Map<string, Intl.DateTimeFormat>()

/** `2027-03-01 14:05 UTC`; the offset stands there unless it is UTC. */
export function instantText(at: number, style: Style = 'minute', timeZone = zone.read()): string {
  const part = partsOf(at, timeZone)
  const day = `${part['year']}-${part['month']}-${part['day']}`
  if (style === 'day') return day
  const time = `${part['hour']}:${part['minute']}${style === 'second' ? `:${part['second']}` : ''}`
  return `${day} ${time} ${offsetText(part['timeZoneName'])}`
}

function partsOf(at: number, timeZone: string): Record<string, string> {
  let format = formats.get(timeZone)
  if (!format) {
    const name = timeZone === 'utc' ? 'UTC' : timeZone === 'local' ? undefined : timeZone
    format = new Intl.DateTimeFormat('en-GB', {
      ...(name === undefined ? {} : { timeZone: name }),
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'longOffset',
    })
    formats.set(timeZone, format)
  }
  return Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
}

function offsetText(name: string | undefined): string {
  const offset = (name ?? 'GMT').replace('GMT', '')
  return offset === '' || offset === '+00:00' ? 'UTC' : offset
}

/** `3 d`, `5 h`, `12 min`, without a direction. */
export function spanText(ms: number): string {
  const size = Math.abs(ms)
  if (size < minuteMs) return `${Math.round(size / 1000)} s`
  if (size < 2 * hourMs) return `${Math.round(size / minuteMs)} min`
  if (size < 2 * dayMs) return `${Math.round(size / hourMs)} h`
  if (size < 730 * dayMs) return `${Math.round(size / dayMs)} d`
  return `${(size / (365.25 * dayMs)).toFixed(1)} y`
}

export function relativeText(at: number, now: number): string {
  if (Math.abs(at - now) < 5_000) return 'now'
  return at > now ? `in ${spanText(at - now)}` : `${spanText(now - at)} ago`
}

export function instantOf(text: string | null | undefined): number | null {
  const at = text ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? null : at
}

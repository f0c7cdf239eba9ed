/**
 * The numbers that a scenario is made of. All of them are here, with unit and limits, so that a scenario file can be
 * checked strictly, a report can say where each one came from, and any of them can be varied.
 */
import { dayMs, hourMs, minuteMs } from '../base/clock.ts'
import { formatDuration, parseDuration } from '../base/duration.ts'

export type ParameterKind = 'count' | 'duration' | 'share'

export interface ParameterRule {
  readonly kind: ParameterKind
  /** In ms, as a count, or as a fraction. */
  readonly min: number
  readonly max: number
  /** When a scenario does not say. */
  readonly otherwise: number
  readonly what: string
}

function duration(otherwise: number, what: string, min = 0, max = 10_000 * dayMs): ParameterRule {
  return { kind: 'duration', min, max, otherwise, what }
}

function share(otherwise: number, what: string, max = 1): ParameterRule {
  return { kind: 'share', min: 0, max, otherwise, what }
}

function count(otherwise: number, what: string, min = 0, max = 10_000_000): ParameterRule {
  return { kind: 'count', min, max, otherwise, what }
}

export const parameterRules = {
  devices: count(1_000, 'devices of the fleet', 1),
  days: count(180, 'virtual days', 1, 3_650),
  tick: duration(hourMs, 'how far the clock moves between two passes of the jobs', minuteMs, dayMs),
  'certificate.life': duration(1_095 * dayMs, 'validity of a certificate', dayMs),
  'certificate.lead': duration(180 * dayMs, 'how long before the last certificate ends the run begins'),
  'certificate.spread': duration(0, 'all certificates end within so long before that'),
  'certificate.jitter': duration(0, 'up to so much is taken off each validity by the profile'),
  'renewal.before': duration(180 * dayMs, 'the renewal window of the profile opens so long before the end'),
  'renewal.grace': duration(7 * dayMs, 'a replaced certificate works on for so long'),
  'campaign.window': duration(90 * dayMs, 'the campaign lets its devices in over so long', minuteMs),
  'agent.renewAt': {
    kind: 'share',
    min: 0.1,
    max: 0.95,
    otherwise: 0.95,
    what: 'share of its life after which a device renews unasked',
  },
  'contact.every': duration(dayMs, 'a device comes on the air so often', minuteMs),
  'contact.missed': share(0, 'contacts that do not come about', 0.99),
  'contact.sleep': duration(0, 'a message may be worked on so long after it has been received'),
  'outage.share': share(0, 'devices that cannot be reached in the whole window', 0.99),
  'outage.window': duration(90 * dayMs, 'the window that this share is said of'),
  'outage.stuck': share(0, 'of these: modem attached, device not started; an SMS starts it'),
  'outage.dead': share(0, 'of these: no coverage; comes and goes'),
  'outage.repair': duration(30 * dayMs, 'mean time after the window until any of them comes back'),
  'sms.success': share(0, 'SMS that reach a modem that is attached'),
  'sms.dead': share(0, 'SMS that reach a device without data coverage'),
  'network.latency': duration(2_000, 'mean time of one exchange', 0, hourMs),
  'network.lost': share(0, 'requests that are lost on the way', 0.9),
  'network.replyLost': share(0, 'answers that are lost on the way', 0.9),
  'network.twice': share(0, 'requests and messages that arrive twice', 0.9),
  'clock.wrong': share(0, 'devices whose clock is wrong'),
  'clock.error': duration(0, 'a wrong clock is off by up to so much, either way', 0, 3_650 * dayMs),
  'flash.powerCut': share(0, 'times awake that end with a power cut in the middle of a write', 0.5),
  'flash.lost': share(0, 'of these: the file that was being written is lost'),
  'firmware.bad': share(0, 'devices whose firmware gets a certificate and never uses it'),
  'visit.before': duration(30 * dayMs, 'somebody visits a device of the field list so long before its end'),
  'visit.perDay': count(1_000_000, 'visits per day'),
} as const satisfies Readonly<Record<string, ParameterRule>>

export type ParameterName = keyof typeof parameterRules
export type ParameterValues = Readonly<Record<ParameterName, number>>

export const parameterNames = Object.keys(parameterRules) as ParameterName[]

/** @returns the value in ms, as a count or a fraction; or what is wrong with it */
export function readParameter(name: ParameterName, written: unknown): number | string {
  const rule: ParameterRule = parameterRules[name]
  const value = numberOf(rule.kind, written)
  if (value === null) return `${name} must be ${shapes[rule.kind]}, not ${JSON.stringify(written)}`
  if (value < rule.min || value > rule.max) {
    const [min, max] = [formatParameter(name, rule.min), formatParameter(name, rule.max)]
    return `${name} must be from ${min} to ${max}, not ${formatParameter(name, value)}`
  }
  return value
}

const shapes = {
  count: 'a whole number',
  duration: 'a duration such as 72h or 90d',
  share: 'a share such as 7% or 0.07',
} as const

function numberOf(kind: ParameterKind, written: unknown): number | null {
  switch (kind) {
    case 'count':
      return Number.isSafeInteger(written) ? (written as number) : null
    case 'duration':
      return typeof written === 'string' ? parseDuration(written) : written === 0 ? 0 : null
    case 'share': {
      if (typeof written === 'number') return Number.isFinite(written) ? written : null
      const percent = typeof written === 'string' ? /^(\d+(?:\.\d+)?) ?%$/.exec(written) : null
      return percent ? Number(percent[1]) / 100 : null
    }
    default:
      return kind satisfies never
  }
}

export function formatParameter(name: ParameterName, value: number): string {
  switch (parameterRules[name].kind) {
    case 'count':
      return value.toLocaleString('en-US')
    case 'duration':
      return value === 0 || Number.isInteger(value / 1_000) ? formatDuration(value) : `${value} ms`
    case 'share':
      return `${Number((value * 100).toFixed(4))} %`
  }
}

/** What became of a renewal, in words for people: the field list and `device why` say it alike. */
import { dayMs, hourMs, iso, minuteMs, type Instant } from '../../base/clock.ts'
import type { AttemptRecord } from '../../store/renewal-attempts.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import type { AbandonReason, EscalationReason } from './renewal-step.ts'

const channelWords: Readonly<Record<string, string>> = {
  mqtt: 'MQTT message',
  twin: 'twin property',
  ota: 'update bundle',
  webhook: 'webhook',
  sms: 'SMS',
  field: 'field list',
}

/** `MQTT message`; a channel of another version keeps its name. */
export function channelWord(channel: string): string {
  return channelWords[channel] ?? channel
}

/** What happened at one attempt: `sent`, `failed (no phone number)`. */
export function outcomeWords({ status, detail }: Pick<AttemptRecord, 'status' | 'detail'>): string {
  const word = {
    queued: 'on its way out',
    sent: 'sent',
    delivered: 'delivered',
    failed: 'failed',
    withheld: 'withheld',
  }[status]
  return detail === null ? word : `${word} (${detail})`
}

/** Why a device is on the field list. */
export function escalationWords({ reason }: Pick<RenewalRecord, 'reason'>): string {
  switch (reason as EscalationReason | null) {
    case 'ladder-exhausted':
      return 'it answered to none of the ways of asking it'
    case 'expired':
      return 'its certificate has ended'
    case 'never-used':
      return 'it got a new certificate and was never seen with it'
    default:
      return reason ?? 'no reason is on record'
  }
}

/** What a person does about it. */
export function nextActionWords(
  renewal: Pick<RenewalRecord, 'reason' | 'deviceId' | 'notAfter'>,
  now: Instant,
): string {
  const { reason, deviceId, notAfter } = renewal
  if ((reason as EscalationReason | null) === 'never-used') {
    return now > notAfter
      ? `visit: check that it stores what it gets, then enrol it with \`perennial device secret ${deviceId}\``
      : 'visit, or call: check that it stores its new certificate and connects with it'
  }
  if (now > notAfter) return `visit: enrol it with a new secret, \`perennial device secret ${deviceId}\``
  return 'visit: check power, link and clock, and renew it on the spot'
}

/** Why a renewal was given up. */
export function abandonWords(reason: string | null): string {
  switch (reason as AbandonReason | null) {
    case 'certificate-revoked':
      return 'its certificate was revoked'
    case 'certificate-replaced':
      return 'its certificate was replaced in another way'
    case 'device-quarantined':
      return 'the device was quarantined'
    case 'device-decommissioned':
      return 'the device was decommissioned'
    case 'campaign-aborted':
      return 'its campaign was aborted'
    case 'no-longer-selected':
      return 'the device left the selection of its campaign'
    case 'rollout-ended':
      return 'its campaign came to its end time before it was asked'
    case 'skipped':
      return 'an operator took the device out of its campaign'
    default:
      return reason ?? 'no reason is on record'
  }
}

/** Whole days until then, negative when it is over; the last day is 0. */
export function daysLeft(notAfter: Instant, now: Instant): number {
  return Math.floor((notAfter - now) / dayMs)
}

/** `2026-11-20 12:00:00Z (in 3 days)`. */
export function when(at: Instant, now: Instant): string {
  return `${iso(at).replace('T', ' ')} (${distance(at - now)})`
}

/** `in 3 days`, `5 hours ago`, `now`. */
export function distance(ms: number): string {
  const size = Math.abs(ms)
  if (size < minuteMs) return 'now'
  const text = span(size)
  return ms > 0 ? `in ${text}` : `${text} ago`
}

function span(ms: number): string {
  const days = Math.floor(ms / dayMs)
  if (days >= 2 * 365) return `${(days / 365.25).toFixed(1)} years`
  if (days >= 2) return `${days} days`
  const hours = Math.floor(ms / hourMs)
  if (hours >= 2) return `${hours} hours`
  const minutes = Math.floor(ms / minuteMs)
  return minutes === 1 ? '1 minute' : `${minutes} minutes`
}

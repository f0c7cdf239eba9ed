/**
 * When a device should renew: the window that RFC 9773 §4.2 calls `suggestedWindow`. A device draws an instant inside it,
 * so nothing has to be sent to devices that ask. Pure; what it looks at is gathered in renewal-info.ts.
 *
 * Three instants bound every window of a live certificate: renewal opens (`profile.renewBefore` before the end), each
 * device has its own due instant in the first part after that, and the last part is left for repeats, other channels and
 * people.
 */
import { dayMs, hourMs, minuteMs, secondMs, type Instant } from '../../base/clock.ts'
import { sha256 } from '../../base/bytes.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import type { Profile } from '../issuing/profile.ts'

/** Both in whole seconds; `end` is later than `start` (RFC 9773 §4.2). */
export interface SuggestedWindow {
  readonly start: Instant
  readonly end: Instant
}

/** What the hint needs of an open renewal; a renewal record fits. */
export interface HintedRenewal {
  /** '' when no campaign asked for it. */
  readonly campaignId: string
  readonly certificateId: number
  /** Null while the device waits to be let in. */
  readonly nextAt: Instant | null
  readonly triggeredAt: Instant | null
}

/** How busy the campaign is that a renewal belongs to. */
export interface CampaignLoad {
  /** False while it is paused or not started: those who wait go on waiting. */
  readonly isRunning: boolean
  /** Devices that are not let in yet. */
  readonly waiting: number
  /** Devices that it lets in each minute, now. */
  readonly perMinute: number
}

type HintedCertificate = Pick<
  CertificateRecord,
  'id' | 'deviceId' | 'serialNumber' | 'notAfter' | 'status' | 'revokedAt'
>

export interface HintInput {
  readonly certificate: HintedCertificate
  readonly profile: Pick<Profile, 'renewBeforeMs'>
  /** The open renewal of the device's slot, if any. */
  readonly renewal: HintedRenewal | null
  /** Of the renewal's campaign; null when there is none. */
  readonly load: CampaignLoad | null
  /** Share of the renewal window over which devices are spread, 0 to 1. */
  readonly spread: number
  /** True when the certificate's issuer is trusted no longer. */
  readonly isIssuerLost?: boolean
  readonly now: Instant
}

/** Share of the renewal window, at its end, into which no window is moved. */
const reserveShare = 0.25
/** Length of a window, as a share of the renewal window. */
const lengthShare = 0.125
/** How long a device that waits for a paused campaign is told to wait, before it asks again. */
const pausedMs = dayMs

/**
 * @returns null when certificates of the profile are for life and there is no reason to replace this one
 */
export function suggestedWindow(input: HintInput): SuggestedWindow | null {
  const { certificate, profile, spread, now } = input
  // RFC 9773 §4.1: a window in the past means at once
  if (certificate.status === 'revoked' || input.isIssuerLost === true) return atOnce(now)
  if (profile.renewBeforeMs === null) return null
  const opensAt = certificate.notAfter - profile.renewBeforeMs
  const lengthMs = Math.max(secondMs, profile.renewBeforeMs * lengthShare)
  const latest = latestStart(certificate, profile.renewBeforeMs)
  const { start, isHeld } = wantedStart(
    input,
    renewalDueAt(certificate, { renewBeforeMs: profile.renewBeforeMs, spread }),
  )
  // Somebody who was let in late is not put off any more, and never sent before the policy lets him in.
  const bounded = Math.max(opensAt, isHeld ? Math.min(start, latest) : start)
  return windowFrom(bounded, lengthMs, certificate.notAfter)
}

/** From when on this device is due: the same for a certificate each time, and spread over a fleet. */
export function renewalDueAt(
  certificate: Pick<CertificateRecord, 'deviceId' | 'serialNumber' | 'notAfter'>,
  { renewBeforeMs, spread }: { readonly renewBeforeMs: number; readonly spread: number },
): Instant {
  const opensAt = certificate.notAfter - renewBeforeMs
  return Math.max(opensAt, wholeSecond(opensAt + shareOf(certificate) * spread * renewBeforeMs))
}

/** The last instant at which a window may begin without eating into the time for repeats and people. */
function latestStart({ notAfter }: Pick<CertificateRecord, 'notAfter'>, renewBeforeMs: number): Instant {
  return notAfter - renewBeforeMs * (reserveShare + lengthShare)
}

interface Wanted {
  readonly start: Instant
  /** True when it may still move. */
  readonly isHeld: boolean
}

function wantedStart({ certificate, renewal, load, now }: HintInput, dueAt: Instant): Wanted {
  // A renewal that is open still, while the new certificate is in use already, says nothing about the new one.
  if (renewal === null || renewal.certificateId !== certificate.id) return { start: dueAt, isHeld: true }
  if (renewal.triggeredAt !== null) return { start: renewal.triggeredAt, isHeld: false }
  if (renewal.nextAt !== null && (load === null || load.isRunning)) {
    return { start: renewal.nextAt, isHeld: false }
  }
  if (load === null) return { start: dueAt, isHeld: true }
  if (!load.isRunning) return { start: Math.max(dueAt, now + pausedMs), isHeld: true }
  // The queue drains at the campaign's rate; each device has its place in it.
  const drainMs = (load.waiting / Math.max(load.perMinute, 1 / 60)) * minuteMs
  return { start: now + shareOf(certificate) * drainMs, isHeld: true }
}

function windowFrom(start: Instant, lengthMs: number, notAfter: Instant): SuggestedWindow {
  const from = wholeSecond(start)
  const end = wholeSecond(Math.min(from + lengthMs, notAfter))
  return { start: from, end: Math.max(end, from + secondMs) }
}

/** As other servers answer it: an hour that is over, so that a clock which is a little slow understands it too. */
function atOnce(now: Instant): SuggestedWindow {
  return { start: wholeSecond(now - hourMs), end: wholeSecond(now - hourMs / 2) }
}

/** A fraction in [0, 1) that anybody can recompute. */
function shareOf({ deviceId, serialNumber }: Pick<CertificateRecord, 'deviceId' | 'serialNumber'>): number {
  const digest = sha256(`${deviceId ?? ''}/${serialNumber}`)
  return Buffer.from(digest.buffer, digest.byteOffset, 6).readUIntBE(0, 6) / 2 ** 48
}

function wholeSecond(at: Instant): Instant {
  return Math.floor(at / secondMs) * secondMs
}

/** Shortest and longest wait until a device asks again. */
const pollMs = { shortest: minuteMs, longest: dayMs }
/** How often the hint is looked at in the course of a renewal window. */
const pollsPerWindow = 16

/**
 * How long the device should wait until it asks again: the wanted interval, not a minimum (RFC 9773 §4.3.2). Short enough
 * that a window which moves is noticed in time.
 * @returns ms
 */
export function pollAfter(
  window: SuggestedWindow | null,
  { renewBeforeMs }: Pick<Profile, 'renewBeforeMs'>,
  now: Instant,
): number {
  if (window === null || renewBeforeMs === null) return pollMs.longest
  const often = clamp(renewBeforeMs / pollsPerWindow)
  return window.start > now ? clamp(Math.min(often, window.start - now)) : often
}

function clamp(ms: number): number {
  return Math.min(pollMs.longest, Math.max(pollMs.shortest, ms))
}

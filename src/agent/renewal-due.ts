/** When a certificate is renewed: a share of its life, or earlier where the server wishes it. Pure. */
import { hourMs, type Instant } from '../base/clock.ts'
import { sha256 } from '../base/bytes.ts'
import type { AgentConfig } from './agent-config.ts'
import type { InboxState, Window } from './agent-inbox.ts'

interface Life {
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly serialNumber: string
}

type Rhythm = Pick<AgentConfig, 'deviceId' | 'renewAt' | 'jitter'>

/**
 * When this certificate is renewed by itself: a share of its life, and a spread that is fixed by device and certificate, so
 * that a restart does not draw again.
 */
export function renewalInstant(config: Rhythm, certificate: Life): Instant {
  const { notBefore, notAfter } = certificate
  const spread = spreadOf(config, certificate)
  return Math.round(
    notBefore + (notAfter - notBefore) * Math.min(0.98, config.renewAt + config.jitter * spread),
  )
}

export interface Due {
  readonly at: Instant
  readonly by: 'life' | 'trigger' | 'hint'
}

/**
 * A window moves the instant forward only: whoever forges a hint must not be able to keep a device from its own rule. And
 * whoever forges triggers must not wear it out: two renewals that somebody wished lie an hour apart.
 * @param summonedAt when the certificate in use came into use, if its predecessor was renewed on somebody's wish
 */
export function renewalDue(
  config: Rhythm,
  certificate: Life,
  { inbox, summonedAt }: { readonly inbox: InboxState; readonly summonedAt: Instant | null },
): Due {
  const pausedUntil = summonedAt === null ? -Infinity : summonedAt + hourMs
  const own: Due = { at: renewalInstant(config, certificate), by: 'life' }
  const wished = (['trigger', 'hint'] as const).flatMap((by): Due[] => {
    const summons = inbox[by]
    if (summons?.serialNumber !== certificate.serialNumber) return []
    const drawn = drawnFrom(summons.window, spreadOf(config, certificate))
    return [{ at: Math.max(drawn, certificate.notBefore, pausedUntil), by }]
  })
  return [own, ...wished].reduce((first, each) => (each.at < first.at ? each : first))
}

/** RFC 9773 §4.2: "select a uniform random time within the suggested window". */
function drawnFrom({ start, end }: Window, spread: number): Instant {
  return Math.round(start + Math.max(0, end - start) * spread)
}

/** [0, 1), fixed by device and certificate. */
function spreadOf({ deviceId }: Rhythm, { serialNumber }: Life): number {
  return Buffer.from(sha256(`${deviceId} ${serialNumber}`)).readUIntBE(0, 6) / 2 ** 48
}

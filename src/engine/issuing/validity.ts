/** From when to when a new certificate is valid. */
import { createHmac } from 'node:crypto'
import { iso, secondMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { noExpiry } from '../../pki/certificate.ts'
import type { Profile } from './profile.ts'

export interface Validity {
  /** Both inclusive, whole seconds (RFC 5280 §4.1.2.5). */
  readonly notBefore: Instant
  readonly notAfter: Instant
}

export interface ValidityInput {
  readonly profile: Pick<Profile, 'name' | 'validityMs' | 'jitterMs' | 'backdateMs' | 'renewBeforeMs'>
  readonly deviceId: DeviceId
  readonly issuer: Validity & { readonly id: string }
  /** Epoch ms; cut to whole seconds. */
  readonly now: Instant
}

/**
 * Validity for a new certificate. It never ends after its issuer: a certificate that is renewed is cut to the issuer's
 * end as long as a renewal window still fits in; one that is never renewed is refused, because nobody would replace it.
 * @throws Refusal `issuer-unavailable` when the issuer ends too soon
 */
export function validityOf({ profile, deviceId, issuer, now }: ValidityInput): Validity {
  const start = floorToSecond(now)
  const notBefore = Math.max(start - floorToSecond(profile.backdateMs), issuer.notBefore)
  const wanted =
    profile.validityMs === null
      ? noExpiry
      : start + floorToSecond(profile.validityMs) - jitterOf(profile, deviceId)
  if (wanted <= issuer.notAfter) return { notBefore, notAfter: wanted }
  const { renewBeforeMs } = profile
  if (renewBeforeMs === null || issuer.notAfter - now <= renewBeforeMs) {
    throw new Refusal(
      'issuer-unavailable',
      `issuer ${issuer.id} ends on ${iso(issuer.notAfter)}, too soon for a certificate of profile ${profile.name}: ` +
        'an operator must move the profile to a new issuer',
    )
  }
  return { notBefore, notAfter: issuer.notAfter }
}

/**
 * What is taken off the end: a fraction of `jitterMs` that is the same for a device and a profile each time, and that
 * anybody can recompute. It spreads a production batch so that it cannot lapse in one night.
 * @returns ms, whole seconds, 0 to `jitterMs`
 */
export function jitterOf({ name, jitterMs }: Pick<Profile, 'name' | 'jitterMs'>, deviceId: DeviceId): number {
  if (jitterMs === 0) return 0
  const digest = createHmac('sha256', name).update(deviceId).digest()
  return Math.min(
    floorToSecond((digest.readUIntBE(0, 6) / 2 ** 48) * (jitterMs + secondMs)),
    floorToSecond(jitterMs),
  )
}

function floorToSecond(ms: number): number {
  return Math.floor(ms / secondMs) * secondMs
}

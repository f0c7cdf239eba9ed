/** Codes of an authenticator app: TOTP, RFC 6238, with what all apps take: HMAC-SHA-1, 30 seconds, six digits. */
import { createHmac } from 'node:crypto'
import { equalSecrets } from '../../base/bytes.ts'
import type { Instant } from '../../base/clock.ts'

const stepMs = 30_000
const digits = 6
/** Steps before and after now: the clock of a phone, and the time to type (RFC 6238 §5.2). */
const tolerance = 1

/** RFC 4226 §4: 160 bits. */
export const totpKeyLength = 20

/** @returns the step of the code, or null when it is wrong, or of a step that is not after `lastStep`: a code is used once */
export function totpStepOf(
  key: Uint8Array,
  code: string,
  { now, lastStep }: { readonly now: Instant; readonly lastStep: number },
): number | null {
  if (!/^[0-9]{6}$/.test(code)) return null
  const current = Math.floor(now / stepMs)
  let found: number | null = null
  for (let step = current - tolerance; step <= current + tolerance; step++) {
    // Each is compared, so that the time does not tell which.
    const isEqual = equalSecrets(Buffer.from(totpCode(key, step)), Buffer.from(code))
    if (isEqual && step > lastStep) found = step
  }
  return found
}

/** RFC 4226 §5.3. */
export function totpCode(key: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', key).update(counter).digest()
  const offset = (mac[mac.length - 1] as number) & 0x0f
  const value = mac.readUInt32BE(offset) & 0x7fffffff
  return String(value % 10 ** digits).padStart(digits, '0')
}

export function totpCodeAt(key: Uint8Array, now: Instant): string {
  return totpCode(key, Math.floor(now / stepMs))
}

/** What an authenticator app reads from a QR code or a link (the Key URI format). */
export function totpUri(key: Uint8Array, account: string, issuer: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`
  return `otpauth://totp/${label}?secret=${base32(key)}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${digits}&period=30`
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648 §6, without padding. */
export function base32(bytes: Uint8Array): string {
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  return (bits.match(/.{1,5}/g) ?? [])
    .map((group) => alphabet[Number.parseInt(group.padEnd(5, '0'), 2)])
    .join('')
}

/**
 * The server's signed time, for a device whose clock is so wrong that TLS takes the server's certificate for expired or not yet
 * valid. It is an OCSP answer about the device's own certificate with a nonce (RFC 6960 §4.2.1, RFC 9654): signed now, for this
 * question, by a key that the device's CA has certified for it. No clock is needed to ask, and nobody on the way can make one.
 */
import { iso, type Clock, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Certificate } from '../pki/certificate.ts'
import { encodeOcspRequest } from '../pki/ocsp-query.ts'
import { checkSignedTime } from '../pki/ocsp-read.ts'
import { fetchBytes } from './http-fetch.ts'
import { responderOf } from './ocsp-fetch.ts'

export interface SignedTimeSubject {
  /** The device's own certificate: its responder is asked. */
  readonly leaf: Certificate
  /** The CA that issued it, from the device's own storage. */
  readonly issuer: Certificate
}

/** Asks for the server's time. Throws Refusal for whatever is not a proof. */
export type SignedTime = (subject: SignedTimeSubject) => Promise<Instant>

const maxBytes = 65_536
const timeoutMs = 30_000

/**
 * @throws Refusal as `fetchBytes` and `checkSignedTime`; `not-found` when the certificate names no responder;
 *   `server-answer-invalid` for a time before the certificate was issued, which only the past can say
 */
export function askSignedTime({ clock, random }: { clock: Clock; random: Random }): SignedTime {
  return async ({ leaf, issuer }) => {
    const url = responderOf(leaf)
    if (url === null)
      throw new Refusal('not-found', 'the certificate names no OCSP responder to ask for the time')
    const nonce = random.bytes(32)
    const bytes = encodeOcspRequest({ leaf, issuer, hash: 'sha1', nonce })
    const body = { type: 'application/ocsp-request', bytes }
    const never = new AbortController()
    const fetched = await fetchBytes(clock, { url, body, maxBytes, timeoutMs }, never.signal)
    const at = checkSignedTime({ der: fetched?.bytes ?? new Uint8Array(), issuer, nonce })
    if (at >= leaf.notBefore) return at
    const detail = `the signed time ${iso(at)} is before this device's certificate was issued`
    throw new Refusal('server-answer-invalid', detail)
  }
}

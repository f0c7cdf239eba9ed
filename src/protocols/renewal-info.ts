/**
 * Renewal hints over HTTP: `GET …/renewal-info/<certificate-id>` without authentication, on the status endpoint as RFC 9773
 * has it and beside EST as draft-ietf-lamps-est-renewal-info-00 has it; and the header that goes with EST answers.
 */
import { iso } from '../base/clock.ts'
import { toHex } from '../base/bytes.ts'
import { parseSerialNumber } from '../base/id.ts'
import type { Engine } from '../engine/context.ts'
import type { SuggestedWindow } from '../engine/renewals/renewal-hint.ts'
import {
  findNamed,
  renewalInfo,
  type CertificateName,
  type RenewalInfo,
} from '../engine/renewals/renewal-info.ts'
import { retryAfterSeconds, textResponse, type HttpResponse } from './http-message.ts'

/**
 * Answers for a certificate that anybody may ask about: what is told is no secret (RFC 9773 §7), and two identifiers of
 * the certificate must be known to ask.
 * @param id base64url of the AKI's keyIdentifier, a period, base64url of the serial number (RFC 9773 §4.1)
 */
export async function answerRenewalInfo(engine: Engine, id: string): Promise<HttpResponse> {
  const name = parseCertificateName(id)
  if (name === null) {
    return textResponse(
      400,
      'a certificate is named base64url(AKI keyIdentifier).base64url(serial number), without padding (RFC 9773)',
    )
  }
  const certificate = await findNamed(engine, name)
  const info = certificate && (await renewalInfo(engine, certificate, { now: engine.clock.now() }))
  // An unknown certificate and one for life: there is no window for either.
  if (!info?.suggestedWindow)
    return textResponse(404, 'there is no renewal window for such a certificate here')
  return renewalInfoResponse(info.suggestedWindow, info, {
    'Cache-Control': `public, max-age=${retryAfterSeconds(info.retryAfterMs)}`,
  })
}

/** The renewalInfo object with its polling interval (RFC 9773 §4.2 and §4.3.2). */
export function renewalInfoResponse(
  window: SuggestedWindow,
  { retryAfterMs }: Pick<RenewalInfo, 'retryAfterMs'>,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return {
    status: 200,
    headers: {
      'Content-Type': 'application/json',
      'Retry-After': retryAfterSeconds(retryAfterMs),
      ...renewalHeader(window),
      ...headers,
    },
    body: `${JSON.stringify({ suggestedWindow: windowJson(window) })}\n`,
  }
}

export function windowJson({ start, end }: SuggestedWindow): { start: string; end: string } {
  return { start: iso(start), end: iso(end) }
}

/**
 * `Perennial-Renewal: start=@1798761600, end=@1799971200`: a dictionary of dates (RFC 9651 §3.2, §3.3.7), in seconds, so that
 * a shell script can compare it with `date +%s`. The drafts define no header yet ("Might need a header allocation").
 */
export function renewalHeader(window: SuggestedWindow | null): { readonly [name: string]: string } {
  if (window === null) return {}
  return { 'Perennial-Renewal': `start=@${window.start / 1000}, end=@${window.end / 1000}` }
}

const longestIdentifier = 64

/** @returns null when the text is no such name */
export function parseCertificateName(id: string): CertificateName | null {
  const [key, serial, ...rest] = id.split('.')
  if (rest.length > 0) return null
  const keyIdentifier = fromBase64url(key)
  const serialNumber = fromBase64url(serial)
  if (keyIdentifier === null || serialNumber === null) return null
  // Content octets of the INTEGER: two's complement, and ours are positive.
  if ((serialNumber[0] as number) >= 0x80) return null
  const parsed = parseSerialNumber(toHex(serialNumber))
  return parsed && { authorityKeyIdentifier: toHex(keyIdentifier), serialNumber: parsed }
}

/** Strict: one text for each value, without padding. */
function fromBase64url(text: string | undefined): Uint8Array | null {
  if (text === undefined || text.length > longestIdentifier || !/^[A-Za-z0-9_-]+$/.test(text)) return null
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length > 0 && bytes.toString('base64url') === text ? bytes : null
}

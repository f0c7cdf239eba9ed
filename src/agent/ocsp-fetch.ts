/** Asking the responder that a certificate names about that certificate. */
import type { Clock } from '../base/clock.ts'
import { toBase64 } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { Certificate } from '../pki/certificate.ts'
import { encodeOcspRequest } from '../pki/ocsp-query.ts'
import { checkOcspResponse, type CheckedOcsp } from '../pki/ocsp-read.ts'
import { oids } from '../pki/oid.ts'
import { fetchBytes } from './http-fetch.ts'

export interface OcspSubject {
  readonly leaf: Certificate
  /** The CA that issued it. */
  readonly issuer: Certificate
  /** In place of the one that the certificate names. */
  readonly url?: string | undefined
}

export interface FetchedOcsp extends CheckedOcsp {
  readonly der: Uint8Array
}

/** RFC 9919 §6: what is longer goes by POST. */
const longestUrl = 255

/**
 * @throws Refusal `not-found` when the certificate names no responder; else as `fetchBytes` and `checkOcspResponse`
 */
export async function fetchOcsp(
  clock: Clock,
  { leaf, issuer, url: given }: OcspSubject,
  signal: AbortSignal,
): Promise<FetchedOcsp> {
  const url = given ?? responderOf(leaf)
  if (url === null) {
    throw new Refusal('not-found', `certificate ${leaf.serialNumber} names no OCSP responder; give its URL`)
  }
  const request = encodeOcspRequest({ leaf, issuer, hash: 'sha1' })
  const path = `${url}${url.endsWith('/') ? '' : '/'}${encodeURIComponent(toBase64(request))}`
  const isShort = path.length <= longestUrl
  const body = { type: 'application/ocsp-request', bytes: request }
  const asked = isShort ? { url: path, maxBytes: 65_536 } : { url, body, maxBytes: 65_536 }
  const fetched = await fetchBytes(clock, asked, signal)
  const der = fetched?.bytes ?? new Uint8Array()
  return { ...checkOcspResponse({ der, leaf, issuer, now: clock.now() }), der }
}

/** Where its authority information access says (RFC 5280 §4.2.2.1). */
export function responderOf({ extensions }: Certificate): string | null {
  for (const { method, location } of extensions.authorityInfoAccess ?? []) {
    if (method === oids.ocsp && location.kind === 'uri') return location.value
  }
  return null
}

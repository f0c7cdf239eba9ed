/** OCSP responses (RFC 6960 §4.2, in the form that RFC 9919 asks of everybody): byKey, with nextUpdate, signer included. */
import type { Instant } from '../base/clock.ts'
import { assert } from '../base/errors.ts'
import {
  bitString,
  enumerated,
  explicit,
  generalizedTime,
  implicit,
  nullValue,
  octetString,
  oid,
  sequence,
} from './der-writer.ts'
import { encodeExtensions, makeExtension } from './extensions.ts'
import { oids } from './oid.ts'
import { reasonCode, type RevocationReason } from './revocation-reason.ts'
import { encodeAlgorithm, type SignatureAlgorithm } from './signature.ts'

/** §4.2.1. What is not `successful` carries no signature: it says nothing about any certificate. */
export const ocspErrors = {
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  unauthorized: 6,
} as const

export type OcspError = keyof typeof ocspErrors

export function encodeOcspError(error: OcspError): Uint8Array {
  return sequence(enumerated(ocspErrors[error]))
}

export type OcspCertStatus =
  | { readonly kind: 'good' }
  | { readonly kind: 'revoked'; readonly revokedAt: Instant; readonly reason: RevocationReason }
  /** Never issued. */
  | { readonly kind: 'unknown' }

export interface OcspSingle {
  /** DER CertID as the client wrote it. */
  readonly certId: Uint8Array
  readonly status: OcspCertStatus
}

export interface OcspContent {
  /** SHA-1 of the value of the signer's BIT STRING: the key identifier that certificates have. */
  readonly responderKeyHash: Uint8Array
  readonly producedAt: Instant
  readonly thisUpdate: Instant
  readonly nextUpdate: Instant
  readonly singles: readonly OcspSingle[]
  readonly nonce: Uint8Array | null
}

/** ResponseData (§4.2.1): what will be signed. Instants are whole seconds. */
export function encodeOcspResponseData(content: OcspContent): Uint8Array {
  assert(content.singles.length > 0, 'an OCSP response is about something')
  assert(content.nextUpdate > content.thisUpdate, 'nextUpdate is after thisUpdate')
  const update = generalizedTime(content.thisUpdate)
  const next = explicit(0, generalizedTime(content.nextUpdate))
  const fields = [
    explicit(2, octetString(content.responderKeyHash)),
    generalizedTime(content.producedAt),
    sequence(
      ...content.singles.map(({ certId, status }) => sequence(certId, encodeStatus(status), update, next)),
    ),
  ]
  if (content.nonce) {
    const nonce = makeExtension(oids.ocspNonce, octetString(content.nonce))
    fields.push(explicit(1, encodeExtensions([nonce])))
  }
  return sequence(...fields)
}

export interface SignedOcspParts {
  readonly responseData: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  /** DER certificate of the signer, when it is not the CA itself. */
  readonly signer: Uint8Array | null
}

/** The whole OCSPResponse, `successful`, in memory of its own. */
export function assembleOcspResponse(parts: SignedOcspParts): Uint8Array {
  const { responseData, signatureAlgorithm, signature, signer } = parts
  const basic = sequence(
    responseData,
    encodeAlgorithm(signatureAlgorithm),
    bitString(signature),
    ...(signer ? [explicit(0, sequence(signer))] : []),
  )
  return sequence(enumerated(0), explicit(0, sequence(oid(oids.ocspBasic), octetString(basic)))).slice()
}

function encodeStatus(status: OcspCertStatus): Uint8Array {
  switch (status.kind) {
    case 'good':
      return implicit(0, nullValue())
    case 'unknown':
      return implicit(2, nullValue())
    case 'revoked': {
      const time = generalizedTime(Math.floor(status.revokedAt / 1000) * 1000)
      const code = reasonCode(status.reason)
      // as in CRLs (RFC 5280 §5.3.1), an unspecified reason is not written
      return implicit(1, sequence(time, ...(code === 0 ? [] : [explicit(0, enumerated(code))])))
    }
  }
}

/** Signed OCSP answers for tests of who reads them. */
import { hash } from 'node:crypto'
import { hourMs, minuteMs, type Instant } from '../../src/base/clock.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import { encodeOcspCertId, publicKeyBits } from '../../src/pki/ocsp-query.ts'
import {
  assembleOcspResponse,
  encodeOcspResponseData,
  type OcspCertStatus,
} from '../../src/pki/ocsp-response.ts'
import { defaultSignatureAlgorithm, signData } from '../../src/pki/signature.ts'
import type { TestCertificate } from './certificates.ts'

export interface AnswerOptions {
  readonly status?: OcspCertStatus
  /** Default: the CA itself. */
  readonly signer?: TestCertificate
  readonly now: Instant
  readonly lifetimeMs?: number
  readonly hash?: 'sha1' | 'sha256'
  readonly nonce?: Uint8Array | null
}

export function ocspAnswer(
  leaf: Pick<Certificate, 'serialNumber'>,
  issuer: TestCertificate,
  {
    status = { kind: 'good' },
    signer = issuer,
    now,
    lifetimeMs = hourMs,
    hash: name = 'sha1',
    nonce = null,
  }: AnswerOptions,
): Uint8Array {
  const responseData = encodeOcspResponseData({
    responderKeyHash: hash('sha1', publicKeyBits(signer.certificate.spki), 'buffer'),
    producedAt: now,
    thisUpdate: now - minuteMs,
    nextUpdate: now + lifetimeMs,
    singles: [{ certId: encodeOcspCertId({ leaf, issuer: issuer.certificate, hash: name }), status }],
    nonce,
  })
  const signatureAlgorithm = defaultSignatureAlgorithm(signer.keyAlgorithm)
  const signature = signData(signer.keys.privateKey, signatureAlgorithm, responseData)
  const included = signer === issuer ? null : signer.certificate.der
  return assembleOcspResponse({ responseData, signatureAlgorithm, signature, signer: included })
}

/** OCSP requests as clients write them (RFC 6960 §4.1 in the form of RFC 9919 §3.1): one certificate, no signature. */
import { hash } from 'node:crypto'
import type { Certificate } from './certificate.ts'
import { readDer } from './der.ts'
import { readBitStringBytes } from './der-values.ts'
import { explicit, nullValue, octetString, oid, sequence } from './der-writer.ts'
import { encodeSerialNumber } from './extension-values.ts'
import { encodeExtensions, makeExtension } from './extensions.ts'
import type { OcspHash } from './ocsp-request.ts'
import { oids } from './oid.ts'

export interface OcspQuestion {
  readonly leaf: Pick<Certificate, 'serialNumber'>
  /** The CA that issued it. */
  readonly issuer: Pick<Certificate, 'subjectDer' | 'spki'>
  /** SHA-256 where the responder is known to read it (RFC 9919 §3.1.1); SHA-1 for every one. */
  readonly hash: OcspHash
  /**
   * 32 octets that nobody has seen before (RFC 9654 §2.1): the answer is then signed for this request alone. Without, it may be
   * one that was signed before, and be kept by others on the way.
   */
  readonly nonce?: Uint8Array
}

/** OCSPRequest, DER. */
export function encodeOcspRequest(question: OcspQuestion): Uint8Array {
  const list = sequence(sequence(encodeOcspCertId(question)))
  const { nonce } = question
  if (!nonce) return sequence(sequence(list)).slice()
  const extension = makeExtension(oids.ocspNonce, octetString(nonce))
  return sequence(sequence(list, explicit(2, encodeExtensions([extension])))).slice()
}

/** CertID (§4.1.1). */
export function encodeOcspCertId({ leaf, issuer, hash: name }: OcspQuestion): Uint8Array {
  return sequence(
    sequence(oid(oids[name]), nullValue()),
    octetString(hash(name, issuer.subjectDer, 'buffer')),
    octetString(hash(name, publicKeyBits(issuer.spki), 'buffer')),
    encodeSerialNumber(leaf.serialNumber),
  )
}

/** The value of the BIT STRING of a key, without tag, length and count of unused bits: what OCSP hashes (§4.1.1). */
export function publicKeyBits(spki: Uint8Array): Uint8Array {
  const bits = readDer(spki).children[1]
  return bits ? readBitStringBytes(bits, 'subjectPublicKey') : new Uint8Array()
}

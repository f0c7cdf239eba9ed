/** CMS SignedData with one signer (RFC 5652 §5). */
import { hash } from 'node:crypto'
import type { Instant } from '../base/clock.ts'
import type { Certificate } from './certificate.ts'
import {
  explicit,
  implicit,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  time,
} from './der-writer.ts'
import { encodeSerialNumber } from './extension-values.ts'
import { contentInfo } from './cms.ts'
import { oids } from './oid.ts'
import { type SignatureAlgorithm, encodeAlgorithm } from './signature.ts'

export interface SignedDataContent {
  /** Dotted identifier of what `content` is. */
  readonly contentType: string
  readonly content: Uint8Array
  readonly signer: Certificate
  /** Sent along with the signer's certificate. DER each. */
  readonly chain: readonly Uint8Array[]
  readonly signedAt: Instant
  /** One that the signer's key can make. */
  readonly algorithm: SignatureAlgorithm
  /** Signs these bytes (not their hash) with the signer's private key. */
  readonly sign: (signedAttributes: Uint8Array) => Uint8Array
}

/** A ContentInfo of `bareSignedData`. */
export function signedData(parts: SignedDataContent): Uint8Array {
  return contentInfo(oids.signedData, bareSignedData(parts))
}

/** SignedData, version 3 (1 when the content is id-data), the signer named by issuer and serial number. */
export function bareSignedData(parts: SignedDataContent): Uint8Array {
  const { contentType, content, signer, algorithm } = parts
  const digest = digestOf(algorithm)
  const attributes = [
    attribute(oids.contentType, oid(contentType)),
    attribute(oids.signingTime, time(parts.signedAt)),
    attribute(oids.messageDigest, octetString(hash(digest.name, content, 'buffer'))),
  ]
  const digestAlgorithm = sequence(oid(digest.oid))
  // §5.4: what is signed is the SET OF, what is sent carries [0] in its place.
  const signedAttributes = setOf(...attributes)
  const signerInfo = sequence(
    integer(1),
    sequence(signer.issuerDer, encodeSerialNumber(signer.serialNumber)),
    digestAlgorithm,
    implicit(0, signedAttributes),
    signerAlgorithm(algorithm),
    octetString(parts.sign(signedAttributes)),
  )
  return sequence(
    integer(contentType === oids.data ? 1 : 3),
    setOf(digestAlgorithm),
    sequence(oid(contentType), explicit(0, octetString(content))),
    implicit(0, setOf(signer.der, ...parts.chain)),
    setOf(signerInfo),
  )
}

function attribute(type: string, value: Uint8Array): Uint8Array {
  return sequence(oid(type), setOf(value))
}

/** The digest of the content is the one of the signature (RFC 8933 §2); with Ed25519 (RFC 8419) and ML-DSA SHA-512. */
function digestOf(algorithm: SignatureAlgorithm): { name: string; oid: string } {
  if (algorithm.endsWith('sha256')) return { name: 'sha256', oid: oids.sha256 }
  if (algorithm.endsWith('sha384')) return { name: 'sha384', oid: oids.sha384 }
  return { name: 'sha512', oid: oids.sha512 }
}

/** RSA PKCS #1 signers are named rsaEncryption: strongSwan 5.9.8 knows only that, and RFC 3370 §3.2 allows it. */
function signerAlgorithm(algorithm: SignatureAlgorithm): Uint8Array {
  if (algorithm.startsWith('rsa-sha')) return sequence(oid(oids.rsaEncryption), nullValue())
  return encodeAlgorithm(algorithm)
}

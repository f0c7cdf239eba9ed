/**
 * CMS EnvelopedData (RFC 5652 §6): content encrypted with AES-256-CBC for one recipient. EST wraps a server-generated
 * private key in it (RFC 7030 §4.4.2). EnvelopedData has no integrity protection of its own: in EST the TLS session and the
 * SignedData inside give it.
 */
import {
  constants,
  createCipheriv,
  createHash,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
} from 'node:crypto'
import { Refusal, assertNever } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Certificate } from './certificate.ts'
import { contentInfo } from './cms.ts'
import {
  bitString,
  explicit,
  implicit,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
} from './der-writer.ts'
import { encodeSerialNumber } from './extension-values.ts'
import { type PublicKey, parsePublicKey } from './key.ts'
import { oids } from './oid.ts'

export type EnvelopeRecipient =
  /** RSA: key transport. EC: key agreement with an ephemeral key. Other keys cannot be encrypted to. */
  | {
      readonly kind: 'certificate'
      readonly certificate: Certificate
      readonly keyTransport?: 'oaep' | 'pkcs1'
    }
  /** A symmetric key that the recipient has: 16, 24 or 32 bytes, with the name that it goes by. */
  | { readonly kind: 'kek'; readonly keyIdentifier: Uint8Array; readonly key: Uint8Array }

export interface EnvelopeContent {
  readonly content: Uint8Array
  /** Dotted identifier, default id-data. EST: `oids.signedData`; the content is then the bare SignedData. */
  readonly contentType?: string
  readonly recipient: EnvelopeRecipient
}

/**
 * A ContentInfo of EnvelopedData. The content key and IV come from `random`; the ephemeral EC key and RSA padding from the
 * system's generator, because node:crypto takes no other.
 * @throws Refusal `bad-algorithm` when the recipient's key cannot receive encrypted data
 */
export function envelopedData(
  { content, contentType, recipient }: EnvelopeContent,
  random: Random,
): Uint8Array {
  const contentKey = random.bytes(32)
  const iv = random.bytes(16)
  const cipher = createCipheriv('aes-256-cbc', contentKey, iv)
  const encrypted = Buffer.concat([cipher.update(content), cipher.final()])
  const { info, version } = recipientInfo(recipient, contentKey)
  const encryptedContent = sequence(
    oid(contentType ?? oids.data),
    sequence(oid(oids.aes256Cbc), octetString(iv)),
    implicit(0, octetString(encrypted)),
  )
  return contentInfo(oids.envelopedData, sequence(integer(version), setOf(info), encryptedContent))
}

interface RecipientInfo {
  readonly info: Uint8Array
  /** Of the EnvelopedData around it (§6.1). */
  readonly version: 0 | 2
}

function recipientInfo(recipient: EnvelopeRecipient, contentKey: Uint8Array): RecipientInfo {
  if (recipient.kind === 'kek')
    return { info: kekRecipient(recipient.keyIdentifier, recipient.key, contentKey), version: 2 }
  const { certificate, keyTransport = 'oaep' } = recipient
  const key = parsePublicKey(certificate.spki)
  switch (key.details.kind) {
    case 'rsa':
      return { info: keyTransportRecipient({ certificate, key, keyTransport, contentKey }), version: 0 }
    case 'ec':
      return { info: keyAgreementRecipient(certificate, key, contentKey), version: 2 }
    case 'ed25519':
    case 'ml-dsa':
      throw new Refusal(
        'bad-algorithm',
        `a key of type ${key.algorithm} signs only: nothing can be encrypted to it`,
      )
    default:
      return assertNever(key.details)
  }
}

interface KeyTransport {
  readonly certificate: Certificate
  readonly key: PublicKey
  readonly keyTransport: 'oaep' | 'pkcs1'
  readonly contentKey: Uint8Array
}

/** KeyTransRecipientInfo (§6.2.1), version 0: the recipient is named by issuer and serial number. */
function keyTransportRecipient({ certificate, key, keyTransport, contentKey }: KeyTransport): Uint8Array {
  const isOaep = keyTransport === 'oaep'
  const padding = isOaep ? constants.RSA_PKCS1_OAEP_PADDING : constants.RSA_PKCS1_PADDING
  const options = isOaep ? { padding, oaepHash: 'sha256' } : { padding }
  const encryptedKey = publicEncrypt({ key: key.keyObject(), ...options }, contentKey)
  return sequence(
    integer(0),
    issuerAndSerialNumber(certificate),
    isOaep ? oaepSha256 : sequence(oid(oids.rsaEncryption), nullValue()),
    octetString(encryptedKey),
  )
}

/** RSAES-OAEP with SHA-256 for hash and mask generation, no label (RFC 4055 §4.1). */
const sha256Identifier = sequence(oid(oids.sha256), nullValue())
const oaepSha256 = sequence(
  oid(oids.rsaesOaep),
  sequence(explicit(0, sha256Identifier), explicit(1, sequence(oid(oids.mgf1), sha256Identifier))),
)

/**
 * KeyAgreeRecipientInfo (§6.2.2; RFC 5753 §3.1): ephemeral-static ECDH without cofactor, X9.63 KDF, AES-256 key wrap. The
 * KDF's hash is as strong as the curve (RFC 5753 §8).
 */
function keyAgreementRecipient(certificate: Certificate, key: PublicKey, contentKey: Uint8Array): Uint8Array {
  const { scheme, hash, namedCurve, curve } = agreementOf(key)
  const recipientKey = key.keyObject()
  const ephemeral = generateKeyPairSync('ec', { namedCurve })
  const secret = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: recipientKey })
  const wrapAlgorithm = sequence(oid(oids.aes256Wrap))
  // ECC-CMS-SharedInfo (RFC 5753 §7.2); suppPubInfo is the length of the wrapping key in bits.
  const sharedInfo = sequence(wrapAlgorithm, explicit(2, octetString(Uint8Array.of(0, 0, 1, 0))))
  const keyEncryptionKey = deriveKey(secret, sharedInfo, hash)
  const originator = sequence(
    sequence(oid(oids.ecPublicKey), oid(curve)),
    bitString(pointOf(ephemeral.publicKey)),
  )
  const encryptedKey = sequence(
    issuerAndSerialNumber(certificate),
    octetString(wrapKey(keyEncryptionKey, contentKey)),
  )
  const info = sequence(
    integer(3),
    explicit(0, implicit(1, originator)),
    sequence(oid(scheme), wrapAlgorithm),
    sequence(encryptedKey),
  )
  return implicit(1, info)
}

function agreementOf(key: PublicKey): { scheme: string; hash: string; namedCurve: string; curve: string } {
  switch (key.algorithm) {
    case 'ec-p384':
      return { scheme: oids.ecdhStdSha384Kdf, hash: 'sha384', namedCurve: 'P-384', curve: oids.secp384r1 }
    case 'ec-p521':
      return { scheme: oids.ecdhStdSha512Kdf, hash: 'sha512', namedCurve: 'P-521', curve: oids.secp521r1 }
    default:
      return { scheme: oids.ecdhStdSha256Kdf, hash: 'sha256', namedCurve: 'P-256', curve: oids.prime256v1 }
  }
}

/** X9.63 KDF (SEC 1 §3.6.1) for 32 bytes: each supported hash gives that many in its first round. */
function deriveKey(secret: Uint8Array, sharedInfo: Uint8Array, hash: string): Uint8Array {
  const counter = Uint8Array.of(0, 0, 0, 1)
  return createHash(hash).update(secret).update(counter).update(sharedInfo).digest().subarray(0, 32)
}

/** The uncompressed point of an EC key: the BIT STRING at the end of its SPKI. */
function pointOf(publicKey: KeyObject): Uint8Array {
  const { details } = parsePublicKey(publicKey.export({ type: 'spki', format: 'der' }))
  return details.kind === 'ec' ? details.point : new Uint8Array()
}

/** KEKRecipientInfo (§6.2.3), version 4. */
function kekRecipient(keyIdentifier: Uint8Array, key: Uint8Array, contentKey: Uint8Array): Uint8Array {
  const info = sequence(
    integer(4),
    sequence(octetString(keyIdentifier)),
    sequence(oid(wrapOid(key))),
    octetString(wrapKey(key, contentKey)),
  )
  return implicit(2, info)
}

function wrapOid(key: Uint8Array): string {
  if (key.length === 16) return oids.aes128Wrap
  if (key.length === 24) return oids.aes192Wrap
  if (key.length === 32) return oids.aes256Wrap
  throw new Refusal('weak-key', 'a key that wraps keys must have 16, 24 or 32 bytes')
}

/** AES key wrap (RFC 3394 §2.2.1) with the initial value of §2.2.3.1. */
function wrapKey(key: Uint8Array, contentKey: Uint8Array): Uint8Array {
  const cipher = createCipheriv(`id-aes${key.length * 8}-wrap`, key, Buffer.alloc(8, 0xa6))
  return Buffer.concat([cipher.update(contentKey), cipher.final()])
}

function issuerAndSerialNumber(certificate: Certificate): Uint8Array {
  return sequence(certificate.issuerDer, encodeSerialNumber(certificate.serialNumber))
}

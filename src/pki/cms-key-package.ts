/** A server-generated private key on its way to its device (RFC 7030 §4.4.2): signed, then encrypted. */
import type { Random } from '../base/random.ts'
import { type EnvelopeRecipient, envelopedData } from './cms-enveloped.ts'
import { type SignedDataContent, bareSignedData } from './cms-signed.ts'
import { sequence } from './der-writer.ts'
import { oids } from './oid.ts'

/** AsymmetricKeyPackage (RFC 5958 §2) of one key: content of type `oids.asymmetricKeyPackage`. @param privateKey PKCS #8 DER */
export function asymmetricKeyPackage(privateKey: Uint8Array): Uint8Array {
  return sequence(privateKey)
}

export interface KeyPackageContent extends Omit<SignedDataContent, 'content' | 'contentType'> {
  /** PKCS #8 DER. */
  readonly privateKey: Uint8Array
  readonly recipient: EnvelopeRecipient
}

/**
 * The body of `application/pkcs7-mime; smime-type=server-generated-key`: EnvelopedData of SignedData of an
 * AsymmetricKeyPackage.
 * @throws Refusal `bad-algorithm` when the recipient's key cannot receive encrypted data
 */
export function sealKeyPackage(parts: KeyPackageContent, random: Random): Uint8Array {
  const { privateKey, recipient, ...signer } = parts
  const content = bareSignedData({
    ...signer,
    contentType: oids.asymmetricKeyPackage,
    content: asymmetricKeyPackage(privateKey),
  })
  return envelopedData({ contentType: oids.signedData, content, recipient }, random)
}

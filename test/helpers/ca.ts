/** Certificate authorities and requests that are not ours: manufacturers, strangers, devices under test. */
import type { KeyObject } from 'node:crypto'
import { dayMs, type Instant } from '../../src/base/clock.ts'
import { parseSerialNumber, type SerialNumber } from '../../src/base/id.ts'
import { systemRandom } from '../../src/base/random.ts'
import { toHex } from '../../src/base/bytes.ts'
import { assembleCertificate, encodeTbsCertificate } from '../../src/pki/certificate.ts'
import { buildCsr } from '../../src/pki/csr.ts'
import {
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeKeyUsage,
  encodeSubjectKeyIdentifier,
} from '../../src/pki/extension-values.ts'
import { type Extension, makeExtension } from '../../src/pki/extensions.ts'
import { encodeGeneralNames } from '../../src/pki/general-name.ts'
import { parseGeneralNameText } from '../../src/pki/general-name-text.ts'
import { generateKeyPair, type KeyAlgorithm, parsePublicKey } from '../../src/pki/key.ts'
import { parseNameText } from '../../src/pki/name-text.ts'
import { oids } from '../../src/pki/oid.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { defaultSignatureAlgorithm, signData } from '../../src/pki/signature.ts'

export interface Credential {
  readonly der: Uint8Array
  readonly pem: string
  readonly privateKey: KeyObject
  readonly keyPem: string
}

export interface IssueOptions {
  readonly subject: string
  /** `dns:…`, `uri:…` */
  readonly subjectAltNames?: readonly string[]
  readonly isCa?: boolean
  readonly extendedKeyUsage?: readonly string[]
  readonly algorithm?: KeyAlgorithm
  readonly notBefore?: Instant
  readonly notAfter?: Instant
}

export interface TestCa extends Credential {
  issue(options: IssueOptions): Credential
  issueCa(options: IssueOptions): TestCa
}

/** A self-signed root. @param at the certificates are valid from a day before until ten years after, unless told otherwise */
export function createCa(subject: string, at: Instant): TestCa {
  const { privateKey, spki } = generateKeyPair('ec-p256')
  const issuer = { subject, privateKey }
  return caOf(issuer, sign({ issuer, at, spki, privateKey, options: { subject, isCa: true } }), at)
}

interface Issuer {
  readonly subject: string
  readonly privateKey: KeyObject
}

function caOf(issuer: Issuer, credential: Credential, at: Instant): TestCa {
  const issue = (options: IssueOptions) => {
    const { privateKey, spki } = generateKeyPair(options.algorithm ?? 'ec-p256')
    return sign({ issuer, at, spki, privateKey, options })
  }
  return {
    ...credential,
    issue,
    issueCa(options) {
      const intermediate = issue({ ...options, isCa: true })
      const { privateKey } = intermediate
      return caOf({ subject: options.subject, privateKey }, intermediate, at)
    },
  }
}

interface Signing {
  readonly issuer: Issuer
  readonly at: Instant
  readonly spki: Uint8Array
  readonly privateKey: KeyObject
  readonly options: IssueOptions
}

function sign({ issuer, at, spki, privateKey, options }: Signing): Credential {
  const signatureAlgorithm = 'ecdsa-sha256'
  const tbs = encodeTbsCertificate({
    serialNumber: randomSerialNumber(),
    issuer: parseNameText(issuer.subject),
    subject: parseNameText(options.subject),
    notBefore: wholeSeconds(options.notBefore ?? at - dayMs),
    notAfter: wholeSeconds(options.notAfter ?? at + 3_650 * dayMs),
    spki,
    extensions: extensionsOf(options, spki),
    signatureAlgorithm,
  })
  const signature = signData(issuer.privateKey, signatureAlgorithm, tbs)
  return credentialOf(assembleCertificate({ tbs, signatureAlgorithm, signature }), privateKey)
}

function extensionsOf(options: IssueOptions, spki: Uint8Array): Extension[] {
  const { isCa = false, extendedKeyUsage = [], subjectAltNames = [] } = options
  const extensions = [
    makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca: isCa, pathLength: null })),
    makeExtension(oids.keyUsage, encodeKeyUsage(isCa ? ['keyCertSign', 'cRLSign'] : ['digitalSignature'])),
    makeExtension(oids.subjectKeyIdentifier, encodeSubjectKeyIdentifier(parsePublicKey(spki).keyIdentifier)),
  ]
  if (extendedKeyUsage.length > 0) {
    extensions.push(makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage(extendedKeyUsage)))
  }
  if (subjectAltNames.length > 0) {
    const names = subjectAltNames.map(parseGeneralNameText)
    extensions.push(makeExtension(oids.subjectAltName, encodeGeneralNames(names)))
  }
  return extensions
}

export function credentialOf(der: Uint8Array, privateKey: KeyObject): Credential {
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return { der, pem: encodePem('CERTIFICATE', der), privateKey, keyPem }
}

function wholeSeconds(at: Instant): Instant {
  return Math.floor(at / 1000) * 1000
}

function randomSerialNumber(): SerialNumber {
  const bytes = systemRandom.bytes(16)
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40
  return parseSerialNumber(toHex(bytes)) as SerialNumber
}

/** A key and how to ask for a certificate for it. */
export interface TestKey {
  readonly privateKey: KeyObject
  readonly spki: Uint8Array
  /** PKCS #10, DER; signed anew at each call, as real clients do. */
  csr(options?: CsrOptions): Uint8Array
}

export interface CsrOptions {
  readonly subject?: string
  readonly challengePassword?: string
  readonly subjectAltNames?: readonly string[]
}

export function createKey(algorithm: KeyAlgorithm = 'ec-p256'): TestKey {
  const { privateKey, spki } = generateKeyPair(algorithm)
  const signature = defaultSignatureAlgorithm(algorithm)
  return {
    privateKey,
    spki,
    csr: ({ subject = 'CN=device', challengePassword, subjectAltNames = [] } = {}) => {
      const names = subjectAltNames.map(parseGeneralNameText)
      const content = {
        subject: parseNameText(subject),
        spki,
        extensions: names.length > 0 ? [makeExtension(oids.subjectAltName, encodeGeneralNames(names))] : [],
        ...(challengePassword === undefined ? {} : { challengePassword }),
      }
      return buildCsr(content, (tbs) => ({
        signature: signData(privateKey, signature, tbs),
        algorithm: signature,
      }))
    },
  }
}

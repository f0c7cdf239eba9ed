/** Certificates and requests for tests: real keys and signatures, a fixed time, everything overridable. */
import { randomBytes } from 'node:crypto'
import type { Instant } from '../../src/base/clock.ts'
import { parseSerialNumber, type SerialNumber } from '../../src/base/id.ts'
import {
  type Certificate,
  assembleCertificate,
  encodeTbsCertificate,
  parseCertificate,
} from '../../src/pki/certificate.ts'
import { type CsrContent, buildCsr } from '../../src/pki/csr.ts'
import {
  encodeAuthorityKeyIdentifier,
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeKeyUsage,
  encodeSubjectKeyIdentifier,
} from '../../src/pki/extension-values.ts'
import { type Extension, makeExtension } from '../../src/pki/extensions.ts'
import { encodeGeneralNames } from '../../src/pki/general-name.ts'
import { parseGeneralNameText } from '../../src/pki/general-name-text.ts'
import { type KeyAlgorithm, type KeyPair, generateKeyPair, parsePublicKey } from '../../src/pki/key.ts'
import { parseNameText } from '../../src/pki/name-text.ts'
import { oids } from '../../src/pki/oid.ts'
import { defaultSignatureAlgorithm, signData } from '../../src/pki/signature.ts'

/** 2026-11-20T12:00:00Z. */
export const testNow: Instant = Date.UTC(2026, 10, 20, 12)

export interface TestCertificate {
  readonly certificate: Certificate
  readonly keys: KeyPair
  readonly keyAlgorithm: KeyAlgorithm
}

export interface TestCertificateOptions {
  /** RFC 4514 text. */
  readonly subject?: string
  /** Absent = self-signed. */
  readonly issuer?: TestCertificate
  readonly ca?: boolean
  readonly keyAlgorithm?: KeyAlgorithm
  readonly keys?: KeyPair
  readonly notBefore?: Instant
  readonly notAfter?: Instant
  readonly serialNumber?: SerialNumber
  /** Added to the usual ones; one of the same type replaces it. */
  readonly extensions?: readonly Extension[]
}

/** A certificate that is fit for its purpose: a CA when self-signed or `ca`, else a device. */
export function makeCertificate(options: TestCertificateOptions = {}): TestCertificate {
  const { issuer, keyAlgorithm = 'ec-p256' } = options
  const isCa = options.ca ?? issuer === undefined
  const keys = options.keys ?? generateKeyPair(keyAlgorithm)
  const subject = parseNameText(options.subject ?? (isCa ? 'CN=Test CA,O=Example' : 'CN=device-1,O=Example'))
  const signer = issuer ?? { keys, keyAlgorithm, certificate: null }
  const signatureAlgorithm = defaultSignatureAlgorithm(signer.keyAlgorithm)
  const tbs = encodeTbsCertificate({
    serialNumber: options.serialNumber ?? randomSerialNumber(),
    issuer: signer.certificate?.subject ?? subject,
    subject,
    notBefore: options.notBefore ?? testNow - 3_600_000,
    notAfter: options.notAfter ?? testNow + 86_400_000 * 365,
    spki: keys.spki,
    extensions: usualExtensions(isCa, keys.spki, signer.keys.spki, options.extensions ?? []),
    signatureAlgorithm,
  })
  const signature = signData(signer.keys.privateKey, signatureAlgorithm, tbs)
  const certificate = parseCertificate(assembleCertificate({ tbs, signatureAlgorithm, signature }))
  return { certificate, keys, keyAlgorithm }
}

/** Signs a ready-made TBSCertificate, well-formed or not. */
export function signTbs(tbs: Uint8Array, signer: TestCertificate): Uint8Array {
  const signatureAlgorithm = defaultSignatureAlgorithm(signer.keyAlgorithm)
  return assembleCertificate({
    tbs,
    signatureAlgorithm,
    signature: signData(signer.keys.privateKey, signatureAlgorithm, tbs),
  })
}

export interface TestCsrOptions extends Partial<Omit<CsrContent, 'subject' | 'spki'>> {
  readonly subject?: string
  readonly keyAlgorithm?: KeyAlgorithm
  readonly keys?: KeyPair
}

export function makeCsr(options: TestCsrOptions = {}): Uint8Array {
  const {
    subject = 'CN=device-1',
    keyAlgorithm = 'ec-p256',
    keys = generateKeyPair(keyAlgorithm),
    ...content
  } = options
  const algorithm = defaultSignatureAlgorithm(keyAlgorithm)
  return buildCsr({ ...content, subject: parseNameText(subject), spki: keys.spki }, (info) => ({
    algorithm,
    signature: signData(keys.privateKey, algorithm, info),
  }))
}

/** `san('dns:a.example', 'uri:urn:x')`. */
export function san(...texts: string[]): Extension {
  return makeExtension(oids.subjectAltName, encodeGeneralNames(texts.map(parseGeneralNameText)))
}

function randomSerialNumber(): SerialNumber {
  const serialNumber = parseSerialNumber(`4${randomBytes(16).toString('hex').slice(1)}`)
  if (serialNumber === null) throw new Error('a serial number')
  return serialNumber
}

function usualExtensions(
  isCa: boolean,
  spki: Uint8Array,
  issuerSpki: Uint8Array,
  extra: readonly Extension[],
): readonly Extension[] {
  const keyIdentifier = parsePublicKey(issuerSpki).keyIdentifier
  const usual = [
    makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca: isCa, pathLength: null })),
    makeExtension(oids.keyUsage, encodeKeyUsage(isCa ? ['keyCertSign', 'cRLSign'] : ['digitalSignature'])),
    makeExtension(oids.subjectKeyIdentifier, encodeSubjectKeyIdentifier(parsePublicKey(spki).keyIdentifier)),
    makeExtension(
      oids.authorityKeyIdentifier,
      encodeAuthorityKeyIdentifier({ keyIdentifier, issuer: null, serialNumber: null }),
    ),
    ...(isCa ? [] : [makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oids.clientAuth]))]),
  ]
  const replaced = new Set(extra.map(({ oid }) => oid))
  return [...usual.filter(({ oid }) => !replaced.has(oid)), ...extra]
}

/** A certificate or a request as a person reads it, and as JSON. */
import { sha256Hex, toHex } from '../base/bytes.ts'
import { iso, type Instant } from '../base/clock.ts'
import type { Certificate } from '../pki/certificate.ts'
import type { Csr } from '../pki/csr.ts'
import type { ParsedExtensions } from '../pki/extensions.ts'
import { formatGeneralName } from '../pki/general-name-text.ts'
import { describeKey, parsePublicKey } from '../pki/key.ts'
import { formatName } from '../pki/name-text.ts'
import { oidName, oids } from '../pki/oid.ts'
import type { Json } from './output.ts'
import type { Style } from './style.ts'
import { formatFields } from './table.ts'
import { describeLeft, instant } from './time.ts'

export function certificateJson(certificate: Certificate): { readonly [key: string]: Json } {
  const key = parsePublicKey(certificate.spki)
  return {
    kind: 'certificate',
    subject: formatName(certificate.subject),
    issuer: formatName(certificate.issuer),
    serialNumber: certificate.serialNumber,
    notBefore: iso(certificate.notBefore),
    notAfter: iso(certificate.notAfter),
    keyAlgorithm: key.algorithm,
    spkiHash: key.spkiHash,
    signatureAlgorithm: certificate.signatureAlgorithm,
    sha256: sha256Hex(certificate.der),
    version: certificate.version,
    extensions: extensionsJson(certificate.extensions),
  }
}

export function certificateLines(certificate: Certificate, now: Instant, style: Style): string[] {
  const key = parsePublicKey(certificate.spki)
  return [
    style.bold('Certificate'),
    ...indented(
      formatFields(
        [
          ['Subject', formatName(certificate.subject) || '(empty)'],
          ['Issuer', formatName(certificate.issuer)],
          ['Serial', certificate.serialNumber],
          ['Not before', instant(certificate.notBefore)],
          ['Not after', `${instant(certificate.notAfter)} (${describeLeft(certificate.notAfter, now)})`],
          ['Key', describeKey(key)],
          ['Key hash', `${key.spkiHash} (SHA-256 of the SPKI)`],
          ['Signature', certificate.signatureAlgorithm],
          ['SHA-256', sha256Hex(certificate.der)],
        ],
        style,
      ),
    ),
    ...extensionLines(certificate.extensions, style),
  ]
}

export function csrJson(csr: Csr, isSignatureGood: boolean): { readonly [key: string]: Json } {
  const key = parsePublicKey(csr.spki)
  return {
    kind: 'csr',
    subject: formatName(csr.subject),
    keyAlgorithm: key.algorithm,
    spkiHash: key.spkiHash,
    signatureAlgorithm: csr.signatureAlgorithm,
    signatureValid: isSignatureGood,
    challengePassword: csr.challengePassword !== null,
    extensions: csr.extensionRequest ? extensionsJson(csr.extensionRequest) : [],
  }
}

export function csrLines(csr: Csr, isSignatureGood: boolean, style: Style): string[] {
  const key = parsePublicKey(csr.spki)
  const signature = isSignatureGood ? style.green('good') : style.red('does not verify')
  return [
    style.bold('Certification request'),
    ...indented(
      formatFields(
        [
          ['Subject', formatName(csr.subject) || '(empty)'],
          ['Key', describeKey(key)],
          ['Key hash', `${key.spkiHash} (SHA-256 of the SPKI)`],
          ['Signature', csr.signatureAlgorithm],
          ['Challenge password', csr.challengePassword === null ? 'none' : 'present'],
        ],
        style,
      ),
    ),
    `  Its signature is ${signature}: ${isSignatureGood ? 'the requester holds the key' : 'do not trust it'}`,
    ...(csr.extensionRequest ? extensionLines(csr.extensionRequest, style) : []),
  ]
}

function extensionLines(extensions: ParsedExtensions, style: Style): string[] {
  if (extensions.list.length === 0) return []
  const fields = extensions.list.map(({ oid, critical }, i) => {
    const name = `${oidName(oid)}${critical ? ' (critical)' : ''}`
    const value = describeExtension(extensions, i)
    return [name, Array.isArray(value) ? value.join(', ') : String(value)] as const
  })
  return ['', style.bold('Extensions'), ...indented(formatFields(fields, style))]
}

function extensionsJson(extensions: ParsedExtensions): Json {
  return extensions.list.map(({ oid, critical }, i) => ({
    oid,
    name: oidName(oid),
    critical,
    value: describeExtension(extensions, i),
  }))
}

/** A text or a list of texts; unknown ones as the hex of their value. */
function describeExtension(extensions: ParsedExtensions, index: number): string | string[] {
  const extension = extensions.list[index]
  switch (extension?.oid) {
    case oids.basicConstraints: {
      const { ca, pathLength } = extensions.basicConstraints ?? { ca: false, pathLength: null }
      return ca ? `CA, path length ${pathLength ?? 'not limited'}` : 'not a CA'
    }
    case oids.keyUsage:
      return [...(extensions.keyUsage ?? [])]
    case oids.extendedKeyUsage:
      return (extensions.extendedKeyUsage ?? []).map(oidName)
    case oids.subjectAltName:
      return (extensions.subjectAltName ?? []).map(formatGeneralName)
    case oids.issuerAltName:
      return (extensions.issuerAltName ?? []).map(formatGeneralName)
    case oids.subjectKeyIdentifier:
      return toHex(extensions.subjectKeyIdentifier ?? new Uint8Array())
    case oids.authorityKeyIdentifier:
      return toHex(extensions.authorityKeyIdentifier?.keyIdentifier ?? new Uint8Array())
    case oids.cRLDistributionPoints:
      return (extensions.cRLDistributionPoints ?? []).flatMap(({ fullName }) =>
        (fullName ?? []).map(formatGeneralName),
      )
    case oids.authorityInfoAccess:
      return (extensions.authorityInfoAccess ?? []).map(
        ({ method, location }) => `${oidName(method)} ${formatGeneralName(location)}`,
      )
    case oids.certificatePolicies:
      return (extensions.certificatePolicies ?? []).map(({ policy }) => oidName(policy))
    default:
      return toHex(extension?.value ?? new Uint8Array())
  }
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}

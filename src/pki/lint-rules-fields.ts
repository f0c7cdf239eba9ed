/** Lint rules about version, serial number, names, validity and key. */
import { Refusal } from '../base/errors.ts'
import { derTags, readDer } from './der.ts'
import { checkPublicKey } from './key-check.ts'
import type { PublicKey } from './key.ts'
import type { LintRule, LintSubject } from './lint-rule.ts'
import { keyFamily, signatureFamily, type SignatureAlgorithm } from './signature.ts'
import { oidName, oids } from './oid.ts'

export const fieldRules: readonly LintRule[] = [
  {
    rule: 'version-3',
    clause: 'RFC 5280 §4.1.2.1',
    severity: 'error',
    check: ({ tbs }) => (tbs.version === 3 ? null : 'the version must be 3'),
  },
  {
    rule: 'serial-number-length',
    clause: 'RFC 5280 §4.1.2.2',
    severity: 'error',
    check: ({ tbs }) =>
      serialOctets(tbs.serialNumber) <= 20 ? null : 'the serial number has more than 20 octets',
  },
  {
    rule: 'serial-number-entropy',
    clause: 'CA/Browser Forum BR §7.1',
    severity: 'error',
    // 64 random bits do not fit into less
    check: ({ tbs }) =>
      tbs.serialNumber.length >= 16 ? null : 'the serial number is too short for 64 random bits',
  },
  {
    rule: 'validity-order',
    clause: 'RFC 5280 §4.1.2.5',
    severity: 'error',
    check: ({ tbs }) => (tbs.notAfter >= tbs.notBefore ? null : 'notAfter is before notBefore'),
  },
  {
    rule: 'ca-subject-not-empty',
    clause: 'RFC 5280 §4.1.2.6',
    severity: 'error',
    check: ({ tbs, isCa }) => (isCa && tbs.subject.length === 0 ? 'a CA needs a subject name' : null),
  },
  {
    rule: 'subject-or-alternative-name',
    clause: 'RFC 5280 §4.1.2.6',
    severity: 'error',
    check: ({ tbs }) =>
      tbs.subject.length === 0 && !tbs.extensions.subjectAltName
        ? 'neither a subject nor a subjectAltName'
        : null,
  },
  {
    rule: 'subject-string-types',
    clause: 'RFC 5280 §4.1.2.4',
    severity: 'error',
    check: ({ tbs }) => wrongStringType(tbs.subjectDer),
  },
  {
    rule: 'subject-country',
    clause: 'RFC 5280 Appendix A (X520countryName), ISO 3166-1',
    severity: 'error',
    check: ({ tbs }) => {
      const country = attributeValue(tbs, oids.countryName)
      return country === null || /^[A-Z]{2}$/.test(country) ? null : 'countryName must be two capital letters'
    },
  },
  {
    rule: 'subject-single-attributes',
    clause: 'X.520 (SINGLE VALUE in practice: verifiers disagree on which one counts)',
    severity: 'error',
    check: ({ tbs }) => repeatedAttribute(tbs),
  },
  {
    rule: 'subject-multi-valued-rdn',
    clause: 'RFC 5280 §4.1.2.4 (tools render multi-valued RDNs differently)',
    severity: 'warning',
    check: ({ tbs }) => (tbs.subject.some((rdn) => rdn.length > 1) ? 'an RDN has several attributes' : null),
  },
  {
    rule: 'subject-email',
    clause: 'RFC 5280 §4.1.2.6',
    severity: 'warning',
    check: ({ tbs }) =>
      attributeValue(tbs, oids.emailAddress) === null
        ? null
        : 'mailboxes belong into the subjectAltName, emailAddress is deprecated',
  },
  {
    rule: 'key-sound',
    clause: 'SP 800-56A §5.6.2.3, SP 800-89 §5.3.3',
    severity: 'error',
    check: ({ key }) => weakness(key),
  },
  {
    rule: 'self-signed-names',
    clause: 'RFC 5280 §3.2',
    severity: 'error',
    check: ({ tbs, isSelfSigned }) =>
      !isSelfSigned || Buffer.compare(tbs.issuerDer, tbs.subjectDer) === 0
        ? null
        : 'issuer and subject of a self-signed certificate differ',
  },
  {
    rule: 'self-signed-is-ca',
    clause: 'RFC 5280 §3.2',
    severity: 'error',
    check: ({ isCa, isSelfSigned }) =>
      isSelfSigned && !isCa ? 'a self-signed certificate must be a CA' : null,
  },
  {
    rule: 'self-signed-algorithm',
    clause: 'RFC 5280 §4.1.1.2',
    severity: 'error',
    check: ({ tbs, key, isSelfSigned }) =>
      !isSelfSigned || signatureFamily(tbs.signatureAlgorithm) === keyFamily(key.algorithm)
        ? null
        : `${tbs.signatureAlgorithm} cannot be made by a key ${key.algorithm}`,
  },
]

/** Hash shorter than the curve: RFC 5480 §4 pairs P-384 with SHA-384 and P-521 with SHA-512. */
export function isHashTooShort(keyAlgorithm: string, algorithm: SignatureAlgorithm): boolean {
  if (keyAlgorithm === 'ec-p384') return algorithm === 'ecdsa-sha256'
  return keyAlgorithm === 'ec-p521' && algorithm !== 'ecdsa-sha512'
}

function weakness(key: PublicKey): string | null {
  try {
    checkPublicKey(key)
    return null
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}

/** The first value of that type in the subject. */
export function attributeValue({ subject }: LintSubject['tbs'], type: string): string | null {
  for (const rdn of subject) for (const attribute of rdn) if (attribute.type === type) return attribute.value
  return null
}

/** Octets of the INTEGER, its sign octet included. */
function serialOctets(serialNumber: string): number {
  return serialNumber.length / 2 + (serialNumber.charCodeAt(0) >= 0x38 ? 1 : 0)
}

/** New certificates use PrintableString and UTF8String; IA5String only where the attribute's own syntax is that. */
function wrongStringType(subjectDer: Uint8Array): string | null {
  for (const rdn of readDer(subjectDer).children) {
    for (const attribute of rdn.children) {
      const tag = attribute.children[1]?.tag
      if (tag === derTags.bmpString || tag === derTags.universalString) {
        return 'text must be a UTF8String or a PrintableString'
      }
    }
  }
  return null
}

const repeatable: ReadonlySet<string> = new Set([
  oids.organizationalUnitName,
  oids.domainComponent,
  oids.streetAddress,
])

function repeatedAttribute({ subject }: LintSubject['tbs']): string | null {
  if (subject.length < 2) return null
  for (let index = 1; index < subject.length; index++) {
    for (const { type } of subject[index] ?? []) {
      if (repeatable.has(type)) continue
      for (let before = 0; before < index; before++) {
        if (subject[before]?.some((other) => other.type === type)) return `${oidName(type)} occurs twice`
      }
    }
  }
  return null
}

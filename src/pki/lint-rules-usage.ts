/** Lint rules about what the key may be used for: key usage, extended key usage, kind of key, purpose. */
import type { KeyUsageName } from './extension-values.ts'
import type { KeyDetails } from './key.ts'
import { criticality, type LintRule } from './lint-rule.ts'
import { oidName, oids } from './oid.ts'

/** Usages that a kind of key cannot have. */
const impossible: Readonly<Record<KeyDetails['kind'], readonly KeyUsageName[]>> = {
  ec: ['keyEncipherment', 'dataEncipherment'],
  rsa: ['keyAgreement', 'encipherOnly', 'decipherOnly'],
  ed25519: ['keyEncipherment', 'dataEncipherment', 'keyAgreement', 'encipherOnly', 'decipherOnly'],
  'ml-dsa': ['keyEncipherment', 'dataEncipherment', 'keyAgreement', 'encipherOnly', 'decipherOnly'],
}

/** RFC 5280 §4.2.1.12: one of these must be there, if the certificate has a key usage at all. */
const neededFor: ReadonlyMap<string, readonly KeyUsageName[]> = new Map([
  [oids.clientAuth, ['digitalSignature', 'keyAgreement']],
  [oids.serverAuth, ['digitalSignature', 'keyEncipherment', 'keyAgreement']],
  [oids.codeSigning, ['digitalSignature']],
  [oids.timeStamping, ['digitalSignature', 'nonRepudiation']],
  [oids.OCSPSigning, ['digitalSignature', 'nonRepudiation']],
  [oids.cmcRA, ['digitalSignature']],
])

export const usageRules: readonly LintRule[] = [
  {
    rule: 'key-usage-critical',
    clause: 'RFC 5280 §4.2.1.3, IEEE 802.1AR-2018 §8',
    severity: 'error',
    check: (subject) => (criticality(subject, oids.keyUsage) === false ? 'keyUsage must be critical' : null),
  },
  {
    rule: 'key-usage-present',
    clause: 'RFC 5280 §4.2.1.3, IEEE 802.1AR-2018 §8',
    severity: 'error',
    check: ({ tbs, isCa, purpose }) =>
      (isCa || purpose !== null) && !tbs.extensions.keyUsage ? 'keyUsage is missing' : null,
  },
  {
    rule: 'key-usage-fits-key',
    clause: 'RFC 3279 §2.3.1, RFC 8813 §3, RFC 9295 §3, RFC 9881 §5',
    severity: 'error',
    check: ({ tbs, key }) => {
      const wrong = tbs.extensions.keyUsage?.find((usage) => impossible[key.details.kind].includes(usage))
      return wrong ? `a key ${key.algorithm} cannot be used for ${wrong}` : null
    },
  },
  {
    rule: 'key-usage-encipher-or-decipher-only',
    clause: 'RFC 5280 §4.2.1.3',
    severity: 'error',
    check: ({ tbs }) => {
      const usages = tbs.extensions.keyUsage
      const isRestricted = usages?.includes('encipherOnly') || usages?.includes('decipherOnly')
      return isRestricted && !usages?.includes('keyAgreement')
        ? 'encipherOnly and decipherOnly mean nothing without keyAgreement'
        : null
    },
  },
  {
    rule: 'key-cert-sign-in-ca',
    clause: 'RFC 5280 §4.2.1.9',
    severity: 'error',
    check: ({ tbs, isCa }) =>
      !isCa && tbs.extensions.keyUsage?.includes('keyCertSign')
        ? 'keyCertSign in a certificate that is no CA'
        : null,
  },
  {
    rule: 'ca-key-cert-sign',
    clause: 'RFC 5280 §4.2.1.3',
    severity: 'error',
    check: ({ tbs, isCa }) =>
      isCa && tbs.extensions.keyUsage?.includes('keyCertSign') === false ? 'a CA without keyCertSign' : null,
  },
  {
    rule: 'crl-sign-in-leaf',
    clause: 'RFC 5280 §4.2.1.3',
    severity: 'error',
    check: ({ tbs, isCa, purpose }) =>
      !isCa && purpose !== null && tbs.extensions.keyUsage?.includes('cRLSign')
        ? 'cRLSign in the certificate of a device or server'
        : null,
  },
  {
    rule: 'extended-key-usage-any',
    clause: 'RFC 5280 §4.2.1.12',
    severity: 'error',
    check: ({ tbs }) =>
      tbs.extensions.extendedKeyUsage?.includes(oids.anyExtendedKeyUsage)
        ? 'anyExtendedKeyUsage: name what the key is for'
        : null,
  },
  {
    rule: 'extended-key-usage-fits-key-usage',
    clause: 'RFC 5280 §4.2.1.12',
    severity: 'error',
    check: ({ tbs, isCa }) => {
      const { keyUsage, extendedKeyUsage } = tbs.extensions
      if (isCa || !keyUsage || !extendedKeyUsage) return null
      for (const purpose of extendedKeyUsage) {
        const needed = neededFor.get(purpose)
        if (needed && !needed.some((usage) => keyUsage.includes(usage))) {
          return `${oidName(purpose)} needs keyUsage ${needed.join(' or ')}`
        }
      }
      return null
    },
  },
  {
    rule: 'time-stamping-alone',
    clause: 'RFC 3161 §2.3',
    severity: 'error',
    check: (subject) => {
      const usages = subject.tbs.extensions.extendedKeyUsage
      if (subject.isCa || !usages?.includes(oids.timeStamping)) return null
      const isAlone = usages.length === 1 && criticality(subject, oids.extendedKeyUsage) === true
      return isAlone ? null : 'timeStamping must be the only extended key usage, and critical'
    },
  },
  {
    rule: 'client-key-encipherment',
    clause: 'RFC 8446 §4.4.2.2 (no key transport in TLS 1.3; zlint flags it)',
    severity: 'warning',
    check: ({ tbs, purpose, keyEnciphermentExpected }) =>
      purpose === 'device' && !keyEnciphermentExpected && tbs.extensions.keyUsage?.includes('keyEncipherment')
        ? 'keyEncipherment in the certificate of a device'
        : null,
  },
  {
    rule: 'purpose-ca',
    clause: 'RFC 5280 §4.2.1.9',
    severity: 'error',
    check: ({ isCa, purpose }) => {
      if (purpose === null || isCa === (purpose === 'ca')) return null
      return isCa ? `a ${purpose} certificate must not be a CA` : 'the certificate of a CA without cA TRUE'
    },
  },
  {
    rule: 'server-extended-key-usage',
    clause: 'RFC 5280 §4.2.1.12',
    severity: 'error',
    check: ({ tbs, purpose }) =>
      purpose === 'server' && !tbs.extensions.extendedKeyUsage?.includes(oids.serverAuth)
        ? 'the certificate of a server needs serverAuth'
        : null,
  },
  {
    rule: 'device-digital-signature',
    clause: 'IEEE 802.1AR-2018 §8',
    severity: 'error',
    check: ({ tbs, purpose }) =>
      purpose === 'device' && tbs.extensions.keyUsage?.includes('digitalSignature') === false
        ? 'the certificate of a device needs digitalSignature'
        : null,
  },
]

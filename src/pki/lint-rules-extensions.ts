/** Lint rules about which extensions there are, how they are marked, and what stands in them. */
import { equalBytes } from '../base/bytes.ts'
import { isKnownExtension } from './extensions.ts'
import { type GeneralName, generalNameKey } from './general-name.ts'
import { criticality, type LintRule } from './lint-rule.ts'
import { oidName, oids } from './oid.ts'

export const extensionRules: readonly LintRule[] = [
  {
    rule: 'extension-critical-unknown',
    clause: 'RFC 5280 §4.2',
    severity: 'error',
    check: ({ tbs }) => {
      const unknown = tbs.extensions.list.find(({ oid, critical }) => critical && !isKnownExtension(oid))
      return unknown ? `no verifier knows the critical extension ${unknown.oid}` : null
    },
  },
  ...(
    [
      [oids.subjectKeyIdentifier, '4.2.1.2', 'error'],
      [oids.authorityKeyIdentifier, '4.2.1.1', 'error'],
      [oids.authorityInfoAccess, '4.2.2.1', 'error'],
      [oids.subjectInfoAccess, '4.2.2.2', 'error'],
      [oids.freshestCRL, '4.2.1.15', 'error'],
      [oids.cRLDistributionPoints, '4.2.1.13', 'warning'],
      [oids.issuerAltName, '4.2.1.7', 'warning'],
    ] as const
  ).map(([oid, section, severity]) => mustNotBeCritical(oid, section, severity)),
  ...(
    [
      [oids.nameConstraints, '4.2.1.10'],
      [oids.policyConstraints, '4.2.1.11'],
      [oids.inhibitAnyPolicy, '4.2.1.14'],
    ] as const
  ).map(([oid, section]) => mustBeCritical(oid, section)),
  ...(
    [
      [oids.nameConstraints, '4.2.1.10'],
      [oids.policyMappings, '4.2.1.5'],
      [oids.policyConstraints, '4.2.1.11'],
      [oids.inhibitAnyPolicy, '4.2.1.14'],
    ] as const
  ).map(([oid, section]) => onlyInCa(oid, section)),
  {
    rule: 'basic-constraints-critical',
    clause: 'RFC 5280 §4.2.1.9',
    severity: 'error',
    check: (subject) =>
      subject.isCa && criticality(subject, oids.basicConstraints) !== true
        ? 'basicConstraints of a CA must be critical'
        : null,
  },
  {
    rule: 'path-length-in-ca',
    clause: 'RFC 5280 §4.2.1.9',
    severity: 'error',
    check: ({ tbs, isCa }) => {
      const { basicConstraints, keyUsage } = tbs.extensions
      if ((basicConstraints?.pathLength ?? null) === null) return null
      if (!isCa) return 'pathLenConstraint in a certificate that is no CA'
      return keyUsage && !keyUsage.includes('keyCertSign') ? 'pathLenConstraint without keyCertSign' : null
    },
  },
  {
    rule: 'subject-key-identifier-in-ca',
    clause: 'RFC 5280 §4.2.1.2',
    severity: 'error',
    check: ({ tbs, isCa }) =>
      isCa && !tbs.extensions.subjectKeyIdentifier ? 'a CA needs a subjectKeyIdentifier' : null,
  },
  {
    rule: 'subject-key-identifier-in-leaf',
    clause: 'RFC 5280 §4.2.1.2',
    severity: 'warning',
    check: ({ tbs, isCa }) =>
      !isCa && !tbs.extensions.subjectKeyIdentifier ? 'the subjectKeyIdentifier is missing' : null,
  },
  {
    rule: 'self-signed-key-identifier',
    clause: 'RFC 5280 §4.2.1.1',
    severity: 'error',
    check: ({ tbs, isSelfSigned }) => {
      const { authorityKeyIdentifier, subjectKeyIdentifier } = tbs.extensions
      const authority = authorityKeyIdentifier?.keyIdentifier
      if (!isSelfSigned || !authority) return null
      return subjectKeyIdentifier && equalBytes(authority, subjectKeyIdentifier)
        ? null
        : 'authorityKeyIdentifier of a self-signed certificate differs from its subjectKeyIdentifier'
    },
  },
  {
    rule: 'alternative-name-critical',
    clause: 'RFC 5280 §4.2.1.6',
    severity: 'error',
    check: (subject) =>
      subject.tbs.subject.length === 0 && criticality(subject, oids.subjectAltName) === false
        ? 'subjectAltName must be critical where the subject is empty'
        : null,
  },
  {
    rule: 'alternative-name-not-critical',
    clause: 'RFC 5280 §4.2.1.6',
    severity: 'warning',
    check: (subject) =>
      subject.tbs.subject.length > 0 && criticality(subject, oids.subjectAltName) === true
        ? 'subjectAltName should not be critical where there is a subject'
        : null,
  },
  {
    rule: 'alternative-name-repeated',
    clause: 'RFC 5280 §4.2.1.6',
    severity: 'warning',
    check: ({ tbs }) => {
      const names = tbs.extensions.subjectAltName
      if (!names || names.length < 2) return null
      return new Set(names.map(generalNameKey)).size < names.length ? 'a name occurs twice' : null
    },
  },
  {
    rule: 'alternative-name-wildcard',
    clause: 'RFC 9525 §6.3',
    severity: 'error',
    check: ({ tbs, purpose }) =>
      purpose !== null && purpose !== 'server' && tbs.extensions.subjectAltName?.some(isWildcard)
        ? 'a wildcard in a certificate that is no server’s'
        : null,
  },
  {
    rule: 'server-alternative-name',
    clause: 'RFC 9525 §6.3',
    severity: 'error',
    check: ({ tbs, purpose }) =>
      purpose === 'server' &&
      !tbs.extensions.subjectAltName?.some(({ kind }) => kind === 'dns' || kind === 'ip')
        ? 'a server needs a host name or an address in its subjectAltName'
        : null,
  },
  {
    rule: 'distribution-point-http',
    clause: 'RFC 5280 §4.2.1.13, §8',
    severity: 'error',
    // https would need a certificate whose status is at the same place
    check: ({ tbs }) => {
      const points = [...(tbs.extensions.cRLDistributionPoints ?? []), ...(tbs.extensions.freshestCRL ?? [])]
      return points.every(({ fullName }) => !fullName || fullName.some(isHttp))
        ? null
        : 'a CRL distribution point without an http URI'
    },
  },
  {
    rule: 'distribution-point-full-name',
    clause: 'RFC 5280 §4.2.1.13',
    severity: 'error',
    check: ({ tbs }) =>
      tbs.extensions.cRLDistributionPoints?.some(({ nameRelativeToIssuer }) => nameRelativeToIssuer)
        ? 'a CRL distribution point must not use nameRelativeToCRLIssuer'
        : null,
  },
  {
    rule: 'info-access-http',
    clause: 'RFC 5280 §4.2.2.1',
    severity: 'error',
    check: ({ tbs }) =>
      tbs.extensions.authorityInfoAccess?.every(({ location }) => isHttp(location)) === false
        ? 'authorityInfoAccess with something else than an http URI'
        : null,
  },
  {
    rule: 'info-access-method',
    clause: 'RFC 5280 §4.2.2.1',
    severity: 'warning',
    check: ({ tbs }) => {
      const other = tbs.extensions.authorityInfoAccess?.find(
        ({ method }) => method !== oids.caIssuers && method !== oids.ocsp,
      )
      return other ? `nobody knows the access method ${oidName(other.method)}` : null
    },
  },
  {
    rule: 'any-policy-in-leaf',
    clause: 'RFC 5280 §4.2.1.4',
    severity: 'warning',
    check: ({ tbs, isCa }) =>
      !isCa && tbs.extensions.certificatePolicies?.some(({ policy }) => policy === oids.anyPolicy)
        ? 'anyPolicy says nothing in a certificate that is no CA'
        : null,
  },
  {
    rule: 'ocsp-no-check-for-responder',
    clause: 'RFC 6960 §4.2.2.2.1',
    severity: 'error',
    check: ({ tbs }) =>
      tbs.extensions.ocspNoCheck && !tbs.extensions.extendedKeyUsage?.includes(oids.OCSPSigning)
        ? 'id-pkix-ocsp-nocheck in a certificate that is no OCSP responder’s'
        : null,
  },
]

function mustNotBeCritical(oid: string, section: string, severity: LintRule['severity']): LintRule {
  return {
    rule: `${kebab(oidName(oid))}-not-critical`,
    clause: `RFC 5280 §${section}`,
    severity,
    check: (subject) => (criticality(subject, oid) === true ? `${oidName(oid)} must not be critical` : null),
  }
}

function mustBeCritical(oid: string, section: string): LintRule {
  return {
    rule: `${kebab(oidName(oid))}-critical`,
    clause: `RFC 5280 §${section}`,
    severity: 'error',
    check: (subject) => (criticality(subject, oid) === false ? `${oidName(oid)} must be critical` : null),
  }
}

function onlyInCa(oid: string, section: string): LintRule {
  return {
    rule: `${kebab(oidName(oid))}-in-ca`,
    clause: `RFC 5280 §${section}`,
    severity: 'error',
    check: (subject) =>
      !subject.isCa && criticality(subject, oid) !== null
        ? `${oidName(oid)} in a certificate that is no CA`
        : null,
  }
}

/** cRLDistributionPoints → crl-distribution-points */
function kebab(name: string): string {
  return name
    .replace(/CRL/g, 'Crl')
    .replace(/^cCrl|^cRl/i, 'crl')
    .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function isHttp(name: GeneralName): boolean {
  return name.kind === 'uri' && /^http:\/\/[^/?#]/i.test(name.value)
}

function isWildcard(name: GeneralName): boolean {
  return name.kind === 'dns' && name.value.startsWith('*')
}

/** Lint rules about a certificate and its issuer's together. Nothing to say about self-signed ones. */
import { equalBytes } from '../base/bytes.ts'
import type { Certificate } from './certificate.ts'
import type { PublicKey } from './key.ts'
import { isHashTooShort } from './lint-rules-fields.ts'
import type { LintRule, LintSubject } from './lint-rule.ts'
import { equalNames } from './name.ts'
import { nameConstraintViolation } from './path-names.ts'
import { keyFamily, signatureFamily } from './signature.ts'

export const issuerRules: readonly LintRule[] = [
  issuerRule('issuer-name-bytes', 'RFC 5280 §4.1.2.4', 'error', ({ tbs }, issuer) =>
    equalBytes(tbs.issuerDer, issuer.subjectDer)
      ? null
      : 'the issuer is not byte for byte the subject of the issuer’s certificate',
  ),
  issuerRule('issuer-is-ca', 'RFC 5280 §4.2.1.9', 'error', (_subject, { extensions }) => {
    if (!extensions.basicConstraints?.ca) return 'the issuer is no CA'
    return extensions.keyUsage?.includes('keyCertSign') === false
      ? 'the issuer may not sign certificates'
      : null
  }),
  issuerRule('issuer-signature-algorithm', 'RFC 5280 §4.1.1.2', 'error', ({ tbs }, _issuer, key) =>
    signatureFamily(tbs.signatureAlgorithm) === keyFamily(key.algorithm)
      ? null
      : `${tbs.signatureAlgorithm} cannot be made by the issuer’s key ${key.algorithm}`,
  ),
  issuerRule('issuer-signature-hash', 'RFC 5480 §4', 'warning', ({ tbs }, _issuer, key) =>
    isHashTooShort(key.algorithm, tbs.signatureAlgorithm)
      ? `${tbs.signatureAlgorithm} is weaker than the issuer’s key ${key.algorithm}`
      : null,
  ),
  issuerRule(
    'issuer-outlives',
    'RFC 5280 §6.1.3 (every certificate of a path must be valid)',
    'error',
    ({ tbs }, issuer) => (tbs.notAfter <= issuer.notAfter ? null : 'the certificate outlives its issuer'),
  ),
  issuerRule(
    'issuer-not-before',
    'RFC 5280 §6.1.3 (every certificate of a path must be valid)',
    'warning',
    ({ tbs }, issuer) =>
      tbs.notBefore < issuer.notBefore && issuer.notBefore - tbs.notBefore > maxBackdatingMs
        ? 'the certificate starts more than a day before its issuer'
        : null,
  ),
  issuerRule('issuer-key-identifier-present', 'RFC 5280 §4.2.1.1', 'error', ({ tbs }) =>
    tbs.extensions.authorityKeyIdentifier?.keyIdentifier
      ? null
      : 'authorityKeyIdentifier has no keyIdentifier',
  ),
  issuerRule('issuer-key-identifier', 'RFC 5280 §4.2.1.1', 'error', ({ tbs }, { extensions }, key) => {
    const identifier = tbs.extensions.authorityKeyIdentifier?.keyIdentifier
    const wanted = extensions.subjectKeyIdentifier ?? key.keyIdentifier
    return !identifier || equalBytes(identifier, wanted)
      ? null
      : 'authorityKeyIdentifier differs from the issuer’s subjectKeyIdentifier'
  }),
  issuerRule('issuer-serial-number', 'RFC 5280 §4.2.1.1', 'error', ({ tbs }, { serialNumber, issuer }) => {
    const authority = tbs.extensions.authorityKeyIdentifier
    if (!authority?.serialNumber) return null
    const isNamed = authority.issuer?.some(
      (name) => name.kind === 'directoryName' && equalNames(name.name, issuer),
    )
    return isNamed && authority.serialNumber === serialNumber
      ? null
      : 'authorityKeyIdentifier names another certificate than the issuer’s'
  }),
  issuerRule('issuer-path-length', 'RFC 5280 §4.2.1.9', 'error', (subject, { extensions }) => {
    const limit = extensions.basicConstraints?.pathLength ?? null
    if (!subject.isCa || limit === null || isSelfIssued(subject)) return null
    if (limit === 0) return 'the issuer’s pathLenConstraint allows no CA below it'
    const own = subject.tbs.extensions.basicConstraints?.pathLength ?? null
    return own !== null && own >= limit ? `pathLenConstraint ${own} under an issuer with ${limit}` : null
  }),
  issuerRule('issuer-path-length-inherited', 'RFC 5280 §4.2.1.9', 'warning', (subject, { extensions }) => {
    const limit = extensions.basicConstraints?.pathLength ?? null
    const own = subject.tbs.extensions.basicConstraints?.pathLength ?? null
    return subject.isCa && limit !== null && own === null
      ? 'no pathLenConstraint, although the issuer limits the path'
      : null
  }),
  issuerRule('issuer-key-differs', 'RFC 5280 §3.2 (one key, one holder)', 'error', (subject, _issuer, key) =>
    subject.key.spkiHash === key.spkiHash && !isSelfIssued(subject) ? 'the key is the issuer’s own' : null,
  ),
  issuerRule('issuer-serial-number-differs', 'RFC 5280 §4.1.2.2', 'error', ({ tbs }, issuer) =>
    tbs.serialNumber === issuer.serialNumber && equalBytes(issuer.issuerDer, issuer.subjectDer)
      ? 'the serial number is that of the issuer’s own certificate'
      : null,
  ),
  issuerRule('issuer-name-constraints', 'RFC 5280 §4.2.1.10', 'error', (subject, { extensions }) =>
    extensions.nameConstraints && !(subject.isCa && isSelfIssued(subject))
      ? nameConstraintViolation(extensions.nameConstraints, subject.tbs, !subject.isCa)
      : null,
  ),
  issuerRule(
    'issuer-extended-key-usage',
    'RFC 5280 §4.2.1.12 (as verifiers apply it to CAs)',
    'error',
    ({ tbs }, { extensions }) => {
      const allowed = extensions.extendedKeyUsage
      const missing = allowed && tbs.extensions.extendedKeyUsage?.find((usage) => !allowed.includes(usage))
      return missing ? `the issuer’s extended key usage leaves out ${missing}` : null
    },
  ),
]

/** A device without a clock gets a backdated certificate, and an issuer may be minutes old. */
const maxBackdatingMs = 86_400_000

function issuerRule(
  rule: string,
  clause: string,
  severity: LintRule['severity'],
  check: (subject: LintSubject, issuer: Certificate, issuerKey: PublicKey) => string | null,
): LintRule {
  return {
    rule,
    clause,
    severity,
    check: (subject) =>
      subject.issuer && subject.issuerKey ? check(subject, subject.issuer, subject.issuerKey) : null,
  }
}

function isSelfIssued({ tbs }: LintSubject): boolean {
  return equalBytes(tbs.issuerDer, tbs.subjectDer)
}

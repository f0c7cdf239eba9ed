/**
 * Lint rules of Matter's attestation certificates (Matter Core Specification ch. 6): the DAC by its purpose, PAI and PAA by
 * their being CAs with a vendor id.
 */
import type { LintRule, LintSubject } from './lint-rule.ts'
import type { Name } from './name.ts'
import { oids } from './oid.ts'

const clause = 'Matter Core Specification §6.2'

export const matterRules: readonly LintRule[] = [
  matterRule('matter-key', ({ tbs, key }) =>
    key.algorithm === 'ec-p256' && tbs.signatureAlgorithm === 'ecdsa-sha256'
      ? null
      : 'only P-256 keys and ECDSA with SHA-256',
  ),
  matterRule('matter-ids-form', ({ tbs }) => idsProblem(tbs.subject)),
  matterRule('matter-ids-dac', ({ tbs, isCa }) => {
    const { vid, pid } = matterIds(tbs.subject)
    return isCa || (vid !== null && pid !== null) ? null : 'a DAC names its vendor and its product'
  }),
  matterRule('matter-ids-issuer', ({ tbs, issuer }) => {
    if (!issuer) return null
    const own = matterIds(tbs.subject)
    const above = matterIds(issuer.subject)
    if (above.vid !== null && own.vid !== above.vid) return `the vendor id is not the issuer’s ${above.vid}`
    return above.pid !== null && own.pid !== above.pid
      ? `the product id is not the issuer’s ${above.pid}`
      : null
  }),
  matterRule('matter-ids-paa', ({ tbs, isSelfSigned }) =>
    isSelfSigned && matterIds(tbs.subject).pid !== null ? 'a PAA must not name a product' : null,
  ),
  matterRule('matter-path-length', ({ tbs, isCa, isSelfSigned }) => {
    if (!isCa) return null
    const pathLength = tbs.extensions.basicConstraints?.pathLength ?? null
    if (isSelfSigned)
      return pathLength === null || pathLength === 1 ? null : 'pathLenConstraint of a PAA must be 1'
    return pathLength === 0 ? null : 'pathLenConstraint of a PAI must be 0'
  }),
  matterRule('matter-key-usage', ({ tbs, isCa }) => {
    const usages = tbs.extensions.keyUsage ?? []
    if (isCa) {
      return usages.includes('keyCertSign') && usages.includes('cRLSign')
        ? null
        : 'needs keyCertSign and cRLSign'
    }
    return usages.length === 1 && usages[0] === 'digitalSignature'
      ? null
      : 'keyUsage must be digitalSignature alone'
  }),
  matterRule('matter-basic-constraints', ({ tbs }) => {
    const extension = tbs.extensions.list.find(({ oid }) => oid === oids.basicConstraints)
    return extension?.critical ? null : 'basicConstraints must be there and critical'
  }),
  matterRule('matter-key-identifiers', ({ tbs, isSelfSigned }) => {
    const { subjectKeyIdentifier, authorityKeyIdentifier } = tbs.extensions
    if (subjectKeyIdentifier?.length !== 20) return 'subjectKeyIdentifier must be there, with 20 octets'
    return isSelfSigned || authorityKeyIdentifier?.keyIdentifier
      ? null
      : 'authorityKeyIdentifier must be there'
  }),
  matterRule('matter-size', ({ size }) =>
    size + maxSignatureBytes <= maxCertificateBytes
      ? null
      : `the certificate may have more than ${maxCertificateBytes} bytes`,
  ),
]

/** DER of an attestation certificate (STANDARDS: 600). */
const maxCertificateBytes = 600
/** What Certificate adds to a TBSCertificate for P-256: header 4, algorithm 12, BIT STRING 3, signature 72. */
const maxSignatureBytes = 91

function matterRule(rule: string, check: (subject: LintSubject) => string | null): LintRule {
  return { rule, clause, severity: 'error', check: (subject) => (isMatter(subject) ? check(subject) : null) }
}

function isMatter({ purpose, isCa, tbs }: LintSubject): boolean {
  if (purpose === 'matter-dac') return true
  return (
    isCa &&
    tbs.subject.some((rdn) => rdn.some(({ type }) => type === oids.matterVid || type === oids.matterPid))
  )
}

interface MatterIds {
  readonly vid: string | null
  readonly pid: string | null
}

const inCommonName = { vid: /Mvid:([0-9A-F]{4})/, pid: /Mpid:([0-9A-F]{4})/ } as const

/** As attributes of their own, else inside the common name (§6.2.2.2, the form for CAs that cannot make such attributes). */
function matterIds(name: Name): MatterIds {
  const commonName = valuesOf(name, oids.commonName)[0] ?? ''
  const vid = valuesOf(name, oids.matterVid)[0] ?? inCommonName.vid.exec(commonName)?.[1] ?? null
  const pid = valuesOf(name, oids.matterPid)[0] ?? inCommonName.pid.exec(commonName)?.[1] ?? null
  return { vid, pid }
}

function idsProblem(name: Name): string | null {
  const attributes = [...valuesOf(name, oids.matterVid), ...valuesOf(name, oids.matterPid)]
  const isInCommonName = valuesOf(name, oids.commonName).some((text) => /Mvid:|Mpid:/.test(text))
  if (attributes.length > 0 && isInCommonName)
    return 'vendor and product ids both as attributes and in the common name'
  if (attributes.some((value) => !/^[0-9A-F]{4}$/.test(value)))
    return 'an id must be four upper-case hex digits'
  const isRepeated = [oids.matterVid, oids.matterPid].some((type) => valuesOf(name, type).length > 1)
  return isRepeated ? 'an id occurs twice' : null
}

function valuesOf(name: Name, type: string): string[] {
  return name
    .flat()
    .filter((attribute) => attribute.type === type)
    .map(({ value }) => value)
}

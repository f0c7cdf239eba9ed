/**
 * The inventory against the audit log: every certificate that was handed out has one fact that says how it came to be,
 * every such fact has its certificate, and both mean the same bytes. Looks up in bulk, both ways; holds no list.
 */
import { parseIssuerId, parseSerialNumber, type SerialNumber } from '../../base/id.ts'
import {
  auditedBySerials,
  auditedCertificates,
  forgottenSubjects,
  originFacts,
  type AuditedCertificate,
} from '../../store/audit-inventory.ts'
import type { CertificateStatus } from '../../store/certificate-record.ts'
import type { Db } from '../../store/schema.ts'
import { readFact, subjects, type FactAction, type ReadableFact } from './audit.ts'
import type { Findings } from './audit-findings.ts'

/** A fact that says how a certificate came to be. */
export interface Origin {
  /** Place in the log; null when it is not sealed yet. */
  readonly index: number | null
  readonly fact: ReadableFact
}

const originActions: readonly FactAction[] = ['certificate.issued', 'certificate.imported']
// Reserved and abandoned certificates have no signature: nobody has them.
const handedOut: ReadonlySet<CertificateStatus> = new Set(['issued', 'confirmed', 'superseded', 'revoked'])
const pageSize = 1_000

export function isOrigin(action: string): boolean {
  return originActions.some((known) => known === action)
}

/** Each of these facts has its certificate in the inventory, or it was deleted on record. */
export async function checkOrigins(db: Db, origins: readonly Origin[], findings: Findings): Promise<void> {
  const serials = new Map<Origin, SerialNumber | null>()
  for (const origin of origins) serials.set(origin, serialOf(origin.fact.subject))
  const wanted = [...new Set([...serials.values()].filter((serial) => serial !== null))]
  const found = new Map<string, AuditedCertificate>()
  for (const certificate of await auditedBySerials(db, wanted)) {
    found.set(subjects.certificate(certificate.issuerId, certificate.serialNumber), certificate)
  }
  const missing = origins.map(({ fact }) => fact.subject).filter((subject) => !found.has(subject))
  const forgotten = await forgottenSubjects(db, missing)
  for (const { index, fact } of origins) {
    const certificate = found.get(fact.subject)
    if (forgotten.has(fact.subject)) continue
    if (!certificate) {
      findings.add('fact-without-certificate', index, `${fact.action}: the inventory has no ${fact.subject}`)
    } else if (!handedOut.has(certificate.status)) {
      const detail = `${fact.action}: ${fact.subject} is ${certificate.status} in the inventory`
      findings.add('fact-without-certificate', index, detail)
    } else if (fact.details['sha256'] !== certificate.sha256) {
      const detail = `${fact.subject} has the SHA-256 ${certificate.sha256 ?? 'of nothing'} in the inventory, ${String(fact.details['sha256'])} was recorded`
      findings.add('certificate-changed', index, detail)
    }
  }
}

/**
 * Each certificate that was handed out has exactly one fact of its origin. That the two mean the same bytes is what
 * `checkOrigins` finds, for it sees every fact.
 * @returns the number of certificates looked at
 */
export async function checkInventory(
  db: Db,
  findings: Findings,
  onProgress: (done: number) => void,
): Promise<number> {
  let count = 0
  for (let afterId = 0; ;) {
    const page = await auditedCertificates(db, { afterId, limit: pageSize })
    const last = page.at(-1)
    if (!last) return count
    const certificates = page.filter(({ status }) => handedOut.has(status))
    const wanted = certificates.map((each) => subjects.certificate(each.issuerId, each.serialNumber))
    const facts = Map.groupBy(await originFacts(db, wanted), ({ subject }) => subject)
    for (const subject of wanted) {
      // the subject column may have been changed, but not what the sealed entry says
      const own = facts.get(subject)?.filter(({ entry }) => isAbout(entry, subject)) ?? []
      if (own.length === 0) {
        findings.add('certificate-without-fact', null, `nothing says how ${subject} came to be`)
      } else if (own.length > 1) {
        const detail = `${subject} came to be ${own.length} times`
        findings.add('fact-without-certificate', own.at(-1)?.logIndex ?? null, detail)
      }
    }
    count += certificates.length
    afterId = last.id
    onProgress(count)
  }
}

function isAbout(entry: Uint8Array, subject: string): boolean {
  try {
    return readFact(entry).subject === subject
  } catch {
    // not a fact at all: the pass over the log has said so
    return false
  }
}

function serialOf(subject: string): SerialNumber | null {
  const [, issuer, serial] = /^certificate:([^/]+)\/([0-9a-f]+)$/.exec(subject) ?? []
  if (issuer === undefined || serial === undefined || parseIssuerId(issuer) === null) return null
  return parseSerialNumber(serial)
}

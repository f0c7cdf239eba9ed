/** What `audit verify` may find, and the list that it finds it into. */
import type { LogFaultKind } from './log-check.ts'

export type FindingKind =
  | LogFaultKind
  | 'rolled-back' // the database is behind a checkpoint that was signed
  | 'checkpoint-invalid' // a checkpoint that our key did not sign as it stands there
  | 'index-changed' // the columns by which facts are found do not say what the sealed entry says
  | 'fact-without-certificate' // the log has an issuance that the inventory does not know
  | 'certificate-without-fact' // the inventory has a certificate whose origin nobody recorded
  | 'certificate-changed' // the certificate in the inventory is not the one whose origin was recorded

export interface Finding {
  readonly kind: FindingKind
  /** Place in the log of the first entry concerned; null when it has none. */
  readonly index: number | null
  readonly detail: string
}

// A log that was damaged on purpose may differ everywhere; nobody reads more.
const maxFindings = 100

export class Findings {
  readonly list: Finding[] = []
  /** More was found than is listed. */
  isCut = false

  add(kind: FindingKind, index: number | null, detail: string): void {
    if (this.list.length < maxFindings) this.list.push({ kind, index, detail })
    else this.isCut = true
  }
}

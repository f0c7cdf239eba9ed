/** What a lint rule is, and what it looks at. */
import type { Certificate, TbsCertificate } from './certificate.ts'
import { findExtension } from './extensions.ts'
import type { PublicKey } from './key.ts'

export interface LintRule {
  readonly rule: string
  readonly clause: string
  readonly severity: LintFinding['severity']
  /** @returns what is wrong, or null */
  readonly check: (subject: LintSubject) => string | null
}

/** What rules look at: read once, so that a rule costs some nanoseconds. */
export interface LintSubject {
  readonly tbs: TbsCertificate
  /** Bytes of the TBSCertificate. */
  readonly size: number
  readonly key: PublicKey
  readonly isCa: boolean
  readonly isSelfSigned: boolean
  /** Null also when it is unknown. */
  readonly issuer: Certificate | null
  readonly issuerKey: PublicKey | null
  readonly purpose: LintPurpose | null
  readonly keyEnciphermentExpected: boolean
}

export interface LintFinding {
  /** Lower-case name of the rule, stable. */
  readonly rule: string
  /** Document and section. */
  readonly clause: string
  readonly severity: 'error' | 'warning'
  readonly message: string
}

export type LintPurpose = 'device' | 'ca' | 'server' | 'ocsp' | 'matter-dac'

/** True or false: how it is marked. Null: not there. */
export function criticality({ tbs }: LintSubject, oid: string): boolean | null {
  return findExtension(tbs.extensions.list, oid)?.critical ?? null
}

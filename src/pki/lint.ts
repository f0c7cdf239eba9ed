/**
 * Checks the exact bytes of a certificate that is about to be signed. Each rule cites its clause. Errors stop the issuing;
 * warnings are what a standard calls SHOULD, and what some verifier is known to trip over.
 */
import { Refusal } from '../base/errors.ts'
import { type Certificate, parseTbsCertificate } from './certificate.ts'
import { type PublicKey, parsePublicKey } from './key.ts'
import type { LintFinding, LintPurpose, LintRule, LintSubject } from './lint-rule.ts'
import { extensionRules } from './lint-rules-extensions.ts'
import { fieldRules } from './lint-rules-fields.ts'
import { issuerRules } from './lint-rules-issuer.ts'
import { matterRules } from './lint-rules-matter.ts'
import { usageRules } from './lint-rules-usage.ts'

export type { LintFinding, LintPurpose } from './lint-rule.ts'

export interface LintContext {
  /** What the certificate is issued for; without it, the rules of a purpose do not apply. */
  readonly purpose?: LintPurpose
  /** The profile asks for keyEncipherment on purpose. */
  readonly keyEnciphermentExpected?: boolean
}

export interface LintRequest {
  /** DER TBSCertificate. */
  readonly tbs: Uint8Array
  /** Null: self-signed. `unknown`: rules that need the issuer do not apply. */
  readonly issuer: Certificate | null | 'unknown'
  readonly context: LintContext
}

/** @returns nothing when there is nothing to say. Bytes that cannot be read at all give one finding with rule `syntax` */
export function lintCertificate({ tbs, issuer, context }: LintRequest): LintFinding[] {
  const subject = readSubject(tbs, issuer, context)
  if (!('tbs' in subject)) return [subject]
  const findings: LintFinding[] = []
  for (const { rule, clause, severity, check } of lintRules) {
    const message = check(subject)
    if (message !== null) findings.push({ rule, clause, severity, message })
  }
  return findings
}

export const lintRules: readonly LintRule[] = [
  ...fieldRules,
  ...extensionRules,
  ...usageRules,
  ...issuerRules,
  ...matterRules,
]

function readSubject(
  bytes: Uint8Array,
  issuer: LintRequest['issuer'],
  context: LintContext,
): LintSubject | LintFinding {
  try {
    const tbs = parseTbsCertificate(bytes)
    const known = issuer === 'unknown' ? null : issuer
    return {
      tbs,
      size: bytes.length,
      key: parsePublicKey(tbs.spki),
      isCa: tbs.extensions.basicConstraints?.ca ?? false,
      isSelfSigned: issuer === null,
      issuer: known,
      issuerKey: known && keyOf(known),
      purpose: context.purpose ?? null,
      keyEnciphermentExpected: context.keyEnciphermentExpected ?? false,
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { ...unreadable(error), severity: 'error', message: error.message }
  }
}

/** What the strict readers refuse: DER, times, string types, bounds, duplicates, algorithms. */
function unreadable({ code }: Refusal): Pick<LintFinding, 'rule' | 'clause'> {
  switch (code) {
    case 'hostile-name':
      return { rule: 'name-text', clause: 'RFC 5280 Appendix A (upper bounds)' }
    case 'bad-algorithm':
      return { rule: 'algorithm-supported', clause: 'RFC 5280 §4.1.1.2, §4.1.2.7' }
    case 'weak-key':
      return { rule: 'key-size', clause: 'RFC 5280 §4.1.2.7' }
    default:
      return { rule: 'syntax', clause: 'RFC 5280 §4.1' }
  }
}

const issuerKeys = new WeakMap<Certificate, PublicKey>()

function keyOf(issuer: Certificate): PublicKey {
  const known = issuerKeys.get(issuer)
  if (known) return known
  const key = parsePublicKey(issuer.spki)
  issuerKeys.set(issuer, key)
  return key
}

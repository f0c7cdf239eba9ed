/** The rules, closed: what each one watches, and where it is written what to do. Expiry and revocation never share one. */
import type { CanonicalValue } from '../../base/canonical-json.ts'
import type { Severity } from '../../store/alerts.ts'

export { severities, type Severity } from '../../store/alerts.ts'

interface RuleText {
  readonly watches: 'expiry' | 'revocation' | 'campaign' | 'platform'
  /** One line, for `alert rules` and the documentation. */
  readonly says: string
}

export const alertRules = {
  'certificates-ending': {
    watches: 'expiry',
    says: 'devices may not renew before their certificate ends',
  },
  'certificates-ended': {
    watches: 'expiry',
    says: 'certificates have ended and nothing has replaced them',
  },
  'expiry-wave': {
    watches: 'expiry',
    says: 'more certificates end in one week than can be renewed in one',
  },
  'devices-dark': { watches: 'expiry', says: 'more devices than usual are silent' },
  'issuer-ending': {
    watches: 'expiry',
    says: 'an issuer ends before certificates of full length that it would sign now',
  },
  'server-certificate-ending': {
    watches: 'expiry',
    says: 'the certificate of one of our own endpoints is near its end',
  },
  'crl-old': { watches: 'revocation', says: 'a CRL was not published when it was due' },
  'revoked-devices-calling': {
    watches: 'revocation',
    says: 'devices that are revoked or quarantined still try to connect or to enrol',
  },
  'campaign-paused': { watches: 'campaign', says: 'a brake has paused a campaign' },
  'campaign-behind': { watches: 'campaign', says: 'a campaign is behind its plan' },
  'audit-unsealed': { watches: 'platform', says: 'facts wait to be sealed; the checkpoint is old' },
  'signer-errors': { watches: 'platform', says: 'certificates were reserved and never signed' },
  'clock-implausible': { watches: 'platform', says: 'the clock has jumped; passes over many devices hold' },
  'device-clocks-off': { watches: 'platform', says: 'the clocks of devices are off' },
  'tasks-dead': { watches: 'platform', says: 'tasks have failed for good and wait for a person' },
} as const satisfies Readonly<Record<string, RuleText>>

export type RuleName = keyof typeof alertRules
export const ruleNames = Object.keys(alertRules) as readonly RuleName[]

export function isRuleName(text: string): text is RuleName {
  return Object.hasOwn(alertRules, text)
}

/** One cause, as of now. */
export interface Finding {
  readonly rule: RuleName
  /** What it is about, within its rule; the same while the cause lasts. */
  readonly key: string
  readonly severity: Severity
  /** How many things are concerned. */
  readonly count: number
  /** One sentence. */
  readonly summary: string
  readonly details: Readonly<Record<string, CanonicalValue>>
}

/** By rule; null where it is not known now, which resolves nothing. */
export type Findings = ReadonlyMap<RuleName, readonly Finding[] | null>

const ranks: Readonly<Record<Severity, number>> = { notice: 0, warning: 1, critical: 2 }

export function isGraver(one: Severity, other: Severity): boolean {
  return ranks[one] > ranks[other]
}

export function gravest(all: readonly Severity[]): Severity {
  return all.reduce<Severity>((most, each) => (isGraver(each, most) ? each : most), 'notice')
}

/** The rule engine: what is open, what is found now → what changes. Pure. */
import type { Instant } from '../../base/clock.ts'
import type { AlertRecord } from '../../store/alerts.ts'
import { isGraver, isRuleName, type Finding, type Findings } from './alert-rule.ts'

export type AlertChange =
  | { readonly kind: 'opened'; readonly finding: Finding }
  /** `isRaised`: graver than before, or ten times as many: who had acknowledged it is told anew. */
  | {
      readonly kind: 'updated'
      readonly alert: AlertRecord
      readonly finding: Finding
      readonly isRaised: boolean
    }
  /** Its cause is gone; not yet for long enough. */
  | { readonly kind: 'cleared'; readonly alert: AlertRecord }
  | { readonly kind: 'resolved'; readonly alert: AlertRecord }

/** An alert that grows to this many times what people were told of is told again. */
const growth = 10

/**
 * @param open     every alert that is open
 * @param findings by rule; a rule that is missing or null is not known now, and its alerts stay as they are
 */
export function evaluate(
  state: { readonly open: readonly AlertRecord[]; readonly findings: Findings },
  settings: { readonly resolveAfterMs: number },
  now: Instant,
): AlertChange[] {
  const found = new Map<string, Finding>()
  for (const each of state.findings.values()) {
    for (const finding of each ?? []) found.set(nameOf(finding), finding)
  }
  const changes: AlertChange[] = []
  for (const alert of state.open) {
    const finding = found.get(nameOf(alert))
    found.delete(nameOf(alert))
    const change = finding ? updated(alert, finding) : gone(alert, { ...settings, ...state }, now)
    if (change) changes.push(change)
  }
  for (const finding of found.values()) changes.push({ kind: 'opened', finding })
  return changes
}

function nameOf({ rule, key }: { readonly rule: string; readonly key: string }): string {
  return `${rule} ${key}`
}

function updated(alert: AlertRecord, finding: Finding): AlertChange | null {
  const isRaised =
    isGraver(finding.severity, alert.severity) || finding.count >= growth * Math.max(1, alert.notifiedCount)
  const isSame =
    !isRaised &&
    alert.clearedAt === null &&
    alert.count === finding.count &&
    alert.severity === finding.severity &&
    alert.summary === finding.summary
  return isSame ? null : { kind: 'updated', alert, finding, isRaised }
}

function gone(
  alert: AlertRecord,
  { findings, resolveAfterMs }: { readonly findings: Findings; readonly resolveAfterMs: number },
  now: Instant,
): AlertChange | null {
  // a rule of another version of this program: nobody else would ever resolve it
  const isKnown = !isRuleName(alert.rule) || (findings.get(alert.rule) ?? null) !== null
  if (!isKnown) return null
  if (alert.clearedAt === null) return { kind: 'cleared', alert }
  return now - alert.clearedAt >= resolveAfterMs ? { kind: 'resolved', alert } : null
}

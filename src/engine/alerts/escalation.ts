/** Who is told of an alert now, and when to look again. Pure. */
import type { Instant } from '../../base/clock.ts'
import type { AlertRecord, SilenceRecord } from '../../store/alerts.ts'
import { isGraver } from './alert-rule.ts'
import type { AlertSettings, Escalation, EscalationStep } from './alert-settings.ts'
import { nextOpening } from './calendar.ts'

export type AlertEvent = 'opened' | 'raised' | 'escalated' | 'acknowledged' | 'resolved'

export interface EscalationPlan {
  /** To be told now. */
  readonly notifiers: readonly string[]
  /** Steps taken, those told now included. */
  readonly step: number
  /** When to look again; null when nothing is left to do. */
  readonly nextAt: Instant | null
}

type Escalated = Pick<AlertRecord, 'rule' | 'key' | 'severity' | 'acknowledgedAt' | 'step' | 'nextAt'>

/** The silence in force that ends last, of those that cover the alert. */
export function silenceOf(
  alert: Pick<AlertRecord, 'rule' | 'key' | 'severity'>,
  silences: readonly SilenceRecord[],
  now: Instant,
): SilenceRecord | null {
  const covering = silences.filter(
    ({ rule, key, severity, endsAt }) =>
      endsAt > now &&
      (rule === null || rule === alert.rule) &&
      (key === null || key === alert.key) &&
      // a silence of warnings is none of what is graver
      (severity === null || !isGraver(alert.severity, severity)),
  )
  return covering.reduce<SilenceRecord | null>(
    (last, each) => (last === null || each.endsAt > last.endsAt ? each : last),
    null,
  )
}

export function escalationOf(
  alert: Pick<AlertRecord, 'rule' | 'severity'>,
  escalations: readonly Escalation[],
): Escalation | null {
  return (
    escalations.find(
      ({ rules, minimumSeverity }) =>
        (rules.length === 0 || rules.some((rule) => rule === alert.rule)) &&
        !isGraver(minimumSeverity, alert.severity),
    ) ?? null
  )
}

/** The step that is due, if one is; several at once when those between are out of their hours and to be passed over. */
export function planEscalation(
  alert: Escalated,
  settings: Pick<AlertSettings, 'escalations' | 'notifiers' | 'calendars'>,
  silences: readonly SilenceRecord[],
  now: Instant,
): EscalationPlan {
  const steps = escalationOf(alert, settings.escalations)?.steps ?? []
  const at = alert.step
  if (alert.acknowledgedAt !== null || at >= steps.length) return { notifiers: [], step: at, nextAt: null }
  // null with steps left: the configuration has got them since
  if (alert.nextAt !== null && alert.nextAt > now) return { notifiers: [], step: at, nextAt: alert.nextAt }
  // it stays due, because a silence may end before its end
  if (silenceOf(alert, silences, now)) return { notifiers: [], step: at, nextAt: alert.nextAt }
  return takeSteps(alert, steps, settings, now)
}

function takeSteps(
  alert: Escalated,
  steps: readonly EscalationStep[],
  settings: Pick<AlertSettings, 'notifiers' | 'calendars'>,
  now: Instant,
): EscalationPlan {
  let opening: Instant | null = null
  for (let at = alert.step; at < steps.length; at++) {
    const { notifier } = steps[at] as EscalationStep
    const opensAt = opensFor(notifier, alert, settings, now)
    if (opensAt === now) {
      const next = steps[at + 1]
      return { notifiers: [notifier], step: at + 1, nextAt: next ? now + next.afterMs : null }
    }
    if (opensAt !== null) opening = Math.min(opening ?? opensAt, opensAt)
    const isPassedOver = settings.notifiers.get(notifier)?.outsideHours === 'skip'
    if (!isPassedOver) return { notifiers: [], step: at, nextAt: opensAt }
  }
  // nobody is there: the first who comes
  return { notifiers: [], step: alert.step, nextAt: opening }
}

/** When this notifier may be written to about an alert; `now` when it may at once, null when it never opens. */
function opensFor(
  name: string,
  { severity }: Pick<AlertRecord, 'severity'>,
  { notifiers, calendars }: Pick<AlertSettings, 'notifiers' | 'calendars'>,
  now: Instant,
): Instant | null {
  const notifier = notifiers.get(name)
  const calendar = calendars.get(notifier?.calendar ?? '')
  if (!notifier || !calendar || (severity === 'critical' && notifier.breaksThrough === 'critical')) return now
  return nextOpening(calendar, now)
}

/** Whether good news may be told now: it never wakes anybody. */
export function mayHearNow(
  name: string,
  settings: Pick<AlertSettings, 'notifiers' | 'calendars'>,
  now: Instant,
): boolean {
  return opensFor(name, { severity: 'notice' }, settings, now) === now
}

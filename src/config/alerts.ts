/** `notifiers:`, `calendars:` and `escalations:`, checked against each other. */
import { parseDuration } from '../base/duration.ts'
import type {
  AlertSettings,
  Escalation,
  NotifierSettings,
  Thresholds,
} from '../engine/alerts/alert-settings.ts'
import { defaultThresholds } from '../engine/alerts/alert-settings.ts'
import { calendarProblem, parseHours, type Calendar, type CalendarHours } from '../engine/alerts/calendar.ts'
import { checkMap, type CheckContext } from './check.ts'
import { calendarEntry, escalationEntry, notifierEntry } from './alerts-section.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import type { Loaded } from './knob.ts'

export type NotifierConfig = Loaded<typeof notifierEntry>
export type NotifierKind = NotifierConfig['kind']

export interface AlertMaps {
  readonly notifiers: ReadonlyMap<string, NotifierConfig>
  readonly calendars: ReadonlyMap<string, Calendar>
  readonly escalations: readonly Escalation[]
}

/** What each kind needs; `timeout`, `calendar` and its two words are taken by all. */
const needed: Readonly<Record<NotifierKind, readonly (keyof NotifierConfig)[]>> = {
  email: ['url', 'to', 'from'],
  webhook: ['url', 'secret'],
  slack: ['url'],
  teams: ['url'],
  pagerduty: ['secret'],
  opsgenie: ['secret'],
  sms: ['to'],
}

const namePattern = /^[a-z0-9][a-z0-9-]{0,63}$/

const notifierDefaults: NotifierConfig = {
  kind: 'email',
  to: [],
  from: '',
  url: null,
  secret: null,
  user: '',
  timeoutMs: 20_000,
  allow: [],
  insecureHttp: false,
  calendar: '',
  outsideHours: 'wait',
  breaksThrough: 'critical',
}

export function checkAlertMaps(
  given: { readonly notifiers: unknown; readonly calendars: unknown; readonly escalations: unknown },
  context: CheckContext,
): AlertMaps {
  const calendars = checkCalendars(given.calendars, context)
  const notifiers = checkNotifiers(given.notifiers, calendars, context)
  return { calendars, notifiers, escalations: checkEscalations(given.escalations, notifiers, context) }
}

function checkCalendars(given: unknown, context: CheckContext): ReadonlyMap<string, Calendar> {
  const calendars = new Map<string, Calendar>()
  for (const [name, entry] of checkMap(calendarEntry, given, ['calendars'], context)) {
    checkName('calendars', name, context)
    const { timeZone = 'UTC', hours: written = calendarEntry.properties.hours.default, daysOff = [] } = entry
    const path = ['calendars', name]
    const hours = written.flatMap((text): CalendarHours[] => {
      const parsed = parseHours(text)
      if (typeof parsed !== 'string') return [parsed]
      add(context, [...path, 'hours'], `calendars.${name}.hours: ${JSON.stringify(text)}: ${parsed}`)
      return []
    })
    const problem = calendarProblem(timeZone, daysOff)
    if (problem !== null) add(context, path, `calendars.${name}: ${problem}`)
    else calendars.set(name, { timeZone, hours, daysOff: new Set(daysOff) })
  }
  return calendars
}

function checkNotifiers(
  given: unknown,
  calendars: ReadonlyMap<string, Calendar>,
  context: CheckContext,
): ReadonlyMap<string, NotifierConfig> {
  const notifiers = new Map<string, NotifierConfig>()
  for (const [name, entry] of checkMap(notifierEntry, given, ['notifiers'], context)) {
    checkName('notifiers', name, context)
    const path = ['notifiers', name]
    if (entry.kind === undefined) {
      add(context, path, `notifiers.${name} needs kind: ${notifierEntry.properties.kind.enum.join(', ')}`)
      continue
    }
    const notifier = { ...notifierDefaults, ...entry } as NotifierConfig
    for (const key of needed[notifier.kind]) {
      const value = notifier[key]
      const isEmpty = value === null || value === '' || (Array.isArray(value) && value.length === 0)
      if (isEmpty) add(context, path, `notifiers.${name} (${notifier.kind}) needs ${key}`)
    }
    if (notifier.calendar !== '' && !calendars.has(notifier.calendar)) {
      const guess = didYouMean(notifier.calendar, [...calendars.keys()])
      add(
        context,
        [...path, 'calendar'],
        `notifiers.${name}.calendar: unknown calendar ${notifier.calendar}${guess}`,
      )
    }
    notifiers.set(name, notifier)
  }
  return notifiers
}

function checkEscalations(
  given: unknown,
  notifiers: ReadonlyMap<string, NotifierConfig>,
  context: CheckContext,
): Escalation[] {
  const entries = [...checkMap(escalationEntry, given, ['escalations'], context)]
  return entries.map(([name, { rules = [], minimumSeverity = 'notice', steps = [] }]) => {
    checkName('escalations', name, context)
    const path = ['escalations', name, 'steps']
    if (steps.length === 0)
      add(context, path, `escalations.${name} needs steps, such as [ops-mail, oncall after=15m]`)
    const parsed = steps.map((text) => {
      const [notifier = '', after] = text.split(' after=')
      if (!notifiers.has(notifier)) {
        const guess = didYouMean(notifier, [...notifiers.keys()])
        add(context, path, `escalations.${name}.steps: unknown notifier ${notifier}${guess}`)
      }
      return { notifier, afterMs: after === undefined ? 0 : (parseDuration(after) ?? 0) }
    })
    return { name, rules, minimumSeverity, steps: parsed }
  })
}

/** `[30d, 14d, 7d]`. @returns null when it is wrong, or was not given */
export function checkLeadTimes(
  name: string,
  given: readonly string[] | undefined,
  context: CheckContext,
): Thresholds | null {
  if (given === undefined) return null
  const [first, second, third, ...more] = given.map(parseDuration)
  if (first && second && third && more.length === 0 && first > second && second > third)
    return [first, second, third]
  add(
    context,
    ['connectivity', name, 'alertBefore'],
    `connectivity.${name}.alertBefore must be three lead times, the longest first, such as [30d, 14d, 7d]`,
  )
  return null
}

/** What the engine is given of all this. */
export function alertSettingsOf(config: {
  readonly alerts: {
    readonly chance: number
    readonly sweepIntervalMs: number
    readonly resolveAfterMs: number
    readonly weeklyCapacity: number
    readonly darkPoints: number
    readonly maximumPerHour: number
    readonly runbookUrl: string | null
  }
  readonly notifiers: ReadonlyMap<string, NotifierConfig>
  readonly calendars: ReadonlyMap<string, Calendar>
  readonly escalations: readonly Escalation[]
  readonly connectivity: ReadonlyMap<string, { readonly alertBeforeMs?: Thresholds }>
}): AlertSettings {
  const { chance, weeklyCapacity, ...alerts } = config.alerts
  const given = [...config.connectivity].flatMap(([name, { alertBeforeMs }]) =>
    alertBeforeMs === undefined ? [] : [[name, alertBeforeMs] as const],
  )
  const notifiers = [...config.notifiers].map(
    ([name, { calendar, outsideHours, breaksThrough }]): [string, NotifierSettings] => [
      name,
      { calendar: calendar === '' ? null : calendar, outsideHours, breaksThrough },
    ],
  )
  return {
    ...alerts,
    thresholds: new Map([...defaultThresholds, ...given]),
    chancePercent: chance,
    weeklyCapacity: weeklyCapacity === 0 ? null : weeklyCapacity,
    notifiers: new Map(notifiers),
    calendars: config.calendars,
    escalations: config.escalations,
  }
}

function checkName(map: string, name: string, context: CheckContext): void {
  if (namePattern.test(name)) return
  add(context, [map, name], `${map}.${name}: a name has 1 to 64 of a-z, 0-9 and -`)
}

function add(context: CheckContext, path: readonly string[], message: string): void {
  context.problems.push({ where: context.where(path), message })
}

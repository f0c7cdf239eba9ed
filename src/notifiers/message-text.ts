/** Alerts as words for people. All text in a message is printable; each format escapes what it must. */
import { iso } from '../base/clock.ts'
import type { NotifiedAlert, NotifierMessage } from '../engine/ports.ts'

const events: Readonly<Record<NotifierMessage['event'], string>> = {
  opened: '',
  raised: 'graver: ',
  escalated: 'nobody answered: ',
  acknowledged: 'acknowledged: ',
  resolved: 'resolved: ',
  test: 'test: ',
}

/** One line: `[Example] critical: 4,000 devices of batch run-1 …`. */
export function titleOf({ source, event, alerts }: NotifierMessage): string {
  const [first] = alerts
  const what = alerts.length === 1 ? first.summary : `${alerts.length} alerts, the first: ${first.summary}`
  return `[${source}] ${events[event]}${first.severity}: ${what}`
}

export function linesOf(alert: NotifiedAlert): string[] {
  return [
    alert.summary,
    `severity ${alert.severity}, rule ${alert.rule}, about ${alert.key}, since ${iso(alert.openedAt)}`,
    ...(alert.runbookUrl === null ? [] : [`what to do: ${alert.runbookUrl}`]),
    ...(alert.id === 0 ? [] : [`perennial alert show ${alert.id}`]),
  ]
}

export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`
}

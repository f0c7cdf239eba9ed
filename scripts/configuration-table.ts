/** The generated part of docs/configuration.md: every knob, from the same schema that checks the configuration. */
import { formatDuration } from '../src/base/duration.ts'
import { calendarEntry, escalationEntry, notifierEntry } from '../src/config/alerts-section.ts'
import { variableName } from '../src/config/environment.ts'
import type { Knob, Section } from '../src/config/knob.ts'
import { connectivityEntry, profileEntry } from '../src/config/profiles.ts'
import { schema } from '../src/config/schema.ts'
import { defaultThresholds } from '../src/engine/alerts/alert-settings.ts'
import { defaultConnectivity, defaultProfiles } from '../src/engine/issuing/default-profiles.ts'
import { defineProfile } from '../src/engine/issuing/profile.ts'

const start = '<!-- generated from the schema by `npm run docs`; do not edit below -->'

/** The file with its generated part written anew. */
export function withConfigurationTables(markdown: string): string {
  const at = markdown.indexOf(start)
  if (at === -1) throw new Error(`docs/configuration.md has lost its line: ${start}`)
  return `${markdown.slice(0, at)}${start}\n\n${tables()}`
}

function tables(): string {
  return [
    '## Keys',
    ...sections(schema),
    '## Profiles',
    'Each entry of `profiles:` is named after its profile, which is also the EST label. An entry with the name of a default\nprofile changes that one; `extends` starts from any other.',
    knobTable(profileEntry, (key) => `profiles.NAME.${key}`, null),
    'The default profiles:',
    defaultProfileTable(),
    '## Connectivity profiles',
    knobTable(connectivityEntry, (key) => `connectivity.NAME.${key}`, null),
    'Lead times of alerts by default: ' +
      `${[...defaultThresholds].map(([name, leads]) => `\`${name}\` ${leads.map(formatDuration).join(' ')}`).join(', ')}.`,
    `Defaults: ${[...defaultConnectivity].map(([name, { checkInMs }]) => `\`${name}\` ${formatDuration(checkInMs)}`).join(', ')}.`,
    '## Notifiers, calendars, escalations',
    'Who is told of alerts, when they may be written to, and in which order. [Alerts](alerts.md) has a worked example.',
    knobTable(notifierEntry, (key) => `notifiers.NAME.${key}`, null),
    knobTable(calendarEntry, (key) => `calendars.NAME.${key}`, null),
    knobTable(escalationEntry, (key) => `escalations.NAME.${key}`, null),
  ]
    .join('\n\n')
    .concat('\n')
}

function sections(section: Section): string[] {
  const entries = Object.entries(section.properties)
  const own = {
    ...section,
    properties: Object.fromEntries(entries.filter(([, part]) => !('properties' in part))),
  }
  const inner = entries.flatMap(([name, part]) => ('properties' in part ? [[name, part] as const] : []))
  return [
    knobTable(
      own,
      (key) => key,
      (key) => variableName([key]),
    ),
    ...inner.flatMap(([name, part]) => [
      `### ${name}`,
      part.description,
      knobTable(
        part,
        (key) => `${name}.${key}`,
        (key) => variableName([name, key]),
      ),
    ]),
  ]
}

function knobTable(
  section: Section,
  nameOf: (key: string) => string,
  variableOf: ((key: string) => string) | null,
): string {
  const rows = Object.entries(section.properties).flatMap(([key, knob]) => {
    if ('properties' in knob) return []
    const cells = [`\`${nameOf(key)}\``, defaultOf(knob), rangeOf(knob), escape(knob.description)]
    return [variableOf ? [...cells, `\`${variableOf(key)}\``] : cells]
  })
  const head = ['key', 'default', 'range', 'what and why', ...(variableOf ? ['variable'] : [])]
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function defaultOf(knob: Knob): string {
  const value = knob.default
  if (value === null || value === '') return 'unset'
  if (Array.isArray(value))
    return value.length === 0 ? 'empty' : value.map((item) => `\`${String(item)}\``).join(' ')
  return `\`${String(value)}\``
}

function rangeOf(knob: Knob): string {
  if (knob.type === 'integer') return `${knob.minimum} to ${knob.maximum}${knob.unit ? ` ${knob.unit}` : ''}`
  if (knob.type === 'boolean') return '`true`, `false`'
  if (knob.type === 'array')
    return knob.items.enum ? knob.items.enum.map((value) => `\`${value}\``).join(' ') : 'a list'
  if ('enum' in knob) return knob.enum.map((value) => `\`${value}\``).join(', ')
  if ('shortest' in knob) {
    const none = 'none' in knob && knob.none !== undefined ? `, or \`${knob.none}\`` : ''
    return `\`${knob.shortest}\` to \`${knob.longest}\`${none}`
  }
  return 'maxLength' in knob && knob.maxLength !== undefined ? `up to ${knob.maxLength} characters` : 'text'
}

function defaultProfileTable(): string {
  const days = (ms: number): string => formatDuration(ms)
  const rows = defaultProfiles
    .map(defineProfile)
    .map((profile) => [
      `\`${profile.name}\``,
      profile.validityMs === null ? 'unlimited' : days(profile.validityMs),
      days(profile.jitterMs),
      profile.renewBeforeMs === null ? 'never' : days(profile.renewBeforeMs),
      `\`${profile.connectivity}\``,
      `\`${profile.issuer}\``,
      escape(profile.description),
    ])
  const head = ['profile', 'validity', 'jitter', 'renewal window', 'connectivity', 'issuer', 'for']
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function escape(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

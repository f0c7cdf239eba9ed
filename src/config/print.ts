/** The configuration as YAML: what is in force and why, or every default with its reason. */
import type { Config } from '../config.ts'
import { defaultConnectivity, defaultProfiles } from '../engine/issuing/default-profiles.ts'
import type { Profile } from '../engine/issuing/profile.ts'
import { isDuration, written } from './check.ts'
import type { Knob, Section } from './knob.ts'
import { notifierEntry } from './alerts-section.ts'
import { connectivityEntry, connectivityWritten, profileEntry } from './profiles.ts'
import { schema } from './schema.ts'
import { siteEntry } from './sites.ts'
import type { KeyPath } from './yaml-file.ts'

export interface PrintedKey {
  readonly path: KeyPath
  /** As the file would hold it; secrets are masked. */
  readonly value: unknown
  /** `default`, `perennial.yaml:12`, or the name of a variable. */
  readonly origin: string
}

/** Every key in force, in the order of the schema. */
export function effectiveKeys(config: Config, origins: ReadonlyMap<string, string>): PrintedKey[] {
  const keys = keysOf(schema, config, [])
  for (const [name, entry] of config.connectivity)
    keys.push(...keysOf(connectivityEntry, connectivityWritten(entry), ['connectivity', name]))
  for (const [name, profile] of config.profiles)
    keys.push(...keysOf(profileEntry, profile, ['profiles', name]))
  for (const [name, site] of config.sites) keys.push(...keysOf(siteEntry, site, ['sites', name]))
  for (const [name, notifier] of config.notifiers)
    keys.push(...keysOf(notifierEntry, notifier, ['notifiers', name]))
  return keys.map(({ path, knob, value }) => ({
    path,
    value: knob.secret && value !== null ? '******' : written(knob, value),
    origin: origins.get(path.join('.')) ?? 'default',
  }))
}

/** The keys of one profile, as the file would hold them. */
export function profileKeys(profile: Profile): { readonly path: KeyPath; readonly value: unknown }[] {
  return keysOf(profileEntry, profile, []).map(({ path, knob, value }) => ({
    path,
    value: written(knob, value),
  }))
}

/** A YAML document that says the same, with the origin of each value as a comment. */
export function effectiveYaml(keys: readonly PrintedKey[], dim = (text: string): string => text): string {
  const lines: { text: string; origin: string | null }[] = []
  let open: KeyPath = []
  for (const { path, value, origin } of keys) {
    for (const [depth, name] of path.slice(0, -1).entries()) {
      if (open.length > depth && path.slice(0, depth + 1).every((each, i) => each === open[i])) continue
      if (depth === 0) lines.push({ text: '', origin: null })
      lines.push({ text: `${'  '.repeat(depth)}${name}:`, origin: null })
      open = path.slice(0, depth + 1)
    }
    open = path.slice(0, -1)
    lines.push({ text: `${'  '.repeat(path.length - 1)}${path.at(-1)}: ${yamlValue(value)}`, origin })
  }
  const width = Math.min(48, Math.max(...lines.map(({ text, origin }) => (origin ? text.length : 0))))
  return lines
    .map(({ text, origin }) => (origin ? `${text.padEnd(width)}  ${dim(`# ${origin}`)}` : text))
    .join('\n')
}

/**
 * perennial.yaml with every knob, commented out at its default.
 * @param given   keys that are set in it, by dotted key
 * @param entries connectivity and certificate profiles beside the default ones, by name, each as YAML writes it on one line
 */
export function defaultsYaml(
  given: Readonly<Record<string, unknown>> = {},
  { connectivity = {}, profiles = {} }: GivenEntries = {},
): string {
  const lines = [
    '# Configuration of Perennial. Each key is shown with its default; remove the # before it to change it.',
    '# Check it with `perennial config check`; see what is in force with `perennial config print`.',
    '# Any key can also be set as PERENNIAL_SECTION__KEY, for example PERENNIAL_EST__PORT=9443.',
    ...sectionLines(schema, [], given),
    '',
    '# How often devices of a kind are heard from. Renewal windows must be longer.',
    'connectivity:',
    ...givenLines(connectivity),
    ...[...defaultConnectivity].flatMap(([name, entry]) =>
      entryLines(connectivityEntry, name, connectivityWritten(entry)),
    ),
    '',
    '# Certificate profiles; the name is also the EST label. A profile named like a default one changes it; a new one',
    '# may start from another with `extends:`. Every key: `perennial config print --schema`.',
    'profiles:',
    ...givenLines(profiles),
    ...defaultProfiles.flatMap((input) => entryLines(profileEntry, input.name, input)),
    '',
  ]
  return lines.join('\n')
}

export interface GivenEntries {
  readonly connectivity?: Readonly<Record<string, string>>
  readonly profiles?: Readonly<Record<string, string>>
}

function givenLines(entries: Readonly<Record<string, string>>): string[] {
  return Object.entries(entries).map(([name, text]) => `  ${name}: ${text}`)
}

interface KeyValue {
  readonly path: KeyPath
  readonly knob: Knob
  readonly value: unknown
}

function keysOf(section: Section, values: object, path: KeyPath): KeyValue[] {
  const given = new Map<string, unknown>(Object.entries(values))
  return Object.entries(section.properties).flatMap(([key, part]): KeyValue[] => {
    const at = [...path, key]
    if ('properties' in part) return keysOf(part, given.get(key) as object, at)
    const loadedKey = isDuration(part) ? `${key}Ms` : key
    return given.has(loadedKey) ? [{ path: at, knob: part, value: given.get(loadedKey) }] : []
  })
}

function sectionLines(section: Section, path: KeyPath, given: Readonly<Record<string, unknown>>): string[] {
  const indent = '  '.repeat(path.length)
  const lines: string[] = []
  for (const [key, part] of Object.entries(section.properties)) {
    const at = [...path, key]
    if ('properties' in part) {
      lines.push(
        '',
        ...comment(part.description, indent),
        `${indent}${key}:`,
        ...sectionLines(part, at, given),
      )
      continue
    }
    const dotted = at.join('.')
    const isGiven = Object.hasOwn(given, dotted)
    const value = yamlValue(isGiven ? given[dotted] : part.default)
    if (path.length === 0) lines.push('')
    lines.push(...comment(`${part.description}${rangeOf(part)}`, indent))
    lines.push(`${indent}${isGiven ? '' : '# '}${key}: ${value}`)
  }
  return lines
}

function entryLines(section: Section, name: string, values: object): string[] {
  const keys = keysOf(section, values, [])
  return [
    `  # ${name}:`,
    ...keys.map(({ path, knob, value }) => `  #   ${path.at(-1)}: ${yamlValue(written(knob, value))}`),
  ]
}

/** ` From 1s to 2m.` and the like. */
function rangeOf(knob: Knob): string {
  if (knob.type === 'integer')
    return ` From ${knob.minimum} to ${knob.maximum}${knob.unit ? ` ${knob.unit}` : ''}.`
  if (isDuration(knob))
    return ` From ${knob.shortest} to ${knob.longest}${knob.none ? `, or ${knob.none}` : ''}.`
  if (knob.type === 'string' && 'enum' in knob) return ` One of ${knob.enum.join(', ')}.`
  if (knob.type === 'array' && knob.items.enum) return ` Any of ${knob.items.enum.join(', ')}.`
  return ''
}

function comment(text: string, indent: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > 110) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((each) => `${indent}# ${each}`)
}

export function yamlValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(yamlValue).join(', ')}]`
  if (typeof value === 'string' && /^[A-Za-z][A-Za-z0-9 ._/-]*[A-Za-z0-9]$/.test(value) && !isReserved(value))
    return value
  if (typeof value === 'string' && /^[1-9][0-9]*[smhdwy]$/.test(value)) return value
  return JSON.stringify(value ?? null)
}

/** Plain texts that YAML, in one of its versions, reads as something else. */
function isReserved(text: string): boolean {
  return /^(true|false|yes|no|on|off|null|y|n)$/i.test(text)
}

/** Given values against the schema: every problem is reported, with its place and what would be right. */
import { dayMs } from '../base/clock.ts'
import { formatDuration, parseDuration } from '../base/duration.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import type { DurationKnob, Knob, Loaded, Section } from './knob.ts'
import type { KeyPath } from './yaml-file.ts'

export interface Problem {
  /** `perennial.yaml:12` or the name of a variable. */
  readonly where: string
  /** One line: what is wrong and what would be right. No secret values. */
  readonly message: string
}

export interface CheckContext {
  readonly problems: Problem[]
  /** Where the value at the path was given. */
  where(path: KeyPath): string
  /** Told of each key that was given and is right. */
  accepted(path: KeyPath): void
}

type Values = Record<string, unknown>

/**
 * @param given what the file and the environment say; undefined and null stand for an empty section
 * @returns values by loaded key (`…Ms` for durations); wrong ones are replaced by the default
 */
export function checkSection<S extends Section>(
  section: S,
  given: unknown,
  path: KeyPath,
  context: CheckContext,
): Loaded<S> {
  const checked: unknown = checkValues(section, given, path, context, { fillDefaults: true })
  return checked as Loaded<S> // what the schema has just established
}

/** A map of named entries. Keys that an entry does not give are left out of it. The names are left to the caller. */
export function checkMap<S extends Section>(
  entrySection: S,
  given: unknown,
  path: KeyPath,
  context: CheckContext,
): Map<string, Partial<Loaded<S>>> {
  const entries = Object.entries(asObject(given, path, context)).map(([name, value]) => {
    const checked: unknown = checkValues(entrySection, value, [...path, name], context, {
      fillDefaults: false,
    })
    return [name, checked as Partial<Loaded<S>>] as const // what the schema has just established
  })
  return new Map(entries)
}

function checkValues(
  section: Section,
  given: unknown,
  path: KeyPath,
  context: CheckContext,
  options: { fillDefaults: boolean },
): Values {
  const entries = asObject(given, path, context)
  for (const key of Object.keys(entries)) {
    if (Object.hasOwn(section.properties, key)) continue
    const at = [...path, key]
    context.problems.push({ where: context.where(at), message: unknownKey(section, key, path) })
  }
  const values: Values = {}
  for (const [key, part] of Object.entries(section.properties)) {
    const at = [...path, key]
    const value = Object.hasOwn(entries, key) ? entries[key] : undefined
    if ('properties' in part) {
      values[key] = checkValues(part, value, at, context, options)
      continue
    }
    if (value === undefined && !options.fillDefaults) continue
    values[isDuration(part) ? `${key}Ms` : key] = checkKnob(part, value, at, context)
  }
  return values
}

export function isDuration(knob: Knob): knob is DurationKnob {
  return knob.type === 'string' && 'format' in knob
}

/** The default as loaded: durations in milliseconds. */
export function loadedDefault(knob: Knob): unknown {
  if (!isDuration(knob)) return knob.default
  return knob.default === knob.none ? null : parseDuration(knob.default)
}

/** A loaded value as the configuration writes it: durations as text. */
export function written(knob: Knob, value: unknown): unknown {
  if (!isDuration(knob)) return value
  if (typeof value !== 'number') return knob.none ?? null
  const years = value / (365 * dayMs)
  return Number.isInteger(years) && years > 0 ? `${years}y` : formatDuration(value)
}

function checkKnob(knob: Knob, value: unknown, path: KeyPath, context: CheckContext): unknown {
  if (value === undefined) return loadedDefault(knob)
  const wrong = knobProblem(knob, value)
  if (wrong !== null) {
    const shown = knob.secret ? '' : `, not ${brief(value)}${suggestionFor(knob, value)}`
    context.problems.push({
      where: context.where(path),
      message: `${path.join('.')} must be ${wrong}${shown}`,
    })
    return loadedDefault(knob)
  }
  context.accepted(path)
  if (!isDuration(knob)) return value
  return value === knob.none ? null : parseDuration(String(value))
}

/** What the value must be, when it is not; null when it is right. */
function knobProblem(knob: Knob, value: unknown): string | null {
  if (isDuration(knob)) return durationProblem(knob, value)
  switch (knob.type) {
    case 'integer': {
      const fits =
        Number.isSafeInteger(value) && (value as number) >= knob.minimum && (value as number) <= knob.maximum
      const unit = knob.unit ? ` ${knob.unit}` : ''
      return fits ? null : `a whole number from ${knob.minimum} to ${knob.maximum}${unit}`
    }
    case 'boolean':
      return typeof value === 'boolean' ? null : 'true or false'
    case 'array': {
      if (!Array.isArray(value)) return 'a list'
      const bad = value.find((item) => !itemFits(knob.items, item))
      if (bad === undefined) return null
      const allowed = knob.items.enum?.join(', ') ?? `texts like ${knob.example ?? 'this'}`
      return `a list of ${allowed}`
    }
    case 'string':
      return textProblem(knob, value)
  }
}

/** For the first value that is not among the allowed ones. */
function suggestionFor(knob: Knob, value: unknown): string {
  const allowed = knob.type === 'array' ? knob.items.enum : 'enum' in knob ? knob.enum : undefined
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  const wrong = values.find((each) => typeof each === 'string' && !allowed?.includes(each))
  return allowed && typeof wrong === 'string' ? didYouMean(wrong, allowed) : ''
}

function textProblem(knob: Extract<Knob, { type: 'string' }>, value: unknown): string | null {
  if (value === null && knob.default === null) return null
  if ('enum' in knob) {
    if (knob.enum.some((allowed) => allowed === value)) return null
    return `one of ${knob.enum.join(', ')}`
  }
  if (typeof value !== 'string') return 'a text (in quotes when it looks like a number)'
  if ('pattern' in knob && knob.pattern && !new RegExp(knob.pattern, 'u').test(value)) {
    return `like ${knob.example ?? knob.pattern}`
  }
  const length = [...value].length
  if ('minLength' in knob && length < (knob.minLength ?? 0)) return 'a text that is not empty'
  if ('maxLength' in knob && length > (knob.maxLength ?? Infinity))
    return `at most ${knob.maxLength} characters`
  return null
}

function durationProblem(knob: DurationKnob, value: unknown): string | null {
  if (knob.none !== undefined && value === knob.none) return null
  const none = knob.none === undefined ? '' : `, or ${knob.none}`
  const range = `from ${knob.shortest} to ${knob.longest}${none}`
  const ms = typeof value === 'string' || value === 0 ? parseDuration(String(value)) : null
  if (ms === null) return `a duration like 30s, 5m, 12h, 90d or 3y, ${range}`
  const fits = ms >= (parseDuration(knob.shortest) ?? 0) && ms <= (parseDuration(knob.longest) ?? 0)
  return fits ? null : range
}

function itemFits(items: { enum?: readonly string[]; pattern?: string }, item: unknown): boolean {
  if (typeof item !== 'string') return false
  if (items.enum) return items.enum.includes(item)
  return items.pattern === undefined || new RegExp(items.pattern, 'u').test(item)
}

function asObject(given: unknown, path: KeyPath, context: CheckContext): Values {
  if (given === undefined || given === null) return {}
  if (typeof given === 'object' && !Array.isArray(given)) return given as Values
  const name = path.length === 0 ? 'the configuration' : path.join('.')
  context.problems.push({
    where: context.where(path),
    message: `${name} must be a section of keys, not ${brief(given)}`,
  })
  return {}
}

function unknownKey(section: Section, key: string, path: KeyPath): string {
  const full = [...path, key].join('.')
  const here = didYouMean(key, Object.keys(section.properties))
  if (here || path.length > 0) return `unknown key ${full}${here}`
  const elsewhere = Object.entries(section.properties)
    .filter(([, part]) => 'properties' in part && Object.hasOwn(part.properties, key))
    .map(([name]) => `${name}.${key}`)
  return `unknown key ${full}${elsewhere.length > 0 ? `; did you mean ${elsewhere.join(' or ')}?` : ''}`
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

/**
 * A scenario file: a story, the numbers that it gives, the numbers that were assumed because it does not give them (each
 * with its reason), and what happens on which day. Read strictly: what cannot be meant is refused with its line.
 */
import { basename } from 'node:path'
import { readFile } from 'node:fs/promises'
import { dayMs, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import { parseYaml, type KeyPath, type YamlFile } from '../config/yaml-file.ts'
import { parseCampaignDefinition } from '../engine/campaigns/campaign-read.ts'
import { ladderProblem, parseRung, type Ladder } from '../engine/renewals/ladder.ts'
import {
  formatParameter,
  parameterNames,
  parameterRules,
  readParameter,
  type ParameterName,
  type ParameterValues,
} from './parameters.ts'
import type { InstallationCopy } from './rehearsal/copy.ts'
import { targetKinds, type ParameterSource, type ReportedParameter, type TargetKind } from './result.ts'

export const scenarioActions = ['pause', 'resume', 'abort', 'restart', 'revoke', 'replace-issuer'] as const
export type ScenarioAction = (typeof scenarioActions)[number]

export interface ScenarioEvent {
  readonly day: number
  readonly action: ScenarioAction
  /** How many devices, where the action is about devices. */
  readonly devices: number
}

export interface ScenarioTarget {
  readonly what: TargetKind
  /** Percent of the devices, or devices. */
  readonly atMost: number
}

export interface Comparison {
  readonly name: string
  readonly values: Partial<ParameterValues>
}

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly story: string
  readonly values: ParameterValues
  readonly sources: Readonly<
    Record<ParameterName, { readonly source: ParameterSource; readonly why: string | null }>
  >
  readonly ladder: Ladder
  readonly ladderSource: { readonly source: ParameterSource; readonly why: string | null }
  /** What is written under `campaign`; null = no campaign, the fleet renews by itself. */
  readonly campaign: Readonly<Record<string, unknown>> | null
  readonly events: readonly ScenarioEvent[]
  readonly target: ScenarioTarget | null
  readonly comparisons: readonly Comparison[]
  readonly sensitivity: readonly { readonly name: ParameterName; readonly values: readonly number[] }[]
  /** A real fleet and its campaign, copied; null in a scenario that was written. */
  readonly copy: InstallationCopy | null
}

const topKeys = [
  'title',
  'story',
  'parameters',
  'ladder',
  'campaign',
  'events',
  'target',
  'compare',
  'sensitivity',
]
const entryKeys = ['value', 'from', 'why']

/** Parameters of which a story speaks in shares of one whole. */
const wholes: readonly (readonly ParameterName[])[] = [
  ['outage.stuck', 'outage.dead'],
  ['network.lost', 'network.replyLost', 'network.twice'],
]

export interface ReadOptions {
  /** In place of what the file says. */
  readonly devices?: number
  readonly days?: number
}

/** @throws Refusal `invalid-input` with file, line and reason */
export async function readScenario(path: string, options: ReadOptions = {}): Promise<Scenario> {
  return await parseScenario(await readFile(path, 'utf8'), basename(path).replace(/\.ya?ml$/, ''), options)
}

export async function parseScenario(
  text: string,
  name: string,
  options: ReadOptions = {},
): Promise<Scenario> {
  return new Reader(await parseYaml(text), name).read(options)
}

class Reader {
  readonly #file: YamlFile
  readonly #name: string

  constructor(file: YamlFile, name: string) {
    this.#file = file
    this.#name = name
  }

  read(options: ReadOptions): Scenario {
    const [error] = this.#file.errors
    if (error) throw this.#at(error.line, error.message)
    const top = this.#object(this.#file.value, [], topKeys)
    const { values, sources } = this.#parameters(top['parameters'], options)
    this.#checkWholes(values)
    const ladder = this.#ladder(top['ladder'])
    return {
      name: this.#name,
      title: this.#text(top['title'], ['title']),
      story: this.#text(top['story'], ['story']).trim(),
      values,
      sources,
      ladder: ladder.ladder,
      ladderSource: ladder,
      campaign: this.#campaign(top['campaign']),
      events: this.#events(top['events'], values),
      target: this.#target(top['target']),
      comparisons: this.#comparisons(top['compare']),
      sensitivity: this.#sensitivity(top['sensitivity']),
      copy: null,
    }
  }

  #parameters(written: unknown, options: ReadOptions): Pick<Scenario, 'values' | 'sources'> {
    const given = this.#object(written ?? {}, ['parameters'], parameterNames)
    const values: Record<string, number> = {}
    const sources: Record<string, { source: ParameterSource; why: string | null }> = {}
    for (const name of parameterNames) {
      values[name] = parameterRules[name].otherwise
      sources[name] = { source: 'default', why: null }
      if (given[name] !== undefined) {
        const path = ['parameters', name]
        values[name] = this.#value(name, this.#object(given[name], path, entryKeys)['value'], path)
        sources[name] = this.#source(given[name], path)
      }
      const told = name === 'devices' ? options.devices : name === 'days' ? options.days : undefined
      if (told === undefined) continue
      values[name] = this.#value(name, told, ['parameters', name])
      sources[name] = { source: 'command line', why: null }
    }
    return { values, sources } as Pick<Scenario, 'values' | 'sources'>
  }

  #source(entry: unknown, path: KeyPath): { source: ParameterSource; why: string | null } {
    const { from, why } = this.#object(entry, path, entryKeys)
    if (from !== 'story' && from !== 'assumption') {
      throw this.#bad(path, `${path.join('.')} must say where it is from: story or assumption`)
    }
    if (why !== undefined && typeof why !== 'string') throw this.#bad([...path, 'why'], 'why is a sentence')
    if (from === 'assumption' && (why === undefined || why.trim() === '')) {
      throw this.#bad(path, `${path.join('.')} is an assumption: say why it was made so`)
    }
    return { source: from, why: typeof why === 'string' ? why.trim() : null }
  }

  #value(name: ParameterName, written: unknown, path: KeyPath): number {
    const value = readParameter(name, written)
    if (typeof value === 'string') throw this.#bad(path, value)
    return value
  }

  #checkWholes(values: ParameterValues): void {
    for (const names of wholes) {
      const sum = names.reduce((total, name) => total + values[name], 0)
      if (sum <= 1) continue
      const text = `${names.join(' and ')} are shares of one whole and come to ${Number((sum * 100).toFixed(2))} %`
      throw this.#bad(['parameters', names.at(-1) as string], text)
    }
    const { 'certificate.lead': lead, 'certificate.spread': spread, 'certificate.life': life } = values
    if (lead > life)
      throw this.#bad(['parameters', 'certificate.lead'], 'certificate.lead is longer than certificate.life')
    if (spread > lead) {
      throw this.#bad(
        ['parameters', 'certificate.spread'],
        'certificate.spread is longer than certificate.lead: some certificates would have ended before the start',
      )
    }
  }

  #ladder(written: unknown): { ladder: Ladder; source: ParameterSource; why: string | null } {
    const path = ['ladder']
    const { value } = this.#object(written, path, entryKeys)
    if (!Array.isArray(value) || value.some((rung) => typeof rung !== 'string')) {
      throw this.#bad(path, 'ladder.value is a list of rungs such as "mqtt wait=4d repeats=5"')
    }
    try {
      const ladder = value.map((rung) => parseRung(String(rung)))
      const problem = ladderProblem(ladder)
      if (problem !== null) throw this.#bad(path, problem)
      const other = ladder.find(({ channel }) => !['mqtt', 'sms', 'field'].includes(channel))
      if (other) throw this.#bad(path, `a simulation knows mqtt, sms and field, not ${other.channel}`)
      return { ladder, ...this.#source(written, path) }
    } catch (error) {
      if (error instanceof Refusal && !error.message.includes('line ')) throw this.#bad(path, error.message)
      throw error
    }
  }

  #campaign(written: unknown): Scenario['campaign'] {
    if (written === undefined || written === null) return null
    const path = ['campaign']
    const campaign = this.#object(written, path, ['canary', 'waves', 'brakes', 'abortConfig', 'rollout'])
    try {
      parseCampaignDefinition({ selection: { all: true }, ...campaign }, 0)
    } catch (error) {
      throw error instanceof Refusal ? this.#bad(path, error.message) : error
    }
    return campaign
  }

  #events(written: unknown, { days }: ParameterValues): ScenarioEvent[] {
    return this.#list(written, 'events').map((each, at): ScenarioEvent => {
      const path = ['events', String(at)]
      const { day, do: action, devices = 0 } = this.#object(each, path, ['day', 'do', 'devices'])
      const known = scenarioActions.find((name) => name === action)
      if (known === undefined) {
        const hint = didYouMean(String(action), scenarioActions)
        throw this.#bad(
          ['events'],
          `there is no action ${String(action)}${hint || `; there are ${scenarioActions.join(', ')}`}`,
        )
      }
      if (typeof day !== 'number' || day < 0 || day > days)
        throw this.#bad(['events'], `the day of ${known} must be from 0 to ${days}`)
      if (!Number.isSafeInteger(devices)) throw this.#bad(['events'], `devices of ${known} is a whole number`)
      return { day, action: known, devices: devices as number }
    })
  }

  #target(written: unknown): ScenarioTarget | null {
    if (written === undefined || written === null) return null
    const { what, atMost } = this.#object(written, ['target'], ['what', 'atMost'])
    const kind = targetKinds.find((each) => each === what)
    const percent = typeof atMost === 'string' ? /^(\d+(?:\.\d+)?) ?%$/.exec(atMost) : null
    if (kind === undefined) throw this.#bad(['target'], `target.what is one of ${targetKinds.join(', ')}`)
    if (percent === null) throw this.#bad(['target'], 'target.atMost is a share of the devices such as 0.1%')
    return { what: kind, atMost: Number(percent[1]) }
  }

  #comparisons(written: unknown): Comparison[] {
    return this.#list(written, 'compare').map((each, at): Comparison => {
      const path = ['compare', String(at)]
      const { name, set } = this.#object(each, path, ['name', 'set'])
      if (typeof name !== 'string') throw this.#bad(['compare'], 'each comparison has a name')
      const given = this.#object(set, ['compare'], parameterNames)
      const values: Record<string, number> = {}
      for (const [key, value] of Object.entries(given))
        values[key] = this.#value(key as ParameterName, value, ['compare'])
      return { name, values: values as Partial<ParameterValues> }
    })
  }

  #sensitivity(written: unknown): Scenario['sensitivity'] {
    const given = written === undefined ? {} : this.#object(written, ['sensitivity'], parameterNames)
    return Object.entries(given).map(([key, values]) => {
      const name = key as ParameterName
      const path = ['sensitivity', name]
      if (!Array.isArray(values) || values.length === 0)
        throw this.#bad(path, `sensitivity.${name} is a list of values`)
      return { name, values: values.map((value) => this.#value(name, value, path)) }
    })
  }

  #list(written: unknown, key: string): unknown[] {
    if (written === undefined || written === null) return []
    if (!Array.isArray(written)) throw this.#bad([key], `${key} is a list`)
    return written
  }

  #text(written: unknown, path: KeyPath): string {
    if (typeof written !== 'string' || written.trim() === '')
      throw this.#bad(path, `${path.join('.')} is missing: a line of text`)
    return written
  }

  #object(written: unknown, path: KeyPath, keys: readonly string[]): Record<string, unknown> {
    const name = path.length === 0 ? 'a scenario' : path.join('.')
    if (typeof written !== 'object' || written === null || Array.isArray(written)) {
      throw this.#bad(
        path,
        `${name} must have keys${path.length === 0 ? '' : ` such as ${keys.slice(0, 3).join(', ')}`}`,
      )
    }
    for (const key of Object.keys(written)) {
      if (!keys.includes(key))
        throw this.#bad([...path, key], `${name} has no key ${key}${didYouMean(key, keys)}`)
    }
    return written as Record<string, unknown>
  }

  #bad(path: KeyPath, reason: string): Refusal {
    return this.#at(this.#file.lineOf(path), reason)
  }

  #at(line: number, reason: string): Refusal {
    return new Refusal('invalid-input', `scenario ${this.#name}, line ${line}: ${reason}`)
  }
}

/** Every number of the scenario with where it is from, for the report. */
export function reportedParameters(scenario: Scenario): ReportedParameter[] {
  const { values, sources, ladder, ladderSource } = scenario
  const numbers = parameterNames.map((name): ReportedParameter => {
    const { source, why } = sources[name]
    const value = formatParameter(name, values[name])
    return { name, value, source, what: parameterRules[name].what, why }
  })
  const rungs = ladder.map(({ channel, waitMs, repeats, beforeMs }) => {
    const before = beforeMs === null ? '' : ` ${beforeMs / dayMs} d before the end`
    return `${channel}${waitMs === 0 ? '' : ` ${waitMs / dayMs} d`}${repeats === 1 ? '' : ` × ${repeats}`}${before}`
  })
  const { source, why } = ladderSource
  return [...numbers, { name: 'ladder', value: rungs.join(', '), source, what: 'how a device is asked', why }]
}

/** The same scenario with other numbers. */
export function variantOf(scenario: Scenario, values: Partial<ParameterValues>): Scenario {
  return { ...scenario, values: { ...scenario.values, ...values } }
}

/** 2027-01-04T00:00:00Z, a Monday: the day on which every simulation begins. */
export const simulationStart: Instant = Date.UTC(2027, 0, 4)

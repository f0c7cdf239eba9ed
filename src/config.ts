/** Configuration: `perennial.yaml` in the data directory, then PERENNIAL_SECTION__KEY, checked by one schema. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { Refusal } from './base/errors.ts'
import { checkAlertMaps, type AlertMaps } from './config/alerts.ts'
import { checkSection, type CheckContext, type Problem } from './config/check.ts'
import { readEnvironment, targetsOf, type Environment, type Override } from './config/environment.ts'
import type { Loaded } from './config/knob.ts'
import { checkConnectivity, checkProfiles, entryTargets } from './config/profiles.ts'
import { rules } from './config/rules.ts'
import { schema } from './config/schema.ts'
import { checkSites, checkTimeZone } from './config/sites.ts'
import { parseYaml, type KeyPath, type YamlFile } from './config/yaml-file.ts'
import type { Site } from './engine/campaigns/campaign-settings.ts'
import type { Connectivity } from './engine/context.ts'
import type { Profile } from './engine/issuing/profile.ts'

export type { Environment } from './config/environment.ts'
export type { Role } from './config/schema.ts'

/** Every knob at its effective value; durations are `…Ms`. */
export type Settings = Loaded<typeof schema>

export interface Config extends Settings, AlertMaps {
  /** Default profiles merged with the user's. */
  readonly profiles: ReadonlyMap<string, Profile>
  readonly connectivity: ReadonlyMap<string, Connectivity>
  readonly sites: ReadonlyMap<string, Site>
}

export interface CheckedConfig {
  /** What would be in force; with problems, wrong values are at their defaults. */
  readonly config: Config
  readonly problems: readonly Problem[]
  /** Where each key that is not at its default was given, by dotted key: `perennial.yaml:12` or a variable. */
  readonly origins: ReadonlyMap<string, string>
}

export interface ConfigSource {
  /** Path of perennial.yaml; a file that does not exist is an empty one. Null reads none. */
  readonly file: string | null
  readonly env: Environment
}

/** @throws Refusal `configuration-invalid` with the first problem and the number of others */
export async function loadConfig(source: ConfigSource): Promise<Config> {
  const { config, problems } = await checkConfig(source)
  const [first, ...others] = problems
  if (!first) return config
  const more = others.length === 0 ? '' : ` (and ${others.length} more: perennial config check)`
  throw new Refusal('configuration-invalid', `${first.where}: ${first.message}${more}`)
}

/** Like `loadConfig`, with every problem instead of an error. */
export async function checkConfig(source: ConfigSource): Promise<CheckedConfig> {
  const label = source.file === null ? 'configuration' : basename(source.file)
  const text = source.file === null ? '' : await readOptional(source.file)
  const yaml = await parseYaml(text)
  const given = asRoot(yaml.value)
  const { overrides, problems: envProblems } = readEnvironment(source.env, [
    ...targetsOf(schema),
    ...entryTargets(given),
  ])
  const problems: Problem[] = [
    ...yaml.errors.map(({ line, message }) => ({ where: `${label}:${line}`, message })),
    ...envProblems.map(({ variable, message }) => ({ where: variable, message })),
  ]
  const origins = new Map<string, string>()
  const context = createContext({ yaml, label, overrides, problems, origins })

  const {
    profiles: givenProfiles,
    connectivity: givenConnectivity,
    sites: givenSites,
    notifiers,
    calendars,
    escalations,
    ...rest
  } = applyOverrides(given, overrides)
  const root = isSection(yaml.value) ? rest : yaml.value
  const settings = checkSection(schema, root, [], context)
  const connectivity = checkConnectivity(givenConnectivity, context)
  const profiles = checkProfiles(givenProfiles, connectivity, context)
  const sites = checkSites(givenSites, context)
  const alertMaps = checkAlertMaps({ notifiers, calendars, escalations }, context)
  checkTimeZone(settings.campaigns.timeZone, ['campaigns', 'timeZone'], context)
  for (const rule of rules) {
    const message = rule.check(settings)
    if (message === null) continue
    const key = rule.keys.find((each) => origins.has(each)) ?? (rule.keys[0] as string)
    problems.push({ where: context.where(key.split('.')), message })
  }
  const config = { ...settings, connectivity, profiles, sites, ...alertMaps }
  return { config, problems: inOrder(problems), origins }
}

/** The default configuration, as if there were no file and no variable. */
export async function defaultConfig(): Promise<Config> {
  return await loadConfig({ file: null, env: {} })
}

function createContext(parts: {
  yaml: YamlFile
  label: string
  overrides: readonly Override[]
  problems: Problem[]
  origins: Map<string, string>
}): CheckContext {
  const { yaml, label, overrides, problems, origins } = parts
  const where = (path: KeyPath) => {
    const key = path.join('.')
    const override = overrides.find((each) => each.path.join('.') === key)
    return override?.variable ?? `${label}:${yaml.lineOf(path)}`
  }
  return { problems, where, accepted: (path) => void origins.set(path.join('.'), where(path)) }
}

async function readOptional(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw new Refusal('configuration-invalid', `cannot read ${file}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Those of the file first, by line; then those of variables, by name. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const key = ({ where }: Problem) => {
    const line = /:(\d+)$/.exec(where)?.[1]
    return line === undefined ? `1${where}` : `0${line.padStart(9, '0')}`
  }
  return problems.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
}

type Tree = Record<string, unknown>

function isSection(value: unknown): value is Tree | undefined {
  return value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value))
}

function asRoot(value: unknown): Tree {
  return isSection(value) ? (value ?? {}) : {}
}

/** A copy of the tree with the values of the variables in place of those of the file. */
function applyOverrides(given: Tree, overrides: readonly Override[]): Tree {
  const tree = structuredClone(given)
  for (const { path, value } of overrides) {
    let node = tree
    for (const key of path.slice(0, -1)) {
      const next = node[key]
      node = node[key] = isSection(next) ? { ...next } : {}
    }
    node[path.at(-1) as string] = value
  }
  return tree
}

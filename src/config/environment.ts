/** PERENNIAL_SECTION__KEY variables, matched to keys of the schema. */
import { readFileSync } from 'node:fs'
import { didYouMean, normalize } from '../base/did-you-mean.ts'
import type { Knob, Section } from './knob.ts'
import type { KeyPath } from './yaml-file.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Override {
  readonly path: KeyPath
  /** Converted to what the YAML file would have held. */
  readonly value: unknown
  readonly variable: string
}

export interface EnvironmentReading {
  readonly overrides: readonly Override[]
  readonly problems: readonly { readonly variable: string; readonly message: string }[]
}

/** A place in the configuration that a variable can name. */
export interface Target {
  readonly path: KeyPath
  readonly knob: Knob
}

const prefix = 'PERENNIAL_'
/** Read elsewhere: not configuration keys. PERENNIAL_AGENT_… belongs to the device's side, PERENNIAL_TEST_… to the test suite. */
const reserved = new Set(['PERENNIAL_DATA', 'PERENNIAL_PASSPHRASE', 'PERENNIAL_PASSPHRASE_FILE'])
const reservedPrefixes = ['PERENNIAL_AGENT_', 'PERENNIAL_TEST_']

export function targetsOf(section: Section, path: KeyPath = []): Target[] {
  return Object.entries(section.properties).flatMap(([key, part]) =>
    'properties' in part ? targetsOf(part, [...path, key]) : [{ path: [...path, key], knob: part }],
  )
}

/** @param targets every key that exists, those of the profiles included */
export function readEnvironment(env: Environment, targets: readonly Target[]): EnvironmentReading {
  const byName = new Map(targets.map((target) => [variableName(target.path), target]))
  const byShape = new Map(targets.map((target) => [target.path.map(normalize).join('__'), target]))
  const overrides: Override[] = []
  const problems: { variable: string; message: string }[] = []
  const secretNames = targets
    .filter(({ knob }) => knob.secret)
    .map(({ path }) => `${variableName(path)}_FILE`)

  const names = Object.keys(env).filter((name) => name.startsWith(prefix))
  for (const variable of names.sort()) {
    const value = env[variable]
    if (value === undefined || reserved.has(variable)) continue
    if (reservedPrefixes.some((start) => variable.startsWith(start))) continue
    if (isOfKubernetes(variable, value)) continue
    const found = findTarget(variable, byShape)
    if (!found) {
      const known = [...byName.keys(), ...secretNames, ...reserved]
      problems.push({ variable, message: `unknown variable${didYouMean(variable, known)}` })
    } else addOverride({ variable, value, ...found }, overrides, problems)
  }
  addDatabaseUrl(env, targets, overrides, problems)
  return { overrides, problems }
}

export function variableName(path: KeyPath): string {
  const words = path.map((key) => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replaceAll('-', '_'))
  return prefix + words.join('__').toUpperCase()
}

/** Text of a variable as the value that the YAML file would hold; text that does not convert is left for the check. */
export function convert(knob: Knob, text: string): unknown {
  switch (knob.type) {
    case 'integer':
      return /^-?[0-9]+$/.test(text) ? Number(text) : text
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text
    case 'array':
      return text.split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()]))
    case 'string':
      return text === '' && knob.default === null ? null : text
  }
}

function findTarget(
  variable: string,
  byShape: ReadonlyMap<string, Target>,
): { target: Target; isFile: boolean } | null {
  const shape = (name: string) => name.slice(prefix.length).split('__').map(normalize).join('__')
  const target = byShape.get(shape(variable))
  if (target) return { target, isFile: false }
  if (!variable.endsWith('_FILE')) return null
  const secret = byShape.get(shape(variable.slice(0, -'_FILE'.length)))
  return secret?.knob.secret ? { target: secret, isFile: true } : null
}

function addOverride(
  given: { variable: string; value: string; target: Target; isFile: boolean },
  overrides: Override[],
  problems: { variable: string; message: string }[],
): void {
  const { variable, target } = given
  const text = given.isFile ? readSecretFile(given.value) : given.value
  if (text === null) {
    problems.push({ variable, message: `cannot read the file ${JSON.stringify(given.value)}` })
    return
  }
  const value = convert(target.knob, text)
  const earlier = overrides.find((each) => each.path.join('.') === target.path.join('.'))
  if (!earlier) overrides.push({ path: target.path, value, variable })
  else if (JSON.stringify(earlier.value) !== JSON.stringify(value)) {
    problems.push({ variable, message: `contradicts ${earlier.variable}; set one of the two` })
  }
}

function addDatabaseUrl(
  env: Environment,
  targets: readonly Target[],
  overrides: Override[],
  problems: { variable: string; message: string }[],
): void {
  const target = targets.find(({ path }) => path.join('.') === 'database.url')
  if (!target) return
  for (const [variable, isFile] of [
    ['DATABASE_URL', false],
    ['DATABASE_URL_FILE', true],
  ] as const) {
    const value = env[variable]
    if (value) addOverride({ variable, value, target, isFile }, overrides, problems)
  }
}

/** The first line of the file: editors end files with a newline that is no part of the secret. */
export function readSecretFile(file: string): string | null {
  try {
    return (readFileSync(file, 'utf8').split('\n')[0] ?? '').replace(/\r$/, '')
  } catch {
    return null
  }
}

/**
 * Kubernetes sets variables like PERENNIAL_SERVICE_HOST in every pod of a namespace with a service named `perennial`
 * or `perennial-…`; they are not ours and no mistake of the operator. PERENNIAL_EST_PORT is one only when it holds a URL.
 */
function isOfKubernetes(variable: string, value: string): boolean {
  if (variable.includes('__')) return false
  if (/_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$/.test(variable)) return true
  if (/_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(variable)) return true
  return variable.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value)
}

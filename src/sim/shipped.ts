/** The scenarios that come with Perennial, by name. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { didYouMean } from '../base/did-you-mean.ts'
import { Refusal } from '../base/errors.ts'

const folder = join(import.meta.dirname, 'scenarios')

export function shippedScenarios(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length))
    .sort()
}

/**
 * @param word a file, or the name of a scenario that ships
 * @throws Refusal `not-found`
 */
export function scenarioFile(word: string): string {
  if (existsSync(word) && !shippedScenarios().includes(word)) return word
  const names = shippedScenarios()
  if (names.includes(word)) return join(folder, `${word}.yaml`)
  const hint = didYouMean(word, names) || `; those that ship are ${names.join(', ')}`
  throw new Refusal('not-found', `there is no scenario file ${word}${hint}`)
}

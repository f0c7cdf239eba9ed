/** The catalogue of `--faults`: what may go wrong in a fleet, as numbers of a scenario that are at least so high. */
import { dayMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import { parameterNames, type ParameterValues } from './parameters.ts'
import { variantOf, type Scenario } from './scenario.ts'

export interface FaultKind {
  readonly what: string
  readonly values: Partial<ParameterValues>
}

export const faultKinds = {
  loss: { what: 'one request in ten is lost', values: { 'network.lost': 0.1 } },
  'lost-answers': { what: 'one answer in ten is lost', values: { 'network.replyLost': 0.1 } },
  duplicates: { what: 'one request in ten arrives twice', values: { 'network.twice': 0.1 } },
  'missed-contacts': { what: 'three contacts in ten do not come about', values: { 'contact.missed': 0.3 } },
  outages: {
    what: 'one device in five cannot be reached for weeks',
    values: {
      'outage.share': 0.2,
      'outage.window': 20 * dayMs,
      'outage.stuck': 0.5,
      'outage.dead': 0.3,
      'sms.dead': 0.4,
    },
  },
  clocks: {
    what: 'one clock in four is wrong by up to two months',
    values: { 'clock.wrong': 0.25, 'clock.error': 60 * dayMs },
  },
  'power-cuts': {
    what: 'one time awake in ten ends in the middle of a write, some with the file lost',
    values: { 'flash.powerCut': 0.1, 'flash.lost': 0.3 },
  },
  firmware: { what: 'one device in ten never uses what it gets', values: { 'firmware.bad': 0.1 } },
} as const satisfies Readonly<Record<string, FaultKind>>

export type FaultName = keyof typeof faultKinds
export const faultNames = Object.keys(faultKinds) as FaultName[]

/** @throws Refusal `invalid-input` for a name that is not in the catalogue */
export function withFaults(scenario: Scenario, names: readonly string[]): Scenario {
  const values: Record<string, number> = { ...scenario.values }
  for (const name of names) {
    const known = faultNames.find((each) => each === name)
    if (known === undefined) {
      const hint = didYouMean(name, faultNames)
      throw new Refusal(
        'invalid-input',
        `there is no fault ${name}${hint || `; there are ${faultNames.join(', ')}`}`,
      )
    }
    for (const [key, value] of Object.entries(faultKinds[known].values)) {
      values[key] = Math.max(values[key] ?? 0, value)
    }
  }
  const told = parameterNames.filter((name) => values[name] !== scenario.values[name])
  const entries = told.map((key) => [key, { source: 'command line', why: `--faults ${names.join(',')}` }])
  return {
    ...variantOf(scenario, values as ParameterValues),
    sources: { ...scenario.sources, ...Object.fromEntries(entries) },
  }
}

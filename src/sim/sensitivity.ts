/** How the outcome moves when one number of a scenario does, all others left as they are. */
import { formatParameter, type ParameterName } from './parameters.ts'
import type { Outcome, SimResult } from './result.ts'
import { variantOf, type Scenario } from './scenario.ts'
import { simulate, type SimulateOptions } from './simulate.ts'

export interface SensitivityRow {
  readonly parameter: string
  readonly value: string
  /** The scenario's own value. */
  readonly isBase: boolean
  readonly devices: number
  readonly outcome: Outcome
}

export interface SensitivityOptions extends Omit<SimulateOptions, 'isAlone'> {
  readonly onRow?: (row: SensitivityRow) => void
}

export interface Sensitivity {
  readonly rows: readonly SensitivityRow[]
  /** The scenario itself, and each of its variations: for a report. */
  readonly result: SimResult
}

/** @returns what was run until the signal */
export async function sensitivity(options: SensitivityOptions): Promise<Sensitivity> {
  const { scenario, signal } = options
  const base = await simulate({ ...options, isAlone: true })
  const runs = [...base.runs]
  const rows: SensitivityRow[] = []
  let { partial } = base
  for (const { name, values } of scenario.sensitivity) {
    for (const value of values) {
      if (partial === null && signal?.aborted) partial = 'stopped before all variations had run'
      if (partial !== null) return { rows, result: { ...base, runs, partial } }
      const isBase = value === scenario.values[name]
      const varied = isBase ? base : await variation(options, name, value)
      const [run] = varied.runs
      if (!run || varied.partial !== null) {
        partial = varied.partial
        continue
      }
      const text = formatParameter(name, value)
      if (!isBase) runs.push({ ...run, name: `${name} ${text}`, changes: { [name]: text } })
      const row = { parameter: name, value: text, isBase, devices: run.devices, outcome: run.outcome }
      rows.push(row)
      options.onRow?.(row)
    }
  }
  return { rows, result: { ...base, runs, partial } }
}

async function variation(
  options: SensitivityOptions,
  name: ParameterName,
  value: number,
): Promise<SimResult> {
  const scenario = variantOf(options.scenario, variationOf(options.scenario, name, value))
  return await simulate({ ...options, scenario, isAlone: true })
}

/** With less time, everything that goes by the time left has to fit into it. */
function variationOf({ values }: Scenario, name: ParameterName, value: number): Partial<Scenario['values']> {
  if (name !== 'certificate.lead') return { [name]: value }
  const share = value / values['certificate.lead']
  return {
    'certificate.lead': value,
    'certificate.spread': Math.floor((values['certificate.spread'] * share) / 1_000) * 1_000,
    'campaign.window': Math.max(86_400_000, Math.floor((values['campaign.window'] * share) / 1_000) * 1_000),
    days: Math.ceil(value / 86_400_000),
  }
}

/** How the outcome moves when one number of a scenario does, all others left as they are. */
import { formatParameter } from './parameters.ts'
import type { Outcome } from './result.ts'
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

/** @returns what was run until the signal */
export async function sensitivity(options: SensitivityOptions): Promise<SensitivityRow[]> {
  const { scenario, signal } = options
  const rows: SensitivityRow[] = []
  for (const { name, values } of scenario.sensitivity) {
    for (const value of values) {
      if (signal?.aborted) return rows
      const variant = variantOf(scenario, variationOf(scenario, name, value))
      const { runs, partial } = await simulate({ ...options, scenario: variant, isAlone: true })
      const [run] = runs
      if (!run || partial !== null) return rows
      const isBase = value === scenario.values[name]
      const row = {
        parameter: name,
        value: formatParameter(name, value),
        isBase,
        devices: run.devices,
        outcome: run.outcome,
      }
      rows.push(row)
      options.onRow?.(row)
    }
  }
  return rows
}

/** With less time, everything that goes by the time left has to fit into it. */
function variationOf(
  { values }: Scenario,
  name: Scenario['sensitivity'][number]['name'],
  value: number,
): Partial<Scenario['values']> {
  if (name !== 'certificate.lead') return { [name]: value }
  const share = value / values['certificate.lead']
  return {
    'certificate.lead': value,
    'certificate.spread': Math.floor((values['certificate.spread'] * share) / 1_000) * 1_000,
    'campaign.window': Math.max(86_400_000, Math.floor((values['campaign.window'] * share) / 1_000) * 1_000),
    days: Math.ceil(value / 86_400_000),
  }
}

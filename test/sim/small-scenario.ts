/** A fleet small and quick enough for a test: a year of certificates in two months. */
import { dayMs, hourMs } from '../../src/base/clock.ts'
import type { ParameterValues } from '../../src/sim/parameters.ts'
import { parseScenario, variantOf, type Scenario } from '../../src/sim/scenario.ts'

const text = `title: a small fleet
story: devices that are asked to renew
ladder: { value: ['mqtt wait=2d repeats=3', 'sms wait=2d repeats=2', 'field before=10d'], from: story }
campaign:
  canary: { percentage: 10, minimum: 3, soak: 2d }
`

const values: Partial<ParameterValues> = {
  devices: 30,
  days: 60,
  tick: 6 * hourMs,
  'certificate.life': 90 * dayMs,
  'certificate.lead': 60 * dayMs,
  'certificate.spread': 10 * dayMs,
  'renewal.before': 65 * dayMs,
  'renewal.grace': 2 * dayMs,
  'campaign.window': 10 * dayMs,
  'sms.success': 0.9,
}

export async function smallScenario(changes: Partial<ParameterValues> = {}): Promise<Scenario> {
  return variantOf(await parseScenario(text, 'small'), { ...values, ...changes })
}

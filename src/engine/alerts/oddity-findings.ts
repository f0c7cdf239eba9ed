/** The rules over what devices show unasked: that they call though they are revoked, that their clock is off. */
import { iso } from '../../base/clock.ts'
import type { AlertInput } from './alert-input.ts'
import type { Finding } from './alert-rule.ts'
import { amount, daysOf } from './findings.ts'

/** So many at once are no thief: devices in the field that need a visit, or a revocation that hit the wrong ones. */
const manyCalls = 50

export function findRevokedCalls({ revokedCalls: { count, latest } }: AlertInput): Finding[] {
  if (count === 0) return []
  const devices = latest.map(({ deviceId, times, firstAt, lastAt }) => ({
    id: deviceId,
    times,
    first: iso(firstAt),
    last: iso(lastAt),
  }))
  return [
    {
      rule: 'revoked-devices-calling',
      key: 'devices',
      severity: count >= manyCalls ? 'critical' : 'warning',
      count,
      summary: `${amount(count)} ${count === 1 ? 'device that is' : 'devices that are'} revoked or quarantined tried to connect or to enrol within the last day`,
      details: { devices },
    },
  ]
}

/** One clock is a battery; so many are a time server. */
const manyClocks = 20

export function findClocksOff({ clocksOff: { count, latest } }: AlertInput): Finding[] {
  if (count === 0) return []
  const devices = latest.map(({ deviceId, value, lastAt }) => ({
    id: deviceId,
    clock: value === null ? null : `${daysOf(value)} ${value > 0 ? 'ahead' : 'behind'}`,
    last: iso(lastAt),
  }))
  return [
    {
      rule: 'device-clocks-off',
      key: 'devices',
      severity: count >= manyClocks ? 'warning' : 'notice',
      count,
      summary: `the ${count === 1 ? 'clock of 1 device is' : `clocks of ${amount(count)} devices are`} off by more than five minutes: they may take good certificates for bad ones`,
      details: { devices },
    },
  ]
}

/** The part of `perennial doctor` about how devices are asked to renew. */
import type { App } from '../app.ts'
import { ladderGaps, type LadderGap } from '../engine/renewals/ladder-gaps.ts'
import { listDevices } from '../store/devices.ts'
import { configuredTriggers } from '../trigger-channels.ts'
import type { Finding } from './doctor-checks.ts'

/** Ladders that no device climbs are not spoken of: the shipped ones name SMS, which few have on their first day. */
export async function checkLadders({ config, engine }: App): Promise<Finding[]> {
  const gaps = ladderGaps(engine.settings.connectivity, configuredTriggers(config))
  const inUse = new Set<string>()
  for (const name of new Set(gaps.map(({ connectivity }) => connectivity))) {
    const { rows } = await listDevices(engine.store.db, { filter: { connectivity: name }, limit: 1 })
    if (rows.length > 0) inUse.add(name)
  }
  const found = gaps.filter(({ connectivity }) => inUse.has(connectivity))
  if (found.length === 0) return [{ status: 'ok', message: 'each rung in use has its channel', fix: null }]
  return found.map((gap) => ({ status: 'warn', message: messageOf(gap), fix: fixOf(gap) }))
}

function messageOf({ connectivity, rung, channel, isLast }: LadderGap): string {
  const rest = isLast ? '; none is left, so its devices go straight to the field list' : ''
  return `rung ${rung} of the ladder ${connectivity} is ${channel}, which is not set up: it is passed over${rest}`
}

function fixOf({ connectivity, channel }: LadderGap): string {
  const key =
    channel === 'sms'
      ? 'triggers.sms.provider'
      : channel === 'webhook'
        ? 'triggers.webhook.url'
        : 'mqtt.broker'
  return `set ${key}, or write another ladder for connectivity.${connectivity}`
}

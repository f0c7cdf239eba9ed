/** The part of `perennial doctor` about campaigns that stand still. */
import type { App } from '../app.ts'
import type { Instant } from '../base/clock.ts'
import { commandName } from '../base/command-name.ts'
import { heldCampaigns, type HeldCampaign } from '../engine/campaigns/campaign-held.ts'
import type { Finding } from './doctor-checks.ts'
import { span } from './time.ts'

export async function checkCampaigns({ engine }: App, now: Instant): Promise<Finding[]> {
  const held = await heldCampaigns(engine, now)
  if (held.length === 0) return [{ status: 'ok', message: 'none stands still', fix: null }]
  return held.map((one) => ({ status: 'warn', message: messageOf(one, now), fix: fixOf(one) }))
}

function messageOf({ id, status, since, devices }: HeldCampaign, now: Instant): string {
  const what = status === 'draft' ? 'a draft' : 'paused'
  return `${id} has been ${what} for ${span(now - since)}: nobody asks its ${devices} devices to renew`
}

function fixOf({ id, status }: HeldCampaign): string {
  const first = status === 'draft' ? 'start' : 'resume'
  return `run: ${commandName()} campaign ${first} ${id}; or let its devices go: ${commandName()} campaign abort ${id}`
}

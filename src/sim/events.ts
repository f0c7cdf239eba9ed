/** What people do in a scenario. */
import type { IssuerId } from '../base/id.ts'
import { Refusal } from '../base/errors.ts'
import { abortCampaign, pauseCampaign, resumeCampaign } from '../engine/campaigns/campaign-state.ts'
import { createIssuer } from '../engine/issuing/issuer.ts'
import { revokeDevice } from '../engine/revocation/revoke.ts'
import { deviceIdOf } from './fleet/factory.ts'
import { rootId, simActor } from './installation.ts'
import type { Invariants } from './invariants.ts'
import type { ScenarioEvent } from './scenario.ts'
import { campaignId, simulatedSettings } from './setup.ts'
import type { World } from './world.ts'

export const newIssuerId = 'issuing-2' as IssuerId

/** @returns what was done, in words */
export async function applyEvent(
  world: World,
  invariants: Invariants,
  event: ScenarioEvent,
): Promise<string> {
  const what = await act(world, invariants, event)
  world.history.note(what)
  return what
}

async function act(
  world: World,
  invariants: Invariants,
  { action, devices }: ScenarioEvent,
): Promise<string> {
  const engine = world.process?.engine
  if (!engine) return `${action}: the platform is down`
  const order = { id: campaignId, actor: simActor, now: world.now() }
  try {
    switch (action) {
      case 'pause':
        await pauseCampaign(engine, order)
        invariants.stopped(true)
        return 'the campaign was paused'
      case 'resume':
        invariants.stopped(false)
        await resumeCampaign(engine, order)
        return 'the campaign was resumed'
      case 'abort':
        await abortCampaign(engine, order)
        invariants.stopped(true)
        return 'the campaign was aborted'
      case 'restart':
        world.boot()
        return 'the platform was restarted'
      case 'revoke':
        return await revoke(world, invariants, devices)
      case 'replace-issuer':
        return await replaceIssuer(world)
      default:
        return action satisfies never
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return `${action}: ${error.code}`
  }
}

async function revoke(world: World, invariants: Invariants, devices: number): Promise<string> {
  const engine = world.process?.engine
  if (!engine) return 'the platform is down'
  const fleet = world.ledger.devices
  const step = Math.max(1, Math.floor(fleet / Math.max(1, devices)))
  let revoked = 0
  for (let device = 0; revoked < devices && device < fleet; device += step) {
    await revokeDevice(engine, deviceIdOf(device), { reason: 'keyCompromise', actor: simActor })
    invariants.revoked(device)
    revoked += 1
  }
  return `${revoked} devices were revoked`
}

/** A new issuing CA under the same root; from the restart with the changed configuration on, it signs. */
async function replaceIssuer(world: World): Promise<string> {
  const engine = world.process?.engine
  if (!engine) return 'the platform is down'
  await createIssuer(engine, { id: newIssuerId, kind: 'intermediate', parentId: rootId, actor: simActor })
  world.settings = simulatedSettings(world.scenario, newIssuerId)
  world.boot()
  return `issuer ${newIssuerId} was made, and signs from now on`
}

/**
 * The simulator against what it simulates: one campaign on 200 devices, once as it is always run, and once with agents over
 * state directories that speak TLS on sockets to the device port that ships. Both must come to the same.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { dayMs, hourMs, minuteMs, systemClock } from '../../src/base/clock.ts'
import { createCampaign } from '../../src/engine/campaigns/campaign-create.ts'
import { startCampaign } from '../../src/engine/campaigns/campaign-state.ts'
import { oids } from '../../src/pki/oid.ts'
import { deviceOperation } from '../../src/protocols/device-routes.ts'
import { createEstServer } from '../../src/protocols/tls-server.ts'
import { listen, type Listener } from '../../src/serve/listener.ts'
import { openHost } from '../../src/sim/fleet/open-host.ts'
import type { Host, HostPlan } from '../../src/sim/fleet/messages.ts'
import { simActor } from '../../src/sim/installation.ts'
import type { Scenario } from '../../src/sim/scenario.ts'
import { campaignId, simulatedCampaign } from '../../src/sim/setup.ts'
import { World } from '../../src/sim/world.ts'
import { factsAfter } from '../../src/store/facts.ts'
import { openStore } from '../../src/store/open.ts'
import { listRenewals } from '../../src/store/renewal-lists.ts'
import { createCa } from '../helpers/ca.ts'
import { rigLimits } from '../helpers/est-rig.ts'
import { smallScenario } from './small-scenario.ts'
import { SocketHost } from './socket-host.ts'

const devices = 200

/** Devices that miss contacts, are out of reach, sleep over messages and have wrong clocks; the network itself loses nothing. */
const values = {
  devices,
  days: 40,
  tick: 12 * hourMs,
  // a CA that is old enough for the clock of whoever runs this
  'certificate.life': 1_095 * dayMs,
  'certificate.lead': 40 * dayMs,
  'renewal.before': 60 * dayMs,
  'contact.missed': 0.2,
  'contact.sleep': 2 * dayMs,
  'outage.share': 0.2,
  'outage.window': 20 * dayMs,
  'outage.stuck': 0.5,
  'clock.wrong': 0.2,
  'clock.error': 30 * dayMs,
}

interface Outcome {
  readonly renewals: readonly string[]
  readonly facts: readonly string[]
  readonly operations: Readonly<Record<string, number>>
  readonly counts: Readonly<Record<string, number>>
}

async function campaign(
  scenario: Scenario,
  host: (plan: HostPlan, world: World, count: (operation: string) => void) => Host,
): Promise<Outcome> {
  const store = await openStore({ url: 'sqlite::memory:', synchronous: 'off' })
  const operations: Record<string, number> = {}
  const count = (operation: string): void => void (operations[operation] = (operations[operation] ?? 0) + 1)
  const world: World = new World({
    scenario,
    seed: 'sockets',
    store,
    host: (plan) => host(plan, world, count),
    shelfFile: null,
    isExact: true,
    onTold: ({ request }) => count(deviceOperation(request.path)),
  })
  await world.open()
  const engine = world.process?.engine
  assert.ok(engine)
  const now = world.now()
  const definition = simulatedCampaign(scenario, now)
  await createCampaign(engine, { id: campaignId, definition, actor: simActor, now })
  await startCampaign(engine, { id: campaignId, actor: simActor, now })
  while (world.tick < world.ticks) await world.step()
  await world.close()
  const { rows } = await listRenewals(store.db, { campaignId, limit: 1_000 })
  const facts = await factsAfter(store.db, { afterId: 0, limit: 100_000 })
  const { ledger, channels, certificates } = world
  await store.close()
  return {
    renewals: rows.map(
      ({ deviceId, status, rung, attempt, triggeredAt, issuedAt, confirmedAt, endedAt }) =>
        `${deviceId} ${status} ${rung}.${attempt} ${triggeredAt} ${issuedAt} ${confirmedAt} ${endedAt}`,
    ),
    facts: facts.map(({ at, action }) => `${at} ${action}`).sort(),
    operations,
    counts: {
      renewed: ledger.total('renewed'),
      lapsed: ledger.total('lapsed'),
      certificates,
      messages: channels.messages,
      sms: channels.sms,
    },
  }
}

test('agents on real sockets come to what the simulation comes to', { timeout: 600_000 }, async () => {
  const scenario = await smallScenario(values)
  const simulated = await campaign(scenario, (plan) => openHost(plan, false))

  const directory = mkdtempSync(join(tmpdir(), 'sockets-'))
  const ca = createCa('CN=Server CA', systemClock.now())
  const names = ['dns:localhost']
  const own = ca.issue({
    subject: 'CN=localhost',
    subjectAltNames: names,
    extendedKeyUsage: [oids.serverAuth],
  })
  let listener: Promise<Listener> | null = null
  try {
    const real = await campaign(scenario, (plan, world, count) => {
      const server = async () => {
        const engine = world.process?.engine
        assert.ok(engine)
        listener ??= listen(
          createEstServer({
            engine,
            identity: { chainPem: own.pem, keyPem: own.keyPem },
            limits: rigLimits,
            minVersion: 'TLSv1.2',
            maxConcurrent: 100,
            overloadRetryAfterMs: 2 * minuteMs,
            proxyPins: new Set(),
            observer: { answered: (operation) => count(operation) },
          }).server,
          { host: '127.0.0.1', port: 0, reusePort: false },
          systemClock,
        )
        return { url: `https://localhost:${(await listener).port}`, trustPem: ca.pem }
      }
      return new SocketHost(plan, { directory, server })
    })
    assert.ok(Number(simulated.counts['renewed']) > 0.9 * devices, JSON.stringify(simulated.counts))
    assert.deepEqual(real.counts, simulated.counts)
    assert.deepEqual(real.operations, simulated.operations)
    assert.deepEqual(real.renewals, simulated.renewals)
    assert.deepEqual(real.facts, simulated.facts)
  } finally {
    await (await (listener as Promise<Listener> | null))?.stop(1_000)
    rmSync(directory, { recursive: true })
  }
})

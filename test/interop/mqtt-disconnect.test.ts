/** Live sessions at Debian's Mosquitto, ended through its dynamic security plugin; and how long that takes. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import type { MqttClient } from 'mqtt'
import { stopwatch, systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { createMosquittoDisconnector } from '../../src/connectors/mosquitto.ts'
import { createEngine, type Engine } from '../../src/engine/context.ts'
import { openCase, openCaseOf } from '../../src/engine/cases/case.ts'
import { closeCase } from '../../src/engine/cases/verdict.ts'
import { createJobs } from '../../src/engine/jobs.ts'
import { revokeDevice } from '../../src/engine/revocation/revoke.ts'
import { disconnectJob } from '../../src/engine/sessions/cut-jobs.ts'
import { dynsecAdministrator, dynsecDevice, dynsecPlatform } from '../../src/protocols/mqtt-acl.ts'
import { cutResults, latestCutOf } from '../../src/store/session-cuts.ts'
import { disconnectorConformance } from '../conformance/disconnector.ts'
import { enrolDevice, testActor, type Enrolled } from '../helpers/app.ts'
import { freePorts } from '../helpers/checkout.ts'
import { startEstRig, type EstRig } from '../helpers/est-rig.ts'
import {
  connected,
  platformLink,
  platformUser,
  startMosquitto,
  type Mosquitto,
} from '../helpers/mosquitto.ts'
import { connectDevice, ended, granted, rigPrefix, topicOf } from '../helpers/mqtt-rig.ts'
import { missing, programPath } from '../helpers/require.ts'
import { runOk } from '../helpers/run.ts'

const skip = missing('mosquitto', 'mosquitto_pub')
const control = '$CONTROL/dynamic-security/v1'
const host = { clock: systemClock, random: systemRandom, log: silentLog }

interface Rig {
  readonly est: EstRig
  readonly broker: Mosquitto
  readonly link: Awaited<ReturnType<typeof platformLink>>
  enrol(id: string): Promise<Enrolled>
  connect(device: Enrolled): Promise<MqttClient>
}

/** Its second listener comes up after the first. */
async function listening(port: number): Promise<void> {
  for (let left = 100; left > 0; left--) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connectTcp(port, '127.0.0.1')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isUp) return
    await systemClock.sleep(50)
  }
}

async function startRig(t: TestContext, devices: readonly string[]): Promise<Rig> {
  const est = await startEstRig()
  t.after(() => est.close())
  const [plugin = ''] = globSync('/usr/lib/*/mosquitto_dynamic_security.so')
  const settings = join(est.directory, 'dynsec.json')
  await runOk('mosquitto_ctrl', ['dynsec', 'init', settings, 'admin', 'adminpw'])
  const [adminPort = 0] = await freePorts(1)
  const broker = await startMosquitto(est, await est.newIdentity(), [
    `plugin ${plugin}`,
    `plugin_opt_config_file ${settings}`,
    `listener ${adminPort} 127.0.0.1`,
  ])
  t.after(() => broker.close())
  await listening(adminPort)
  const admin = ['-h', '127.0.0.1', '-p', String(adminPort), '-u', 'admin', '-P', 'adminpw']
  const lines = [
    dynsecPlatform({ prefix: rigPrefix, platformUser }),
    dynsecAdministrator(platformUser),
    ...devices.map((id) => dynsecDevice(rigPrefix, id as DeviceId)),
  ].map((commands) => JSON.stringify({ commands }))
  await runOk(programPath('mosquitto_pub'), [...admin, '-t', control, '-q', '1', '-l'], {
    input: `${lines.join('\n')}\n`,
  })
  const link = await platformLink(est, broker.port)
  t.after(() => link.close())
  return {
    est,
    broker,
    link,
    enrol: async (id) => await enrolDevice(est.engine, id, { profile: 'open' }),
    connect: async (device) =>
      await connectDevice({ port: broker.port, ca: est.rootPem, issuing: est.issuingPem }, device),
  }
}

suite('dynamic security', { skip }, () => {
  disconnectorConformance({
    name: 'mosquitto',
    async open(t) {
      const rig = await startRig(t, ['meter-1', 'meter-2'])
      const disconnector = await createMosquittoDisconnector({ link: rig.link, timeoutMs: 3_000 }, host)
      const credentials = new Map<DeviceId, Enrolled>()
      const clients = new Map<DeviceId, MqttClient[]>()
      return {
        disconnector,
        async connect(id) {
          const device = credentials.get(id) ?? (await rig.enrol(id))
          credentials.set(id, device)
          try {
            const client = await rig.connect(device)
            // let in is who may hear what is said to him
            const isHeard = (await granted(client, topicOf(id, 'renew'))) !== 128
            if (isHeard) clients.set(id, [...(clients.get(id) ?? []), client])
            else client.end(true)
            return isHeard
          } catch {
            return false
          }
        },
        async sessions(id) {
          // the end of a connection takes a moment to arrive
          await systemClock.sleep(300)
          return (clients.get(id) ?? []).filter((client) => client.connected).length
        },
        breakPeer: () => rig.broker.stop('SIGKILL'),
        async repairPeer() {
          await rig.broker.start()
          await connected(rig.link)
        },
        async close() {
          for (const client of [...clients.values()].flat()) client.end(true)
        },
      }
    },
  })

  test('from the revocation to the end of the live session, and back after the case is cleared', async (t) => {
    const { est, link, enrol, connect } = await startRig(t, ['van-1'])
    const engine: Engine = createEngine({
      ...est.engine,
      settings: { ...est.engine.settings, connectors: ['mosquitto'] },
    })
    const connector = await createMosquittoDisconnector({ link, timeoutMs: 5_000 }, host)
    const stopping = new AbortController()
    const running = createJobs(engine, [disconnectJob(connector)]).run(stopping.signal)
    t.after(async () => {
      stopping.abort()
      await running
    })
    const device = await enrol('van-1')
    const id = 'van-1' as DeviceId
    const times: number[] = []
    for (let round = 0; round < 5; round++) {
      const session = await connect(device)
      const gone = ended(session)
      const elapsed = stopwatch()
      if (round === 0) await revokeDevice(engine, id, { reason: 'keyCompromise', actor: testActor })
      else await openCase(engine, { deviceId: id, actor: testActor })
      await gone
      times.push(elapsed())
      const again = await connect(device)
      assert.equal(await granted(again, topicOf('van-1', 'renew')), 128, 'it may do nothing')
      again.end(true)
      const { id: number } = await openCaseOf(engine, id)
      await closeCase(engine, { id: number, verdict: 'cleared', actor: testActor })
      for (let left = 100; left > 0; left--) {
        const cut = await latestCutOf(est.engine.store.db, id)
        if (cut?.why === 'released' && (await cutResults(est.engine.store.db, cut.id)).length > 0) break
        await systemClock.sleep(50)
      }
    }
    const shown = times.map((ms) => `${ms.toFixed(0)} ms`).join(', ')
    t.diagnostic(`decision to the end of the live session at Mosquitto: ${shown}`)
    // a pass of the job each quarter of a second, and the round trip
    assert.ok(Math.max(...times) < 10_000, shown)
  })
})

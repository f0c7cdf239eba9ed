/** Mosquitto's dynamic security plugin with the commands that `perennial broker acl --format dynsec` prints. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { everyDevice, sharedFilter, shareGroup } from '../../src/base/mqtt-topics.ts'
import { dynsecDevice, dynsecPlatform } from '../../src/protocols/mqtt-acl.ts'
import { enrolDevice } from '../helpers/app.ts'
import { freePorts } from '../helpers/checkout.ts'
import { startEstRig } from '../helpers/est-rig.ts'
import {
  clientArguments,
  platformLink,
  platformUser,
  publish,
  startMosquitto,
  subscribe,
} from '../helpers/mosquitto.ts'
import { rigPrefix, topicOf } from '../helpers/mqtt-rig.ts'
import { missing, programPath } from '../helpers/require.ts'
import { runOk } from '../helpers/run.ts'

const skip = missing('mosquitto', 'mosquitto_pub', 'mosquitto_sub')
const control = '$CONTROL/dynamic-security/v1'

suite('dynamic security', { skip }, () => {
  test('each device reaches its own topics, and the platform those of all', async (t) => {
    const rig = await startEstRig()
    t.after(() => rig.close())
    const [plugin = ''] = globSync('/usr/lib/*/mosquitto_dynamic_security.so')
    const settings = join(rig.directory, 'dynsec.json')
    await runOk('mosquitto_ctrl', ['dynsec', 'init', settings, 'admin', 'adminpw'])
    const [adminPort = 0] = await freePorts(1)
    const broker = await startMosquitto(rig, await rig.newIdentity(), [
      `plugin ${plugin}`,
      `plugin_opt_config_file ${settings}`,
      `listener ${adminPort} 127.0.0.1`,
    ])
    t.after(() => broker.close())
    const admin = ['-h', '127.0.0.1', '-p', String(adminPort), '-u', 'admin', '-P', 'adminpw']
    const lines = [
      dynsecPlatform({ prefix: rigPrefix, platformUser }),
      ...['one', 'two'].map((id) => dynsecDevice(rigPrefix, id as DeviceId)),
    ].map((commands) => JSON.stringify({ commands }))
    const answers = subscribe(admin, [`${control}/response`], { count: 3 })
    // what is said before somebody listens is lost, and what exists already is refused and stays
    await systemClock.sleep(500)
    await runOk(programPath('mosquitto_pub'), [...admin, '-t', control, '-l'], {
      input: `${lines.join('\n')}\n`,
    })
    for (const answer of await answers) assert.doesNotMatch(answer, /"error"/)

    const link = await platformLink(rig, broker.port)
    t.after(() => link.close())
    const heard: string[] = []
    await link.subscribe(sharedFilter(shareGroup, everyDevice(rigPrefix, 'status')), async ({ topic }) => {
      heard.push(topic)
    })
    assert.equal(link.problem, null)
    const one = await enrolDevice(rig.engine, 'one', { profile: 'open' })
    const two = await enrolDevice(rig.engine, 'two', { profile: 'open' })
    for (const id of ['one', 'two']) {
      await link.publish({ topic: topicOf(id, 'renew'), payload: `for ${id}`, retain: true })
    }
    const filters = ['#', `${rigPrefix}/devices/+/renew`, topicOf('two', 'renew'), topicOf('one', 'renew')]
    const seen = await subscribe(clientArguments(rig, broker.port, one), filters, { count: 3, seconds: 2 })
    assert.deepEqual(seen, [`${topicOf('one', 'renew')} for one`])
    await publish([...clientArguments(rig, broker.port, one), '-r'], topicOf('two', 'renew'), 'forged')
    await publish(clientArguments(rig, broker.port, one), topicOf('two', 'status'), 'forged')
    await publish(clientArguments(rig, broker.port, two), topicOf('two', 'status'), 'mine')
    const kept = await subscribe(clientArguments(rig, broker.port, two), [topicOf('two', 'renew')], {
      count: 1,
    })
    assert.deepEqual(kept, [`${topicOf('two', 'renew')} for two`])
    for (let left = 100; left > 0 && heard.length === 0; left--) await systemClock.sleep(25)
    assert.deepEqual(heard, [topicOf('two', 'status')])
  })
})

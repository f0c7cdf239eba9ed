/** The broker of the compose file: a real Mosquitto with the files that are shipped, but for where they lie. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { mosquittoAcl, mosquittoConf } from '../../src/protocols/mqtt-acl.ts'
import { createCa } from '../helpers/ca.ts'
import { freePorts } from '../helpers/checkout.ts'
import { answers } from '../helpers/mosquitto.ts'
import { temporaryFolder } from '../helpers/perennial.ts'
import { missing, programPath } from '../helpers/require.ts'
import { run } from '../helpers/run.ts'

const shipped = join(import.meta.dirname, '..', '..', 'deploy', 'docker', 'mosquitto')
const read = (name: string): string => readFileSync(join(shipped, name), 'utf8')

test('the files are those that `perennial broker acl` prints', () => {
  assert.equal(read('acl'), mosquittoAcl({ prefix: 'perennial/v1', platformUser: 'perennial' }))
  const conf = `${mosquittoConf('/mosquitto/config')}persistence_location /mosquitto/data/\n`
  assert.equal(read('mosquitto.conf'), conf)
})

const skip = missing('mosquitto') || missing('mosquitto_pub')

test('Mosquitto starts with them, and lets a device write to its own topics only', { skip }, async () => {
  const folder = temporaryFolder()
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const ca = createCa('CN=Devices', systemClock.now())
  const server = ca.issue({ subject: 'CN=localhost', subjectAltNames: ['dns:localhost'] })
  const device = ca.issue({ subject: 'CN=D-1' })
  const caFile = file('ca.pem', ca.pem)
  file('server.pem', server.pem)
  file('server.key', server.keyPem)
  const own = ['--cert', file('d.pem', device.pem), '--key', file('d.key', device.keyPem)]
  file('acl', read('acl'))
  const [port = 0] = await freePorts(1)
  const conf = read('mosquitto.conf')
    .replaceAll('/mosquitto/config', folder)
    .replace('/mosquitto/data', folder)
    .replace('listener 8883', `${process.getuid?.() === 0 ? 'user root\n' : ''}listener ${port} 127.0.0.1`)
  chmodSync(folder, 0o755)
  const broker = spawn(programPath('mosquitto'), ['-c', file('mosquitto.conf', conf)], { stdio: 'ignore' })
  try {
    for (let left = 200; left > 0 && !(await answers(port)); left--) await systemClock.sleep(25)
    const say = async (topic: string, credential: readonly string[]) => {
      const where = ['-h', 'localhost', '-p', String(port), '--cafile', caFile, ...credential]
      // MQTT 5 has an answer for what may not be published
      const what = ['-V', '5', '-q', '1', '-t', topic, '-m', '{}']
      return await run(programPath('mosquitto_pub'), [...where, ...what], { timeoutMs: 10_000 })
    }
    const good = await say('perennial/v1/devices/D-1/status', own)
    assert.equal(good.exitCode, 0, good.stderr)
    assert.doesNotMatch(good.stderr, /Not authorized/)
    for (const topic of ['perennial/v1/devices/D-2/status', 'perennial/v1/devices/D-1/renew'])
      assert.match((await say(topic, own)).stderr, /Not authorized/, topic)
    assert.notEqual(
      (await say('perennial/v1/devices/D-1/status', [])).exitCode,
      0,
      'a certificate is required',
    )
  } finally {
    const gone = once(broker, 'exit')
    broker.kill('SIGKILL')
    await gone
  }
})

/** A proxy reports sightings to a whole installation: token from the configuration, bodies larger than a request of a device. */
import assert from 'node:assert/strict'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { sha256Hex } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { serve, type Serving } from '../../src/serve.ts'
import { findCertificate } from '../../src/store/inventory.ts'
import { enrolDevice } from '../helpers/app.ts'
import { createInstallation, type TestInstallation, testPassphrase } from '../helpers/installation.ts'

const token = 'a-token-of-some-length'

let installation: TestInstallation
let serving: Serving
before(async () => {
  installation = await createInstallation({ env: { PERENNIAL_SIGHTINGS__TOKEN: token } })
  serving = await serve(installation.app, {
    roles: ['est', 'jobs'],
    workers: 1,
    version: '0.0.0',
    passphrase: async () => testPassphrase,
    env: process.env,
  })
})
after(async () => {
  await serving.stop()
  await installation.close()
})

async function post(body: string, bearer = token): Promise<{ status: number; body: string }> {
  const url = `${serving.endpoints.est}/perennial/v1/sightings`
  const headers = { authorization: `Bearer ${bearer}`, 'content-length': Buffer.byteLength(body) }
  return await new Promise((resolve, reject) => {
    const sending = request(url, { method: 'POST', ca: installation.rootPem, headers }, (answer) => {
      text(answer).then((said) => resolve({ status: answer.statusCode ?? 0, body: said }), reject)
    })
    sending.once('error', reject)
    sending.end(body)
  })
}

test('a sighting by a proxy confirms a certificate, without a connection of the device to us', async () => {
  const { engine } = installation.app
  const device = await enrolDevice(engine, 'behind-a-proxy')
  const line = JSON.stringify({ certificate: sha256Hex(device.certificate), source: 'nginx-1' })
  const answer = await post(line)
  assert.equal(answer.status, 200, answer.body)
  assert.equal((JSON.parse(answer.body) as { noted: number }).noted, 1)
  // written by the job of this process
  while ((await findCertificate(engine.store.db, device.record.id))?.status !== 'confirmed') {
    await systemClock.sleep(50)
  }
})

test('a body may have a mebibyte, and not one byte more; without the token it is not read', async () => {
  const line = `${JSON.stringify({ certificate: '0'.repeat(64) })}\n`
  const body = line.repeat(Math.floor(1_048_576 / line.length))
  const answer = await post(body + ' '.repeat(1_048_576 - body.length))
  assert.equal(answer.status, 200, answer.body)
  const { received, unknown } = JSON.parse(answer.body) as { received: number; unknown: number }
  assert.deepEqual([received, unknown], [body.length / line.length, body.length / line.length])
  assert.equal((await post(' '.repeat(1_048_577))).status, 413)
  assert.equal((await post('{}', `${token}x`)).status, 401)
})

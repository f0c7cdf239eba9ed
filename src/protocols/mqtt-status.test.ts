import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  enrolDevice,
  forEachEngine,
  renew,
  windowOpensAt,
  type Enrolled,
  type TestEngine,
} from '../../test/helpers/app.ts'
import { statusMessage } from '../../test/helpers/mqtt-device.ts'
import type { DeviceId } from '../base/id.ts'
import type { Engine } from '../engine/context.ts'
import { findLiveByHash } from '../engine/inventory/device-report.ts'
import { flushSightings } from '../engine/renewals/sighting.ts'
import { sha256Hex } from '../base/bytes.ts'
import { handleMqttReport } from './mqtt-status.ts'

const meter = 'meter-1' as DeviceId

async function renewed(start: () => Promise<TestEngine>) {
  const app = await start()
  const { engine, clock } = app
  const old = await enrolDevice(engine, meter)
  await clock.advance(windowOpensAt(engine, old) - clock.now())
  return { app, engine, old, fresh: await renew(engine, old) }
}

const report = (engine: Engine, payload: Buffer, connection?: Enrolled, deviceId = meter) =>
  handleMqttReport(engine, {
    deviceId,
    payload,
    connection: connection ? { address: '192.0.2.7', certificate: connection.certificate } : null,
  })

async function statusOf(engine: Engine, { certificate, record }: Enrolled): Promise<string | undefined> {
  await flushSightings(engine, engine.clock.now())
  const found = await findLiveByHash(engine, record.deviceId as DeviceId, sha256Hex(certificate))
  return found?.status
}

forEachEngine((start) => {
  test('a report of use counts with the signature of the new key', async () => {
    const { engine, fresh } = await renewed(start)
    assert.equal(await statusOf(engine, fresh), 'issued')
    assert.equal(
      await report(engine, statusMessage({ device: fresh, state: 'confirmed', signer: fresh })),
      'confirmed',
    )
    assert.equal(await statusOf(engine, fresh), 'confirmed')
  })

  test('a report of use counts over the connection with the new certificate', async () => {
    const { engine, fresh } = await renewed(start)
    assert.equal(
      await report(engine, statusMessage({ device: fresh, state: 'confirmed' }), fresh),
      'confirmed',
    )
    assert.equal(await statusOf(engine, fresh), 'confirmed')
  })

  test('nobody else can say that a certificate is in use', async () => {
    const { engine, old, fresh } = await renewed(start)
    const other = await enrolDevice(engine, 'meter-2')
    const confirmed = (signer?: Enrolled) =>
      statusMessage({ device: fresh, state: 'confirmed', ...(signer ? { signer } : {}) })
    assert.equal(await report(engine, confirmed()), 'unauthenticated')
    assert.equal(await report(engine, confirmed(), old), 'unauthenticated')
    assert.equal(await report(engine, confirmed(old)), 'bad-signature')
    assert.equal(await report(engine, confirmed(other)), 'bad-signature')
    const elsewhere = await report(engine, confirmed(fresh), undefined, 'meter-2' as DeviceId)
    assert.equal(elsewhere, 'certificate-unknown')
    const stored = statusMessage({ device: fresh, state: 'stored', signer: fresh })
    const replayed = { ...(JSON.parse(stored.toString()) as object), state: 'confirmed' }
    assert.equal(await report(engine, Buffer.from(JSON.stringify(replayed))), 'bad-signature')
    assert.equal(await statusOf(engine, fresh), 'issued')
  })

  test('stored is noted, and confirms nothing', async () => {
    const { engine, fresh } = await renewed(start)
    assert.equal(await report(engine, statusMessage({ device: fresh, state: 'stored' })), 'stored')
    assert.equal(await report(engine, statusMessage({ device: fresh, state: 'failed' })), 'failed')
    assert.equal(await statusOf(engine, fresh), 'issued')
  })

  test('a report that comes again is no new sign of life', async () => {
    const { engine, fresh } = await renewed(start)
    const payload = statusMessage({ device: fresh, state: 'confirmed', signer: fresh })
    await report(engine, payload)
    await flushSightings(engine, engine.clock.now())
    assert.equal(await report(engine, payload), 'confirmed')
    assert.equal(engine.sightings.size, 0)
  })

  for (const [what, change] of [
    ['an unknown state', { state: 'lost' }],
    ['a hash in capitals', { certificate: 'A'.repeat(64) }],
    ['a hash that is too short', { certificate: 'ab' }],
    ['a missing token', { clientToken: undefined }],
    ['a missing version', { v: undefined }],
    ['a signature that is no text', { signature: 5 }],
  ] as const) {
    test(`refuses ${what}`, async () => {
      const { engine, fresh } = await renewed(start)
      const payload = statusMessage({ device: fresh, state: 'confirmed', signer: fresh, change })
      assert.equal(await report(engine, payload), 'malformed')
      assert.equal(await report(engine, Buffer.from('not JSON')), 'malformed')
    })
  }
})

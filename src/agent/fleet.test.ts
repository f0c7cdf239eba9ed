/** 200 devices and the engine in one process on one virtual clock: what a simulator of fleets does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedDevice } from '../../test/helpers/agent-fleet.ts'
import { issuingId, testActor, testEngine } from '../../test/helpers/app.ts'
import { dayMs, iso, type Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { addDevice } from '../engine/inventory/device.ts'
import { issuerChain } from '../engine/issuing/issuer.ts'
import { newSecret } from '../engine/issuing/secret.ts'
import { flushSightings } from '../engine/renewals/sighting.ts'
import { encodePem } from '../pki/pem.ts'
import { activeCredential } from './agent-state.ts'

const size = 200

test('200 agents keep their certificates alive asked or not, and the engine knows of each', async () => {
  const meter = { name: 'meter', issuer: issuingId, validityMs: 30 * dayMs, renewBeforeMs: 25 * dayMs }
  const { engine, clock, close } = await testEngine({ profiles: [meter] })
  const root = (await issuerChain(engine, issuingId)).at(-1)
  assert.ok(root)
  const rootPem = encodePem('CERTIFICATE', root)
  const start = clock.now()
  const queue: { device: SimulatedDevice; at: Instant }[] = []
  const renewedAt: Instant[] = []
  await Promise.all(
    Array.from({ length: size }, async (_, index) => {
      const id = `meter-${index}`
      await addDevice(engine, { id, profile: 'meter' }, testActor)
      const { secret } = await newSecret(engine, { deviceId: id as DeviceId, actor: testActor })
      // those that are asked need not ask
      const device = new SimulatedDevice(id, secret, { engine, rootPem, hints: index % 2 === 1 })
      const first = await device.boot().settle('enrol')
      assert.equal(first.isActivated, true, first.detail)
      queue[index] = { device, at: start }
    }),
  )
  await flushSightings(engine, clock.now())

  // every other one is asked, over whatever channel: a window on the seventh day
  for (const { device } of queue.filter((_, index) => index % 2 === 0)) {
    const agent = device.boot()
    const serial = activeCredential(await agent.state())?.certificate.serialNumber
    const window = { start: iso(start + 6 * dayMs), end: iso(start + 7 * dayMs) }
    const trigger = { v: 1, kind: 'renew', certificate: `issuing/${serial}`, window, issuedAt: iso(start) }
    await agent.receive({ kind: 'renew', payload: Buffer.from(JSON.stringify(trigger)) })
  }

  // devices wake four times a day, those that are due together work together
  const end = start + 40 * dayMs
  for (let at = start; at <= end; at += dayMs / 4) {
    await clock.advance(at - clock.now())
    const awake = queue.filter((each) => each.at <= at)
    await Promise.all(
      awake.map(async (each) => {
        const { isActivated, retryAt } = await each.device.boot().settle('keep')
        if (isActivated) renewedAt.push(at)
        each.at = isActivated ? at : (retryAt ?? end + 1)
      }),
    )
    await flushSightings(engine, at)
  }

  const asked = renewedAt.filter((at) => at >= start + 6 * dayMs && at <= start + 7.25 * dayMs).length
  assert.ok(asked >= size / 2, `${asked} have renewed on the day for which they were asked`)
  assert.ok(renewedAt.length >= size, `${renewedAt.length} renewals`)
  assert.ok(new Set(renewedAt).size > 10, 'not all together')
  for (const { device } of queue) {
    const { memory, ...state } = await device.boot().state()
    const active = activeCredential(state)
    assert.ok(active && active.certificate.notAfter > clock.now(), `${device.id} is alive`)
    assert.equal(memory.failures, 0)
  }
  await close()
})

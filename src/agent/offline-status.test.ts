import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { enrolDevice, testActor, testEngine, type TestEngine } from '../../test/helpers/app.ts'
import { makeCertificate } from '../../test/helpers/certificates.ts'
import { dayMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { publishNow } from '../engine/revocation/crl-publish.ts'
import { revokeDevice } from '../engine/revocation/revoke.ts'
import { makeStatusBundle, type StatusMethod } from '../engine/revocation/status-bundle-make.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { generateKeyPair } from '../pki/key.ts'
import { OfflineStatus } from './offline-status.ts'

const { privateKey, spki } = generateKeyPair('ed25519')
const signer = { spki, sign: async (bytes: Uint8Array) => sign(null, bytes, privateKey) }

async function make({ engine, clock }: TestEngine, method: StatusMethod, device = '*'): Promise<Uint8Array> {
  const order = { method, device, lifetimeMs: 5 * dayMs, signer, actor: testActor, now: clock.now() }
  return await makeStatusBundle(engine, order)
}

function take({ clock }: TestEngine, file: Uint8Array, before: OfflineStatus | null = null): OfflineStatus {
  return OfflineStatus.take(file, { keys: [spki], now: clock.now() }, before)
}

/** A rig with certificates that are two days old, one in seven of them revoked. */
async function fleet(): Promise<{
  rig: TestEngine
  devices: { certificate: Certificate; isRevoked: boolean }[]
}> {
  const rig = await testEngine()
  const devices = []
  for (let n = 0; n < 42; n++) {
    const { certificate } = await enrolDevice(rig.engine, `SN-${n}`)
    devices.push({ certificate: parseCertificate(certificate), isRevoked: n % 7 === 3 })
  }
  await publishNow(rig.engine)
  await rig.clock.advance(2 * dayMs)
  for (const [n, { isRevoked }] of devices.entries()) {
    if (isRevoked)
      await revokeDevice(rig.engine, `SN-${n}` as DeviceId, { reason: 'keyCompromise', actor: testActor })
  }
  return { rig, devices }
}

for (const method of ['set', 'crl'] as const) {
  test(`right about every certificate of the fleet: ${method}`, async () => {
    const { rig, devices } = await fleet()
    await publishNow(rig.engine)
    const status = take(rig, await make(rig, method))
    for (const { certificate, isRevoked } of devices) {
      assert.equal(status.check(certificate, rig.clock.now()).status, isRevoked ? 'revoked' : 'good')
    }
    assert.equal(status.check(makeCertificate().certificate, rig.clock.now()).status, 'unknown')
    assert.equal(
      status.check((devices[0] as { certificate: Certificate }).certificate, status.expiresAt).status,
      'unknown',
    )
    await rig.close()
  })
}

test('a delta follows a complete bundle; without one, or after a gap, it is refused', async () => {
  const { rig, devices } = await fleet()
  const { engine, clock } = rig
  await publishNow(engine)
  const complete = take(rig, await make(rig, 'crl'))
  await clock.advance(60_000)
  await revokeDevice(engine, 'SN-0' as DeviceId, { reason: 'keyCompromise', actor: testActor })
  await publishNow(engine)
  const delta = await make(rig, 'delta')
  assert.throws(() => take(rig, delta), { code: 'bundle-refused' })
  const after = take(rig, delta, complete)
  const { certificate } = devices[0] as { certificate: Certificate }
  assert.equal(complete.check(certificate, clock.now()).status, 'good')
  assert.equal(after.check(certificate, clock.now()).status, 'revoked')
  assert.equal(
    after.check((devices[3] as { certificate: Certificate }).certificate, clock.now()).status,
    'revoked',
  )
  // weeks later the base is another one
  await clock.advance(8 * dayMs)
  await publishNow(engine)
  await clock.advance(60_000)
  await publishNow(engine, true)
  const late = await make(rig, 'delta')
  assert.throws(() => take(rig, late, complete), { code: 'bundle-refused' })
  await rig.close()
})

test('older ones, lapsed ones, those for others and of other keys are refused', async () => {
  const { rig } = await fleet()
  const first = await make(rig, 'set')
  const held = take(rig, first)
  await rig.clock.advance(1_000)
  const second = take(rig, await make(rig, 'set'), held)
  assert.throws(() => take(rig, first, second), { code: 'bundle-refused' })
  const other = await make(rig, 'set', 'meter-*')
  assert.throws(() => take(rig, other), { code: 'bundle-refused' })
  const stranger = { keys: [generateKeyPair('ed25519').spki], now: rig.clock.now() }
  assert.throws(() => OfflineStatus.take(first, stranger), { code: 'bad-signature' })
  await rig.clock.advance(5 * dayMs)
  assert.throws(() => take(rig, first), { code: 'bundle-refused' })
  await rig.close()
})

test('a changed octet, a cut or something more: refused', async () => {
  const { rig } = await fleet()
  const file = await make(rig, 'set')
  const refused = (bytes: Uint8Array): void => assert.throws(() => take(rig, bytes), Refusal)
  fc.assert(
    fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(file)
      changed[at] = (changed[at] as number) ^ change
      refused(changed)
    }),
    { numRuns: 300 },
  )
  for (const length of [0, 1, 100, file.length - 1]) refused(file.subarray(0, length))
  refused(Buffer.concat([file, Uint8Array.of(0)]))
  await rig.close()
})

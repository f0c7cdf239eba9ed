/** A connection that stays: each request is looked at again, and the connection ends with a certificate that does not count. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { DeviceId } from '../../src/base/id.ts'
import { openCase } from '../../src/engine/cases/case.ts'
import { revokeIssuer } from '../../src/engine/revocation/revoke-issuer.ts'
import { revokeDevice } from '../../src/engine/revocation/revoke.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { enrolDevice, issuingId, renewalCsr, testActor, type Enrolled } from '../helpers/app.ts'
import { createKey } from '../helpers/ca.ts'
import { startEstRig, type EstRig } from '../helpers/est-rig.ts'
import { openTls, post, readAnswer, requestText } from './raw-client.ts'

const theft = { reason: 'keyCompromise', actor: testActor } as const

for (const [what, code, end] of [
  ['is revoked', 403, (rig: EstRig) => revokeDevice(rig.engine, 'SN-1' as DeviceId, theft)],
  [
    'is under investigation',
    403,
    (rig: EstRig) => openCase(rig.engine, { deviceId: 'SN-1' as DeviceId, actor: testActor }),
  ],
  [
    'has a revoked issuer',
    403,
    (rig: EstRig) => revokeIssuer(rig.engine, { ...theft, id: issuingId, reason: 'cACompromise' }),
  ],
] as const) {
  test(`a kept-alive connection of a device that ${what} gets its answer and ends`, async (t) => {
    const rig = await startEstRig()
    t.after(() => rig.close())
    const device: Enrolled = await enrolDevice(rig.engine, 'SN-1', { profile: 'open' })
    const chainPem = encodePem('CERTIFICATE', device.certificate) + rig.issuingPem
    const socket = await openTls(rig, { identity: { chainPem, key: device.key.privateKey } })
    const request = () => {
      const csr = renewalCsr(createKey(), device.certificate)
      return requestText(post('simplereenroll', csr))
    }
    socket.write(request())
    const first = await readAnswer(socket)
    assert.equal(first.status, 200)
    assert.notEqual(first.headers.get('connection'), 'close')
    await end(rig)
    const closed = once(socket, 'close')
    socket.write(request())
    const second = await readAnswer(socket)
    assert.equal(second.status, code)
    assert.equal(second.headers.get('connection'), 'close')
    socket.resume()
    await closed
  })
}

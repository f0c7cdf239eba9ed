import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { recentFacts } from '../../store/facts.ts'
import {
  forEachEngine,
  freshSecret,
  issuingId,
  refusal,
  registerDevice,
  requestOf,
  withCertificate,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import type { ProfileInput } from './profile.ts'
import { serverKeygen } from './server-keygen.ts'

const generous: ProfileInput = {
  name: 'generous',
  issuer: issuingId,
  validityMs: 100 * dayMs,
  renewBeforeMs: 30 * dayMs,
  connectivity: 'always-on',
  keyAlgorithms: ['ec-p256', 'ed25519'],
  serverKeygen: true,
}

forEachEngine((start) => {
  test('makes a key that fits its certificate and is not the one in the request', async () => {
    const { engine } = await start({ profiles: [generous] })
    await registerDevice(engine, 'SN-1', { profile: 'generous' })
    const asked = createKey('ed25519')
    const outcome = await serverKeygen(engine, requestOf(await freshSecret(engine, 'SN-1'), asked.csr()))
    const privateKey = createPrivateKey({
      key: Buffer.from(outcome.privateKey),
      format: 'der',
      type: 'pkcs8',
    })
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
    assert.deepEqual(Buffer.from(parseCertificate(outcome.certificate).spki), spki)
    assert.notDeepEqual(spki, asked.spki)
    // the kind of key is a wish that the profile grants
    assert.equal(outcome.record.keyAlgorithm, 'ed25519')
    const facts = await recentFacts(engine.store.db, {
      subject: 'device:SN-1',
      action: 'device-key.generated',
      limit: 5,
    })
    assert.equal(facts.length, 1)
  })

  test('a kind of key that the profile does not take becomes its first', async () => {
    const { engine } = await start({ profiles: [generous] })
    await registerDevice(engine, 'SN-1', { profile: 'generous' })
    const request = requestOf(await freshSecret(engine, 'SN-1'), createKey('ec-p384').csr())
    assert.equal((await serverKeygen(engine, request)).record.keyAlgorithm, 'ec-p256')
  })

  test('is off unless the profile says otherwise, and keeps to every other rule', async () => {
    const { engine } = await start({ profiles: [generous] })
    await registerDevice(engine, 'SN-1', { profile: 'industrial' })
    await registerDevice(engine, 'SN-2', { profile: 'generous' })
    const csr = createKey().csr()
    const ask = async (id: string) => serverKeygen(engine, requestOf(await freshSecret(engine, id), csr))
    assert.equal((await refusal(ask('SN-1'))).code, 'server-keygen-not-allowed')
    const { certificate } = await ask('SN-2')
    const early = await refusal(serverKeygen(engine, requestOf(withCertificate(certificate), csr)))
    assert.equal(early.code, 'too-early')
  })

  test('a one-time secret is good for one key that the server makes', async () => {
    const { engine } = await start({ profiles: [generous] })
    await registerDevice(engine, 'SN-1', { profile: 'generous' })
    const request = requestOf(await freshSecret(engine, 'SN-1'), createKey().csr())
    await serverKeygen(engine, request)
    assert.equal((await refusal(serverKeygen(engine, request))).code, 'secret-invalid')
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalBytes, toHex } from '../../base/bytes.ts'
import { dayMs, hourMs, minuteMs, nextTurn } from '../../base/clock.ts'
import type { DeviceId, SerialNumber } from '../../base/id.ts'
import {
  enrolDevice,
  forEachEngine,
  issuingId,
  rootId,
  testActor,
  testEngine,
  type TestEngine,
} from '../../../test/helpers/app.ts'
import { makeCertificate } from '../../../test/helpers/certificates.ts'
import { certId, ocspRequest, readOcsp, type ReadOcsp } from '../../../test/helpers/ocsp.ts'
import { type Certificate, parseCertificate } from '../../pki/certificate.ts'
import { parsePublicKey } from '../../pki/key.ts'
import { oids } from '../../pki/oid.ts'
import { verifySignature } from '../../pki/signature.ts'
import { reserveCertificate } from '../../store/certificates.ts'
import { sampleReservation } from '../../../test/conformance/store-samples.ts'
import type { Engine } from '../context.ts'
import { answerOcsp } from './ocsp.ts'
import { ocspLifetimeMs } from './ocsp-settings.ts'
import { revokeDevice } from './revoke.ts'

const theft = { reason: 'keyCompromise', actor: testActor } as const
const nobody = '4a'.repeat(16) as SerialNumber

async function issuerOf(engine: Engine, id = issuingId): Promise<Certificate> {
  const issuer = await engine.issuers.find(id)
  assert.ok(issuer)
  return issuer.certificate
}

async function ask(engine: Engine, request: Uint8Array): Promise<ReadOcsp> {
  const answer = await answerOcsp(engine, request)
  const read = readOcsp(answer.der)
  if (answer.kind === 'signed') {
    // what metrics count is what the bytes say
    const [single = '', ...others] = read.singles
    assert.equal(answer.says, others.length > 0 ? 'several' : single.split(' ')[0])
  }
  return read
}

async function askAbout(engine: Engine, serialNumber: SerialNumber, nonce?: Uint8Array): Promise<ReadOcsp> {
  return await ask(engine, ocspRequest([certId(await issuerOf(engine), serialNumber)], nonce))
}

/** Signatures of CA keys so far. */
const caSignatures = ({ authority }: TestEngine): number => authority.signatures.length

forEachEngine((start) => {
  test('good at once when it is issued, revoked at once when it is revoked, and never good again', async () => {
    const { engine, clock, close } = await start()
    const { record } = await enrolDevice(engine, 'SN-1')
    assert.deepEqual((await askAbout(engine, record.serialNumber)).singles, ['good'])
    await clock.advance(1000)
    await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    for (const nonce of [undefined, Uint8Array.of(1, 2, 3)]) {
      assert.deepEqual((await askAbout(engine, record.serialNumber, nonce)).singles, ['revoked 1'])
    }
    await clock.advance(3 * 365 * dayMs)
    assert.deepEqual((await askAbout(engine, record.serialNumber)).singles, ['revoked 1'])
    await close()
  })

  test('unknown for what was never issued, also for what was only reserved', async () => {
    const { engine, close } = await start()
    assert.deepEqual((await askAbout(engine, nobody)).singles, ['unknown'])
    const reservation = sampleReservation(1, { serialNumber: nobody })
    await engine.store.transaction((tx) => reserveCertificate(tx, reservation))
    assert.deepEqual((await askAbout(engine, nobody)).singles, ['unknown'])
    await close()
  })
})

test('the signer is certified by the CA itself, for this alone, and its answers verify', async () => {
  const { engine, clock, close } = await testEngine()
  const { record } = await enrolDevice(engine, 'SN-1')
  const answer = await askAbout(engine, record.serialNumber)
  const signer = parseCertificate(answer.signer)
  const issuer = await issuerOf(engine)
  const issuerKey = parsePublicKey(issuer.spki)
  const { tbs, signature, signatureAlgorithm: algorithm, extensions } = signer
  assert.ok(verifySignature({ key: issuerKey, algorithm, data: tbs, signature }))
  assert.deepEqual(extensions.extendedKeyUsage, [oids.OCSPSigning])
  assert.equal(extensions.ocspNoCheck, true)
  assert.equal(extensions.authorityInfoAccess, null)
  assert.equal(extensions.cRLDistributionPoints, null)
  assert.ok(signer.notAfter - clock.now() <= 14 * dayMs)
  const { responseData: data } = answer
  const key = parsePublicKey(signer.spki)
  assert.ok(verifySignature({ key, algorithm: 'ecdsa-sha256', data, signature: answer.signature }))
  await close()
})

test('an answer is signed once and given again, until its status or its time changes', async () => {
  const { engine, clock, close } = await testEngine()
  const { record } = await enrolDevice(engine, 'SN-1')
  const request = ocspRequest([certId(await issuerOf(engine), record.serialNumber)])
  const first = await answerOcsp(engine, request)
  assert.ok(first.kind === 'signed')
  assert.equal(first.nextUpdate, first.producedAt + ocspLifetimeMs)
  await clock.advance(ocspLifetimeMs / 2)
  assert.ok(equalBytes((await answerOcsp(engine, request)).der, first.der))
  await clock.advance(minuteMs)
  const second = await answerOcsp(engine, request)
  assert.ok(second.kind === 'signed' && second.producedAt > first.producedAt)
  await revokeDevice(engine, 'SN-1' as DeviceId, theft)
  const third = await answerOcsp(engine, request)
  assert.deepEqual(readOcsp(third.der).singles, ['revoked 1'])
  await close()
})

test('a nonce comes back and has an answer of its own', async () => {
  const { engine, close } = await testEngine()
  const { record } = await enrolDevice(engine, 'SN-1')
  for (const length of [1, 16, 32, 128]) {
    const nonce = new Uint8Array(length).fill(length)
    assert.equal((await askAbout(engine, record.serialNumber, nonce)).nonce, toHex(nonce))
  }
  assert.equal((await askAbout(engine, record.serialNumber)).nonce, null)
  for (const length of [0, 129]) {
    assert.equal((await askAbout(engine, record.serialNumber, new Uint8Array(length))).status, 1)
  }
  await close()
})

test('SHA-1 and SHA-256, parameters or none, several at once: each CertID comes back as it was asked', async () => {
  const { engine, close } = await testEngine()
  const { record } = await enrolDevice(engine, 'SN-1')
  const other = await enrolDevice(engine, 'SN-2')
  await revokeDevice(engine, 'SN-2' as DeviceId, { ...theft, reason: 'unspecified' })
  const issuer = await issuerOf(engine)
  const asked = [
    certId(issuer, record.serialNumber),
    certId(issuer, other.record.serialNumber, { hash: 'sha256' }),
    certId(issuer, nobody, { hash: 'sha256', hasParameters: false }),
    certId(issuer, record.serialNumber, { hasParameters: false }),
  ]
  const answer = await ask(engine, ocspRequest(asked))
  assert.deepEqual(answer.singles, ['good', 'revoked', 'unknown', 'good'])
  assert.deepEqual(answer.certIds.map(toHex), asked.map(toHex))
  for (const [index, one] of asked.entries()) {
    const alone = await ask(engine, ocspRequest([one]))
    assert.deepEqual(alone.certIds.map(toHex), [toHex(one)])
    assert.deepEqual(alone.singles, [answer.singles[index]])
  }
  const hundred = Array.from({ length: 100 }, () => asked[0] as Uint8Array)
  assert.equal((await ask(engine, ocspRequest(hundred))).singles.length, 100)
  assert.equal((await ask(engine, ocspRequest([...hundred, asked[0] as Uint8Array]))).status, 1)
  await close()
})

test('nothing is signed about issuers that are not ours, about two at once, or about roots', async () => {
  const rig = await testEngine()
  const { engine, close } = rig
  const { record } = await enrolDevice(engine, 'SN-1')
  const before = caSignatures(rig)
  const [ours, root] = [await issuerOf(engine), await issuerOf(engine, rootId)]
  const stranger = makeCertificate().certificate
  for (const request of [
    ocspRequest([certId(stranger, record.serialNumber)]),
    ocspRequest([certId(stranger, record.serialNumber)], Uint8Array.of(1)),
    ocspRequest([certId(ours, record.serialNumber), certId(stranger, record.serialNumber)]),
    ocspRequest([certId(root, record.serialNumber)]),
    // the name of one issuer with the key of another
    ocspRequest([certId({ ...ours, spki: root.spki }, record.serialNumber)]),
  ]) {
    const answer = await answerOcsp(engine, request)
    assert.equal(toHex(answer.der), '30030a0106', 'unauthorized, unsigned')
  }
  assert.equal(caSignatures(rig), before)
  await close()
})

for (const [what, bytes] of [
  ['nothing', ''],
  ['no DER', '00'],
  ['an empty request', '3000'],
  ['an empty list', '300430023000'],
  ['no CertID', '30083006300430023000'],
  ['trailing bytes', '30043002300000'],
] as const) {
  test(`${what} is malformedRequest`, async () => {
    const { engine, close } = await testEngine()
    assert.equal((await ask(engine, Buffer.from(bytes, 'hex'))).status, 1)
    await close()
  })
}

test('the signer is replaced before its end, by itself; a request under way never fails for it', async () => {
  const rig = await testEngine()
  const { engine, clock, close } = rig
  const { record } = await enrolDevice(engine, 'SN-1', { profile: 'industrial' })
  const first = parseCertificate((await askAbout(engine, record.serialNumber)).signer)
  const made = caSignatures(rig)
  await clock.advance(6 * dayMs)
  await askAbout(engine, record.serialNumber)
  assert.equal(caSignatures(rig), made)
  await clock.advance(dayMs + hourMs)
  // begins to make the next one and signs with the one that it has
  const during = parseCertificate((await askAbout(engine, record.serialNumber, Uint8Array.of(1))).signer)
  assert.equal(during.serialNumber, first.serialNumber)
  let next = first
  for (let turn = 0; turn < 1_000 && next.serialNumber === first.serialNumber; turn++) {
    await nextTurn()
    next = parseCertificate((await askAbout(engine, record.serialNumber, Uint8Array.of(1))).signer)
  }
  assert.notEqual(next.serialNumber, first.serialNumber)
  assert.equal(caSignatures(rig), made + 1)
  await close()
})

test('when the CA key cannot be reached: tryLater without a signer, and what was signed goes on with one', async () => {
  const rig = await testEngine()
  const { engine, clock, authority, close } = rig
  const { record } = await enrolDevice(engine, 'SN-1')
  let attempts = 0
  authority.beforeSign = () => {
    attempts += 1
    throw new Error('the token is out of its slot')
  }
  assert.equal((await askAbout(engine, record.serialNumber)).status, 3)
  assert.equal((await askAbout(engine, record.serialNumber)).status, 3)
  assert.equal(attempts, 1, 'requests do not keep the key busy')
  authority.beforeSign = null
  await clock.advance(minuteMs)
  assert.deepEqual((await askAbout(engine, record.serialNumber)).singles, ['good'])
  authority.beforeSign = () => {
    throw new Error('the token is out of its slot')
  }
  await clock.advance(13 * dayMs)
  assert.deepEqual((await askAbout(engine, record.serialNumber)).singles, ['good'])
  await clock.advance(2 * dayMs)
  assert.equal((await askAbout(engine, record.serialNumber)).status, 3)
  await close()
})

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { sha256Hex } from '../../base/bytes.ts'
import { dayMs } from '../../base/clock.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { generateKeyPair } from '../../pki/key.ts'
import { formatName } from '../../pki/name-text.ts'
import { crlAt } from '../../pki/distribution-point.ts'
import { oids } from '../../pki/oid.ts'
import { findDevice } from '../../store/devices.ts'
import { recentFacts } from '../../store/facts.ts'
import { findByIssuerAndSerial } from '../../store/inventory.ts'
import {
  enrolDevice,
  forEachEngine,
  freshSecret,
  issuingId,
  registerDevice,
  refusal,
  renew,
  requestOf,
  rootId,
  testStart,
  windowOpensAt,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { readFact } from '../audit/audit.ts'
import { enroll } from './enroll.ts'
import { matterPaiId } from './default-profiles.ts'
import { createIssuer, issuerChain } from './issuer.ts'
import { jitterOf } from './validity.ts'

forEachEngine((start) => {
  test('a device with its secret gets the certificate that its record and profile say', async () => {
    const { engine } = await start()
    const { certificate, key, record } = await enrolDevice(engine, 'SN-1', {
      profile: 'industrial',
      cohort: 'north',
    })

    const parsed = parseCertificate(certificate)
    assert.equal(formatName(parsed.subject), 'CN=SN-1,O=Example')
    assert.deepEqual(record.subjectAltNames, ['uri:urn:perennial:device:SN-1'])
    assert.deepEqual(parsed.spki, Uint8Array.from(key.spki))
    assert.equal(parsed.notBefore, testStart - 300_000)
    const jitter = jitterOf({ name: 'industrial', jitterMs: 30 * dayMs }, record.deviceId ?? assert.fail())
    assert.equal(parsed.notAfter, testStart + 3 * 365 * dayMs - jitter)
    assert.deepEqual(parsed.extensions.basicConstraints, { ca: false, pathLength: null })
    assert.deepEqual(parsed.extensions.keyUsage, ['digitalSignature'])
    assert.deepEqual(parsed.extensions.extendedKeyUsage, [oids.clientAuth])
    assert.deepEqual(parsed.extensions.authorityInfoAccess, [
      { method: oids.ocsp, location: { kind: 'uri', value: 'http://ca.example/ocsp' } },
      { method: oids.caIssuers, location: { kind: 'uri', value: 'http://ca.example/ca/issuing.cer' } },
    ])
    assert.deepEqual(parsed.extensions.cRLDistributionPoints, [crlAt('http://ca.example/crl/issuing/0.crl')])
    assert.match(parsed.serialNumber, /^[0-7][0-9a-f]{31}$/)
  })

  test('the chain verifies up to the root', async () => {
    const { engine } = await start()
    const { certificate } = await enrolDevice(engine, 'SN-1')
    const [issuing, root, ...more] = await issuerChain(engine, issuingId)
    assert.ok(issuing && root && more.length === 0)
    const [leafX, issuingX, rootX] = [certificate, issuing, root].map((der) => new X509Certificate(der))
    assert.ok(leafX && issuingX && rootX)
    assert.ok(leafX.checkIssued(issuingX) && leafX.verify(issuingX.publicKey))
    assert.ok(issuingX.checkIssued(rootX) && issuingX.verify(rootX.publicKey))
    assert.ok(rootX.checkIssued(rootX) && rootX.verify(rootX.publicKey))
  })

  test('what left is in the inventory and in the audit log, and the intent is on record before', async () => {
    const { engine } = await start()
    const { certificate, record } = await enrolDevice(engine, 'SN-1')
    const { db } = engine.store
    const row = await findByIssuerAndSerial(db, issuingId, record.serialNumber)
    assert.ok(row?.der && Buffer.from(row.der).equals(certificate))
    assert.equal(row.status, 'issued')
    assert.equal(row.tbs, null)
    assert.deepEqual({ ...row, der: null }, { ...record, der: null })

    const subject = `certificate:issuing/${record.serialNumber}`
    const [issued, intended, ...more] = await recentFacts(db, { subject, limit: 10 })
    assert.deepEqual(
      [issued?.action, intended?.action, more.length],
      ['certificate.issued', 'issuance.intended', 0],
    )
    assert.equal(readFact(issued?.entry ?? assert.fail()).details['sha256'], sha256Hex(certificate))
    assert.equal(readFact(intended?.entry ?? assert.fail()).actor, 'device:SN-1')
  })

  test('a first certificate activates the device and is its last renewal', async () => {
    const { engine } = await start()
    const { record } = await enrolDevice(engine, 'SN-1')
    const device = await findDevice(engine.store.db, record.deviceId ?? assert.fail())
    assert.equal(device?.state, 'active')
    assert.equal(device.lastRenewalAt, testStart)
    const facts = await recentFacts(engine.store.db, { subject: 'device:SN-1', limit: 10 })
    assert.deepEqual(facts.map(({ action }) => action).toReversed(), [
      'device.added',
      'secret.created',
      'secret.used',
      'device.activated',
    ])
  })

  test('subject and names come from the record, never from the request', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'SN-1')
    const csr = createKey().csr({ subject: 'CN=root,O=Evil', subjectAltNames: ['dns:bank.example'] })
    const outcome = await enroll(engine, requestOf(await freshSecret(engine, 'SN-1'), csr))
    assert.ok(outcome.kind === 'issued')
    assert.equal(outcome.record.subject, 'CN=SN-1,O=Example')
    assert.deepEqual(outcome.record.subjectAltNames, ['uri:urn:perennial:device:SN-1'])
  })

  test('a renewal is a new certificate, linked to the one before it', async () => {
    const { engine, clock } = await start()
    const first = await enrolDevice(engine, 'SN-1')
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const second = await renew(engine, first)
    assert.equal(second.record.predecessorId, first.record.id)
    assert.notEqual(second.record.serialNumber, first.record.serialNumber)
    assert.equal(second.record.subject, first.record.subject)
    assert.ok(second.record.notAfter > first.record.notAfter)
    // the old one goes only when the new one was seen
    const row = await findByIssuerAndSerial(engine.store.db, issuingId, first.record.serialNumber)
    assert.equal(row?.status, 'issued')
  })

  for (const algorithm of ['ec-p384', 'ec-p521', 'rsa-2048', 'ed25519'] as const) {
    test(`devices may bring ${algorithm} keys`, async () => {
      const { engine } = await start()
      const { certificate, record } = await enrolDevice(engine, 'SN-1', { key: createKey(algorithm) })
      assert.equal(record.keyAlgorithm, algorithm)
      assert.deepEqual(parseCertificate(certificate).extensions.keyUsage, ['digitalSignature'])
    })
  }

  test('keyEncipherment is written for RSA keys and for no other', async () => {
    const profile = {
      name: 'scep',
      issuer: issuingId,
      validityMs: 365 * dayMs,
      renewBeforeMs: 30 * dayMs,
      keyUsage: ['digitalSignature', 'keyEncipherment'] as const,
      extendedKeyUsage: [],
      connectivity: 'always-on',
    }
    const { engine } = await start({ profiles: [profile] })
    const rsa = await enrolDevice(engine, 'SN-1', { profile: 'scep', key: createKey('rsa-2048') })
    const ec = await enrolDevice(engine, 'SN-2', { profile: 'scep' })
    const usages = [rsa, ec].map(({ certificate }) => parseCertificate(certificate).extensions.keyUsage)
    assert.deepEqual(usages, [['digitalSignature', 'keyEncipherment'], ['digitalSignature']])
  })

  test('matter-dac is refused with a clear text until there is a PAI, and other profiles work meanwhile', async () => {
    const { engine } = await start()
    await enrolDevice(engine, 'SN-1')
    const tags = { matterVid: 'FFF1', matterPid: '8000' }
    const refused = await refusal(enrolDevice(engine, 'SN-2', { profile: 'matter-dac', tags }))
    assert.equal(refused.code, 'issuer-unavailable')
    assert.match(refused.message, /matter-pai/)

    const paa = 'paa' as typeof matterPaiId
    await createIssuer(engine, { id: paa, kind: 'paa', parentId: null, actor: 'cli:test' })
    const subject = 'CN=Example PAI,matterVid=FFF1'
    await createIssuer(engine, { id: matterPaiId, kind: 'pai', parentId: paa, subject, actor: 'cli:test' })
    const { certificate, record } = await enrolDevice(engine, 'SN-3', { profile: 'matter-dac', tags })
    assert.equal(record.subject, 'CN=SN-3,matterVid=FFF1,matterPid=8000')
    assert.equal(record.notAfter, testStart + 20 * 365 * dayMs)
    assert.ok(certificate.byteLength <= 600, `${certificate.byteLength} bytes`)
    assert.deepEqual(record.subjectAltNames, [])
  })

  test('the observer sees every outcome', async () => {
    const { engine, seen } = await start()
    await enrolDevice(engine, 'SN-1')
    await refusal(enroll(engine, requestOf(await freshSecret(engine, 'SN-1'), new Uint8Array(3))))
    assert.deepEqual(
      seen.map((one) => (one.kind === 'refused' ? one.code : one.kind)),
      ['issued', 'malformed'],
    )
  })

  test('an issuer with another key than P-256 signs what fits its key', async () => {
    const { engine } = await start({ withIssuers: false })
    await createIssuer(engine, {
      id: rootId,
      kind: 'root',
      parentId: null,
      keyAlgorithm: 'ec-p384',
      actor: 'cli:test',
    })
    const given = { kind: 'intermediate', parentId: rootId, actor: 'cli:test' } as const
    await createIssuer(engine, { ...given, id: issuingId, keyAlgorithm: 'ed25519' })
    const { certificate } = await enrolDevice(engine, 'SN-1')
    assert.equal(parseCertificate(certificate).signatureAlgorithm, 'ed25519')
    const [issuing] = await issuerChain(engine, issuingId)
    assert.equal(parseCertificate(issuing ?? assert.fail()).signatureAlgorithm, 'ecdsa-sha384')
  })

  test('refuses a request whose key is not the one that signed it', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'SN-1')
    const peer = await freshSecret(engine, 'SN-1')
    const csr = Uint8Array.from(createKey().csr())
    const other = generateKeyPair('ec-p256').spki.subarray(-64)
    const at = Buffer.from(csr).indexOf(Buffer.from('03420004', 'hex')) + 4
    csr.set(other, at)
    assert.equal((await refusal(enroll(engine, requestOf(peer, csr)))).code, 'bad-signature')
  })
})

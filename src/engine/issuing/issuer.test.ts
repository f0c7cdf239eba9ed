import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import type { IssuerId } from '../../base/id.ts'
import { noExpiry, parseCertificate } from '../../pki/certificate.ts'
import { formatName } from '../../pki/name-text.ts'
import { recentFacts } from '../../store/facts.ts'
import { listCertificates } from '../../store/inventory.ts'
import { findIssuer } from '../../store/issuers.ts'
import {
  enrolDevice,
  forEachEngine,
  issuingId,
  refusal,
  rootId,
  testActor,
  testStart,
} from '../../../test/helpers/app.ts'
import { readFact } from '../audit/audit.ts'
import { caCertificates, createIssuer, issuerChain } from './issuer.ts'
import type { NewIssuer } from './issuer-plan.ts'

const root: NewIssuer = { id: rootId, kind: 'root', parentId: null, actor: testActor }
const issuing: NewIssuer = { id: issuingId, kind: 'intermediate', parentId: rootId, actor: testActor }
const yearMs = 365 * dayMs

function id(text: string): IssuerId {
  return text as IssuerId
}

forEachEngine((start) => {
  test('root and intermediate have the lives, path lengths and usages that RFC 5280 and our defaults say', async () => {
    const { engine } = await start({ withIssuers: false })
    const [a, b] = [await createIssuer(engine, root), await createIssuer(engine, issuing)]
    assert.ok(a.certificate && b.certificate)
    const [rootCertificate, issuingCertificate] = [
      parseCertificate(a.certificate),
      parseCertificate(b.certificate),
    ]
    assert.equal(formatName(rootCertificate.subject), 'CN=Root CA,O=Example')
    assert.equal(formatName(issuingCertificate.subject), 'CN=Issuing CA,O=Example')
    assert.deepEqual(
      [rootCertificate.notAfter, issuingCertificate.notAfter],
      [testStart + 25 * yearMs, testStart + 10 * yearMs],
    )
    assert.deepEqual([a.notAfter, b.notAfter], [rootCertificate.notAfter, issuingCertificate.notAfter])
    assert.deepEqual(rootCertificate.extensions.basicConstraints, { ca: true, pathLength: null })
    assert.deepEqual(issuingCertificate.extensions.basicConstraints, { ca: true, pathLength: 0 })
    for (const { extensions } of [rootCertificate, issuingCertificate]) {
      assert.deepEqual(extensions.keyUsage, ['keyCertSign', 'cRLSign'])
      assert.equal(extensions.extendedKeyUsage, null)
    }
    const [leaf, top] = [new X509Certificate(b.certificate), new X509Certificate(a.certificate)]
    assert.ok(leaf.checkIssued(top) && leaf.verify(top.publicKey) && top.verify(top.publicKey))
  })

  test('issuers are in the inventory and in the audit log like every certificate', async () => {
    const { engine } = await start()
    const { rows } = await listCertificates(engine.store.db, { limit: 10 })
    assert.deepEqual(
      rows.map(({ issuerId, profile, status, deviceId }) => [issuerId, profile, status, deviceId]),
      [
        ['root', 'root', 'issued', null],
        ['root', 'intermediate', 'issued', null],
      ],
    )
    const facts = await recentFacts(engine.store.db, { limit: 10 })
    const each = [
      'issuer.intended issuer',
      'issuance.intended certificate',
      'issuer.created issuer',
      'certificate.issued certificate',
    ]
    const written = facts.map(({ action, subject }) => `${action} ${subject.split(':')[0]}`)
    assert.deepEqual(written.toReversed(), each.concat(each))
    assert.equal(readFact(facts[0]?.entry ?? assert.fail()).actor, testActor)
  })

  test('an issuer that is there is returned as it is; another kind of the same name is refused', async () => {
    const { engine } = await start()
    const before = await findIssuer(engine.store.db, issuingId)
    assert.deepEqual(await createIssuer(engine, issuing), before)
    assert.equal((await refusal(createIssuer(engine, { ...root, id: issuingId }))).code, 'already-exists')
  })

  test('an issuer whose making was interrupted is finished with the key it has', async () => {
    const { engine, authority } = await start({ withIssuers: false })
    await createIssuer(engine, root)
    authority.beforeSign = () => {
      throw new Error('killed')
    }
    await assert.rejects(createIssuer(engine, issuing), /killed/)
    const half = await findIssuer(engine.store.db, issuingId)
    assert.equal(half?.certificate, null)
    // nothing is signed by half an issuer
    authority.beforeSign = null
    engine.issuers.forget()
    assert.equal((await refusal(enrolDevice(engine, 'SN-1'))).code, 'issuer-unavailable')
    const whole = await createIssuer(engine, issuing)
    assert.equal(whole.keyReference, half.keyReference)
    assert.equal(whole.spkiHash, half.spkiHash)
    await enrolDevice(engine, 'SN-2')
  })

  test('several issuers sign at once, each its own profiles', async () => {
    const profile = {
      name: 'other',
      issuer: id('second'),
      validityMs: yearMs,
      renewBeforeMs: 30 * dayMs,
      connectivity: 'always-on',
    }
    const { engine } = await start({ profiles: [profile] })
    await createIssuer(engine, { ...issuing, id: id('second'), crlShards: 16 })
    const first = await enrolDevice(engine, 'SN-1')
    const second = await enrolDevice(engine, 'SN-2', { profile: 'other' })
    assert.deepEqual([first.record.issuerId, second.record.issuerId], ['issuing', 'second'])
    assert.equal(first.record.crlShard, 0)
    assert.equal(second.record.crlShard, Number.parseInt(second.record.serialNumber.slice(-8), 16) % 16)
  })

  test('what cannot be an issuer is refused before a key is made', async () => {
    const { engine, authority } = await start()
    const made = authority.signatures.length
    const refused = async (change: Partial<NewIssuer>) =>
      (await refusal(createIssuer(engine, { ...issuing, id: id('new'), ...change }))).code
    assert.equal(await refused({ parentId: null }), 'invalid-input')
    assert.equal(await refused({ parentId: id('nobody') }), 'not-found')
    assert.equal(await refused({ parentId: issuingId }), 'invalid-input')
    assert.equal(await refused({ kind: 'root' }), 'invalid-input')
    assert.equal(await refused({ validityMs: 25 * yearMs + 1000 }), 'invalid-input')
    assert.equal(await refused({ validityMs: 0 }), 'invalid-input')
    assert.equal(await refused({ crlShards: 0 }), 'invalid-input')
    assert.equal(await refused({ subject: '' }), 'invalid-input')
    assert.equal(await refused({ authority: 'hsm' }), 'invalid-input')
    assert.equal(authority.signatures.length, made)
  })

  test('Matter: a PAI carries the vendor id of its PAA, P-256 only, and nothing outlives anything', async () => {
    const { engine } = await start()
    const paa: NewIssuer = {
      id: id('paa'),
      kind: 'paa',
      subject: 'CN=PAA,matterVid=FFF1',
      parentId: null,
      actor: testActor,
    }
    const pai: NewIssuer = {
      id: id('pai'),
      kind: 'pai',
      subject: 'CN=PAI,matterVid=FFF1',
      parentId: id('paa'),
      actor: testActor,
    }
    const refused = async (issuer: NewIssuer) => (await refusal(createIssuer(engine, issuer))).code
    assert.equal(await refused({ ...paa, subject: 'CN=PAA,matterVid=fff1' }), 'invalid-input')
    assert.equal(await refused({ ...paa, subject: 'CN=PAA,matterVid=FFF1,matterPid=8000' }), 'invalid-input')
    assert.equal(await refused({ ...paa, keyAlgorithm: 'ec-p384' }), 'invalid-input')
    const top = await createIssuer(engine, paa)
    assert.equal(await refused({ ...pai, subject: 'CN=PAI' }), 'invalid-input')
    assert.equal(await refused({ ...pai, subject: 'CN=PAI,matterVid=FFF2' }), 'invalid-input')
    assert.equal(await refused({ ...pai, parentId: rootId }), 'invalid-input')
    const bottom = await createIssuer(engine, pai)
    assert.deepEqual([top.notAfter, bottom.notAfter], [noExpiry, noExpiry])
    const constraints = [top, bottom].map(
      ({ certificate }) =>
        parseCertificate(certificate ?? assert.fail()).extensions.basicConstraints?.pathLength,
    )
    assert.deepEqual(constraints, [1, 0])
  })

  test('CA certificates for clients: intermediates, then roots; Matter only for its own profile', async () => {
    const { engine } = await start()
    const subjects = async (label: string | null) =>
      (await caCertificates(engine, label)).map((der) => formatName(parseCertificate(der).subject))
    const usual = ['CN=Issuing CA,O=Example', 'CN=Root CA,O=Example']
    assert.deepEqual(await subjects(null), usual)
    assert.deepEqual(await subjects('gateway'), usual)
    assert.equal((await refusal(caCertificates(engine, 'nobody'))).code, 'profile-unknown')
    assert.equal((await refusal(caCertificates(engine, 'matter-dac'))).code, 'issuer-unavailable')
    await createIssuer(engine, { id: id('paa'), kind: 'paa', parentId: null, actor: testActor })
    const subject = 'CN=PAI,matterVid=FFF1'
    await createIssuer(engine, {
      id: id('matter-pai'),
      kind: 'pai',
      subject,
      parentId: id('paa'),
      actor: testActor,
    })
    assert.deepEqual(await subjects(null), usual)
    assert.deepEqual(await subjects('matter-dac'), [
      'CN=PAI,matterVid=FFF1',
      'CN=Matter PAA paa,O=Example',
      ...usual,
    ])
    assert.equal((await issuerChain(engine, id('matter-pai'))).length, 2)
  })

  test("another process's new issuer is seen within a second", async () => {
    const { engine, another, clock } = await start()
    const other = another()
    assert.equal((await other.issuers.list()).length, 2)
    await createIssuer(engine, { ...issuing, id: id('second') })
    await clock.advance(1000)
    assert.equal((await other.issuers.list()).length, 3)
  })
})

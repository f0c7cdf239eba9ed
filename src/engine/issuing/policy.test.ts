import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { buildCsr, parseCsr } from '../../pki/csr.ts'
import { makeExtension } from '../../pki/extensions.ts'
import { generateKeyPair, parsePublicKey } from '../../pki/key.ts'
import { encodeGeneralNames } from '../../pki/general-name.ts'
import { parseNameText } from '../../pki/name-text.ts'
import { encodeName } from '../../pki/name.ts'
import { oids } from '../../pki/oid.ts'
import { sequence } from '../../pki/der-writer.ts'
import { blockKey } from '../../store/blocked-keys.ts'
import { setStatus } from '../../store/certificates.ts'
import {
  enrolDevice,
  forEachEngine,
  freshSecret,
  issuingId,
  refusal,
  registerDevice,
  renew,
  renewalCsr,
  requestOf,
  withCertificate,
  windowOpensAt,
  type Enrolled,
  type RequestOptions,
} from '../../../test/helpers/app.ts'
import { createCa, createKey, type CsrOptions, type TestKey } from '../../../test/helpers/ca.ts'
import { makeCsr, san } from '../../../test/helpers/certificates.ts'
import { sha256Hex, toBase64 } from '../../base/bytes.ts'
import type { Engine } from '../context.ts'
import { enroll } from './enroll.ts'
import type { ProfileInput } from './profile.ts'
import { renewalDueAt } from '../renewals/renewal-hint.ts'
import { addTrustAnchor } from './trust.ts'

const strict: ProfileInput = {
  name: 'strict',
  issuer: issuingId,
  validityMs: 100 * dayMs,
  renewBeforeMs: 30 * dayMs,
  connectivity: 'always-on',
  keyAlgorithms: ['ec-p256'],
}
const lax: ProfileInput = { ...strict, name: 'lax', rekey: 'allowed' }
const bound: ProfileInput = { ...strict, name: 'bound', popLinking: 'require' }
const forLife: ProfileInput = { ...strict, name: 'for-life', renewBeforeMs: null }
const profiles = [strict, lax, bound, forLife]

async function codeOf(work: Promise<unknown>): Promise<string> {
  return (await refusal(work)).code
}

async function firstRequest(
  engine: Engine,
  id: string,
  key: TestKey,
  options: RequestOptions & { csr?: CsrOptions } = {},
) {
  const { csr, ...rest } = options
  return await enroll(engine, requestOf(await freshSecret(engine, id), key.csr(csr), rest))
}

function renewal(engine: Engine, { peer }: Enrolled, csr: Uint8Array) {
  return enroll(engine, requestOf(peer, csr, { operation: 'reenroll' }))
}

forEachEngine((start) => {
  test('the renewal window opens to the millisecond, and an early answer says when', async () => {
    const { engine, clock } = await start({ profiles })
    const device = await enrolDevice(engine, 'SN-1', { profile: 'strict' })
    const opensAt = windowOpensAt(engine, device)
    await clock.advance(opensAt - 1 - clock.now())
    const refused = await refusal(renew(engine, device))
    assert.equal(refused.code, 'too-early')
    // the device's own place in the window, as the renewal hint says it
    assert.equal(
      refused.retryAfterMs,
      renewalDueAt(device.record, { renewBeforeMs: device.record.notAfter - opensAt, spread: 0.5 }) -
        clock.now(),
    )
    assert.ok(
      refused.message.includes(new Date(opensAt).toISOString().replace('.000Z', 'Z')),
      refused.message,
    )
    await clock.advance(1)
    await renew(engine, device)
  })

  test('the label is the profile of the record', async () => {
    const { engine } = await start({ profiles })
    await registerDevice(engine, 'SN-1', { profile: 'strict' })
    assert.equal(
      await codeOf(firstRequest(engine, 'SN-1', createKey(), { profile: 'lax' })),
      'profile-not-allowed',
    )
    assert.equal(
      await codeOf(firstRequest(engine, 'SN-1', createKey(), { profile: 'nobody' })),
      'profile-unknown',
    )
    const outcome = await firstRequest(engine, 'SN-1', createKey(), { profile: 'strict' })
    assert.ok(outcome.kind === 'issued' && outcome.record.profile === 'strict')
  })

  test('a renewal keeps subject and alternative names, as sets', async () => {
    const subject = 'CN={device.id},O={organization},OU=a'
    const subjectAltNames = ['uri:urn:a:{device.id}', 'dns:{device.id}.example']
    const { engine, clock } = await start({ profiles: [{ ...strict, subject, subjectAltNames }] })
    const device = await enrolDevice(engine, 'sn-1', { profile: 'strict' })
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    const key = createKey()
    const keys = { privateKey: key.privateKey, spki: key.spki }
    const names = san('uri:urn:a:sn-1', 'dns:sn-1.example')
    const wrong = [
      makeCsr({ keys, subject: 'CN=sn-2,O=Example,OU=a', extensions: [names] }),
      makeCsr({ keys, subject: 'CN=sn-1,O=Example', extensions: [names] }),
      makeCsr({ keys, subject: 'CN=sn-1,O=Example,OU=a' }),
      makeCsr({ keys, subject: 'CN=sn-1,O=Example,OU=a', extensions: [san('uri:urn:a:sn-1')] }),
      makeCsr({
        keys,
        subject: 'CN=sn-1,O=Example,OU=a',
        extensions: [san('uri:urn:a:sn-1', 'dns:sn-2.example')],
      }),
    ]
    for (const csr of wrong) assert.equal(await codeOf(renewal(engine, device, csr)), 'subject-changed')
    // another order, another case, another string type: the same names
    const same = makeCsr({
      keys,
      subject: 'OU=A,O=example,CN=SN-1',
      extensions: [san('dns:SN-1.example', 'uri:urn:a:sn-1')],
    })
    assert.equal((await renewal(engine, device, same)).kind, 'issued')
  })

  test('ChangeSubjectName is refused', async () => {
    const { engine, clock } = await start({ profiles })
    const device = await enrolDevice(engine, 'SN-1', { profile: 'strict' })
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    const { privateKey, spki } = generateKeyPair('ec-p256')
    const value = sequence(encodeName(parseNameText('CN=other')))
    const csr = makeCsr({
      keys: { privateKey, spki },
      subject: device.record.subject,
      extensions: [
        makeExtension(
          oids.subjectAltName,
          encodeGeneralNames([{ kind: 'uri', value: 'urn:perennial:device:SN-1' }]),
        ),
      ],
      attributes: [{ type: oids.changeSubjectName, value }],
    })
    const refused = await refusal(renewal(engine, device, csr))
    assert.equal(refused.code, 'subject-changed')
    assert.match(refused.message, /ChangeSubjectName/)
  })

  test('only the kinds of keys that the profile allows', async () => {
    const { engine } = await start({ profiles })
    await registerDevice(engine, 'SN-1', { profile: 'strict' })
    assert.equal(await codeOf(firstRequest(engine, 'SN-1', createKey('ec-p384'))), 'key-type-not-allowed')
    assert.equal((await firstRequest(engine, 'SN-1', createKey('ec-p256'))).kind, 'issued')
  })

  test('a key on the block list is refused', async () => {
    const { engine, clock } = await start({ profiles })
    await registerDevice(engine, 'SN-1', { profile: 'strict' })
    const key = createKey()
    const { spkiHash } = parsePublicKey(key.spki)
    await engine.store.transaction(async (tx) => {
      await blockKey(tx, { spkiHash, reason: 'published', createdAt: clock.now() })
    })
    const refused = await refusal(firstRequest(engine, 'SN-1', key))
    assert.equal(refused.code, 'key-blocked')
    assert.match(refused.message, /published/)
  })

  test('a certificate whose own key is on the block list proves nothing', async () => {
    const { engine, clock } = await start({ profiles })
    const device = await enrolDevice(engine, 'SN-1', { profile: 'strict' })
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    await engine.store.transaction(async (tx) => {
      await blockKey(tx, { spkiHash: device.record.spkiHash, reason: 'stolen', createdAt: clock.now() })
    })
    const refused = await refusal(renew(engine, device))
    assert.equal(refused.code, 'key-blocked')
    assert.match(refused.message, /presented.*stolen/)
  })

  test("a CA's own key is refused", async () => {
    const { engine, authority } = await start({ profiles })
    await registerDevice(engine, 'SN-1', { profile: 'strict' })
    const issuing = await engine.issuers.find(issuingId)
    const signing = issuing ?? assert.fail()
    // only the holder of the key can ask with it: let the authority sign the request
    const algorithm = 'ecdsa-sha256'
    const content = { subject: parseNameText('CN=x'), spki: signing.certificate.spki }
    const unsigned = buildCsr(content, () => ({ signature: new Uint8Array(1), algorithm }))
    const signature = await authority.sign(signing.record.keyReference, algorithm, parseCsr(unsigned).info)
    const csr = buildCsr(content, () => ({ signature, algorithm }))
    const refused = await refusal(enroll(engine, requestOf(await freshSecret(engine, 'SN-1'), csr)))
    assert.equal(refused.code, 'key-blocked')
    assert.match(refused.message, /certificate authority/)
  })

  test('a key that is bound to another device is refused, with either rekey rule', async () => {
    const { engine } = await start({ profiles })
    for (const profile of ['strict', 'lax']) {
      const { key } = await enrolDevice(engine, `${profile}-1`, { profile })
      await registerDevice(engine, `${profile}-2`, { profile })
      const refused = await refusal(firstRequest(engine, `${profile}-2`, key))
      assert.equal(refused.code, 'key-reused')
      assert.match(refused.message, /another holder/)
    }
  })

  test('a renewal has a new key where the profile requires one, and may keep its key where it does not', async () => {
    const { engine, clock } = await start({ profiles })
    const a = await enrolDevice(engine, 'SN-1', { profile: 'strict' })
    const b = await enrolDevice(engine, 'SN-2', { profile: 'lax' })
    await clock.advance(windowOpensAt(engine, a) - clock.now())
    assert.equal(await codeOf(renew(engine, a, a.key)), 'key-reused')
    const renewed = await renew(engine, b, b.key)
    assert.equal(renewed.record.spkiHash, b.record.spkiHash)
    assert.notEqual(renewed.record.serialNumber, b.record.serialNumber)
  })

  test('the key of a revoked certificate is never certified again', async () => {
    const { engine, clock } = await start({ profiles })
    const device = await enrolDevice(engine, 'SN-1', { profile: 'lax' })
    await engine.store.transaction(async (tx) => {
      await setStatus(tx, device.record.id, {
        status: 'revoked',
        reason: 'keyCompromise',
        revokedAt: clock.now(),
      })
    })
    const refused = await refusal(firstRequest(engine, 'SN-1', device.key))
    assert.equal(refused.code, 'key-reused')
    assert.match(refused.message, /revoked/)
  })

  test('proof-of-possession linking is verified when it is there and required when the profile says so', async () => {
    const { engine } = await start({ profiles })
    const tlsUnique = Buffer.from('finished message')
    const good = { tlsUnique, csr: { challengePassword: toBase64(tlsUnique) } }
    const bad = { tlsUnique, csr: { challengePassword: toBase64(Buffer.from('another')) } }
    const ask = async (id: string, profile: string, options: Parameters<typeof firstRequest>[3]) => {
      await registerDevice(engine, id, { profile })
      return await firstRequest(engine, id, createKey(), options)
    }
    assert.equal((await ask('s-1', 'strict', good)).kind, 'issued')
    assert.equal(await codeOf(ask('s-2', 'strict', bad)), 'pop-linking-failed')
    assert.equal((await ask('s-3', 'strict', { tlsUnique })).kind, 'issued')
    // TLS 1.3 has no tls-unique: what the request says cannot be checked
    assert.equal((await ask('s-4', 'strict', { csr: bad.csr })).kind, 'issued')
    assert.equal((await ask('b-1', 'bound', good)).kind, 'issued')
    assert.equal(await codeOf(ask('b-2', 'bound', bad)), 'pop-linking-failed')
    assert.equal(await codeOf(ask('b-3', 'bound', { tlsUnique })), 'pop-linking-required')
    assert.equal(await codeOf(ask('b-4', 'bound', { csr: good.csr })), 'pop-linking-required')
  })

  test('a certificate for life is not renewed, unless an operator makes a new secret', async () => {
    const { engine } = await start({ profiles })
    const device = await enrolDevice(engine, 'SN-1', { profile: 'for-life' })
    assert.equal(await codeOf(renew(engine, device)), 'renewal-not-allowed')
    const maker = createCa('CN=Maker', engine.clock.now())
    const anchor = {
      name: 'M',
      certificate: maker.der,
      deviceIdRule: 'subject.CN',
      profile: null,
      actor: 'cli:test',
    }
    await addTrustAnchor(engine, anchor)
    const peer = withCertificate(maker.issue({ subject: 'CN=SN-1' }).der)
    assert.equal(await codeOf(enroll(engine, requestOf(peer, createKey().csr()))), 'renewal-not-allowed')
    assert.equal((await firstRequest(engine, 'SN-1', createKey())).kind, 'issued')
  })

  test('simpleenroll with the current certificate keeps to the window too, and needs no names', async () => {
    const { engine, clock } = await start({ profiles })
    const device = await enrolDevice(engine, 'SN-1', { profile: 'strict' })
    const ask = () => enroll(engine, requestOf(device.peer, createKey().csr({ subject: 'CN=anything' })))
    assert.equal(await codeOf(ask()), 'too-early')
    await clock.advance(windowOpensAt(engine, device) - clock.now())
    assert.equal((await ask()).kind, 'issued')
  })

  test('a device whose profile is not configured any more is refused with its name', async () => {
    const { engine, another } = await start({ profiles })
    const device = await enrolDevice(engine, 'SN-1', { profile: 'strict' })
    const later = another({ settings: { profiles: new Map() } })
    const refused = await refusal(
      enroll(later, requestOf(device.peer, renewalCsr(createKey(), device.certificate))),
    )
    assert.equal(refused.code, 'profile-unknown')
    assert.match(refused.message, /strict/)
  })

  test('a device can ask only for itself: its certificate, another device id in the request', async () => {
    const { engine, clock } = await start({ profiles })
    const a = await enrolDevice(engine, 'SN-1', { profile: 'strict' })
    const b = await enrolDevice(engine, 'SN-2', { profile: 'strict' })
    await clock.advance(windowOpensAt(engine, a) - clock.now())
    assert.equal(await codeOf(renewal(engine, a, renewalCsr(createKey(), b.certificate))), 'subject-changed')
    const basic = { username: 'SN-2', password: 'x' }
    const both = requestOf({ ...a.peer, basic }, renewalCsr(createKey(), a.certificate), {
      operation: 'reenroll',
    })
    const outcome = await enroll(engine, both)
    assert.ok(outcome.kind === 'issued' && outcome.record.deviceId === ('SN-1' as DeviceId))
    assert.equal(sha256Hex(outcome.certificate), sha256Hex(outcome.record.der ?? assert.fail()))
  })
})

/** Who may do what with which certificate, over real TLS: what TLS lets through and we must not. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sha256Hex } from '../../src/base/bytes.ts'
import { dayMs, systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { addTrustAnchor } from '../../src/engine/issuing/trust.ts'
import { encodeTbsCertificate, parseCertificate } from '../../src/pki/certificate.ts'
import { formatName } from '../../src/pki/name-text.ts'
import { oids } from '../../src/pki/oid.ts'
import { setStatus } from '../../src/store/certificates.ts'
import { setDeviceState } from '../../src/store/devices.ts'
import { findByIssuerAndSerial } from '../../src/store/inventory.ts'
import { issuingId, testActor } from '../helpers/app.ts'
import { createCa, createKey, type Credential } from '../helpers/ca.ts'
import { makeCertificate, signTbs } from '../helpers/certificates.ts'
import { type EstRig, startEstRig } from '../helpers/est-rig.ts'
import { ask, openTls, post, readAnswer, requestText } from './raw-client.ts'
import {
  basic,
  certificateIn,
  enrolRigDevice,
  renewal,
  renewRaw,
  type RigDevice,
  rigDevice,
} from './rig-device.ts'

const proxyCa = createCa('CN=Proxy CA', systemClock.now())
const proxy = identityOf(proxyCa.issue({ subject: 'CN=proxy' }))

let rig: EstRig
before(async () => {
  rig = await startEstRig({ proxyPins: new Set([sha256Hex(proxy.der)]) })
})
after(() => rig.close())

function identityOf(credential: Credential, ...chain: Credential[]) {
  const { der, pem, privateKey: key } = credential
  return { der, chainPem: [pem, ...chain.map((each) => each.pem)].join(''), key }
}

async function revoke({ certificate }: RigDevice): Promise<void> {
  const { db } = rig.engine.store
  const { serialNumber } = parseCertificate(certificate)
  const record = await findByIssuerAndSerial(db, issuingId, serialNumber)
  assert.ok(record)
  const revokedAt = rig.clock.now()
  await rig.engine.store.transaction((tx) =>
    setStatus(tx, record.id, { status: 'revoked', reason: 'keyCompromise', revokedAt }),
  )
}

test('refuses a certificate of a CA that nobody registered', async () => {
  const stranger = createCa('CN=Stranger', rig.clock.now())
  const identity = identityOf(stranger.issue({ subject: 'CN=anybody', extendedKeyUsage: [oids.clientAuth] }))
  for (const path of ['simpleenroll', 'simplereenroll']) {
    const answer = await ask(rig, { ...post(path, createKey().csr()), identity })
    assert.equal(answer.status, 403)
    assert.match(answer.body, /leads to no trust anchor/)
  }
  // and a good password beside it does not help
  const credentials = await rig.addDevice({ id: 'with-stranger' })
  const both = await ask(rig, { ...post('simpleenroll', createKey().csr(), [basic(credentials)]), identity })
  assert.equal(both.status, 403)
  assert.equal((await ask(rig, { path: 'cacerts', identity })).status, 200)
})

test('refuses a forgery with the names, the serial number and the dates of a certificate of ours', async () => {
  const device = await enrolRigDevice(rig, { id: 'forged' })
  const real = parseCertificate(device.certificate)
  const forger = makeCertificate({ subject: formatName(real.issuer) })
  const key = createKey()
  const tbs = encodeTbsCertificate({ ...real, extensions: real.extensions.list, spki: key.spki })
  const forged = rigDevice(rig, 'forged', key, signTbs(tbs, forger))
  const answer = await renewRaw(rig, forged)
  assert.equal(answer.status, 403)
  assert.equal((await renewRaw(rig, device)).status, 200)
})

test('a device acts only on itself, whatever its request says', async () => {
  const [mine, other] = [
    await enrolRigDevice(rig, { id: 'mine' }),
    await enrolRigDevice(rig, { id: 'other' }),
  ]
  const { identity } = mine
  const asOther = await ask(rig, { ...post('simplereenroll', renewal(other)), identity })
  assert.equal(asOther.status, 403)
  assert.match(asOther.body, /keeps its subject/)
  const credentials = await rig.addDevice({ id: 'third' })
  const csr = createKey().csr({ subject: 'CN=third,O=Example' })
  const answer = await ask(rig, { ...post('simpleenroll', csr, [basic(credentials)]), identity })
  assert.equal(answer.status, 200, answer.body)
  assert.equal(formatName(parseCertificate(certificateIn(answer)).subject), 'CN=mine,O=Example')
})

test('looks at the status again at every request of a connection', async () => {
  const device = await enrolRigDevice(rig, { id: 'watched' })
  const socket = await openTls(rig, device)
  const request = requestText(post('simplereenroll', renewal(device)))
  socket.write(request)
  assert.equal((await readAnswer(socket)).status, 200)
  await revoke(device)
  socket.write(request)
  const refused = await readAnswer(socket)
  assert.equal(refused.status, 403)
  assert.match(refused.body, /revoked/)
  socket.destroy()
})

test('a quarantined device gets another text than a revoked certificate', async () => {
  const device = await enrolRigDevice(rig, { id: 'quarantined' })
  await rig.engine.store.transaction((tx) => setDeviceState(tx, device.id as DeviceId, 'quarantined'))
  const answer = await renewRaw(rig, device)
  assert.equal(answer.status, 403)
  assert.match(answer.body, /quarantined/)
})

test('never resumes a session, and judges who tries to by what holds now', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const device = await enrolRigDevice(rig, { id: `resuming-${version}` })
    const tls = { minVersion: version, maxVersion: version } as const
    const first = await openTls(rig, { ...device, tls })
    const sessions: Buffer[] = []
    first.on('session', (session) => sessions.push(session))
    first.write(requestText({ path: 'cacerts' }))
    assert.equal((await readAnswer(first)).status, 200)
    const session = sessions.at(-1) ?? first.getSession()
    first.destroy()
    assert.ok(session)
    await revoke(device)
    const second = await openTls(rig, { ...device, tls: { ...tls, session } })
    assert.equal(second.isSessionReused(), false, version)
    second.write(requestText(post('simplereenroll', renewal(device))))
    const answer = await readAnswer(second)
    assert.equal(answer.status, 403)
    assert.match(answer.body, /revoked/)
    second.destroy()
  }
})

test('does not renegotiate', async () => {
  const device = await enrolRigDevice(rig, { id: 'renegotiating' })
  const socket = await openTls(rig, { ...device, tls: { maxVersion: 'TLSv1.2' } })
  const outcome = await new Promise<string>((resolve) => {
    socket.once('close', () => resolve('closed'))
    socket.on('error', () => resolve('refused'))
    socket.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error ? 'refused' : 'renegotiated'))
  })
  assert.notEqual(outcome, 'renegotiated')
  socket.destroy()
  assert.equal((await ask(rig, { path: 'cacerts' })).status, 200)
})

test('a factory identity enrols its own device through the chain it sends, and nothing else', async () => {
  const now = rig.clock.now()
  const root = createCa('CN=Maker Root', now)
  const maker = root.issueCa({ subject: 'CN=Maker Device CA' })
  const idevid = (serial: string, life: { notBefore?: number; notAfter?: number } = {}) =>
    identityOf(maker.issue({ subject: `serialNumber=${serial},CN=x`, ...life }), maker)
  const anchor = { name: 'maker', certificate: root.der, deviceIdRule: 'subject.serialNumber', profile: null }
  const send = (path: string, identity: ReturnType<typeof identityOf>) =>
    ask(rig, { ...post(path, createKey().csr()), identity })

  await rig.addDevice({ id: 'made-1' })
  assert.equal((await send('simpleenroll', idevid('made-1'))).status, 403)
  await addTrustAnchor(rig.engine, { ...anchor, actor: testActor })
  const enrolled = await send('simpleenroll', idevid('made-1'))
  assert.equal(enrolled.status, 200, enrolled.body)
  assert.equal(formatName(parseCertificate(certificateIn(enrolled)).subject), 'CN=made-1,O=Example')

  const unknown = await send('simpleenroll', idevid('made-2'))
  assert.equal(unknown.status, 403)
  assert.match(unknown.body, /not in the inventory/)
  const renewing = await send('simplereenroll', idevid('made-1'))
  assert.equal(renewing.status, 403)
  assert.match(renewing.body, /factory identity/)
  const expired = await send(
    'simpleenroll',
    idevid('made-1', { notBefore: now - 9 * dayMs, notAfter: now - dayMs }),
  )
  assert.equal(expired.status, 403)
  assert.match(expired.body, /expired/)
  const alone = idevid('made-1')
  const withoutChain = {
    ...alone,
    chainPem: alone.chainPem.slice(0, alone.chainPem.indexOf('-----END') + 26),
  }
  assert.equal((await send('simpleenroll', withoutChain)).status, 403)
})

test('Client-Cert: believed from the pinned proxy only, refused from everybody else', async () => {
  const device = await enrolRigDevice(rig, { id: 'behind' })
  const header = `Client-Cert: :${Buffer.from(device.certificate).toString('base64')}:`
  const request = (extra: readonly string[]) => post('simplereenroll', renewal(device), extra)

  const proxied = await ask(rig, { ...request([header]), identity: proxy })
  assert.equal(proxied.status, 200, proxied.body)
  assert.equal((await ask(rig, { ...request([]), identity: proxy })).status, 401)
  const other = await enrolRigDevice(rig, { id: 'pretender' })
  for (const identity of [{ identity: other.identity }, {}]) {
    const refused = await ask(rig, { ...request([header]), ...identity })
    assert.equal(refused.status, 403)
    assert.match(refused.body, /only accepted from a configured proxy/)
  }
})

test('proof-of-possession linking: verified when present, required where the profile says so', async () => {
  const enrol = async (
    id: string,
    version: 'TLSv1.2' | 'TLSv1.3',
    binding: 'right' | 'wrong' | null,
    profile: string,
  ) => {
    const credentials = await rig.addDevice({ id, profile })
    const socket = await openTls(rig, { tls: { maxVersion: version, minVersion: version } })
    const finished = socket.getFinished()
    assert.ok(finished)
    const bytes = binding === 'right' ? finished : Buffer.alloc(12)
    const challengePassword = bytes.toString('base64')
    const csr = createKey().csr(binding === null ? {} : { challengePassword })
    socket.write(requestText(post('simpleenroll', csr, [basic(credentials)])))
    const answer = await readAnswer(socket)
    socket.destroy()
    return answer
  }
  assert.equal((await enrol('linked-1', 'TLSv1.2', 'right', 'linked')).status, 200)
  assert.equal((await enrol('linked-2', 'TLSv1.2', 'wrong', 'linked')).status, 400)
  assert.equal((await enrol('linked-3', 'TLSv1.2', null, 'linked')).status, 403)
  assert.equal((await enrol('linked-4', 'TLSv1.3', 'right', 'linked')).status, 403)
  assert.equal((await enrol('verified-1', 'TLSv1.2', 'right', 'open')).status, 200)
  assert.equal((await enrol('verified-2', 'TLSv1.2', 'wrong', 'open')).status, 400)
  assert.equal((await enrol('verified-3', 'TLSv1.3', null, 'open')).status, 200)
})

test('a new server certificate is used for new connections without a restart', async () => {
  const kept = await openTls(rig)
  const old = kept.getPeerX509Certificate()?.serialNumber
  rig.est.reload(await rig.newIdentity())
  const fresh = await openTls(rig)
  assert.notEqual(fresh.getPeerX509Certificate()?.serialNumber, old)
  fresh.destroy()
  kept.write(requestText({ path: 'cacerts' }))
  assert.equal((await readAnswer(kept)).status, 200)
  kept.destroy()
})

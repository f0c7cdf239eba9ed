/** Renewal hints as they cross the wire: the header of EST answers, and the pages that anybody may ask. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { dayMs, iso } from '../../src/base/clock.ts'
import { renewalDueAt } from '../../src/engine/renewals/renewal-hint.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { serveHttp, serverOptions } from '../../src/protocols/http-server.ts'
import { statusHandler, statusLimits } from '../../src/protocols/status.ts'
import { listen, type Listener } from '../../src/serve/listener.ts'
import { flushSightings } from '../../src/engine/renewals/sighting.ts'
import { findOpenRenewal, insertPlannedRenewals } from '../../src/store/renewals.ts'
import { setStatus } from '../../src/store/certificates.ts'
import { findByIssuerAndSerial } from '../../src/store/inventory.ts'
import { issuingId } from '../helpers/app.ts'
import { type EstRig, startEstRig } from '../helpers/est-rig.ts'
import { ask, type RawAnswer } from './raw-client.ts'
import { certificateIn, enrolRigDevice, renewRaw, type RigDevice } from './rig-device.ts'

let rig: EstRig
let status: Listener
before(async () => {
  rig = await startEstRig()
  const server = createServer(serverOptions(statusLimits))
  serveHttp(server, statusHandler(rig.engine), statusLimits, rig.clock)
  status = await listen(server, { host: '127.0.0.1', port: 0, reusePort: false }, rig.clock)
})
after(async () => {
  await status.stop(1_000)
  await rig.close()
})

/** RFC 9773 §4.1, written here a second time. */
function certificateId(der: Uint8Array): string {
  const { extensions, serialNumber } = parseCertificate(der)
  const keyIdentifier = extensions.authorityKeyIdentifier?.keyIdentifier
  assert.ok(keyIdentifier)
  const serial = Buffer.from(serialNumber, 'hex')
  const content = (serial[0] as number) >= 0x80 ? Buffer.concat([Buffer.of(0), serial]) : serial
  return `${Buffer.from(keyIdentifier).toString('base64url')}.${content.toString('base64url')}`
}

async function recordOf(der: Uint8Array) {
  const record = await findByIssuerAndSerial(
    rig.engine.store.db,
    issuingId,
    parseCertificate(der).serialNumber,
  )
  assert.ok(record)
  return record
}

/** Seconds since 1970 of the header, as a shell script reads them. */
function startIn({ headers }: RawAnswer): number {
  const text = headers.get('perennial-renewal') ?? ''
  const match = /^start=@(\d+), end=@(\d+)$/.exec(text)
  assert.ok(match, text)
  assert.ok(Number(match[2]) > Number(match[1]))
  return Number(match[1])
}

async function dueOf(device: RigDevice): Promise<number> {
  return renewalDueAt(await recordOf(device.certificate), { renewBeforeMs: 30 * dayMs, spread: 0.5 }) / 1_000
}

test('every EST answer to a device says when its certificate should be renewed', async () => {
  const device = await enrolRigDevice(rig, { id: 'hinted' })
  const { identity } = device
  for (const path of ['cacerts', 'csrattrs']) {
    assert.equal(startIn(await ask(rig, { path, identity })), await dueOf(device), path)
    assert.equal((await ask(rig, { path })).headers.get('perennial-renewal'), undefined, 'nobody is hinted')
  }
  const renewed = await renewRaw(rig, device)
  assert.equal(renewed.status, 200)
  const fresh = { ...device, certificate: certificateIn(renewed) }
  assert.equal(startIn(renewed), await dueOf(fresh), 'the hint is about the new certificate')
})

test('an answer with a hint has less than 1,024 bytes of status line and headers', async () => {
  const device = await enrolRigDevice(rig, { id: 'short-head' })
  const { head } = await renewRaw(rig, device)
  assert.match(head, /perennial-renewal/i)
  assert.ok(Buffer.byteLength(head) < 512, `${Buffer.byteLength(head)} bytes`)
})

test('anybody who knows both identifiers of a certificate may ask, on the status port and beside EST', async () => {
  const device = await enrolRigDevice(rig, { id: 'asked-for' })
  const id = certificateId(device.certificate)
  const start = await dueOf(device)
  const plain = await fetch(`http://127.0.0.1:${status.port}/renewal-info/${id}`)
  assert.equal(plain.status, 200)
  assert.equal(plain.headers.get('content-type'), 'application/json')
  const wait = Number(plain.headers.get('retry-after'))
  assert.ok(wait >= 60 && wait <= 86_400, `${wait} s`)
  const { suggestedWindow } = (await plain.json()) as { suggestedWindow: { start: string; end: string } }
  assert.equal(suggestedWindow.start, iso(start * 1_000))
  for (const path of [`renewal-info/${id}`, `open/renewal-info/${id}`]) {
    const answer = await ask(rig, { path })
    assert.equal(answer.status, 200, path)
    assert.deepEqual(JSON.parse(answer.body), { suggestedWindow })
  }
  const posted = await ask(rig, { path: `renewal-info/${id}`, method: 'POST' })
  assert.equal(posted.status, 405)
})

test('a revoked certificate has a window in the past; a replaced or unknown one has none', async () => {
  const device = await enrolRigDevice(rig, { id: 'ends' })
  const url = `http://127.0.0.1:${status.port}/renewal-info/${certificateId(device.certificate)}`
  const { id } = await recordOf(device.certificate)
  const { store } = rig.engine
  await store.transaction((tx) => setStatus(tx, id, { status: 'superseded', reason: null }))
  assert.equal((await fetch(url)).status, 404)
  await store.transaction((tx) =>
    setStatus(tx, id, { status: 'revoked', reason: 'keyCompromise', revokedAt: rig.clock.now() }),
  )
  const { suggestedWindow } = (await (await fetch(url)).json()) as { suggestedWindow: { end: string } }
  assert.ok(Date.parse(suggestedWindow.end) < rig.clock.now())
})

test('an answer that has left is on record as delivered, before the device has used it', async () => {
  const device = await enrolRigDevice(rig, { id: 'delivered' })
  const { id, notAfter, deviceId, slot } = await recordOf(device.certificate)
  assert.ok(deviceId)
  const due = { campaignId: '', wave: 0, deviceId, slot, certificateId: id, notAfter, connectivity: 'daily' }
  await rig.engine.store.transaction((tx) =>
    insertPlannedRenewals(tx, [{ ...due, site: null, nextAt: null, createdAt: rig.clock.now() }]),
  )
  const renewed = certificateIn(await renewRaw(rig, device))
  const { id: newId } = await recordOf(renewed)
  const begunAt = rig.clock.now() - 60_000
  let open = await findOpenRenewal(rig.engine.store.db, deviceId, slot)
  // the answer may be here before the server knows that it has left
  for (let turn = 0; turn < 100 && open?.deliveredAt === null; turn++) {
    await rig.clock.sleep(10)
    await flushSightings(rig.engine, rig.clock.now())
    open = await findOpenRenewal(rig.engine.store.db, deviceId, slot)
  }
  assert.deepEqual([open?.status, open?.newCertificateId, open?.storedAt], ['issued', newId, null])
  assert.ok((open?.deliveredAt ?? 0) > begunAt)
})

test('what is no certificate id is refused, and nothing is found under a name that is nearly right', async () => {
  const device = await enrolRigDevice(rig, { id: 'nearly' })
  const id = certificateId(device.certificate)
  const [key, serial] = id.split('.') as [string, string]
  const answers: readonly (readonly [string, number])[] = [
    [key, 400],
    [`${id}.AA`, 400],
    [`${key}=.${serial}`, 400],
    [`${key}.${serial}==`, 400],
    [`.${serial}`, 400],
    [`${key}.`, 400],
    [`${key}.%41`, 400],
    [`${key}.${'A'.repeat(200)}`, 400],
    // a negative INTEGER, and a zero
    [`${key}.gA`, 400],
    [`${key}.AA`, 400],
    [`${key}.AQ`, 404],
    [`AAAA.${serial}`, 404],
  ]
  for (const [name, wanted] of answers) {
    const { status: got } = await fetch(`http://127.0.0.1:${status.port}/renewal-info/${name}`)
    assert.equal(got, wanted, name)
  }
})

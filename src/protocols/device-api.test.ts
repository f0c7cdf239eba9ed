import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  enrolDevice,
  registerDevice,
  renew,
  testActor,
  testEngine,
  windowOpensAt,
  type Enrolled,
  type TestEngine,
} from '../../test/helpers/app.ts'
import { createCa } from '../../test/helpers/ca.ts'
import { putRenewal } from '../../test/helpers/renewals.ts'
import { sha256Hex } from '../base/bytes.ts'
import { dayMs, iso, secondMs } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { renewalDueAt } from '../engine/renewals/renewal-hint.ts'
import { addTrustAnchor } from '../engine/issuing/trust.ts'
import { oids } from '../pki/oid.ts'
import { confirmCertificate, setStatus } from '../store/certificates.ts'
import { setDeviceState } from '../store/devices.ts'
import { findCertificate } from '../store/inventory.ts'
import { attemptsOf } from '../store/renewal-attempts.ts'
import { renewalsOfDevice } from '../store/renewal-lists.ts'
import { createDeviceRoutes } from './device-routes.ts'
import type { HttpResponse } from './http-message.ts'

let app: TestEngine
before(async () => {
  app = await testEngine({
    profiles: [
      {
        name: 'late',
        issuer: 'issuing' as never,
        validityMs: 4 * dayMs,
        renewBeforeMs: 2 * dayMs,
        renewExpiredForMs: dayMs,
      },
      { name: 'life', issuer: 'issuing' as never, validityMs: 90 * dayMs, renewBeforeMs: null },
    ],
  })
})
after(() => app.close())

function ask(
  path: string,
  peer: { readonly certificate: Uint8Array | null; readonly chain?: readonly Uint8Array[] },
  method = 'GET',
  { headers = {}, body = '' }: { headers?: Record<string, string>; body?: string } = {},
): Promise<HttpResponse> {
  return createDeviceRoutes(app.engine).handle({
    method,
    path,
    headers,
    body: Buffer.from(body),
    peer: { address: '192.0.2.1', chain: [], ...peer },
    tlsUnique: null,
  })
}

const credential = (device: Enrolled) => ask('/perennial/v1/credential', device.peer)
const hint = (device: Enrolled) => ask('/perennial/v1/renewal-info', device.peer)
const json = ({ body }: HttpResponse) => JSON.parse(String(body)) as Record<string, unknown>

function assertRefused(answer: HttpResponse, code: string, text: RegExp): void {
  assert.equal(answer.status, 403, String(answer.body))
  assert.equal(answer.headers['Perennial-Refusal'], code)
  assert.match(String(answer.body), text)
}

/** A device with an open renewal that has a new certificate. */
async function renewing(id: string): Promise<{ old: Enrolled; fresh: Enrolled }> {
  const old = await enrolDevice(app.engine, id, { profile: 'late' })
  await app.clock.advance(Math.max(0, windowOpensAt(app.engine, old) - app.clock.now()))
  await putRenewal(app.engine, old)
  return { old, fresh: await renew(app.engine, old) }
}

async function statesOf(id: string): Promise<[status: string, isDelivered: boolean, isStored: boolean]> {
  const [renewal] = await renewalsOfDevice(app.engine.store.db, id as DeviceId, 1)
  assert.ok(renewal)
  return [renewal.status, renewal.deliveredAt !== null, renewal.storedAt !== null]
}

describe('POST /perennial/v1/report', () => {
  const report = (device: Enrolled, message: object) =>
    ask('/perennial/v1/report', device.peer, 'POST', { body: JSON.stringify(message) })

  test('stored, over a connection with the old certificate; confirmed, over one with the new', async () => {
    const { old, fresh } = await renewing('RP-1')
    const message = { v: 1, clientToken: 'a', certificate: sha256Hex(fresh.certificate) }
    const stored = await report(old, { ...message, state: 'stored' })
    assert.deepEqual([stored.status, json(stored)], [200, { state: 'stored' }])
    assert.deepEqual(await statesOf('RP-1'), ['issued', true, true])
    const early = await report(old, { ...message, state: 'confirmed' })
    assertRefused(early, 'unauthenticated', /connecting with it/)
    await report(fresh, { ...message, state: 'confirmed' })
    assert.deepEqual(await statesOf('RP-1'), ['confirmed', true, true])
  })

  test('a failure is counted against the campaign, and the old certificate stays', async () => {
    const { old, fresh } = await renewing('RP-2')
    const message = { v: 1, clientToken: 'a', certificate: sha256Hex(fresh.certificate), state: 'failed' }
    assert.equal((await report(old, message)).status, 200)
    const [renewal] = await renewalsOfDevice(app.engine.store.db, 'RP-2' as DeviceId, 1)
    const [attempt] = await attemptsOf(app.engine.store.db, renewal?.id ?? 0)
    assert.deepEqual([attempt?.channel, attempt?.status], ['device', 'failed'])
    assert.equal((await findCertificate(app.engine.store.db, old.record.id))?.status, 'issued')
  })

  test('refuses what says nothing, and what is about the certificate of another device', async () => {
    const { old } = await renewing('RP-3')
    const other = await renewing('RP-4')
    const about = (fresh: Enrolled) => ({ v: 1, clientToken: 'a', certificate: sha256Hex(fresh.certificate) })
    assertRefused(
      await report(old, { ...about(other.fresh), state: 'stored' }),
      'certificate-unknown',
      /no live certificate of this hash/,
    )
    for (const wrong of [{}, { v: 2 }, { ...about(other.fresh), state: 'good' }, { v: 1, clientToken: 'a' }])
      assert.ok((await report(old, wrong)).status >= 400)
    assert.equal((await ask('/perennial/v1/report', old.peer)).status, 405)
    assert.deepEqual(await statesOf('RP-4'), ['issued', false, false])
  })
})

describe('GET /perennial/v1/credential', () => {
  test('says what the platform knows of the certificate that is shown', async () => {
    const device = await enrolDevice(app.engine, 'CR-1')
    const answer = await credential(device)
    assert.equal(answer.status, 200)
    const { record } = device
    const start = renewalDueAt(record, { renewBeforeMs: 90 * dayMs, spread: 0.5 })
    assert.deepEqual(json(answer), {
      deviceId: 'CR-1',
      serialNumber: record.serialNumber,
      issuerId: 'issuing',
      status: 'confirmed',
      notAfter: iso(record.notAfter),
      serverTime: iso(app.clock.now()),
      renewalInfo: { suggestedWindow: { start: iso(start), end: iso(start + (90 * dayMs) / 8) } },
    })
  })

  test('is the first use that confirms the new certificate, on record before the answer; the old one goes on working', async () => {
    const old = await enrolDevice(app.engine, 'CR-2')
    await app.clock.advance(windowOpensAt(app.engine, old) - app.clock.now())
    const fresh = await renew(app.engine, old)
    assert.equal(json(await credential(old))['status'], 'confirmed')
    await credential(fresh)
    // a process that is killed now has lost its buffer
    app.engine.sightings.take()
    assert.equal((await findCertificate(app.engine.store.db, fresh.record.id))?.status, 'confirmed')
    assert.equal(json(await credential(fresh))['status'], 'confirmed')
  })

  test('an agent that tries what it has stored says so, and that is on record beside the use', async () => {
    const { old, fresh } = await renewing('CR-9')
    const said = { headers: { 'perennial-report': 'stored' } }
    await ask('/perennial/v1/credential', old.peer, 'GET', said)
    assert.deepEqual(await statesOf('CR-9'), ['issued', false, false])
    await ask('/perennial/v1/credential', fresh.peer, 'GET', said)
    assert.deepEqual(await statesOf('CR-9'), ['confirmed', true, true])
  })

  test('refuses with a code that a program can read', async () => {
    assertRefused(
      await ask('/perennial/v1/credential', { certificate: null }),
      'unauthenticated',
      /connect with/,
    )
    const stranger = createCa('CN=Stranger', app.clock.now()).issue({ subject: 'CN=x' })
    assertRefused(
      await ask('/perennial/v1/credential', { certificate: stranger.der }),
      'certificate-unknown',
      /anchor/,
    )
    const broken = await ask('/perennial/v1/credential', { certificate: Uint8Array.of(0x30, 0) })
    assert.equal(broken.status, 400)
    assert.equal(broken.headers['Perennial-Refusal'], 'malformed')
  })

  test('refuses a factory identity: it is not what a device works with', async () => {
    const maker = createCa('CN=Maker', app.clock.now())
    await addTrustAnchor(app.engine, {
      name: 'maker',
      certificate: maker.der,
      deviceIdRule: 'subject.CN',
      profile: null,
      actor: testActor,
    })
    await registerDevice(app.engine, 'CR-3')
    const identity = maker.issue({ subject: 'CN=CR-3', extendedKeyUsage: [oids.clientAuth] })
    const answer = await ask('/perennial/v1/credential', { certificate: identity.der, chain: [] })
    assertRefused(answer, 'certificate-untrusted', /factory identity/)
  })

  test('refuses revoked, retired and expired certificates, and devices out of service', async () => {
    const { engine } = app
    const set = (device: Enrolled, change: Parameters<typeof setStatus>[2]) =>
      engine.store.transaction((tx) => setStatus(tx, device.record.id, change))
    const revoked = await enrolDevice(engine, 'CR-4')
    await set(revoked, { status: 'revoked', reason: 'keyCompromise', revokedAt: app.clock.now() })
    assertRefused(await credential(revoked), 'device-revoked', /revoked/)
    const retired = await enrolDevice(engine, 'CR-5')
    await set(retired, { status: 'superseded', reason: null })
    assertRefused(await credential(retired), 'certificate-retired', /newer/)
    const away = await enrolDevice(engine, 'CR-6')
    await engine.store.transaction((tx) => setDeviceState(tx, 'CR-6' as DeviceId, 'quarantined'))
    assertRefused(await credential(away), 'device-quarantined', /operator/)
  })

  test('has no grace for an expired certificate, whatever its profile lets it renew', async () => {
    const device = await enrolDevice(app.engine, 'CR-7', { profile: 'late' })
    await app.engine.store.transaction((tx) =>
      confirmCertificate(tx, { id: device.record.id, at: app.clock.now() }),
    )
    await app.clock.advance(device.record.notAfter + secondMs - 1 - app.clock.now())
    assert.equal((await credential(device)).status, 200)
    await app.clock.advance(1)
    assertRefused(await credential(device), 'certificate-expired', /expired/)
    // and the hint tells it to renew at once
    const answer = await hint(device)
    assert.equal(answer.status, 200, String(answer.body))
    const { suggestedWindow } = json(answer) as { suggestedWindow: { start: string } }
    assert.ok(Date.parse(suggestedWindow.start) < app.clock.now())
    await app.clock.advance(dayMs + 1)
    assertRefused(await hint(device), 'certificate-expired', /longer ago/)
  })
})

describe('GET /perennial/v1/renewal-info', () => {
  test('gives the window as JSON and as a header, and says when to ask again', async () => {
    const device = await enrolDevice(app.engine, 'RI-1')
    const { status, headers, body } = await hint(device)
    assert.equal(status, 200)
    assert.equal(headers['Content-Type'], 'application/json')
    assert.equal(headers['Retry-After'], '86400')
    const start = renewalDueAt(device.record, { renewBeforeMs: 90 * dayMs, spread: 0.5 })
    const end = start + (90 * dayMs) / 8
    assert.deepEqual(JSON.parse(String(body)), { suggestedWindow: { start: iso(start), end: iso(end) } })
    assert.equal(headers['Perennial-Renewal'], `start=@${start / 1000}, end=@${end / 1000}`)
  })

  test('refuses a certificate for life', async () => {
    const device = await enrolDevice(app.engine, 'RI-2', { profile: 'life' })
    assertRefused(await hint(device), 'renewal-not-allowed', /for life/)
    assert.equal(json(await credential(device))['renewalInfo'], null)
  })
})

test('other paths and methods are refused before anything is read', async () => {
  const device = await enrolDevice(app.engine, 'RI-3')
  assert.equal((await ask('/perennial/v1/credentials', device.peer)).status, 404)
  assert.equal((await ask('/perennial/v1/__proto__', device.peer)).status, 404)
  assert.equal((await ask('/perennial/v1/', device.peer)).status, 404)
  const posted = await ask('/perennial/v1/credential', device.peer, 'POST')
  assert.equal(posted.status, 405)
  assert.equal(posted.headers['Allow'], 'GET, HEAD')
  assert.equal((await ask('/perennial/v1/credential', device.peer, 'HEAD')).status, 200)
})

test('the Date of a request is held against our clock, for a device that has proved who it is', async () => {
  const device = await enrolDevice(app.engine, 'DT-1')
  const shown = (aheadMs: number) => ({
    headers: { date: new Date(app.clock.now() + aheadMs).toUTCString() },
  })
  app.engine.oddities.take()
  await ask('/perennial/v1/credential', device.peer, 'GET', shown(dayMs))
  const [oddity] = app.engine.oddities.take().oddities
  assert.deepEqual([oddity?.kind, oddity?.deviceId], ['clock-off', 'DT-1'])
  // a Date has whole seconds
  assert.equal(Math.ceil((oddity?.value ?? 0) / 1000), dayMs / 1000)
  await ask('/perennial/v1/credential', device.peer, 'GET', shown(0))
  assert.deepEqual(app.engine.oddities.take(), { oddities: [], goodClocks: ['DT-1'] })
  await ask('/perennial/v1/credential', { certificate: null }, 'GET', shown(dayMs))
  await ask('/perennial/v1/credential', device.peer)
  assert.equal(app.engine.oddities.size, 0)
})

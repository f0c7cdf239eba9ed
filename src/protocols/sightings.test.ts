import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { enrolDevice, forEachEngine, renew, windowOpensAt, type TestEngine } from '../../test/helpers/app.ts'
import { sha256Hex } from '../base/bytes.ts'
import { dayMs, iso, minuteMs, secondMs } from '../base/clock.ts'
import { indexFingerprintsJob } from '../engine/inventory/fingerprints.ts'
import { createJobs } from '../engine/jobs.ts'
import { flushSightings } from '../engine/renewals/sighting.ts'
import { setStatus } from '../store/certificates.ts'
import { findCertificate } from '../store/inventory.ts'
import { findLastSeen } from '../store/last-seen.ts'
import { createDeviceRoutes, type DeviceRoutes } from './device-routes.ts'
import type { EstRequest } from './est.ts'

const token = 'a-token-of-some-length'
const path = '/perennial/v1/sightings'

interface Answer {
  readonly status: number
  readonly received: number
  readonly noted: number
  readonly unknown: number
  readonly notLive: number
  readonly refused: number
  readonly problems: readonly { readonly line: number; readonly result: string; readonly detail: string }[]
}

function request(
  body: string,
  headers: EstRequest['headers'] = { authorization: `Bearer ${token}` },
): EstRequest {
  return {
    method: 'POST',
    path,
    headers,
    body: Buffer.from(body),
    peer: { address: '192.0.2.1', certificate: null, chain: [] },
    tlsUnique: null,
  }
}

async function post(routes: DeviceRoutes, body: string): Promise<Answer> {
  const { status, body: text } = await routes.handle(request(body))
  return { ...(JSON.parse(String(text)) as Omit<Answer, 'status'>), status }
}

const lines = (...values: unknown[]) => values.map((value) => JSON.stringify(value)).join('\n')

forEachEngine((start) => {
  async function rig(): Promise<TestEngine & { readonly routes: DeviceRoutes }> {
    const app = await start()
    return { ...app, routes: createDeviceRoutes(app.engine, { sightingsToken: token }) }
  }

  test('a sighting names a certificate by hash, by issuer and serial number, or by subject and serial number', async () => {
    const { engine, clock, routes } = await rig()
    const device = await enrolDevice(engine, 'SG-1')
    const { serialNumber } = device.record
    const names = [
      { certificate: sha256Hex(device.certificate) },
      { certificate: sha256Hex(device.certificate).toUpperCase() },
      { certificate: `issuing/${serialNumber}` },
      { issuer: 'issuing', serialNumber },
      { issuer: 'CN=Example Issuing CA,O=Example', serialNumber: serialNumber.toUpperCase() },
    ]
    const issuers = await engine.issuers.list()
    const subject = issuers.find(({ id }) => id === 'issuing')?.subject
    for (const name of names) {
      const one = 'issuer' in name && name.issuer.startsWith('CN=') ? { ...name, issuer: subject } : name
      const answer = await post(routes, JSON.stringify({ ...one, at: iso(clock.now()), source: 'nginx-1' }))
      assert.deepEqual(
        { noted: answer.noted, problems: answer.problems },
        { noted: 1, problems: [] },
        JSON.stringify(one),
      )
    }
  })

  test('a sighting of the new certificate confirms it, at the instant of the sighting', async () => {
    const { engine, clock, routes } = await rig()
    const old = await enrolDevice(engine, 'SG-2')
    await clock.advance(windowOpensAt(engine, old) - clock.now())
    const fresh = await renew(engine, old)
    const at = clock.now() + 30 * secondMs
    await clock.advance(5 * minuteMs)
    await post(routes, lines({ certificate: sha256Hex(fresh.certificate), at: at / 1_000 }))
    await flushSightings(engine, clock.now())
    const record = await findCertificate(engine.store.db, fresh.record.id)
    assert.deepEqual([record?.status, record?.confirmedAt], ['confirmed', at])
    const seen = await findLastSeen(engine.store.db, [fresh.record.deviceId as never])
    assert.equal([...seen.values()][0]?.at, at)
  })

  test('each line has its own result, and one that is wrong costs no other', async () => {
    const { engine, clock, routes } = await rig()
    const device = await enrolDevice(engine, 'SG-3')
    const revoked = await enrolDevice(engine, 'SG-4')
    await engine.store.transaction((tx) =>
      setStatus(tx, revoked.record.id, {
        status: 'revoked',
        reason: 'keyCompromise',
        revokedAt: clock.now(),
      }),
    )
    const good = { certificate: sha256Hex(device.certificate) }
    const body = [
      JSON.stringify(good),
      '{"certificate": ',
      '',
      JSON.stringify({ certificate: 'ff'.repeat(32) }),
      JSON.stringify({ certificate: `issuing/${revoked.record.serialNumber}` }),
      '17',
      JSON.stringify({ certificate: 'nonsense' }),
      JSON.stringify({ ...good, at: 'yesterday' }),
      JSON.stringify({ ...good, source: 'a\u202eb' }),
      JSON.stringify({ issuer: 'issuing', serialNumber: 'xyz' }),
      JSON.stringify({ issuer: 'issuing' }),
      JSON.stringify(good),
    ].join('\r\n')
    const answer = await post(routes, body)
    const { status, received, noted, unknown, notLive, refused } = answer
    assert.deepEqual(
      { status, received, noted, unknown, notLive, refused },
      { status: 200, received: 11, noted: 2, unknown: 1, notLive: 1, refused: 7 },
    )
    assert.deepEqual(
      answer.problems.map(({ line, result }) => `${line} ${result}`),
      [
        '2 refused',
        '5 not-live',
        '6 refused',
        '7 refused',
        '8 refused',
        '9 refused',
        '10 refused',
        '11 refused',
      ],
    )
  })

  test('an instant counts within the life of the certificate and not in the future', async () => {
    const { engine, clock, routes } = await rig()
    const { certificate, record } = await enrolDevice(engine, 'SG-5', { profile: 'short-lived' })
    const name = { certificate: sha256Hex(certificate) }
    const resultAt = async (at: number) => {
      const { noted, problems } = await post(routes, JSON.stringify({ ...name, at: at / 1_000 }))
      return noted === 1 ? 'noted' : problems[0]?.detail
    }
    const now = clock.now()
    assert.equal(await resultAt(record.notBefore), 'noted')
    assert.match((await resultAt(record.notBefore - 1)) ?? '', /before the certificate began/)
    assert.equal(await resultAt(now + minuteMs), 'noted')
    assert.match((await resultAt(now + minuteMs + 1)) ?? '', /in the future/)
    await clock.advance(record.notAfter + dayMs - now)
    assert.equal(await resultAt(record.notAfter + secondMs - 1), 'noted')
    assert.match((await resultAt(record.notAfter + secondMs)) ?? '', /after the certificate ended/)
    // a clock that is ahead, or older than the issue, leaves no such instant behind
    await flushSightings(engine, clock.now())
    const confirmed = await findCertificate(engine.store.db, record.id)
    assert.ok((confirmed?.confirmedAt ?? 0) >= (record.issuedAt ?? 0))
  })

  test('the index of hashes is complete after a pass, in batches, and a pass with nothing new writes nothing', async () => {
    const { engine, clock, routes } = await rig()
    const devices = [await enrolDevice(engine, 'SG-6'), await enrolDevice(engine, 'SG-7')]
    const jobs = createJobs(engine, [indexFingerprintsJob])
    // young rows are indexed and looked at again; what is settled is not
    assert.deepEqual(await jobs.pass('index-fingerprints'), { worked: 0 })
    await clock.advance(2 * minuteMs)
    assert.ok(((await jobs.pass('index-fingerprints'))?.worked ?? 0) >= 2)
    assert.deepEqual(await jobs.pass('index-fingerprints'), { worked: 0 })
    const body = JSON.stringify(devices.map(({ certificate }) => ({ certificate: sha256Hex(certificate) })))
    assert.equal((await post(routes, body)).noted, 2)
  })
})

describe('who may tell of sightings', () => {
  forEachEngine((start) => {
    test('is asked before the body is read: without the token nobody is heard', async () => {
      const { engine } = await start()
      const routes = createDeviceRoutes(engine, { sightingsToken: token })
      for (const authorization of [
        undefined,
        '',
        'Bearer',
        `Bearer ${token}x`,
        `Basic ${token}`,
        `bearer  ${token.toUpperCase()}`,
      ]) {
        const early = routes.refuseEarly(request('', authorization === undefined ? {} : { authorization }))
        assert.equal(early?.status, 401, authorization ?? 'no header')
        assert.match(early?.headers['WWW-Authenticate'] ?? '', /^Bearer/)
      }
      assert.equal(routes.refuseEarly(request('', { authorization: `bearer ${token}` })), null)
      assert.equal(createDeviceRoutes(engine).refuseEarly(request(''))?.status, 404)
    })

    test('a body that is an array and not JSON is refused as a whole', async () => {
      const { engine } = await start()
      const routes = createDeviceRoutes(engine, { sightingsToken: token })
      const answer = await routes.handle(request('[{"certificate": "00"},'))
      assert.deepEqual([answer.status, answer.headers['Perennial-Refusal']], [400, 'malformed'])
      assert.equal((await post(routes, '[]')).received, 0)
      assert.equal((await post(routes, '')).received, 0)
    })
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import type { DeviceId, SerialNumber } from '../../base/id.ts'
import {
  enrolDevice,
  forEachEngine,
  issuingId,
  refusal,
  renew,
  testStart,
  windowOpensAt,
} from '../../../test/helpers/app.ts'
import {
  certificatePage,
  certificatesBySerial,
  deviceDetails,
  expiringPage,
  expiryBuckets,
  needsRenewal,
} from './inventory.ts'
import type { ProfileInput } from '../issuing/profile.ts'

const base: ProfileInput = {
  name: 'short',
  issuer: issuingId,
  validityMs: 40 * dayMs,
  renewBeforeMs: 10 * dayMs,
  connectivity: 'always-on',
}
const profiles = [base, { ...base, name: 'long', validityMs: 100 * dayMs }]
const start19 = Date.UTC(2026, 10, 20)

forEachEngine((start) => {
  test('a histogram counts live certificates by day, week and month, and splits them', async () => {
    const { engine, clock } = await start({ profiles })
    await enrolDevice(engine, 'SN-1', { profile: 'short', cohort: 'a' })
    await enrolDevice(engine, 'SN-2', { profile: 'short', cohort: 'b' })
    await enrolDevice(engine, 'SN-3', { profile: 'long', cohort: 'a' })
    const from = clock.now()
    const days = await expiryBuckets(engine, { from, by: 'day', buckets: 120 })
    assert.deepEqual(
      days.flatMap(({ from: at, count }) => (count > 0 ? [[(at - start19) / dayMs, count]] : [])),
      [
        [40, 2],
        [100, 1],
      ],
    )
    const weeks = await expiryBuckets(engine, { from, by: 'week', buckets: 20, split: 'profile' })
    assert.equal(new Date(weeks[0]?.from ?? 0).getUTCDay(), 1)
    assert.deepEqual(
      weeks.filter(({ count }) => count > 0).map(({ parts }) => parts),
      [{ short: 2 }, { long: 1 }],
    )
    const months = await expiryBuckets(engine, { from, by: 'month', buckets: 4, cohort: 'a' })
    assert.deepEqual(
      months.map(({ from: at, count }) => [new Date(at).toISOString().slice(0, 10), count]),
      [
        ['2026-11-01', 0],
        ['2026-12-01', 1],
        ['2027-01-01', 0],
        ['2027-02-01', 1],
      ],
    )
    assert.equal(
      weeks.reduce((sum, { count }) => sum + count, 0),
      3,
    )
  })

  test('what needs renewal is inside its window, soonest first, and leaves out what has a newer one', async () => {
    const { engine, clock } = await start({ profiles })
    const a = await enrolDevice(engine, 'SN-1', { profile: 'short' })
    await enrolDevice(engine, 'SN-2', { profile: 'long' })
    await clock.advance(dayMs)
    const c = await enrolDevice(engine, 'SN-3', { profile: 'short' })
    const due = async (limit = 10, after: string | null = null) =>
      needsRenewal(engine, { now: clock.now(), limit, after })
    await clock.advance(windowOpensAt(engine, a) - 1 - clock.now())
    assert.deepEqual((await due()).rows, [])
    await clock.advance(1)
    assert.deepEqual(
      (await due()).rows.map(({ certificate }) => certificate.deviceId),
      ['SN-1'],
    )
    await clock.advance(dayMs)
    const page = await due(1)
    assert.deepEqual(
      page.rows.map(({ certificate }) => certificate.deviceId),
      ['SN-1'],
    )
    const second = await due(1, page.next)
    assert.deepEqual(
      second.rows.map(({ certificate }) => certificate.deviceId),
      ['SN-3'],
    )
    await renew(engine, a)
    assert.deepEqual(
      (await due()).rows.map(({ certificate }) => certificate.deviceId),
      ['SN-3'],
    )
    await clock.advance(c.record.notAfter + 1 - clock.now())
    const late = (await due()).rows
    assert.deepEqual(
      late.map(({ isExpired, opensAt }) => [isExpired, opensAt]),
      [[true, windowOpensAt(engine, c)]],
    )
  })

  test('a device shows its certificates, newest first', async () => {
    const { engine, clock } = await start({ profiles })
    const first = await enrolDevice(engine, 'SN-1', { profile: 'short' })
    await clock.advance(windowOpensAt(engine, first) - clock.now())
    const second = await renew(engine, first)
    const details = await deviceDetails(engine, 'SN-1' as DeviceId)
    assert.deepEqual(
      details.certificates.map(({ id }) => id),
      [second.record.id, first.record.id],
    )
    assert.equal(details.secret?.usedAt, testStart)
    assert.equal((await refusal(deviceDetails(engine, 'SN-9' as DeviceId))).code, 'not-found')
  })

  test('certificates are found by serial number, by filter, and by what expires next', async () => {
    const { engine } = await start({ profiles })
    const a = await enrolDevice(engine, 'SN-1', { profile: 'short' })
    const b = await enrolDevice(engine, 'SN-2', { profile: 'long' })
    const [found] = await certificatesBySerial(engine, a.record.serialNumber)
    assert.equal(found?.id, a.record.id)
    assert.equal((await refusal(certificatesBySerial(engine, '4242' as SerialNumber))).code, 'not-found')
    const { rows } = await certificatePage(engine, { filter: { profile: 'long' }, limit: 10 })
    assert.deepEqual(
      rows.map(({ id }) => id),
      [b.record.id],
    )
    const soon = await expiringPage(engine, { from: 0, to: testStart + 365 * dayMs, limit: 10 })
    assert.deepEqual(
      soon.rows.map(({ id }) => id),
      [a.record.id, b.record.id],
    )
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { dayMs, hourMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { noExpiry } from '../../pki/certificate.ts'
import { refuses } from '../../../test/helpers/refuses.ts'
import { jitterOf, validityOf } from './validity.ts'

const now = Date.UTC(2026, 10, 20, 12, 0, 0, 750)
const start = Date.UTC(2026, 10, 20, 12)
const deviceId = 'SN-1' as DeviceId
const profile = {
  name: 'p',
  validityMs: 100 * dayMs,
  jitterMs: 0,
  backdateMs: 300_000,
  renewBeforeMs: 30 * dayMs,
}
const issuer = { id: 'issuing', notBefore: start - 365 * dayMs, notAfter: start + 3650 * dayMs }

test('is whole seconds, backdated, and ends after the validity of the profile', () => {
  assert.deepEqual(validityOf({ profile, deviceId, issuer, now }), {
    notBefore: start - 300_000,
    notAfter: start + 100 * dayMs,
  })
})

test('never begins before its issuer', () => {
  const young = { ...issuer, notBefore: start - 1000 }
  assert.equal(validityOf({ profile, deviceId, issuer: young, now }).notBefore, start - 1000)
})

test('jitter is the same for a device and a profile each time, and differs between devices', () => {
  const p = { name: 'p', jitterMs: 30 * dayMs }
  assert.equal(jitterOf(p, deviceId), jitterOf(p, deviceId))
  assert.notEqual(jitterOf(p, deviceId), jitterOf(p, 'SN-2' as DeviceId))
  assert.notEqual(jitterOf(p, deviceId), jitterOf({ ...p, name: 'q' }, deviceId))
  assert.equal(jitterOf({ ...p, jitterMs: 0 }, deviceId), 0)
})

test('jitter is only subtracted, in whole seconds, and spreads a batch evenly', () => {
  const jitterMs = 30 * dayMs
  const tenths = Array.from({ length: 10 }, () => 0)
  for (let n = 0; n < 5000; n++) {
    const jitter = jitterOf({ name: 'p', jitterMs }, `SN-${n}` as DeviceId)
    assert.ok(jitter >= 0 && jitter <= jitterMs && jitter % 1000 === 0)
    tenths[Math.min(9, Math.floor((jitter / jitterMs) * 10))]! += 1
  }
  for (const count of tenths) assert.ok(count > 400 && count < 600, tenths.join(' '))
})

test('never ends after its issuer, whatever the numbers', () => {
  fc.assert(
    fc.property(
      fc.record({
        validityMs: fc.integer({ min: hourMs, max: 4000 * dayMs }),
        jitterMs: fc.integer({ min: 0, max: 60 * dayMs }),
        backdateMs: fc.integer({ min: 0, max: dayMs }),
        renewBeforeMs: fc.option(fc.integer({ min: 0, max: 400 * dayMs })),
        left: fc.integer({ min: 1, max: 5000 }),
        id: fc.string({ minLength: 1, maxLength: 10 }),
      }),
      ({ left, id, ...rest }) => {
        const ends = { ...issuer, notAfter: start + left * dayMs }
        let validity
        try {
          validity = validityOf({
            profile: { name: 'p', ...rest },
            deviceId: id as DeviceId,
            issuer: ends,
            now,
          })
        } catch {
          return
        }
        assert.ok(validity.notAfter <= ends.notAfter && validity.notBefore >= ends.notBefore)
        assert.ok(validity.notBefore % 1000 === 0 && validity.notAfter % 1000 === 0)
        assert.ok(validity.notAfter <= start + rest.validityMs)
      },
    ),
  )
})

test('is cut to the end of its issuer as long as a renewal window fits in, and refused one millisecond later', () => {
  const ends = { ...issuer, notAfter: start + 60 * dayMs }
  const just = { profile, deviceId, issuer: ends, now: ends.notAfter - 30 * dayMs - 1 }
  assert.equal(validityOf(just).notAfter, ends.notAfter)
  refuses('issuer-unavailable', () => validityOf({ ...just, now: just.now + 1 }), /new issuer/)
})

test('a certificate that is never renewed is refused rather than cut', () => {
  const forLife = { ...profile, renewBeforeMs: null }
  const exact = { ...issuer, notAfter: start + 100 * dayMs }
  assert.equal(validityOf({ profile: forLife, deviceId, issuer: exact, now }).notAfter, exact.notAfter)
  const short = { ...issuer, notAfter: exact.notAfter - 1000 }
  refuses('issuer-unavailable', () => validityOf({ profile: forLife, deviceId, issuer: short, now }))
})

test('a certificate without end needs an issuer without end', () => {
  const endless = { ...profile, validityMs: null, renewBeforeMs: null }
  assert.equal(
    validityOf({ profile: endless, deviceId, issuer: { ...issuer, notAfter: noExpiry }, now }).notAfter,
    noExpiry,
  )
  refuses('issuer-unavailable', () => validityOf({ profile: endless, deviceId, issuer, now }))
})

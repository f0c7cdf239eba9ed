import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { dayMs, hourMs } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { emptyInbox, type InboxState } from './agent-inbox.ts'
import { renewalDue, renewalInstant } from './renewal-due.ts'

const notBefore = Date.UTC(2026, 0, 1)
const config = { deviceId: 'meter-1' as DeviceId, renewAt: 2 / 3, jitter: 0.05 }
const certificate = { notBefore, notAfter: notBefore + 90 * dayMs, serialNumber: '0a1b' }
const own = renewalInstant(config, certificate)

function inbox(start: number, end: number, serialNumber = '0a1b'): InboxState {
  return { ...emptyInbox, trigger: { serialNumber, window: { start, end }, issuedAt: null } }
}

const dueIn = (state: InboxState, summonedAt: number | null = null) =>
  renewalDue(config, certificate, { inbox: state, summonedAt })

test('without a wish the certificate is renewed by its own rule', () => {
  assert.deepEqual(dueIn(emptyInbox), { at: own, by: 'life' })
  assert.ok(own >= notBefore + 60 * dayMs && own <= notBefore + 64.5 * dayMs)
})

test('a window moves it forward, to an instant that is fixed by device and certificate', () => {
  const start = notBefore + 10 * dayMs
  const { at, by } = dueIn(inbox(start, start + dayMs))
  assert.equal(by, 'trigger')
  assert.ok(at >= start && at < start + dayMs)
  assert.equal(dueIn(inbox(start, start + dayMs)).at, at)
  const fleet = Array.from({ length: 200 }, (_, index) => {
    const deviceId = `meter-${index}` as DeviceId
    return renewalDue({ ...config, deviceId }, certificate, {
      inbox: inbox(start, start + dayMs),
      summonedAt: null,
    }).at
  })
  const firstHalf = fleet.filter((each) => each < start + dayMs / 2).length
  assert.ok(firstHalf > 70 && firstHalf < 130, `${firstHalf} of 200 in the first half`)
})

test('no window moves it back, and one about another certificate moves nothing', () => {
  assert.deepEqual(dueIn(inbox(own + dayMs, own + 2 * dayMs)), { at: own, by: 'life' })
  assert.deepEqual(dueIn(inbox(notBefore, notBefore, '0a1c')), { at: own, by: 'life' })
})

test('windows from the past mean now, but not before the certificate began', () => {
  assert.equal(dueIn(inbox(0, 1)).at, notBefore)
})

test('after a renewal that somebody wished the next wish waits for an hour', () => {
  const summonedAt = notBefore + dayMs
  assert.equal(dueIn(inbox(0, 1), summonedAt).at, summonedAt + hourMs)
})

test('whatever is forged, a renewal comes between the beginning and the instant of its own rule', () => {
  const instant = fc.integer({ min: -8_640_000_000_000_000 + 1, max: 8_640_000_000_000_000 - 1 })
  fc.assert(
    fc.property(instant, instant, fc.option(instant), (start, end, summonedAt) => {
      const { at } = dueIn(inbox(start, end), summonedAt)
      assert.ok(at >= notBefore && at <= own)
      assert.ok(Number.isSafeInteger(at))
    }),
  )
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { dayMs, hourMs, minuteMs } from '../../base/clock.ts'
import type { CertificateId, DeviceId, SerialNumber } from '../../base/id.ts'
import { pollAfter, renewalDueAt, suggestedWindow, type HintInput } from './renewal-hint.ts'

const notAfter = Date.UTC(2027, 0, 1)
const renewBeforeMs = 80 * dayMs
const opensAt = notAfter - renewBeforeMs
/** The last quarter of the renewal window belongs to repeats and people. */
const latestEnd = notAfter - 20 * dayMs

function certificate(device = 'SN-1', serial = '01'): HintInput['certificate'] {
  return {
    id: 7 as CertificateId,
    deviceId: device as DeviceId,
    serialNumber: serial as SerialNumber,
    notAfter,
    status: 'confirmed',
    revokedAt: null,
  }
}

function input(changes: Partial<HintInput> = {}): HintInput {
  return {
    certificate: certificate(),
    profile: { renewBeforeMs },
    renewal: null,
    load: null,
    spread: 0.5,
    now: opensAt - 100 * dayMs,
    ...changes,
  }
}

function windowOf(changes: Partial<HintInput> = {}) {
  const window = suggestedWindow(input(changes))
  assert.ok(window)
  return window
}

const waiting = { campaignId: 'c', certificateId: 7, nextAt: null, triggeredAt: null }
const busy = { isRunning: true, waiting: 1_000, perMinute: 10 }

describe('a certificate that no campaign asked for', () => {
  test('has the same window at every instant of its life', () => {
    const windows = [-100, 0, 50, 79].map((days) => windowOf({ now: opensAt + days * dayMs }))
    for (const window of windows) assert.deepEqual(window, windows[0])
    assert.equal(windows[0]?.start, renewalDueAt(certificate(), { renewBeforeMs, spread: 0.5 }))
  })

  test('is never due before the policy lets it in, and leaves the last quarter to people', () => {
    const starts = Array.from({ length: 2_000 }, (_, i) => {
      const { start, end } = windowOf({ certificate: certificate(`SN-${i}`) })
      assert.ok(start >= opensAt && end > start && end <= latestEnd, `${start} ${end}`)
      return start - opensAt
    })
    // spread over the first half: each tenth of it has its share
    for (let tenth = 0; tenth < 10; tenth++) {
      const inside = starts.filter((ms) => Math.floor(ms / (4 * dayMs)) === tenth).length
      assert.ok(inside > 140 && inside < 260, `${inside} devices in tenth ${tenth}`)
    }
  })

  test('has no window when its profile never renews', () => {
    assert.equal(suggestedWindow(input({ profile: { renewBeforeMs: null } })), null)
  })
})

test('a revoked certificate, or one of a lost issuer, has a window in the past, for life or not', () => {
  const now = opensAt - dayMs
  for (const changes of [
    { certificate: { ...certificate(), status: 'revoked' as const } },
    { isIssuerLost: true },
    { isIssuerLost: true, profile: { renewBeforeMs: null } },
  ]) {
    const { start, end } = windowOf({ ...changes, now })
    assert.ok(start < end && end < now)
  }
})

describe('a device of a campaign', () => {
  const now = opensAt + 10 * dayMs

  test('has a window from the instant on at which it was let in', () => {
    const admitted = { ...waiting, nextAt: now - hourMs }
    assert.equal(windowOf({ renewal: admitted, load: busy, now }).start, now - hourMs)
    const triggered = { ...waiting, nextAt: now + dayMs, triggeredAt: now - 2 * hourMs }
    assert.equal(windowOf({ renewal: triggered, load: busy, now }).start, now - 2 * hourMs)
  })

  test('waits its turn of the queue: the longer the queue, the later', () => {
    const drainMs = (busy.waiting / busy.perMinute) * minuteMs
    const short = windowOf({ renewal: waiting, load: busy, now })
    assert.ok(short.start >= now - 1_000 && short.start < now + drainMs)
    const long = windowOf({ renewal: waiting, load: { ...busy, waiting: 10_000 }, now })
    assert.ok(long.start - now > 9 * (short.start - now))
  })

  test('is not put off beyond the safe end, however long the queue', () => {
    const endless = { ...busy, waiting: 1e9, perMinute: 1 }
    for (const load of [endless, { ...endless, isRunning: false }, { ...endless, perMinute: 0 }]) {
      for (const days of [0, 30, 79]) {
        const { end } = windowOf({ renewal: waiting, load, now: opensAt + days * dayMs })
        assert.ok(end <= latestEnd, `${days} days: ${(notAfter - end) / dayMs} days left`)
      }
    }
  })

  test('waits while the campaign is paused, and one that was let in before is not held back by the queue', () => {
    const paused = { ...busy, isRunning: false }
    assert.ok(windowOf({ renewal: waiting, load: paused, now }).start >= now + dayMs - 1_000)
    const triggered = { ...waiting, triggeredAt: now - hourMs }
    assert.equal(windowOf({ renewal: triggered, load: paused, now }).start, now - hourMs)
  })

  test('is never sent before the policy lets it in', () => {
    const early = opensAt - 40 * dayMs
    const triggered = { ...waiting, triggeredAt: early }
    assert.equal(windowOf({ renewal: triggered, load: busy, now: early }).start, opensAt)
  })

  test('with its new certificate already in use has the window of the new one', () => {
    const renewal = { ...waiting, certificateId: 6, triggeredAt: now }
    assert.deepEqual(windowOf({ renewal, load: busy, now }), windowOf({ now }))
  })
})

test('whatever is asked, the window is in whole seconds and ends after it starts', () => {
  const instants = fc.integer({ min: opensAt - 400 * dayMs, max: notAfter + 400 * dayMs })
  fc.assert(
    fc.property(
      fc.record({
        now: instants,
        renewBeforeMs: fc.integer({ min: 1, max: 3_000 * dayMs }),
        nextAt: fc.option(instants),
        triggeredAt: fc.option(instants),
        waiting: fc.nat(),
        perMinute: fc.double({ min: 0, max: 1e6, noNaN: true }),
        isRunning: fc.boolean(),
        hasLoad: fc.boolean(),
        serial: fc.string(),
      }),
      (asked) => {
        const { start, end } = windowOf({
          certificate: certificate('SN-9', asked.serial),
          profile: { renewBeforeMs: asked.renewBeforeMs },
          renewal: { ...waiting, nextAt: asked.nextAt, triggeredAt: asked.triggeredAt },
          load: asked.hasLoad ? asked : null,
          now: asked.now,
        })
        assert.equal(start % 1_000, 0)
        assert.equal(end % 1_000, 0)
        assert.ok(end > start)
      },
    ),
  )
})

test('a device asks again when its window opens, at the latest after a day, at the earliest after a minute', () => {
  const profile = { renewBeforeMs }
  const window = { start: opensAt, end: opensAt + dayMs }
  assert.equal(pollAfter(window, profile, opensAt - 100 * dayMs), dayMs)
  assert.equal(pollAfter(window, profile, opensAt - 2 * hourMs), 2 * hourMs)
  assert.equal(pollAfter(window, profile, opensAt - 1), minuteMs)
  assert.equal(pollAfter(window, { renewBeforeMs: 16 * hourMs }, opensAt - dayMs), hourMs)
  assert.equal(pollAfter(null, profile, opensAt), dayMs)
})

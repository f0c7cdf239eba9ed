import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, hourMs } from '../../base/clock.ts'
import { renewalChance, type ChanceQuestion, type ContactHistory } from './contact-chance.ts'

const now = 20_000 * dayMs
const regular: ContactHistory = {
  seenAt: now - 6 * hourMs,
  gaps: 20,
  usualGapMs: 12 * hourMs,
  longestGapMs: dayMs,
}

function chance(change: Partial<ChanceQuestion> & { readonly history?: ContactHistory }): number {
  const notAfter = change.notAfter ?? now + 20 * dayMs
  return renewalChance({
    history: regular,
    checkInMs: dayMs,
    opensAt: notAfter - 30 * dayMs,
    askedBy: notAfter - 15 * dayMs,
    notAfter,
    now,
    ...change,
  }).share
}

test('a device that calls in twice a day will renew within weeks', () => {
  assert.ok(chance({}) > 0.99)
})

test('the longer a device is silent, the less it is expected back', () => {
  const silences = [1, 5, 20, 60, 365].map((days) =>
    chance({ history: { ...regular, seenAt: now - days * dayMs } }),
  )
  assert.deepEqual(
    silences,
    silences.toSorted((a, b) => b - a),
  )
  assert.ok((silences[4] as number) < 0.2, String(silences[4]))
})

test('the nearer the end, the smaller the chance', () => {
  const ends = [60, 30, 7, 1].map((days) =>
    chance({ notAfter: now + days * dayMs, askedBy: now + days * dayMs, opensAt: now - dayMs }),
  )
  assert.deepEqual(
    ends,
    ends.toSorted((a, b) => b - a),
  )
})

test('the same silence means less for a device that calls in every month', () => {
  const half = { notAfter: now + 40 * dayMs, opensAt: now, askedBy: now }
  const monthly = { seenAt: now - 60 * dayMs, gaps: 10, usualGapMs: 30 * dayMs, longestGapMs: 40 * dayMs }
  const hourly = { ...regular, seenAt: now - 60 * dayMs, usualGapMs: hourMs, longestGapMs: hourMs }
  // as a share of what each would have had, had it been here just now
  const fresh = (history: ContactHistory) => chance({ ...half, history: { ...history, seenAt: now } })
  assert.ok(
    chance({ ...half, history: monthly }) / fresh(monthly) > chance({ ...half, history: hourly }) - 0.1,
  )
  assert.ok(fresh(hourly) > fresh(monthly))
  assert.ok(chance({ ...half, history: hourly }) < 0.8)
})

test('a device that visits and does not renew is no safe one', () => {
  const notAfter = now + 5 * dayMs
  const stuck = chance({ notAfter, askedBy: now - 10 * dayMs })
  const asked = chance({ notAfter, askedBy: now })
  assert.ok(stuck < 0.6 && asked > 0.9, `${stuck} ${asked}`)
})

test('a device that was never seen has no chance, and nothing is made up about it', () => {
  const history = { seenAt: null, gaps: 0, usualGapMs: 0, longestGapMs: 0 }
  const answer = renewalChance({
    history,
    checkInMs: dayMs,
    opensAt: now,
    askedBy: now,
    notAfter: now + dayMs,
    now,
  })
  assert.equal(answer.share, 0)
  assert.equal(answer.silentMs, null)
})

test('its own gaps count for more than those of its connectivity, the more there are', () => {
  const gapOf = (gaps: number) =>
    renewalChance({
      history: { seenAt: now, gaps, usualGapMs: 10 * dayMs, longestGapMs: 10 * dayMs },
      checkInMs: 2 * dayMs,
      opensAt: now,
      askedBy: now,
      notAfter: now + dayMs,
      now,
    }).usualGapMs
  assert.ok(gapOf(0) < gapOf(1) && gapOf(1) < gapOf(8))
  assert.equal(gapOf(8), gapOf(800))
})

test('after the end there is no chance left', () => {
  assert.equal(chance({ notAfter: now - dayMs, opensAt: now - 60 * dayMs }), 0)
})

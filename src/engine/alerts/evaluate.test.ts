import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { minuteMs } from '../../base/clock.ts'
import type { AlertRecord } from '../../store/alerts.ts'
import type { Finding, Findings } from './alert-rule.ts'
import { evaluate } from './evaluate.ts'

const now = 1_000_000_000
const settings = { resolveAfterMs: 15 * minuteMs }

function finding(change: Partial<Finding> = {}): Finding {
  return {
    rule: 'crl-old',
    key: 'issuing complete',
    severity: 'warning',
    count: 1,
    summary: 'old',
    details: {},
    ...change,
  }
}

function alert(change: Partial<AlertRecord> = {}): AlertRecord {
  const { rule, key, severity, count, summary } = finding()
  return {
    id: 1,
    rule,
    key,
    severity,
    count,
    summary,
    status: 'open',
    details: '{}',
    openedAt: now - minuteMs,
    updatedAt: now - minuteMs,
    clearedAt: null,
    resolvedAt: null,
    acknowledgedAt: null,
    acknowledgedBy: null,
    note: null,
    step: 0,
    nextAt: null,
    notified: [],
    notifiedCount: count,
    ...change,
  }
}

function kinds(open: readonly AlertRecord[], found: readonly Finding[] | null, at = now): string[] {
  const findings: Findings = new Map([['crl-old', found]])
  return evaluate({ open, findings }, settings, at).map((change) =>
    change.kind === 'updated' && change.isRaised ? 'raised' : change.kind,
  )
}

test('a new cause opens an alert, the same cause changes nothing', () => {
  assert.deepEqual(kinds([], [finding()]), ['opened'])
  assert.deepEqual(kinds([alert()], [finding()]), [])
})

test('graver, or ten times as many, is raised; other changes are not', () => {
  assert.deepEqual(kinds([alert()], [finding({ severity: 'critical' })]), ['raised'])
  assert.deepEqual(kinds([alert({ severity: 'critical' })], [finding()]), ['updated'])
  assert.deepEqual(kinds([alert({ notifiedCount: 10 })], [finding({ count: 99 })]), ['updated'])
  assert.deepEqual(kinds([alert({ notifiedCount: 10 })], [finding({ count: 100 })]), ['raised'])
})

test('a cause that is gone is cleared, and resolved when it stays away', () => {
  assert.deepEqual(kinds([alert()], []), ['cleared'])
  const cleared = alert({ clearedAt: now })
  assert.deepEqual(kinds([cleared], [], now + settings.resolveAfterMs - 1), [])
  assert.deepEqual(kinds([cleared], [], now + settings.resolveAfterMs), ['resolved'])
})

test('a cause that comes back in time is the same alert', () => {
  assert.deepEqual(kinds([alert({ clearedAt: now - minuteMs })], [finding()]), ['updated'])
})

test('what is not known resolves nothing', () => {
  assert.deepEqual(kinds([alert({ clearedAt: now - 60 * minuteMs })], null), [])
  assert.deepEqual(evaluate({ open: [alert()], findings: new Map() }, settings, now), [])
})

test('an alert of a rule that there is no more is resolved', () => {
  assert.deepEqual(kinds([alert({ rule: 'of-an-older-version' })], []), ['cleared'])
})

test('every finding has one open alert afterwards, and no other alert stays untouched', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  fc.assert(
    fc.property(fc.uniqueArray(key), fc.uniqueArray(key), (openKeys, foundKeys) => {
      const open = openKeys.map((each, id) => alert({ id, key: each }))
      const findings: Findings = new Map([['crl-old', foundKeys.map((each) => finding({ key: each }))]])
      const changes = evaluate({ open, findings }, settings, now)
      const opened = changes.flatMap((change) => (change.kind === 'opened' ? [change.finding.key] : []))
      const cleared = changes.flatMap((change) => (change.kind === 'cleared' ? [change.alert.key] : []))
      assert.deepEqual(opened.sort(), foundKeys.filter((each) => !openKeys.includes(each)).sort())
      assert.deepEqual(cleared.sort(), openKeys.filter((each) => !foundKeys.includes(each)).sort())
    }),
  )
})

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startOfTests } from '../../../test/helpers/audit-log.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import type { IssuerId, SerialNumber } from '../../base/id.ts'
import { recentFacts } from '../../store/facts.ts'
import { fact, factActions, maxEntryBytes, readFact, recordFacts, subjects } from './audit.ts'

const added = { actor: 'cli:ops', action: 'device.added', subject: 'device:SN-1' } as const

test('a fact is one sequence of bytes: sorted keys, no white space, UTC milliseconds', () => {
  const entry = fact(startOfTests + 5, {
    ...added,
    reason: 'spare part',
    details: { b: null, a: [1, 'é'] },
  }).entry
  assert.equal(
    Buffer.from(entry).toString('utf8'),
    '{"action":"device.added","actor":"cli:ops","at":"2026-11-20T12:00:00.005Z","details":{"a":[1,"é"],"b":null},"format":1,"reason":"spare part","subject":"device:SN-1"}',
  )
})

test('what is not given is left out', () => {
  const entry = fact(startOfTests, { ...added, details: { profile: undefined } }).entry
  assert.equal(
    Buffer.from(entry).toString('utf8'),
    '{"action":"device.added","actor":"cli:ops","at":"2026-11-20T12:00:00.000Z","details":{},"format":1,"subject":"device:SN-1"}',
  )
})

test('the columns repeat what the entry says', () => {
  const subject = subjects.certificate('issuing' as IssuerId, '0a1b' as SerialNumber)
  const { at, action, entry } = fact(startOfTests, { ...added, action: 'certificate.issued', subject })
  const readable = readFact(entry)
  assert.deepEqual([readable.action, readable.subject, Date.parse(readable.at)], [action, subject, at])
  assert.equal(subject, 'certificate:issuing/0a1b')
  assert.deepEqual([readable.actor, readable.reason, readable.details], ['cli:ops', null, {}])
})

test('refuses a fact over 65,535 bytes and accepts one of exactly that', () => {
  const empty = fact(startOfTests, { ...added, reason: '' }).entry.byteLength
  const most = 'x'.repeat(maxEntryBytes - empty)
  assert.equal(fact(startOfTests, { ...added, reason: most }).entry.byteLength, maxEntryBytes)
  assert.throws(() => fact(startOfTests, { ...added, reason: `${most}x` }), { code: 'too-large' })
})

test('refuses details that are named like secrets', () => {
  for (const name of [
    'secret',
    'password',
    'passphrase',
    'privateKey',
    'challengePassword',
    'Authorization',
  ]) {
    assert.throws(() => fact(startOfTests, { ...added, details: { [name]: 'x' } }), /carries no secret/)
  }
  assert.doesNotThrow(() => fact(startOfTests, { ...added, details: { secretExpiresAt: 'x' } }))
})

test('refuses a fact without actor or subject, and an instant that is none', () => {
  assert.throws(() => fact(startOfTests, { ...added, actor: '' }), /names its actor/)
  assert.throws(() => fact(startOfTests, { ...added, subject: '' }), /names its actor/)
  assert.throws(() => fact(NaN, added), /whole milliseconds/)
  assert.throws(() => fact(0.5, added), /whole milliseconds/)
})

for (const [what, bytes] of [
  ['no JSON', 'x'],
  ['a list', '[]'],
  ['no action', '{"actor":"a","at":"b","subject":"c"}'],
  ['a number for an actor', '{"action":"x","actor":1,"at":"b","subject":"c"}'],
] as const) {
  test(`refuses to read an entry that is ${what}`, () => {
    assert.throws(() => readFact(Buffer.from(bytes)), { code: 'audit-invalid' })
  })
}

test('docs/audit.md lists exactly the actions that there are', async () => {
  const text = await readFile(join(import.meta.dirname, '../../../docs/audit.md'), 'utf8')
  const [, section = ''] = /\n## Actions\n([\s\S]*?)\n## /.exec(text) ?? []
  const documented = [...section.matchAll(/^\| `([a-z.-]+)` \|/gm)].map(([, action]) => action)
  assert.deepEqual(documented, factActions)
})

forEachStore((_, open) => {
  test('facts are stored in the order given, byte for byte, and not at all when the change is rolled back', async () => {
    const store = await open()
    const facts = [1, 2, 3].map((n) => fact(startOfTests + n, { ...added, reason: `number ${n}` }))
    await store.transaction((tx) => recordFacts(tx, ...facts))
    const undone = store.transaction(async (tx) => {
      await recordFacts(tx, fact(startOfTests, added))
      throw new Error('undone')
    })
    await assert.rejects(undone, /undone/)
    await store.transaction((tx) => recordFacts(tx))
    const stored = await recentFacts(store.db, { limit: 10 })
    assert.deepEqual(
      stored.toReversed().map(({ at, entry }) => [at, Buffer.from(entry).toString()]),
      facts.map(({ at, entry }) => [at, Buffer.from(entry).toString()]),
    )
  })
})

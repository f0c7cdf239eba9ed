/** Every query of the passes over renewals is an index range scan: SQLite is asked for the plan of what is really executed. */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Kysely, Transaction, type CompiledQuery, type QueryResult } from 'kysely'
import { anyId, sampleDevice, start } from '../../test/conformance/store-samples.ts'
import { kyselyOn, SqliteConnection } from './dialects/sqlite.ts'
import { certificatesByEnd } from './due-certificates.ts'
import { forgettable } from './forgetting.ts'
import { schemaStatements } from './migrations.ts'
import { attemptByReference, attemptsOf, settleAttempts } from './renewal-attempts.ts'
import { listEscalated, listRenewals, renewalsOfDevice } from './renewal-lists.ts'
import { admitPlanned, dueRenewals, findOpenRenewal, lockOpenRenewalsOf } from './renewals.ts'
import { dueRetirements } from './retirements.ts'
import type { Db, Schema, Tx } from './schema.ts'
import { lockOlder, supersedeSiblings } from './succession.ts'
import { hasDueTask, triggerSubjects } from './trigger-queue.ts'
import { openUnitEnd } from './unit-end.ts'

class Recording extends SqliteConnection {
  readonly texts = new Set<string>()

  override executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    this.texts.add(query.sql)
    return super.executeQuery<Row>(query)
  }
}

const database = new DatabaseSync(':memory:')
for (const statement of schemaStatements('sqlite')) database.exec(statement)
const connection = new Recording(database, {
  isReadOnly: false,
  gate: () => null,
  whenFree: (action) => action(),
})
const q: Db = new Kysely<Schema>(kyselyOn(connection))
const tx: Tx = new Transaction<Schema>(kyselyOn(connection))
openUnitEnd(tx)

async function planOf(run: () => Promise<unknown>): Promise<string[]> {
  connection.texts.clear()
  await run()
  assert.ok(connection.texts.size > 0, 'the function asks the database')
  return [...connection.texts].flatMap((text) =>
    database
      .prepare(`explain query plan ${text}`)
      .all()
      .map((row) => String(row['detail'])),
  )
}

const deviceId = sampleDevice(1).id
const slot = 'default'
const cursor = { notAfter: start, id: 1 }
const limit = 10
const attempt = { renewalId: 1, climb: 0, rung: 0, attempt: 1, channel: 'sms' }

const indexed: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
  [
    'dueRenewals',
    () => dueRenewals(tx, { campaignId: '', now: start, limit }),
    /renewals_due \(campaign_id=\? AND next_at>\? AND next_at<\?\)|renewals_due \(campaign_id=\? AND next_at<\?\)/,
  ],
  [
    'admitPlanned',
    () => admitPlanned(tx, { campaignId: 'a', wave: 0, limit, nextAt: start }),
    /renewals_planned \(campaign_id=\? AND wave=\?\)/,
  ],
  ['findOpenRenewal', () => findOpenRenewal(q, deviceId, slot), /renewals_open \(device_id=\? AND slot=\?\)/],
  ['lockOpenRenewalsOf', () => lockOpenRenewalsOf(tx, deviceId), /renewals_open \(device_id=\?\)/],
  [
    'listRenewals',
    () => listRenewals(q, { campaignId: 'a', limit }),
    /renewals_campaign \(campaign_id=\? AND id>\?\)/,
  ],
  ['renewalsOfDevice', () => renewalsOfDevice(q, deviceId, limit), /renewals_device \(device_id=\?\)/],
  ['listEscalated', () => listEscalated(q, { after: '1.1', limit }), /renewals_escalated \(not_after>\?\)/],
  ['attemptsOf', () => attemptsOf(q, 1), /renewal_attempts_renewal \(renewal_id=\?\)/],
  [
    'attemptByReference',
    () => attemptByReference(q, 'sms', 'a'),
    /renewal_attempts_reference \(channel=\? AND reference=\?\)/,
  ],
  [
    'settleAttempts',
    () =>
      settleAttempts(tx, [{ ...attempt, status: 'sent', detail: null, reference: null, updatedAt: start }]),
    /renewal_attempts_renewal \(renewal_id=\? AND climb=\? AND rung=\? AND attempt=\? AND channel=\?\)/,
  ],
  ['dueRetirements', () => dueRetirements(tx, { now: start, limit }), /retirements_due \(due_at<\?\)/],
  [
    'lockOlder',
    () => lockOlder(tx, { deviceId, slot, beforeId: anyId }),
    /certificates_device \(device_id=\? AND slot=\? AND rowid<\?\)|certificates_device \(device_id=\? AND slot=\? AND id<\?\)/,
  ],
  [
    'supersedeSiblings',
    () => supersedeSiblings(tx, { deviceId, slot, predecessorId: anyId, id: anyId }),
    /certificates_(device|predecessor) \(/,
  ],
  [
    'certificatesByEnd',
    () => certificatesByEnd(q, { after: cursor, to: start, limit }),
    /certificates_expiry \(not_after>\? AND not_after<\?\)/,
  ],
  [
    'forgettable',
    () => forgettable(tx, { before: start, after: cursor, isLive: false, limit }),
    /certificates_ended \(not_after>\? AND not_after<\?\)/,
  ],
  [
    'forgettable, of those that are live',
    () => forgettable(tx, { before: start, after: cursor, isLive: true, limit }),
    /certificates_expiry \(not_after>\? AND not_after<\?\)/,
  ],
  ['hasDueTask', () => hasDueTask(q, 'trigger.mqtt', start), /tasks_due_of_kind \(kind=\?\)/],
  ['triggerSubjects', () => triggerSubjects(q, [1]), /SEARCH renewals USING INTEGER PRIMARY KEY/],
]

for (const [name, run, index] of indexed) {
  test(`${name} uses its index, reads no whole table and sorts nothing`, async () => {
    const steps = await planOf(run)
    assert.ok(
      steps.some((step) => index.test(step)),
      steps.join('\n'),
    )
    assert.deepEqual(
      steps.filter((step) => /^SCAN (?!settled|CONSTANT|\d+ CONSTANT)|TEMP B-TREE/.test(step)),
      [],
    )
  })
}

/** Every query of the passes over alerts is bounded by an index: SQLite is asked for the plan of what is really executed. */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Kysely, type CompiledQuery, type QueryResult } from 'kysely'
import { start } from '../../test/conformance/store-samples.ts'
import { listAlerts, openAlerts, silencesAt } from './alerts.ts'
import { kyselyOn, SqliteConnection } from './dialects/sqlite.ts'
import { countOddities, forgetOddities, latestOddities } from './device-oddities.ts'
import { activeDevices, silentDevices, watchedCertificates } from './expiry-watch.ts'
import { foundation } from './migrations/0001-foundation.ts'
import { alerts } from './migrations/0010-alerts.ts'
import { deviceOddities } from './migrations/0018-device-oddities.ts'
import { listNotifications } from './notifications.ts'
import type { Db, Schema, Tx } from './schema.ts'

class Recording extends SqliteConnection {
  readonly texts = new Set<string>()

  override executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    this.texts.add(query.sql)
    return super.executeQuery<Row>(query)
  }
}

const database = new DatabaseSync(':memory:')
const schema = [foundation, alerts, deviceOddities]
for (const statement of schema.flatMap((part) => part('sqlite'))) database.exec(statement)
const connection = new Recording(database, {
  isReadOnly: false,
  gate: () => null,
  whenFree: (action) => action(),
})
const q: Db = new Kysely<Schema>(kyselyOn(connection))

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

const limit = 10

const indexed: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
  ['listAlerts', () => listAlerts(q, { limit }), /INTEGER PRIMARY KEY/],
  ['openAlerts', () => openAlerts(q), /SCAN alerts USING INDEX alerts_open/],
  ['silencesAt', () => silencesAt(q, start), /alert_silences_end \(ends_at>\?\)/],
  [
    'listNotifications of a notifier',
    () => listNotifications(q, { limit, notifier: 'a' }),
    /notifications_notifier \(notifier=\?/,
  ],
  [
    'listNotifications of an alert',
    () => listNotifications(q, { limit, alertId: 1 }),
    /notifications_alert \(alert_id=\?/,
  ],
  [
    'countOddities',
    () => countOddities(q, { kind: 'clock-off', since: start, limit }),
    /COVERING INDEX device_oddities_last \(kind=\? AND last_at>\?\)/,
  ],
  [
    'latestOddities',
    () => latestOddities(q, { kind: 'clock-off', since: start, limit }),
    /device_oddities_last \(kind=\? AND last_at>\?\)/,
  ],
  [
    'forgetOddities',
    () => forgetOddities(q as Tx, 'clock-off', start),
    /device_oddities_last \(kind=\? AND last_at<\?\)/,
  ],
]

for (const [name, run, index] of indexed) {
  test(`${name} uses its index, reads no whole table and sorts nothing`, async () => {
    const steps = await planOf(run)
    assert.ok(
      steps.some((step) => index.test(step)),
      steps.join('\n'),
    )
    assert.deepEqual(
      steps.filter((step) =>
        /^SCAN (?!c$|some$|\(subquery|alerts USING INDEX alerts_open)|TEMP B-TREE/.test(step),
      ),
      [],
    )
  })
}

/** Tables in the order of their keys or of an index that has all that is asked for; nothing else is looked up out of order. */
async function assertWalks(run: () => Promise<unknown>, walks: readonly RegExp[]): Promise<void> {
  const steps = await planOf(run)
  for (const walk of walks)
    assert.ok(
      steps.some((step) => walk.test(step)),
      steps.join('\n'),
    )
  assert.deepEqual(
    steps.filter((step) => /^SCAN (?!c$|\(subquery|CONSTANT ROW)/.test(step)),
    [],
  )
}

test('watchedCertificates walks along the devices and sorts nothing', async () => {
  const run = () =>
    watchedCertificates(q, {
      after: 'a',
      limit,
      from: start,
      horizons: new Map([['daily', start]]),
      otherHorizon: start,
    })
  await assertWalks(run, [
    /^SEARCH devices USING PRIMARY KEY \(id>\?\)/,
    /^SEARCH certificates USING INDEX certificates_live \(device_id>\?/,
    /^SEARCH d USING PRIMARY KEY \(id=\?\)/,
    /^SEARCH n USING (COVERING )?INDEX certificates_live \(device_id=\? AND slot=\? AND id>\?\)/,
  ])
  assert.ok(!(await planOf(run)).some((step) => step.includes('TEMP B-TREE')))
})

test('activeDevices reads one index, and silentDevices walks along the contacts and sorts only its few sums', async () => {
  const sums = await planOf(() => activeDevices(q))
  assert.deepEqual(sums, ['SCAN devices USING COVERING INDEX devices_active'])
  const run = () => silentDevices(q, { after: 'a', limit, limits: new Map(), otherLimit: start })
  await assertWalks(run, [
    /^SEARCH device_last_seen USING PRIMARY KEY \(device_id>\?\)/,
    /^SEARCH d USING PRIMARY KEY \(id=\?\)/,
    /^SEARCH devices USING PRIMARY KEY \(id>\?\)/,
  ])
})

/** What a campaign asks at each tick is read from an index, whatever the number of its targets. */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Kysely, Transaction, type CompiledQuery, type QueryResult } from 'kysely'
import { countOverdue, deleteTargets, unfinishedTargets, waitingTargets } from './campaign-targets.ts'
import { kyselyOn, SqliteConnection } from './dialects/sqlite.ts'
import type { Schema } from './schema.ts'
import { openUnitEnd } from './unit-end.ts'
import { plannedRenewals } from './planned-renewals.ts'
import { schemaStatements } from './migrations.ts'

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
const tx: Transaction<Schema> = new Transaction<Schema>(kyselyOn(connection))
openUnitEnd(tx)
assert.ok(tx instanceof Kysely)

const campaignId = 'spring'
const limits = new Map([['daily', 5]])
const waiting = { campaignId, wave: 0, afterId: 0, limit: 10 }

const cases: readonly (readonly [name: string, run: () => Promise<unknown>, plan: RegExp])[] = [
  [
    'countOverdue',
    () => countOverdue(tx, { campaignId, askedBefore: limits, issuedBefore: limits, since: 0 }),
    /^SEARCH renewals USING COVERING INDEX renewals_unfinished \(campaign_id=\? AND status=\?/,
  ],
  [
    'unfinishedTargets, waiting',
    () => unfinishedTargets(tx, campaignId, 'waiting', 10),
    /^SEARCH renewals USING INDEX renewals_planned \(campaign_id=\?\)/,
  ],
  [
    'unfinishedTargets, triggered',
    () => unfinishedTargets(tx, campaignId, 'triggered', 10),
    /^SEARCH renewals USING INDEX renewals_unfinished \(campaign_id=\? AND status=\?\)/,
  ],
  [
    'unfinishedTargets, admitted',
    () => unfinishedTargets(tx, campaignId, 'admitted', 10),
    /^SEARCH renewals USING INDEX renewals_due \(campaign_id=\?( AND next_at>\?)?\)/,
  ],
  [
    'waitingTargets',
    () => waitingTargets(tx, { ...waiting, sites: null }),
    /^SEARCH r USING INDEX renewals_planned \(campaign_id=\? AND wave=\? AND id>\?\)/,
  ],
  [
    'waitingTargets at some sites',
    () => waitingTargets(tx, { ...waiting, sites: { isOnly: true, names: ['graz', 'linz'] } }),
    /^SEARCH r USING INDEX renewals_planned \(campaign_id=\? AND wave=\? AND id>\?\)/,
  ],
  [
    'plannedRenewals of a wave',
    () => plannedRenewals(tx, { campaignId, wave: 0, after: 0, limit: 10 }),
    /^SEARCH renewals USING INDEX renewals_planned \(campaign_id=\? AND wave=\? AND id>\?\)/,
  ],
  [
    'plannedRenewals without a campaign',
    () => plannedRenewals(tx, { campaignId: '', wave: 0, after: 0, limit: 10 }),
    /^SEARCH renewals USING INDEX renewals_planned_alone \((id|rowid)>\?\)/,
  ],
  [
    'deleteTargets',
    () => deleteTargets(tx, campaignId, 10),
    /^SEARCH renewals USING INDEX renewals_campaign \(campaign_id=\?\)/,
  ],
]

for (const [name, run, plan] of cases) {
  test(`${name} is an index range scan`, async () => {
    connection.texts.clear()
    await run()
    const steps = [...connection.texts].flatMap((text) =>
      database
        .prepare(`explain query plan ${text}`)
        .all()
        .map((row) => String(row['detail'])),
    )
    assert.ok(
      steps.some((step) => plan.test(step)),
      steps.join('\n'),
    )
    assert.deepEqual(
      steps.filter((step) => /^SCAN (?!CONSTANT ROW)|TEMP B-TREE/.test(step)),
      [],
    )
  })
}

/**
 * Every query of a job, of a request and of a list is an index range scan: SQLite is asked for the plan of each statement
 * that the functions of the store really execute. A plan that reads a whole table or sorts is refused unless it is
 * expected here, with the reason.
 */
import { schemaStatements } from './migrations.ts'
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Kysely, Transaction, type CompiledQuery, type QueryResult } from 'kysely'
import {
  anyId,
  sampleDevice,
  sampleHash,
  sampleReservation,
  sampleSerial,
  start,
} from '../../test/conformance/store-samples.ts'
import type { IssuerId } from '../base/id.ts'
import {
  findApproval,
  findLatestApproval,
  findOpenApproval,
  listApprovals,
  type ApprovalId,
} from './approvals.ts'
import { auditedBySerials, auditedCertificates, originFacts } from './audit-inventory.ts'
import { listTiles, readTiles } from './audit-tiles.ts'
import { findBlockedKey, listBlockedKeys } from './blocked-keys.ts'
import {
  abandonCertificate,
  markIssued,
  moveLiveCertificates,
  reserveCertificate,
  setStatus,
  supersedeOlder,
} from './certificates.ts'
import { latestCheckpoint, listCheckpoints } from './checkpoints.ts'
import { expiryHistogram, readCounters } from './counters.ts'
import { findDevice, listDevices, setDeviceState, setLastRenewal } from './devices.ts'
import { kyselyOn, SqliteConnection } from './dialects/sqlite.ts'
import {
  countSealed,
  entriesRange,
  factsAfter,
  factsBySubjects,
  recentFacts,
  setLogIndexes,
  unsealedFacts,
} from './facts.ts'
import {
  findByIssuerAndSerial,
  findByKey,
  findBySerial,
  findCertificate,
  findCurrent,
  findReserved,
  listCertificates,
  listExpiring,
  standingsOf,
} from './inventory.ts'
import { deleteLapsedOcspAnswers, findOcspAnswer } from './ocsp-answers.ts'
import { issuerRevision } from './revocations.ts'
import { findByFingerprints, findBySerials, forgetFingerprints, indexFingerprints } from './fingerprints.ts'
import { findIssuer, listIssuers } from './issuers.ts'
import { findCertificatesLastSeen, findLastSeen, recordLastSeen } from './last-seen.ts'
import { acquireLease, checkFence, releaseLease } from './leases.ts'
import { openUnitEnd } from './unit-end.ts'
import type { Db, Schema, Tx } from './schema.ts'
import { plannedRenewals } from './planned-renewals.ts'
import { findSecret, releaseSecret, useSecret } from './secrets.ts'
import { claimTasks, completeTask, countTasks, enqueueTask, failTask, listTasks, retryTask } from './tasks.ts'
import { listTrustAnchors } from './trust-anchors.ts'

class Recording extends SqliteConnection {
  readonly texts = new Set<string>()

  override executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    this.texts.add(query.sql)
    return super.executeQuery<Row>(query)
  }
}

const database = new DatabaseSync(':memory:')
const schema = schemaStatements('sqlite')
for (const statement of schema) database.exec(statement)
const connection = new Recording(database, {
  isReadOnly: false,
  gate: () => null,
  whenFree: (action) => action(),
})
const q: Db = new Kysely<Schema>(kyselyOn(connection))
const tx: Tx = new Transaction<Schema>(kyselyOn(connection))
openUnitEnd(tx)

/** The steps of the plans of all statements that `run` executes, each once. */
async function planOf(run: () => Promise<unknown>): Promise<string[]> {
  connection.texts.clear()
  await run()
  assert.ok(connection.texts.size > 0, 'the function asks the database')
  const steps = [...connection.texts].flatMap((text) =>
    database
      .prepare(`explain query plan ${text}`)
      .all()
      .map((row) => String(row['detail'])),
  )
  return [...new Set(steps)]
}

const device = sampleDevice(1).id
const issuer = 'issuing' as IssuerId
const page = { limit: 100 }
const range = { from: start, to: start + 1, ...page }
const approval = { deviceId: device, slot: 'default', spkiHash: sampleHash(1), predecessorId: null }

/** Each with the index that it must use. */
const indexed: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
  [
    'plannedRenewals',
    () => plannedRenewals(q, { campaignId: '', wave: 0, after: 0, limit: 100 }),
    /renewals_planned_alone \(id>\?\)/,
  ],
  ['issuerRevision', () => issuerRevision(q, issuer), /PRIMARY KEY \(issuer_id=\?\)/],
  ['findOcspAnswer', () => findOcspAnswer(q, Uint8Array.of(1)), /PRIMARY KEY \(question=\?\)/],
  [
    'deleteLapsedOcspAnswers',
    () => deleteLapsedOcspAnswers(tx, start, 100),
    /ocsp_answers_lapsed \(next_update<\?\)/,
  ],
  ['findByFingerprints', () => findByFingerprints(q, [1]), /PRIMARY KEY \(prefix=\?\)/],
  ['findBySerials', () => findBySerials(q, [Uint8Array.of(1)]), /certificates_serial \(serial_number=\?\)/],
  [
    'indexFingerprints',
    () => indexFingerprints(tx, { after: 0, limit: 100, settledBefore: start }),
    /PRIMARY KEY \(rowid>\?\)/,
  ],
  [
    'forgetFingerprints',
    () => forgetFingerprints(tx, [{ id: anyId, der: Uint8Array.of(1) }]),
    /PRIMARY KEY \(prefix=\? AND certificate_id=\?\)/,
  ],
  ['listDevices', () => listDevices(q, { ...page, after: 'a' }), /PRIMARY KEY \(id>\?\)/],
  [
    'listDevices of a cohort',
    () => listDevices(q, { ...page, filter: { cohort: 'a' } }),
    /devices_by_cohort \(cohort=\? AND id>\?\)/,
  ],
  [
    'listDevices of a batch',
    () => listDevices(q, { ...page, filter: { batch: 'a' } }),
    /devices_by_batch \(batch=\? AND id>\?\)/,
  ],
  ['findDevice', () => findDevice(q, device), /PRIMARY KEY \(id=\?\)/],
  ['setDeviceState', () => setDeviceState(tx, device, 'active'), /PRIMARY KEY \(id=\?\)/],
  ['setLastRenewal', () => setLastRenewal(tx, device, start), /PRIMARY KEY \(id=\?\)/],
  ['findLastSeen', () => findLastSeen(q, [device]), /PRIMARY KEY \(device_id=\?\)/],
  ['findCertificatesLastSeen', () => findCertificatesLastSeen(q, [anyId]), /INTEGER PRIMARY KEY/],
  ['findCertificate', () => findCertificate(q, anyId), /INTEGER PRIMARY KEY/],
  ['findBySerial', () => findBySerial(q, sampleSerial(1)), /certificates_serial \(serial_number=\?\)/],
  [
    'findByIssuerAndSerial',
    () => findByIssuerAndSerial(q, issuer, sampleSerial(1)),
    /certificates_serial \(serial_number=\? AND issuer_id=\?\)/,
  ],
  [
    'findCurrent',
    () => findCurrent(q, device, 'default'),
    /certificates_device \(device_id=\? AND slot=\?\)/,
  ],
  [
    'findReserved',
    () => findReserved(q, { olderThan: start, limit: 10 }),
    /certificates_reserved \(created_at<\?\)/,
  ],
  ['listExpiring', () => listExpiring(q, range), /certificates_expiry \(not_after>\? AND not_after<\?\)/],
  [
    'listExpiring, a later page',
    () => listExpiring(q, { ...range, after: '5.5' }),
    /certificates_expiry \(not_after=\?/,
  ],
  [
    'listExpiring of a cohort',
    () => listExpiring(q, { ...range, cohort: 'a' }),
    /certificates_cohort_expiry \(cohort=\? AND not_after>\? AND not_after<\?\)/,
  ],
  ['standingsOf', () => standingsOf(q, [device]), /certificates_device \(device_id=\?\)/],
  ['listCertificates', () => listCertificates(q, page), /INTEGER PRIMARY KEY \(rowid>\?\)/],
  [
    'listCertificates of a batch',
    () => listCertificates(q, { ...page, filter: { batch: 'a' } }),
    /certificates_batch \(batch=\? AND id>\?\)/,
  ],
  ['reserveCertificate', () => reserveCertificate(tx, sampleReservation(1)), /^$/],
  [
    'markIssued',
    () => markIssued(tx, { ...sampleReservation(1), id: anyId }, new Uint8Array(), start),
    /INTEGER PRIMARY KEY/,
  ],
  ['abandonCertificate', () => abandonCertificate(tx, anyId, ''), /INTEGER PRIMARY KEY/],
  [
    'setStatus',
    () => setStatus(tx, anyId, { status: 'revoked', reason: '', revokedAt: start }),
    /INTEGER PRIMARY KEY/,
  ],
  [
    'supersedeOlder',
    () => supersedeOlder(tx, { deviceId: device, slot: 'default', beforeId: anyId }),
    /certificates_device \(device_id=\? AND slot=\? AND id<\?\)/,
  ],
  [
    'moveLiveCertificates',
    () => moveLiveCertificates(tx, device, { cohort: 'a' }),
    /certificates_live \(device_id=\?\)/,
  ],
  ['auditedCertificates', () => auditedCertificates(q, { afterId: 1, limit: 10 }), /INTEGER PRIMARY KEY/],
  ['auditedBySerials', () => auditedBySerials(q, [sampleSerial(1)]), /certificates_serial/],
  ['findSecret', () => findSecret(q, device), /PRIMARY KEY/],
  [
    'useSecret',
    () => useSecret(tx, { deviceId: device, hash: sampleHash(1), spkiHash: sampleHash(1), at: start }),
    /PRIMARY KEY/,
  ],
  ['releaseSecret', () => releaseSecret(tx, { deviceId: device, spkiHash: sampleHash(1) }), /PRIMARY KEY/],
  ['findOpenApproval', () => findOpenApproval(q, approval), /approvals_(open|device) \(device_id=\?/],
  ['findLatestApproval', () => findLatestApproval(q, approval), /approvals_device \(device_id=\?/],
  ['findApproval', () => findApproval(q, 1 as ApprovalId), /INTEGER PRIMARY KEY/],
  ['listApprovals', () => listApprovals(q, page), /INTEGER PRIMARY KEY/],
  [
    'listApprovals that wait',
    () => listApprovals(q, { ...page, filter: { status: 'pending' } }),
    /approvals_pending/,
  ],
  ['findBlockedKey', () => findBlockedKey(q, sampleHash(1)), /PRIMARY KEY/],
  ['listBlockedKeys', () => listBlockedKeys(q, page), /PRIMARY KEY \(spki_hash>\?\)/],
  ['findIssuer', () => findIssuer(q, issuer), /\(id=\?\)/],
  ['setLogIndexes', () => setLogIndexes(tx, { firstLogIndex: 0, ids: [1] }), /INTEGER PRIMARY KEY/],
  ['entriesRange', () => entriesRange(q, 5, 10), /facts_log_index \(log_index>\?\)/],
  ['countSealed', () => countSealed(q), /facts_log_index/],
  ['recentFacts', () => recentFacts(q, page), /INTEGER PRIMARY KEY/],
  [
    'recentFacts of a subject',
    () => recentFacts(q, { ...page, subject: 'a' }),
    /facts_subject \(subject=\? AND id<\?\)/,
  ],
  ['factsAfter', () => factsAfter(q, { ...page, afterId: 1 }), /INTEGER PRIMARY KEY/],
  [
    'factsAfter of a subject',
    () => factsAfter(q, { ...page, subject: 'a', afterId: 1 }),
    /facts_subject \(subject=\? AND id>\?\)/,
  ],
  ['originFacts', () => originFacts(q, ['a']), /facts_subject \(subject=\?\)/],
  ['readTiles', () => readTiles(q, [{ level: 0, tile: 1 }]), /\(level=\? AND tile=\?\)/],
  ['listTiles', () => listTiles(q, { level: 0, fromTile: 1, limit: 5 }), /\(level=\? AND tile>\?\)/],
  ['latestCheckpoint', () => latestCheckpoint(q), /PRIMARY KEY/],
  ['listCheckpoints', () => listCheckpoints(q, { after: null, limit: 5 }), /PRIMARY KEY/],
  ['completeTask', () => completeTask(tx, { id: 1, attempts: 1 }), /INTEGER PRIMARY KEY/],
  ['failTask', () => failTask(tx, { id: 1, attempts: 1, lastError: '', runAt: null }), /INTEGER PRIMARY KEY/],
  ['retryTask', () => retryTask(tx, 1, start), /tasks_key \(kind=\? AND key=\?\)/],
  ['listTasks', () => listTasks(q, page), /INTEGER PRIMARY KEY/],
  ['listTasks that are dead', () => listTasks(q, { ...page, status: 'dead' }), /tasks_dead/],
  [
    'claimTasks',
    () => claimTasks(tx, { kinds: ['a'], now: start, limit: 5, lockMs: 1 }),
    /tasks_due_of_kind \(kind=\? AND run_at<\?\)/,
  ],
  ['checkFence', () => checkFence(tx, { name: 'a', token: 1 }), /PRIMARY KEY/],
  ['releaseLease', () => releaseLease(tx, { name: 'a', token: 1 }), /PRIMARY KEY/],
]

const isWhole = (step: string): boolean =>
  /^SCAN (?!CONSTANT ROW|sealed|\d+-ROW VALUES|\(subquery)/.test(step)
const isSort = (step: string): boolean => step.startsWith('USE TEMP B-TREE')

for (const [name, run, wanted] of indexed) {
  test(`${name} is an index range scan`, async () => {
    const steps = await planOf(run)
    const complaint = steps.join('\n')
    assert.deepEqual(
      steps.filter((step) => isWhole(step) || isSort(step)),
      [],
      complaint,
    )
    if (wanted.source !== '^$')
      assert.ok(
        steps.some((step) => wanted.test(step)),
        complaint,
      )
  })
}

/** Plans that sort or read everything, each with the reason why it may. */
const excused: readonly (readonly [string, string, () => Promise<unknown>, RegExp])[] = [
  [
    'unsealedFacts',
    'reads all of an index that holds unsealed facts only',
    () => unsealedFacts(q, 10),
    /facts_unsealed/,
  ],
  [
    'findByKey',
    'sorts the few rows of one key',
    () => findByKey(q, sampleHash(1)),
    /certificates_key \(spki_hash=\?\)/,
  ],
  [
    'listCertificates of a device',
    'sorts the few rows of one device, over its slots',
    () => listCertificates(q, { ...page, filter: { deviceId: device } }),
    /certificates_device \(device_id=\?\)/,
  ],
  [
    'factsBySubjects',
    'sorts the facts of the subjects',
    () => factsBySubjects(q, { action: 'a', subjects: ['a', 'b'] }),
    /facts_subject \(subject=\?\)/,
  ],
  [
    'expiryHistogram by cohort',
    'groups the sums of the days asked for',
    () => expiryHistogram(q, { fromDay: 1, days: 180, by: 'cohort' }),
    /PRIMARY KEY \(day>\? AND day<\?\)/,
  ],
  ['readCounters', 'a handful of rows', () => readCounters(q, 'a.'), /PRIMARY KEY \(name>\? AND name<\?\)/],
  [
    'countTasks',
    'counts the open and the dead tasks in their own indexes',
    () => countTasks(q),
    /tasks_due_of_kind/,
  ],
  ['listIssuers', 'a handful of rows', () => listIssuers(q), /SCAN issuers/],
  ['listTrustAnchors', 'a few dozen rows', () => listTrustAnchors(q), /SCAN trust_anchors/],
  [
    'recordLastSeen',
    'an upsert',
    () => recordLastSeen(tx, [{ deviceId: device, certificateId: anyId, at: 1 }]),
    /^$/,
  ],
  [
    'enqueueTask',
    'an insert',
    () => enqueueTask(tx, { kind: 'a', key: null, payload: '', runAt: 1, createdAt: 1 }),
    /^$/,
  ],
  ['acquireLease', 'an upsert', () => acquireLease(tx, { name: 'a', holder: 'a', now: 1, ttlMs: 1 }), /^$/],
]

for (const [name, reason, run, wanted] of excused) {
  test(`${name} uses its index, and ${reason}`, async () => {
    const steps = await planOf(run)
    if (wanted.source !== '^$')
      assert.ok(
        steps.some((step) => wanted.test(step)),
        steps.join('\n'),
      )
    assert.deepEqual(
      steps.filter((step) =>
        /^SCAN (certificates|devices|facts)\b(?! USING INDEX facts_unsealed)/.test(step),
      ),
      [],
    )
  })
}

test('a query without an index is found', async () => {
  const steps = await planOf(() => q.selectFrom('devices').select('id').where('hardware', '=', 'a').execute())
  assert.ok(steps.some(isWhole))
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { sql, Transaction } from 'kysely'
import { nextTurn, stopwatch, systemClock, type Clock } from '../base/clock.ts'
import { seededRandom } from '../base/random.ts'
import { kyselyOn, openSqlite, SqliteConnection } from './dialects/sqlite.ts'
import { GroupCommit, lockWaitMs } from './group-commit.ts'
import { migrateToLatest } from './migrations.ts'
import { addCounters } from './counters.ts'
import type { Schema, Tx } from './schema.ts'
import { TransactionGuard } from './transaction.ts'

const directory = mkdtempSync(join(tmpdir(), 'perennial-group-'))
const open: DatabaseSync[] = []
after(() => {
  for (const database of open) if (database.isOpen) database.close()
  rmSync(directory, { recursive: true, force: true })
})

interface Rig {
  readonly group: GroupCommit
  readonly database: DatabaseSync
  readonly path: string
  /** Physical commits so far. */
  commits(): number
}

let files = 0

async function rig(clock: Clock = systemClock): Promise<Rig> {
  const path = join(directory, `${files++}.db`)
  const database = openSqlite({
    path,
    synchronous: 'off',
    cacheKb: 2000,
    isReader: false,
    isExclusive: false,
  })
  open.push(database)
  const guard = new TransactionGuard()
  const connection = new SqliteConnection(database, {
    isReadOnly: false,
    gate: () => null,
    whenFree: (action) => action(),
  })
  const tx = new Transaction<Schema>(kyselyOn(connection))
  let commits = 0
  const group = new GroupCommit({
    database,
    connection,
    tx,
    guard,
    clock,
    random: seededRandom('group'),
    onCommit: () => commits++,
  })
  await group.run((unit) => migrateToLatest(unit, 'sqlite'))
  commits = 0
  return { group, database, path, commits: () => commits }
}

const put = async (tx: Tx, key: string, value = ''): Promise<void> => {
  await tx.insertInto('meta').values({ key, value }).execute()
}

function keys(database: DatabaseSync): unknown[] {
  return database
    .prepare('select key from meta order by key')
    .all()
    .map((row) => row['key'])
}

test('units that are queued together share one commit', async () => {
  const { group, database, commits } = await rig()
  await Promise.all(Array.from({ length: 50 }, (_, n) => group.run((tx) => put(tx, `k${n}`))))
  // one, unless the machine is so busy that the group's time was up
  assert.ok(commits() <= 10, `${commits()} commits`)
  assert.equal(keys(database).length, 50)
})

test('units that arrive one after the other commit one by one', async () => {
  const { group, commits } = await rig()
  for (let n = 0; n < 3; n++) await group.run((tx) => put(tx, `k${n}`))
  assert.equal(commits(), 3)
})

test('units that arrive while the process is busy with other work share one commit', async () => {
  const { group, database, commits } = await rig()
  const units: Promise<void>[] = []
  // as when other handshakes are at work: turns that bring no unit, and yet are not idle
  for (let turn = 0; turn < 16; turn++) {
    const next = nextTurn()
    if (turn % 2 === 0) units.push(group.run((tx) => put(tx, `k${turn}`)))
    await next
    for (const elapsed = stopwatch(); elapsed() < 0.2;);
  }
  await Promise.all(units)
  assert.ok(commits() <= 4, `${commits()} commits`)
  assert.equal(keys(database).length, 8)
})

test('a lone unit waits for nobody', async () => {
  const { group, commits } = await rig()
  const elapsed = stopwatch()
  for (let n = 0; n < 100; n++) await group.run((tx) => put(tx, `k${n}`))
  assert.equal(commits(), 100)
  // a wait of 20 ms each would make it 2 s
  assert.ok(elapsed() < 1_500, `${elapsed()} ms`)
})

test('a group has a bounded number of units', async () => {
  const { group, commits } = await rig()
  await Promise.all(Array.from({ length: 1500 }, (_, n) => group.run((tx) => put(tx, `k${n}`))))
  assert.ok(commits() >= 3, `${commits()} commits`)
})

for (const failing of [0, 1, 4]) {
  test(`when unit ${failing} of five fails after writing, the four others are stored`, async () => {
    const { group, database } = await rig()
    const results = await Promise.allSettled(
      [0, 1, 2, 3, 4].map((n) =>
        group.run(async (tx) => {
          await put(tx, `k${n}`)
          if (n === failing) throw new Error(`unit ${n}`)
        }),
      ),
    )
    assert.deepEqual(
      results.map(({ status }) => status === 'fulfilled'),
      [0, 1, 2, 3, 4].map((n) => n !== failing),
    )
    assert.deepEqual(
      keys(database),
      [0, 1, 2, 3, 4].filter((n) => n !== failing).map((n) => `k${n}`),
    )
  })
}

test('units run without savepoints, and again with them when one throws', async () => {
  const { group, database, commits } = await rig()
  const runs = [0, 0, 0, 0]
  const results = await Promise.allSettled(
    runs.map((_, n) =>
      group.run(async (tx) => {
        runs[n] = (runs[n] as number) + 1
        await put(tx, `k${n}`)
        if (n === 2) throw new Error('no')
      }),
    ),
  )
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(keys(database), ['k0', 'k1', 'k3'])
  assert.deepEqual(runs, [2, 2, 2, 1])
  assert.equal(commits(), 2)
})

test('units run one after the other, never interleaved', async () => {
  const { group } = await rig()
  const log: string[] = []
  await Promise.all(
    [1, 2, 3].map((n) =>
      group.run(async (tx) => {
        log.push(`${n} begins`)
        await put(tx, `a${n}`)
        await put(tx, `b${n}`)
        log.push(`${n} ends`)
      }),
    ),
  )
  assert.deepEqual(log, ['1 begins', '1 ends', '2 begins', '2 ends', '3 begins', '3 ends'])
})

test('when the commit fails, every unit of the group is rejected and the store stays usable', async () => {
  const { group, database } = await rig()
  // a deferred foreign key is checked by COMMIT only
  database.exec(
    'create table parent (id integer primary key) strict; ' +
      'create table child (id integer references parent (id) deferrable initially deferred) strict',
  )
  const results = await Promise.allSettled([
    group.run((tx) => put(tx, 'a')),
    group.run(async (tx) => {
      await sql`insert into child values (1)`.execute(tx)
    }),
    group.run((tx) => put(tx, 'b')),
    group.run(async () => {
      throw new Error('own')
    }),
  ])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected', 'rejected'],
  )
  for (const result of results) assert.match(String((result as PromiseRejectedResult).reason), /FOREIGN KEY/)
  assert.deepEqual(keys(database), [])
  await group.run((tx) => put(tx, 'c'))
  assert.deepEqual(keys(database), ['c'])
})

test('no promise settles before the commit, of success or of failure', async () => {
  const { group, database } = await rig()
  const log: string[] = []
  const first = group.run((tx) => put(tx, 'a')).then(() => log.push('first'))
  const second = group
    .run(async () => {
      throw new Error('no')
    })
    .catch(() => log.push('second'))
  const last = group.run(async () => {
    log.push(`in transaction: ${database.isTransaction}`)
  })
  await Promise.all([first, second, last])
  assert.deepEqual(log, ['in transaction: true', 'first', 'second'])
})

for (const before of [0, 3]) {
  test(`a full disk rejects with disk-full after ${before} good units, and the store works when there is room`, async () => {
    const { group, database } = await rig()
    const pages = Number(database.prepare('pragma page_count').get()?.['page_count'])
    database.exec(`pragma max_page_count = ${pages + 4}`)
    const good = Array.from({ length: before }, (_, n) => group.run((tx) => put(tx, `k${n}`)))
    const full = group.run((tx) => put(tx, 'big', 'x'.repeat(100_000)))
    await assert.rejects(full, { code: 'disk-full' })
    await Promise.allSettled(good)
    database.exec('pragma max_page_count = 1000000')
    await group.run((tx) => put(tx, 'later', 'x'.repeat(100_000)))
    const stored = keys(database)
    assert.ok(stored.includes('later') && !stored.includes('big'))
    // a good unit is stored exactly when its promise was fulfilled
    const settled = await Promise.allSettled(good)
    for (const [n, { status }] of settled.entries()) {
      assert.equal(stored.includes(`k${n}`), status === 'fulfilled')
    }
  })
}

test('a unit that waits for something else than the database is refused, and the others go on', async () => {
  const { group, database } = await rig()
  const results = await Promise.allSettled([
    group.run((tx) => put(tx, 'a')),
    group.run(async (tx) => {
      await put(tx, 'b')
      await nextTurn()
      await nextTurn()
      await put(tx, 'c')
    }),
    group.run((tx) => put(tx, 'd')),
  ])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.match(String((results[1] as PromiseRejectedResult).reason), /other than the database/)
  assert.deepEqual(keys(database), ['a', 'd'])
})

test('sums of a unit that fails are not counted, those of the others are, in one write', async () => {
  const { group, database } = await rig()
  await Promise.allSettled(
    [1, 2, 3, 4].map((n) =>
      group.run(async (tx) => {
        addCounters(tx, { sum: n })
        if (n === 2) throw new Error('no')
      }),
    ),
  )
  assert.equal(database.prepare('select value from counters').get()?.['value'], 8)
})

/** Each sleep takes half a second, whatever was asked for. */
function leapingClock(): Clock {
  let now = 0
  return {
    now: () => now,
    async sleep() {
      now += 500
      await nextTurn()
    },
  }
}

async function until(clock: Clock, at: number): Promise<void> {
  while (clock.now() < at) await nextTurn()
}

function anotherProcess(path: string): DatabaseSync {
  const other = new DatabaseSync(path)
  open.push(other)
  return other
}

test('waits for another process without blocking, and gets the lock when it is free', async () => {
  const clock = leapingClock()
  const { group, database, path } = await rig(clock)
  const other = anotherProcess(path)
  other.exec('begin immediate')
  let isDone = false
  const waiting = group.run((tx) => put(tx, 'a')).then(() => (isDone = true))
  await until(clock, lockWaitMs - 1_000)
  assert.equal(isDone, false)
  other.exec('rollback')
  await waiting
  assert.deepEqual(keys(database), ['a'])
})

test('refuses with store-busy after 10 s; younger units keep their own 10 s', async () => {
  const clock = leapingClock()
  const { group, database, path } = await rig(clock)
  const other = anotherProcess(path)
  other.exec('begin immediate')
  let refusedAt = 0
  const old = assert
    .rejects(
      group.run((tx) => put(tx, 'old')),
      { code: 'store-busy' },
    )
    .then(() => (refusedAt = clock.now()))
  await until(clock, 5_000)
  const young = group.run((tx) => put(tx, 'young'))
  await old
  assert.ok(refusedAt >= lockWaitMs && refusedAt <= lockWaitMs + 1_000, `refused at ${refusedAt}`)
  other.exec('rollback')
  await young
  assert.deepEqual(keys(database), ['young'])
})

test('closing waits for what was queued and refuses what comes later', async () => {
  const { group, database } = await rig()
  const queued = [1, 2, 3].map((n) => group.run((tx) => put(tx, `k${n}`)))
  await group.close()
  assert.equal(keys(database).length, 3)
  await Promise.all(queued)
  assert.throws(() => group.run((tx) => put(tx, 'late')), /closed/)
})

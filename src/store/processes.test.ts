/** Several processes on one SQLite file, and processes that end in the middle. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { recount, rolledUp } from '../../test/conformance/store-samples.ts'
import { nextTurn } from '../base/clock.ts'
import { fraction, seededRandom } from '../base/random.ts'
import { openStore, type Store } from './open.ts'

const directory = mkdtempSync(join(tmpdir(), 'perennial-processes-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const writer = join(import.meta.dirname, '../../test/conformance/store-writer.ts')

interface Writer {
  readonly process: ChildProcess
  /** Ids that were acknowledged so far. */
  readonly acknowledged: string[]
  readonly ended: Promise<{ readonly code: number | null; readonly complaint: string }>
}

/** @param onAcknowledged called with the number of acknowledgements so far */
function startWriter(
  url: string,
  prefix: string,
  count: number,
  onAcknowledged: (total: number) => void = () => {},
): Writer {
  const child = spawn(process.execPath, [writer, url, prefix, String(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const acknowledged: string[] = []
  let rest = ''
  let complaint = ''
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString()))
  child.stdout.on('data', (text: Buffer) => {
    const lines = (rest + text.toString()).split('\n')
    rest = lines.pop() ?? ''
    acknowledged.push(...lines)
    onAcknowledged(acknowledged.length)
  })
  const ended = new Promise<{ code: number | null; complaint: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, complaint }))
  })
  return { process: child, acknowledged, ended }
}

async function storedIds(store: Store): Promise<Set<string>> {
  const rows = await store.db.selectFrom('devices').select('id').execute()
  return new Set(rows.map(({ id }) => id))
}

async function assertWhole(store: Store, path: string): Promise<void> {
  assert.deepEqual(await rolledUp(store), await recount(store))
  const devices = await store.db.selectFrom('devices').select('id').orderBy('id').execute()
  const facts = await store.db.selectFrom('facts').select('subject').orderBy('subject').execute()
  assert.deepEqual(
    facts.map(({ subject }) => subject),
    devices.map(({ id }) => id),
  )
  const file = new DatabaseSync(path)
  assert.deepEqual(file.prepare('pragma integrity_check').get()?.['integrity_check'], 'ok')
  file.close()
}

test('after kill -9 in the middle of the load, every acknowledged unit is there and every unit is whole', async () => {
  const path = join(directory, 'crash.db')
  const url = `sqlite:${path}`
  const prepare = await openStore({ url })
  await prepare.migrate()
  await prepare.close()
  const random = seededRandom('crash')
  const acknowledged: string[] = []
  for (let round = 0; round < 6; round++) {
    const killAt = 1 + Math.floor(fraction(random) * 600)
    const victim = startWriter(url, `R${round}`, 100_000, (total) => {
      if (total >= killAt) victim.process.kill('SIGKILL')
    })
    await victim.ended
    assert.equal(victim.process.signalCode, 'SIGKILL')
    acknowledged.push(...victim.acknowledged)
    const store = await openStore({ url })
    const stored = await storedIds(store)
    assert.deepEqual(
      acknowledged.filter((id) => !stored.has(id)),
      [],
    )
    await assertWhole(store, path)
    await store.close()
  }
  assert.ok(acknowledged.length > 100)
})

test('processes that write the same file at the same time all succeed, and a reader sees whole units', async () => {
  const path = join(directory, 'shared.db')
  const url = `sqlite:${path}`
  const store = await openStore({ url })
  await store.migrate()
  const writers = ['A', 'B', 'C'].map((prefix) => startWriter(url, prefix, 250))
  const finished = new AbortController()
  const all = Promise.all(writers.map(({ ended }) => ended)).finally(() => finished.abort())
  let reads = 0
  while (!finished.signal.aborted) {
    const { devices, facts } = await store.db
      .selectNoFrom((eb) => [
        eb.selectFrom('devices').select(eb.fn.countAll<number>().as('n')).as('devices'),
        eb.selectFrom('facts').select(eb.fn.countAll<number>().as('n')).as('facts'),
      ])
      .executeTakeFirstOrThrow()
    assert.equal(devices, facts)
    reads++
    await nextTurn()
  }
  for (const { code, complaint } of await all) assert.equal(code, 0, complaint)
  assert.ok(reads > 10)
  assert.equal((await storedIds(store)).size, 750)
  await assertWhole(store, path)
  await store.close()
})

import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { addFacts, auditLog, startOfTests, testSigner } from '../../../test/helpers/audit-log.ts'
import { forEachStore } from '../../../test/helpers/stores.ts'
import { openStore } from '../../store/open.ts'
import { exportAuditLog } from './audit-export.ts'
import { signCheckpoint } from './checkpoint.ts'
import { verifyExport, type ExportCheck } from './exported-log.ts'
import { seal, type SealContext } from './seal.ts'
import { encodeVerifierKey, noteVerifier, parseVerifierKey } from './signed-note.ts'
import { decodeBundle, encodeBundle } from './tile.ts'

async function emptyDirectory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'perennial-export-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

interface Exported {
  readonly log: SealContext
  readonly directory: string
  check(earlier?: string): Promise<ExportCheck>
  /** Kind and index of each finding. */
  found(earlier?: string): Promise<(readonly [string, number | null])[]>
  editBundle(path: string, edit: (entries: Uint8Array[]) => Uint8Array[]): Promise<void>
}

/** An export of 600 entries, to be damaged. */
async function exported(t: TestContext, size = 600): Promise<Exported> {
  const store = await openStore({ url: 'sqlite::memory:' })
  t.after(() => store.close())
  await store.migrate()
  const log = auditLog(store)
  await addFacts(store, size)
  await seal(log, startOfTests)
  const directory = await emptyDirectory(t)
  await exportAuditLog(log, directory)
  const check = (earlier: string | null = null) =>
    verifyExport(directory, noteVerifier(log.audit.signer), { earlier })
  return {
    log,
    directory,
    check,
    found: async (earlier) =>
      (await check(earlier)).findings.map(({ kind, index }) => [kind, index] as const),
    editBundle: async (path, edit) => {
      const file = join(directory, 'tile/entries', path)
      await writeFile(file, encodeBundle(edit([...decodeBundle(await readFile(file)).entries])))
    },
  }
}

const forged = Buffer.from('{"action":"forged"}')

forEachStore((_, open) => {
  test('writes the files of the C2SP layout and nothing else, and they verify with the key alone', async (t) => {
    const log = auditLog(await open())
    await addFacts(log.store, 600)
    await seal(log, startOfTests)
    await addFacts(log.store, 5)
    const directory = join(await emptyDirectory(t), 'new')
    const progress: string[] = []
    const report = await exportAuditLog(
      log,
      directory,
      (done, total) => void progress.push(`${done}/${total}`),
    )
    assert.equal(report.size, 600)
    assert.deepEqual(progress, ['600/600'])
    const files = await readdir(directory, { recursive: true, withFileTypes: true })
    const names = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name))
    assert.deepEqual(names.map((name) => name.slice(directory.length + 1)).sort(), [
      'checkpoint',
      'tile/0/000',
      'tile/0/001',
      'tile/0/002.p/88',
      'tile/1/000.p/2',
      'tile/entries/000',
      'tile/entries/001',
      'tile/entries/002.p/88',
    ])
    assert.equal(report.files, names.length)
    const check = await verifyExport(directory, parseVerifierKey(encodeVerifierKey(log.audit.signer)))
    assert.deepEqual([check.isValid, check.findings, check.size], [true, [], 600])
  })

  test('exports a log of exactly one tile, which has a tile of one hash above it', async (t) => {
    const log = auditLog(await open())
    await addFacts(log.store, 256)
    await seal(log, startOfTests)
    const directory = await emptyDirectory(t)
    await exportAuditLog(log, directory)
    assert.deepEqual((await readdir(join(directory, 'tile/1/000.p'))).sort(), ['1'])
    assert.ok((await verifyExport(directory, noteVerifier(log.audit.signer))).isValid)
  })

  test('refuses a directory that is not empty, and a log in which nothing is sealed', async (t) => {
    const log = auditLog(await open())
    const directory = await emptyDirectory(t)
    await assert.rejects(exportAuditLog(log, directory), { code: 'not-found' })
    await addFacts(log.store, 1)
    await seal(log, startOfTests)
    await exportAuditLog(log, directory)
    await assert.rejects(exportAuditLog(log, directory), { code: 'already-exists' })
  })

  test('refuses to export entries that are not those that were signed, and leaves no checkpoint', async (t) => {
    for (const damage of ['change', 'delete'] as const) {
      const log = auditLog(await open())
      await addFacts(log.store, 300)
      await seal(log, startOfTests)
      await log.store.transaction(async (tx) => {
        const facts = tx.updateTable('facts').set({ entry: forged }).where('log_index', '=', 7)
        if (damage === 'change') await facts.execute()
        else await tx.deleteFrom('facts').where('log_index', '=', 7).execute()
      })
      const directory = await emptyDirectory(t)
      await assert.rejects(exportAuditLog(log, directory), { code: 'audit-invalid' })
      assert.ok(!(await readdir(directory)).includes('checkpoint'))
    }
  })
})

test('finds a changed, an inserted, a deleted and a reordered entry', async (t) => {
  const log = await exported(t)
  const original = await readFile(join(log.directory, 'tile/entries/001'))
  const cases = [
    ['changed', 300, (entries: Uint8Array[]) => entries.with(44, forged)],
    ['inserted', 300, (entries: Uint8Array[]) => entries.toSpliced(44, 0, forged).slice(0, 256)],
    ['deleted', 300, (entries: Uint8Array[]) => entries.toSpliced(44, 1)],
    [
      'reordered',
      300,
      (entries: Uint8Array[]) =>
        entries.with(44, entries[99] as Uint8Array).with(99, entries[44] as Uint8Array),
    ],
  ] as const
  for (const [kind, index, edit] of cases) {
    await log.editBundle('001', edit)
    assert.deepEqual(await log.found(), [[kind, index]])
    await writeFile(join(log.directory, 'tile/entries/001'), original)
  }
  assert.deepEqual(await log.found(), [])
})

test('finds an entry put behind the last one of a bundle, full or not', async (t) => {
  for (const [path, index] of [
    ['001', 512],
    ['002.p/88', 600],
  ] as const) {
    const log = await exported(t)
    await log.editBundle(path, (entries) => [...entries, forged])
    assert.deepEqual(await log.found(), [['inserted', index]])
  }
})

test('finds bytes behind the last entry that are no entry', async (t) => {
  const log = await exported(t)
  const file = join(log.directory, 'tile/entries/002.p/88')
  await writeFile(file, Buffer.concat([await readFile(file), Buffer.of(0)]))
  assert.deepEqual(await log.found(), [['inserted', 600]])
})

test('finds a bundle beyond the end of the log', async (t) => {
  for (const [size, name, index] of [
    [600, '003', 768],
    [512, '002', 512],
    [512, '002.p/3', 512],
  ] as const) {
    const log = await exported(t, size)
    const file = join(log.directory, 'tile/entries', name)
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, encodeBundle([forged]))
    assert.deepEqual(await log.found(), [['inserted', index]], name)
  }
})

test('finds a bundle that is gone, at the end and in between', async (t) => {
  for (const [name, kind, index] of [
    ['000', 'deleted', 0],
    ['001', 'deleted', 256],
    ['002.p/88', 'truncated', 512],
  ] as const) {
    const log = await exported(t)
    await rm(join(log.directory, 'tile/entries', name))
    assert.deepEqual(await log.found(), [[kind, index]], name)
  }
})

test('finds a bundle that ends inside an entry', async (t) => {
  const log = await exported(t)
  const file = join(log.directory, 'tile/entries/002.p/88')
  await writeFile(file, (await readFile(file)).subarray(0, -1))
  assert.deepEqual(await log.found(), [['truncated', 599]])
})

test('finds a tile that was changed or is gone', async (t) => {
  for (const [name, index] of [
    ['0/001', 256],
    ['0/002.p/88', 512],
    ['1/000.p/2', 0],
  ] as const) {
    const log = await exported(t)
    const file = join(log.directory, 'tile', name)
    const bytes = await readFile(file)
    bytes[0] = (bytes[0] as number) ^ 1
    await writeFile(file, bytes)
    assert.deepEqual(await log.found(), [['tile-changed', index]], name)
    await rm(file)
    assert.deepEqual(await log.found(), [['tile-missing', index]], name)
  }
})

test('finds an export whose checkpoint another key signed, and says that a directory without one is none', async (t) => {
  const log = await exported(t)
  const file = join(log.directory, 'checkpoint')
  const { rootHash } = await log.check()
  await writeFile(file, await signCheckpoint({ size: 600, rootHash: rootHash as Uint8Array }, testSigner()))
  assert.deepEqual(await log.found(), [['checkpoint-invalid', null]])
  await writeFile(file, 'nonsense')
  assert.deepEqual(await log.found(), [['checkpoint-invalid', null]])
  await rename(file, `${file}.old`)
  await assert.rejects(log.check(), { code: 'not-found' })
})

test('finds an export that does not continue the checkpoint kept from before', async (t) => {
  const log = await exported(t)
  const earlier = await readFile(join(log.directory, 'checkpoint'), 'utf8')
  await addFacts(log.log.store, 100)
  await seal(log.log, startOfTests)
  const later = await emptyDirectory(t)
  await exportAuditLog(log.log, later)
  const verifier = noteVerifier(log.log.audit.signer)
  assert.ok((await verifyExport(later, verifier, { earlier })).isValid)

  const newer = await readFile(join(later, 'checkpoint'), 'utf8')
  assert.deepEqual(await log.found(newer), [['rolled-back', 600]])

  const fork = await signCheckpoint({ size: 300, rootHash: Buffer.alloc(32, 3) }, log.log.audit.signer)
  const check = await verifyExport(later, verifier, { earlier: fork })
  assert.deepEqual([check.findings[0]?.kind, check.findings[0]?.index], ['changed', 0])
  await assert.rejects(verifyExport(later, verifier, { earlier: 'nonsense' }), { code: 'malformed' })
})

test('an export copied elsewhere verifies there', async (t) => {
  const log = await exported(t)
  const elsewhere = join(await emptyDirectory(t), 'copy')
  await cp(log.directory, elsewhere, { recursive: true })
  assert.ok((await verifyExport(elsewhere, noteVerifier(log.log.audit.signer))).isValid)
})

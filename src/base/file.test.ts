import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createFileAtomically, writeFileAtomically } from './file.ts'

async function temporaryDirectory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'perennial-file-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

test('replaces the whole file, with the mode given, and leaves nothing beside it', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'file')
  await writeFile(path, 'something much longer than the new text')
  await writeFileAtomically(path, 'new', 0o600)
  assert.equal(await readFile(path, 'utf8'), 'new')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(directory), ['file'])
})

test('what a crash left beside the file is replaced, and a link there is not followed', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'file')
  await writeFile(join(directory, 'victim'), 'untouched')
  await symlink(join(directory, 'victim'), `${path}.new`)
  await writeFileAtomically(path, 'new', 0o600)
  assert.equal(await readFile(join(directory, 'victim'), 'utf8'), 'untouched')
  assert.equal(await readFile(path, 'utf8'), 'new')
})

test('a directory that is not there fails, and the old file stays as it was', async (t) => {
  const directory = await temporaryDirectory(t)
  await assert.rejects(writeFileAtomically(join(directory, 'missing', 'file'), 'new', 0o600), {
    code: 'ENOENT',
  })
})

test('creates a file as a whole, and never over another', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'file')
  assert.equal(await createFileAtomically(path, 'first', 0o600, 'a'), true)
  assert.equal(await createFileAtomically(path, 'second', 0o600, 'b'), false)
  assert.equal(await readFile(path, 'utf8'), 'first')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(directory), ['file'])
})

test('of many who create one file at once, one succeeds', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'file')
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const created = await Promise.all(names.map((name) => createFileAtomically(path, name, 0o600, name)))
  assert.equal(created.filter(Boolean).length, 1)
  assert.equal(await readFile(path, 'utf8'), names[created.indexOf(true)])
  assert.deepEqual(await readdir(directory), ['file'])
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Refusal, type RefusalCode } from './base/errors.ts'
import { systemRandom } from './base/random.ts'
import {
  createDataDirectory,
  lockForInit,
  markReady,
  openDataDirectory,
  shellQuoted,
} from './data-directory.ts'

const now = Date.parse('2026-11-20T12:00:00Z')

function newPath(): string {
  return join(mkdtempSync(join(tmpdir(), 'perennial-dir-')), 'data')
}

async function created(path = newPath()): Promise<string> {
  const lock = await lockForInit(path)
  await markReady(await createDataDirectory(path, { now, random: systemRandom }))
  lock.release()
  return path
}

function refusal(code: RefusalCode, message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof Refusal && error.code === code && message.test(error.message)
}

const isPosix = process.platform !== 'win32'

test('is created with mode 0700, whatever the umask, and opens', { skip: !isPosix }, async () => {
  const before = process.umask(0)
  const path = await created()
  process.umask(before)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  assert.equal((await openDataDirectory(path)).databaseFile, join(path, 'perennial.db'))
})

for (const mode of [0o750, 0o701, 0o704]) {
  test(`is refused with mode 0${mode.toString(8)}, with the line to type`, { skip: !isPosix }, async () => {
    const path = await created()
    chmodSync(path, mode)
    await assert.rejects(openDataDirectory(path), refusal('data-directory-invalid', /run: chmod 700 \//))
    await assert.rejects(lockForInit(path), refusal('data-directory-invalid', /chmod 700/))
    chmodSync(path, 0o700)
    await openDataDirectory(path)
  })
}

test('a missing, an uninitialised and an unfinished one say which init to run', async () => {
  const path = newPath()
  await assert.rejects(openDataDirectory(path), refusal('data-directory-invalid', /perennial init --data \//))
  mkdirSync(path, { mode: 0o700 })
  await assert.rejects(openDataDirectory(path), refusal('data-directory-invalid', /not initialised; run: /))
  await createDataDirectory(path, { now, random: systemRandom })
  await assert.rejects(
    openDataDirectory(path),
    refusal('data-directory-invalid', /did not finish; run it again/),
  )
})

test('a second creation keeps what the first one fixed', async () => {
  const path = newPath()
  const lock = await lockForInit(path)
  const first = await createDataDirectory(path, { now, random: systemRandom })
  const second = await createDataDirectory(path, { now: now + 1, random: systemRandom })
  lock.release()
  assert.deepEqual(second.installation, first.installation)
})

test('refuses a directory of a newer version', async () => {
  const path = await created()
  const file = join(path, 'installation.json')
  const installation = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...installation, format: installation.format + 1 }))
  await assert.rejects(openDataDirectory(path), refusal('data-directory-newer', /format 2, this one knows 1/))
})

for (const damaged of ['', '{', '[]', '{"format":"1"}', '{"format":1}']) {
  test(`refuses installation.json that is ${damaged || 'empty'}`, async () => {
    const path = await created()
    writeFileSync(join(path, 'installation.json'), damaged)
    await assert.rejects(openDataDirectory(path), refusal('data-directory-invalid', /damaged/))
  })
}

test('refuses to be created among the files of somebody else, but not beside a prepared perennial.yaml', async () => {
  const path = newPath()
  mkdirSync(path, { mode: 0o700 })
  writeFileSync(join(path, 'perennial.yaml'), '')
  const mine = newPath()
  mkdirSync(mine, { mode: 0o700 })
  writeFileSync(join(mine, 'photo.jpg'), '')
  await createDataDirectory(path, { now, random: systemRandom })
  await assert.rejects(
    createDataDirectory(mine, { now, random: systemRandom }),
    refusal('data-directory-invalid', /holds other files \(photo\.jpg\)/),
  )
})

test('two inits exclude each other, and a killed one leaves no lock', async () => {
  const path = newPath()
  const module = new URL('./data-directory.ts', import.meta.url).href
  const script = `const { lockForInit } = await import(${JSON.stringify(module)}); await lockForInit(process.argv[1])`
  const lock = await lockForInit(path)
  const second = spawnSync(process.execPath, ['--input-type=module', '-e', script, path], {
    encoding: 'utf8',
  })
  assert.match(second.stderr, /another init is at work/)
  lock.release()
  const killed = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', `${script}; process.kill(process.pid, 'SIGKILL')`, path],
    { encoding: 'utf8' },
  )
  assert.equal(killed.signal, 'SIGKILL')
  const third = await lockForInit(path)
  third.release()
})

test('paths are quoted for the shell when they need it', () => {
  assert.equal(shellQuoted('/srv/perennial-data'), '/srv/perennial-data')
  assert.equal(shellQuoted("/tmp/it's here"), "'/tmp/it'\\''s here'")
})

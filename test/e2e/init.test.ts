/** `init` is interrupted, doubled and repeated, and always ends with one good installation. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, watch } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { cleanEnvironment, mainFile, perennial, temporaryFolder } from '../helpers/perennial.ts'

const folder = temporaryFolder()

interface Doctor {
  readonly ok: boolean
  readonly checks: readonly { check: string; status: string; message: string }[]
}

/** The installation is whole: doctor has nothing to complain about and the audit log verifies. */
async function assertWhole(data: string): Promise<void> {
  const { stdout, stderr } = await perennial(['doctor', '--json', '--data', data])
  const doctor: Doctor = JSON.parse(stdout)
  const failed = doctor.checks.filter(({ status, check }) => status === 'fail' && check !== 'Ports')
  assert.deepEqual(failed, [], stderr)
  const issuers = JSON.parse((await perennial(['ca', 'list', '--json', '--data', data])).stdout)
  assert.deepEqual(
    issuers.map(({ id, sha256 }: { id: string; sha256: string | null }) => [id, sha256 !== null]),
    [
      ['issuing', true],
      ['root', true],
    ],
  )
  const verified = await perennial(['audit', 'verify', '--data', data])
  assert.equal(verified.exitCode, 0, verified.stdout + verified.stderr)
}

/** Runs init and kills it with SIGKILL as soon as a file with this name appears anywhere in the directory. */
async function initKilledAt(data: string, name: string): Promise<NodeJS.Signals | null> {
  mkdirSync(data, { mode: 0o700 })
  const child = spawn(process.execPath, [mainFile, 'init', '--data', data], {
    env: cleanEnvironment(),
    stdio: 'ignore',
  })
  const seen = (_event: string, file: string | null) => {
    if (file && basename(file).startsWith(name)) child.kill('SIGKILL')
  }
  const watcher = watch(data, { recursive: true }, seen)
  const signal = await new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('close', (_code, bySignal) => resolve(bySignal))
  })
  watcher.close()
  return signal
}

const lastStep = 'audit-checkpoint'

for (const name of [
  'installation.json',
  'passphrase',
  'master.json',
  'root-',
  'issuing-',
  'est-server.key',
  lastStep,
]) {
  test(`killed with SIGKILL when ${name} appears, init finishes at its next run`, async () => {
    const data = join(folder, `killed-${name}`)
    const signal = await initKilledAt(data, name)
    const early = await perennial(['device', 'list', '--data', data])
    // after the last step a few milliseconds decide whether it was killed before its end or just after
    if (name !== lastStep) {
      assert.equal(signal, 'SIGKILL')
      assert.equal(early.exitCode, 7)
      assert.match(early.stderr, /is not initialised|did not finish; run it again/)
    }
    const { exitCode, stderr } = await perennial(['init', '--data', data])
    assert.equal(exitCode, 0, stderr)
    await assertWhole(data)
  })
}

test('of two inits at one time, both end well or one says that the other is at work', async () => {
  const data = join(folder, 'twice')
  const outcomes = await Promise.all([
    perennial(['init', '--data', data]),
    perennial(['init', '--data', data]),
  ])
  const exits = outcomes.map(({ exitCode }) => exitCode).sort()
  assert.ok(exits[0] === 0 && (exits[1] === 0 || exits[1] === 6), String(exits))
  await assertWhole(data)
})

test('a given passphrase is not stored, and is needed to sign', async () => {
  const data = join(folder, 'own-passphrase')
  const env = { PERENNIAL_PASSPHRASE: 'correct horse battery staple' }
  const made = await perennial(['init', '--data', data, '--json'], { env })
  assert.equal(made.exitCode, 0, made.stderr)
  assert.equal(JSON.parse(made.stdout).passphraseStored, false)
  assert.equal(existsSync(join(data, 'passphrase')), false)
  for (const name of readdirSync(join(data, 'keys'))) {
    assert.doesNotMatch(readFileSync(join(data, 'keys', name), 'utf8'), /correct horse/)
  }
  assert.equal((await perennial(['ca', 'list', '--data', data])).exitCode, 0)
  const without = await perennial(['ca', 'create', 'root', 'b', '--data', data])
  assert.equal(without.exitCode, 7)
  assert.match(without.stderr, /the CA keys need their passphrase/)
  const again = await perennial(['init', '--data', data], {
    env: { PERENNIAL_PASSPHRASE: 'another passphrase' },
  })
  assert.equal(again.exitCode, 7)
  assert.match(again.stderr, /passphrase-wrong/)
  assert.equal((await perennial(['ca', 'create', 'root', 'b', '--data', data], { env })).exitCode, 0)
})

test('a database of another installation is refused', async () => {
  const [first, second] = [join(folder, 'first'), join(folder, 'second')]
  assert.equal((await perennial(['init', '--data', first])).exitCode, 0)
  const env = { PERENNIAL_DATABASE__URL: `sqlite:${join(first, 'perennial.db')}` }
  const { exitCode, stderr } = await perennial(['init', '--data', second], { env })
  assert.equal(exitCode, 7)
  assert.match(stderr, /belongs to the installation [0-9a-f]{16}/)
  await assertWhole(first)
})

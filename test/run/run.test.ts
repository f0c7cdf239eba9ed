/** The front door itself: that it cannot pass what must not pass. Each test runs it over files planted in a directory. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ringOf } from './files.ts'

const frontDoor = resolve(import.meta.dirname, '../run.ts')
const passing = "import { test } from 'node:test'\ntest('fine', () => {})\n"

interface Run {
  readonly code: number | null
  readonly output: string
}

function runOver(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Run {
  const directory = mkdtempSync(join(tmpdir(), 'run-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  const { CI: _, NODE_TEST_CONTEXT: __, ...outer } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [frontDoor, ...args], {
    cwd: directory,
    env: { ...outer, ...env },
    encoding: 'utf8',
  })
  return { code: status, output: stdout + stderr }
}

function totals(output: string): Record<string, number> {
  return Object.fromEntries(
    [...output.matchAll(/^ℹ (\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  )
}

test('adds up all files and closes with the totals', (t) => {
  const { code, output } = runOver(t, { 'src/a.test.ts': passing, 'test/interop/b.test.ts': passing })
  assert.equal(code, 0, output)
  const { tests, pass, fail, skipped } = totals(output)
  assert.deepEqual({ tests, pass, fail, skipped }, { tests: 2, pass: 2, fail: 0, skipped: 0 })
  assert.match(output, /^unit +1 +0 +0/m)
  assert.match(output, /^interop +1 +0 +0/m)
  assert.match(output.trimEnd().split('\n').at(-1) as string, /^ℹ duration_ms \d+$/)
})

const failing: Readonly<Record<string, string>> = {
  'a failed test': "import { test } from 'node:test'\ntest('bad', () => { throw new Error('planted') })\n",
  'a failed subtest':
    "import { test } from 'node:test'\ntest('outer', async (t) => { await t.test('bad', () => { throw new Error('planted') }) })\n",
  'a file that does not load': "throw new Error('planted')\n",
  'a file that exits by itself, successfully': `${passing}process.exit(0)\n`,
  'a file that is killed': `${passing}process.kill(process.pid, 'SIGKILL')\n`,
  'a file without a test': 'export {}\n',
  'an error after the last test': `${passing}process.on('exit', () => { process.exitCode = 1 })\nqueueMicrotask(() => { throw new Error('planted') })\n`,
  'a file that never ends': `${passing}for (;;);\n`,
}
test('fails on each kind of broken file, and goes on with the others', (t) => {
  const entries = Object.entries(failing)
  const files = Object.fromEntries(entries.map(([, text], index) => [`src/bad-${index}.test.ts`, text]))
  const env = { PERENNIAL_TEST_FILE_TIMEOUT_MS: '2000' }
  const { code, output } = runOver(t, { ...files, 'src/good.test.ts': passing }, [], env)
  assert.equal(code, 1, output)
  for (const [index, [name]] of entries.entries()) {
    assert.match(output, new RegExp(`^✖ src/bad-${index}\\.test\\.ts`, 'm'), name)
  }
  assert.ok((totals(output)['fail'] as number) >= entries.length, output)
  assert.match(output, /^✔ src\/good\.test\.ts/m)
})

const skipping = {
  'src/a.test.ts': passing,
  'test/interop/b.test.ts':
    "import { test } from 'node:test'\ntest('wants x', { skip: 'x is not installed' }, () => {})\n",
  // Nothing but a skipped suite: Node counts no test in it at all.
  'test/interop/c.test.ts':
    "import { suite, test } from 'node:test'\nsuite('all of y', { skip: 'y is not installed' }, () => { test('z', () => {}) })\n",
}

test('names what was skipped, with the reason', (t) => {
  const { code, output } = runOver(t, skipping)
  assert.equal(code, 0, output)
  assert.equal(totals(output)['skipped'], 2)
  assert.match(output, /x is not installed\n +interop: wants x/)
  assert.match(output, /y is not installed\n +interop: all of y/)
})

test('fails on anything skipped with --no-skips and with CI=true, by an exit code of its own', (t) => {
  assert.equal(runOver(t, skipping, ['--no-skips', 'test/']).code, 3)
  assert.equal(runOver(t, skipping, ['test/'], { CI: 'true' }).code, 3)
})

test('fails on a ring that has no test at all with --no-skips', (t) => {
  const rings = ['test/wire/a', 'test/e2e/a', 'test/interop/a', 'test/tidy', 'src/a']
  const all = Object.fromEntries(rings.map((path) => [`${path}.test.ts`, passing]))
  assert.equal(runOver(t, all, ['--no-skips']).code, 0)
  const { 'test/e2e/a.test.ts': _, ...others } = all
  const { code, output } = runOver(t, others, ['--no-skips'])
  assert.equal(code, 3)
  assert.match(output, /^e2e .*no test found/m)
})

test('refuses words that it does not know and a pattern that matches nothing', (t) => {
  assert.equal(runOver(t, skipping, ['--rings', 'unit']).code, 2)
  assert.equal(runOver(t, skipping, ['no-such-file']).code, 2)
})

test('runs one ring, one file or one test', (t) => {
  const { code, output } = runOver(t, skipping, ['--ring', 'unit', '--name', 'fine'])
  assert.equal(code, 0, output)
  assert.equal(totals(output)['tests'], 1)
})

test('a ring is a folder of test/, a file there, or unit', () => {
  const paths = [
    'src/pki/der.test.ts',
    'test/tidy.test.ts',
    'test/interop/zlint.test.ts',
    'test/run/run.test.ts',
  ]
  assert.deepEqual(paths.map(ringOf), ['unit', 'tidy', 'interop', 'run'])
})

/** A disk that is full, as the system says so: the process may write no file that is longer. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { SimResult } from '../../src/sim/result.ts'

const run = promisify(execFile)
const main = join(import.meta.dirname, '../../src/main.ts')
/** In units of 512 bytes: the fleet is loaded, and the campaign does not come to its end. */
const most = 60_000

test('a full disk ends a run with what was measured so far, and without a verdict', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'full-disk-'))
  try {
    const simulated = [
      'sim',
      'run',
      'smart-meters-2.2m',
      '--devices',
      '8000',
      '--json',
      '--directory',
      directory,
    ]
    const limited = ['-c', `ulimit -f ${most}; exec "$@"`, 'sh', process.execPath, main, ...simulated]
    const { stdout } = await run('sh', limited, { maxBuffer: 2 ** 26 })
    const { partial, verdict, runs } = JSON.parse(stdout) as SimResult
    assert.match(partial ?? '', /^the disk is full: /)
    assert.equal(verdict, null)
    const [measured] = runs
    assert.ok(measured && measured.days < 180)
    assert.equal(measured.series.open.length, measured.days + 1)
    assert.deepEqual(measured.invariants.violations, [])
  } finally {
    rmSync(directory, { recursive: true })
  }
})

/** Revocation, proposals and cases on the command line: the real binary on one initialised data directory. */
import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import { join } from 'node:path'
import { perennial as runPerennial, temporaryFolder, type Outcome } from '../helpers/perennial.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')

async function perennial(line: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  return await runPerennial(line.split(' '), { cwd: folder, env: { PERENNIAL_DATA: data, ...env } })
}

async function json(line: string, env: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const { exitCode, stdout, stderr } = await perennial(`${line} --json`, env)
  assert.equal(exitCode, 0, `${line}: ${stderr}`)
  return JSON.parse(stdout)
}

before(async () => {
  const { exitCode, stderr } = await perennial('init')
  assert.equal(exitCode, 0, stderr)
})

suite('an act that needs a second person', () => {
  const env = { PERENNIAL_APPROVAL__REQUIRE: 'revoke-batch,issuer-create' }

  test('is filed and not done, and its author cannot allow it', async () => {
    await json('device add SN-1 --profile industrial --site Ulm')
    const line = 'revoke batch --site Ulm --reason theft --note stolen --yes'
    const { proposal } = (await json(line, env)) as { proposal: Record<string, unknown> }
    assert.equal(proposal['state'], 'open')
    assert.deepEqual(proposal['payload'], {
      delayMs: 0,
      note: 'stolen',
      reason: 'keyCompromise',
      selection: { site: 'Ulm' },
    })
    assert.deepEqual(await json('revoke list'), [])
    const own = await perennial('proposal approve 1', env)
    assert.equal(own.exitCode, 4)
    assert.match(own.stderr, /proposal-own/)
    const list = (await json('proposal list --state open')) as { id: number }[]
    assert.deepEqual(
      list.map(({ id }) => id),
      [1],
    )
    const shown = await perennial('proposal show 1')
    assert.match(shown.stdout, /revoke 0 certificates of 1 device \(site Ulm; keyCompromise\)/)
  })

  test('is done at once where nothing asks for a second person', async () => {
    const made = (await json('ca create intermediate issuing-2')) as { id: string }
    assert.equal(made.id, 'issuing-2')
    const filed = await perennial('ca create intermediate issuing-3', env)
    assert.match(filed.stdout, /Nothing is done yet\. This needs a second person: proposal 2/)
    assert.ok(!((await json('ca list')) as { id: string }[]).some(({ id }) => id === 'issuing-3'))
  })
})

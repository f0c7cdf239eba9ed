/** `perennial campaign` as people and programs use it: the real binary on one initialised data directory. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { dayMs, systemClock } from '../../src/base/clock.ts'
import { createCa } from '../helpers/ca.ts'
import { perennial as runPerennial, temporaryFolder, type Outcome } from '../helpers/perennial.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')

async function perennial(line: string | readonly string[], input?: string): Promise<Outcome> {
  const args = typeof line === 'string' ? line.split(' ') : line
  return await runPerennial(args, {
    cwd: folder,
    env: { PERENNIAL_DATA: data },
    ...(input === undefined ? {} : { input }),
  })
}

/** What it prints under --json. */
async function json(line: string): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await perennial(`${line} --json`)
  assert.equal(exitCode, 0, `${line}: ${stderr}`)
  return JSON.parse(stdout)
}

async function refused(line: string, exit: number, message: RegExp): Promise<void> {
  const { exitCode, stderr } = await perennial(line)
  assert.equal(exitCode, exit, `${line}: ${stderr}`)
  assert.match(stderr, message)
}

/** Devices whose certificate ends within their renewal window. */
function writeFleet(name: string, count: number): void {
  const ca = createCa('CN=ACME Factory CA', systemClock.now())
  const notAfter = systemClock.now() + 20 * dayMs
  const lines = Array.from({ length: count }, (_, n) => {
    const { pem } = ca.issue({ subject: `CN=${name}-${n}`, notAfter })
    return `${name}-${n},"${pem}"\n`
  })
  writeFileSync(join(folder, `${name}.csv`), `deviceId,certificate\n${lines.join('')}`)
}

suite('perennial campaign', () => {
  before(async () => {
    const made = await perennial('init --organization Example --name est.example.com')
    assert.equal(made.exitCode, 0, made.stderr)
    for (const name of ['meter', 'gateway']) {
      writeFleet(name, 12)
      const imported = await perennial(`cert import ${name}.csv --register ${name}`)
      assert.equal(imported.exitCode, 0, imported.stderr)
    }
    writeFileSync(
      join(folder, 'meters.yaml'),
      'selection: { profile: meter }\ncanary: { percentage: 25, minimum: 3 }\nrollout: { maximumPerMinute: 60 }\n',
    )
  })

  test('plan counts, forecasts and writes nothing', async () => {
    const plan = await json('campaign plan --file meters.yaml')
    assert.deepEqual([plan['selected'], plan['targets'], plan['normalDarknessPercent']], [12, 12, 100])
    const waves = plan['waves'] as { name: string; size: number; opensAt: string }[]
    assert.deepEqual(
      waves.map(({ name, size }) => [name, size]),
      [
        ['canary', 3],
        ['wave 1', 9],
      ],
    )
    assert.match(String(waves[0]?.opensAt), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.deepEqual((plan['lost'] as { reasons: unknown }).reasons, [{ reason: 'never-seen', count: 12 }])
    const { stdout } = await perennial('campaign plan --file meters.yaml')
    assert.match(stdout, /^12 targets of 12 selected devices\n/)
    assert.match(stdout, /\n {2}never +12 +100 % {2}█+\n/)
    assert.match(stdout, /\nWAVE +DEVICES +OPENS \(UTC\) +ALL ASKED +SOAK +APPROVAL\n/)
    assert.match(stdout, /60 a minute, 86,400 a day: 1 % of the capacity of 8,640,000 a day/)
    assert.match(stdout, /Warning: canary waits until 80 % have finished/)
    assert.deepEqual(await json('campaign list'), [])
  })

  test('options win over the file, and a definition may come from standard input', async () => {
    const planned = await perennial(
      ['campaign', 'plan', '--file', '-', '--profile', 'gateway', '--rate', '7', '--json'],
      '{"selection":{"profile":"meter"},"rollout":{"maximumPerMinute":60}}',
    )
    assert.equal(planned.exitCode, 0, planned.stderr)
    const { targets, rate } = JSON.parse(planned.stdout)
    assert.deepEqual([targets, rate.perMinute], [12, 7])
  })

  const wrong = [
    ['campaign plan', 3, /selection says nothing: give at least one of .* \(campaign-invalid\)/],
    ['campaign plan --all --wave 60 --wave 50', 3, /the waves add up to 110.1 %, more than 100 %/],
    ['campaign plan --all --canary 0', 2, /--canary .*It must be a share in percent/],
    ['campaign plan --all --window nightly', 2, /It must be cron\(0 2 \? \* \* \*\)\/180/],
    ['campaign plan --file nowhere.yaml', 3, /nowhere\.yaml/],
    ['campaign create Big --all', 3, /"Big" is no name of a campaign/],
    [
      'campaign create none --cohort nobody',
      3,
      /no selected device can be a target: nothing matches \(campaign-state\)/,
    ],
    ['campaign start nothing', 5, /there is no campaign nothing \(not-found\)/],
    ['campaign status nothing', 5, /there is no campaign nothing/],
  ] as const
  for (const [line, exit, message] of wrong) {
    test(`refuses ${line}`, async () => await refused(line, exit, message))
  }

  test('a dry run creates nothing; a creation says what comes next', async () => {
    const dry = await perennial('campaign create spring --file meters.yaml --dry-run')
    assert.equal(dry.exitCode, 0, dry.stderr)
    await refused('campaign status spring', 5, /not-found/)
    const { stdout, stderr } = await perennial('campaign create spring --file meters.yaml')
    assert.equal(stdout, 'Created spring with 12 targets: canary 3, wave 1 9.\n')
    assert.match(stderr, /Nothing is asked yet\. Start it with `perennial campaign start spring`\./)
    await refused(
      'campaign create spring --file meters.yaml',
      3,
      /there is a campaign spring.*\(already-exists\)/,
    )
    await refused('campaign create spring --continue', 3, /the targets of spring are complete: it is draft/)
    const other = await json('campaign plan --all')
    assert.deepEqual([other['selected'], other['targets']], [24, 12])
    assert.deepEqual(other['left'], [{ reason: 'other-campaign', count: 12 }])
  })

  test('start, pause, edit, resume, skip, retry: each says what it did', async () => {
    assert.equal((await json('campaign start spring'))['status'], 'running')
    const paused = await json('campaign pause spring --reason works')
    assert.deepEqual([paused['status'], paused['reason']], ['paused', 'works'])
    await refused('campaign pause spring', 3, /spring is paused; only one that is running can be paused/)
    const dry = await perennial('campaign edit spring --rate 5 --dry-run')
    assert.equal(dry.stdout, 'spring would have revision 2: rollout.\n')
    assert.equal((await json('campaign edit spring --rate 5'))['revision'], 2)
    assert.equal((await json('campaign status spring'))['ratePerMinute'], 5)
    await refused('campaign edit spring', 3, /the change is empty/)
    assert.equal((await json('campaign resume spring'))['status'], 'running')
    await refused('campaign skip spring gateway-1', 5, /gateway-1 is no target of spring/)
    const skipped = await json('campaign skip spring meter-1 --reason replaced')
    assert.deepEqual([skipped['deviceId'], skipped['status']], ['meter-1', 'abandoned'])
    const again = await json('campaign retry spring --dry-run')
    assert.deepEqual([again['retried'], again['leftCount'], again['dryRun']], [1, 0, true])
    assert.equal((await json('campaign retry spring meter-1'))['retried'], 1)
  })

  test('status, list, watch and report show where it stands', async () => {
    const { stdout } = await perennial('campaign status spring')
    assert.match(stdout, /^spring {2}running\n/)
    assert.match(stdout, /Waits for +the next pass, which opens canary\n/)
    assert.match(stdout, /\nWAVE +STATUS +DEVICES +PLANNED/)
    const list = await perennial('campaign list')
    assert.match(
      list.stdout,
      /^CAMPAIGN\tSTATUS\tTARGETS\tLET IN\tCREATED\tSTARTED\tWHY\nspring\trunning\t12\t0\t/,
    )
    const watched = await perennial('campaign watch spring --json --interval 1s --count 2')
    const looks = watched.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(
      looks.map(({ id, status, targets }) => [id, status, targets]),
      [
        ['spring', 'running', 12],
        ['spring', 'running', 12],
      ],
    )
    const report = await json('campaign report spring')
    assert.deepEqual([report['targets'], report['reasons'], report['attempts']], [12, [], []])
  })

  test('abort says before what it would do, and a draft is deleted', async () => {
    const dry = await perennial('campaign abort spring --dry-run')
    assert.equal(
      dry.stdout,
      '12 devices that use no new certificate would be let go; nothing would be revoked.\n',
    )
    assert.equal((await json('campaign status spring'))['status'], 'running')
    assert.equal((await json('campaign abort spring'))['status'], 'aborted')
    await perennial('campaign create draft --profile gateway')
    assert.equal((await perennial('campaign abort draft')).stdout, 'Deleted the draft draft.\n')
    await refused('campaign status draft', 5, /not-found/)
  })
})

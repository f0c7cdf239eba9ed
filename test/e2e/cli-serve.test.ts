/** Commands at work while `serve` runs on the same data directory, and how `serve` ends. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, suite, test } from 'node:test'
import { freePorts } from '../helpers/checkout.ts'
import { perennial, startPerennial, temporaryFolder, type Outcome } from '../helpers/perennial.ts'

suite('beside a running platform', () => {
  const folder = temporaryFolder()
  let env: Record<string, string>
  let serving: ChildProcess
  let ended: Promise<number | null>

  const run = async (...args: string[]): Promise<Outcome> => await perennial(args, { cwd: folder, env })

  before(async () => {
    const [est, status, admin, mqtt] = await freePorts(4)
    env = {
      PERENNIAL_DATA: join(folder, 'data'),
      PERENNIAL_EST__PORT: String(est),
      PERENNIAL_STATUS__PORT: String(status),
      PERENNIAL_ADMIN__PORT: String(admin),
      PERENNIAL_MQTT__PORT: String(mqtt),
    }
    assert.equal((await run('init')).exitCode, 0)
    serving = startPerennial(['serve', '--json'], { cwd: folder, env })
    ended = new Promise((resolve) => serving.once('close', resolve))
    const stdout = serving.stdout
    assert.ok(stdout)
    let said = ''
    for await (const line of createInterface(stdout)) {
      said += line
      if (line === '}') break
    }
    assert.match(JSON.parse(said).endpoints.est, new RegExp(`^https://.*:${est}$`))
  })
  after(() => void serving?.kill('SIGKILL'))

  test('devices are added, imported and listed', async () => {
    assert.equal((await run('device', 'add', 'S-1', '--profile', 'gateway')).exitCode, 0)
    const lines = Array.from({ length: 2_000 }, (_, i) => `{"id":"S-${i + 10}"}`).join('\n')
    const imported = await perennial(['device', 'import', '-', '--profile', 'meter'], {
      cwd: folder,
      env,
      input: lines,
    })
    assert.equal(imported.stdout, '2,000 devices added.\n', imported.stderr)
    assert.equal(JSON.parse((await run('device', 'list', '--json')).stdout).length, 2_001)
    assert.equal((await run('device', 'secret', 'S-1')).exitCode, 0)
  })

  test('doctor knows its ports, and a second serve is told what is in the way', async () => {
    const { checks } = JSON.parse((await run('doctor', '--json')).stdout)
    const ports = checks.find(({ check }: { check: string }) => check === 'Ports')
    assert.deepEqual([ports.status, ports.message], ['ok', 'in use by the running platform'])
    const second = await run('serve')
    assert.equal(second.exitCode, 7)
    assert.match(second.stderr, /\(configuration-invalid\)/)
  })

  test('the facts of the commands are sealed by the platform, and the log verifies', async () => {
    assert.equal((await run('audit', 'verify')).exitCode, 0)
  })

  test('SIGTERM ends it with exit code 0', async () => {
    serving.kill('SIGTERM')
    assert.equal(await ended, 0)
  })
})

/** Every example in the help of every command is typed into a shell, in the order of the help. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import type { Command } from 'commander'
import { dayMs, systemClock } from '../../src/base/clock.ts'
import { createCliContext } from '../../src/cli/create-context.ts'
import { readExamples } from '../../src/cli/examples.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { createCa } from '../helpers/ca.ts'
import { freePorts } from '../helpers/checkout.ts'
import { cleanEnvironment, mainFile, perennial, temporaryFolder } from '../helpers/perennial.ts'
import { run } from '../helpers/run.ts'

const folder = temporaryFolder()
const program = await buildProgram(null, createCliContext({ version: '0' }))
let env: Record<string, string>

/** Every command that does something, with its words: `device add`. */
function* leaves(
  command: Command,
  path: readonly string[] = [],
): Generator<{ command: Command; path: string }> {
  if (command.commands.length === 0) yield { command, path: path.join(' ') }
  for (const each of command.commands) yield* leaves(each, [...path, each.name()])
}

const commands = [...leaves(program)].filter(({ path }) => path !== 'help')

suite('examples in the help', () => {
  before(async () => {
    const [est, status, admin, mqtt] = await freePorts(4)
    env = {
      PERENNIAL_EST__PORT: String(est),
      PERENNIAL_STATUS__PORT: String(status),
      PERENNIAL_ADMIN__PORT: String(admin),
      PERENNIAL_MQTT__PORT: String(mqtt),
    }
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'perennial'), `#!/bin/sh\nexec '${process.execPath}' '${mainFile}' "$@"\n`)
    chmodSync(join(bin, 'perennial'), 0o755)
    const demo = await perennial(['demo', '--once'], { cwd: folder, env })
    assert.equal(demo.exitCode, 0, demo.stderr)
    const [certificate] = JSON.parse(
      (await perennial(['cert', 'list', '--device', 'demo-gateway-001', '--json'], { cwd: folder, env }))
        .stdout,
    )
    const exported = await perennial(['cert', 'export', certificate.serialNumber, '--out', 'device.pem'], {
      cwd: folder,
      env,
    })
    assert.equal(exported.exitCode, 0, exported.stderr)
    env['SERIAL'] = certificate.serialNumber
    env['PATH'] = `${bin}:${process.env['PATH']}`
    writeFixtures()
    for (const profile of ['gateway', 'meter']) {
      const line = ['cert', 'import', `due-${profile}.csv`, '--register', profile]
      const imported = await perennial(line, { cwd: folder, env })
      assert.equal(imported.exitCode, 0, imported.stderr)
    }
  })

  for (const { command, path } of commands) {
    test(`perennial ${path}`, async (context) => {
      const examples = readExamples(command)
      assert.ok(examples.length > 0, `perennial ${path} has no example in its help`)
      for (const { run: line, notRun, exit = 0 } of examples) {
        if (notRun !== undefined) {
          context.diagnostic(`not run: ${line} (${notRun})`)
          continue
        }
        const { exitCode, stdout, stderr } = await run('bash', ['-c', line], {
          cwd: folder,
          env: cleanEnvironment(env),
        })
        assert.equal(exitCode, exit, `${line}\n${stdout.toString()}${stderr}`)
      }
    })
  }
})

/** What the examples name as files. */
function writeFixtures(): void {
  const ca = createCa('CN=ACME Factory CA', systemClock.now())
  const write = (name: string, content: string) => writeFileSync(join(folder, name), content)
  write('fleet.csv', 'id,profile,site\nCSV-1,industrial,graz\nCSV-2,meter,linz\n')
  write('fleet.jsonl', '{"id":"JSONL-1","tags":{"line":"4"}}\n')
  write('old-fleet.pem', ca.issue({ subject: 'CN=OLD-1' }).pem)
  write('old-fleet.csv', `deviceId,certificate\nOLD-2,"${ca.issue({ subject: 'CN=OLD-2' }).pem}"\n`)
  write('acme-factory-ca.pem', ca.pem)
  write(
    'meters.yaml',
    'selection: { profile: meter }\ncanary: { percentage: 10 }\nrollout: { maximumPerMinute: 60 }\n',
  )
  // devices whose renewal window is open, for campaigns
  for (const profile of ['gateway', 'meter']) {
    const lines = Array.from({ length: 6 }, (_, n) => {
      const { pem } = ca.issue({
        subject: `CN=due-${profile}-${n}`,
        notAfter: systemClock.now() + 20 * dayMs,
      })
      return `due-${profile}-${n},"${pem}"\n`
    })
    write(`due-${profile}.csv`, `deviceId,certificate\n${lines.join('')}`)
  }
  write('brakes.yaml', 'brakes: { failed: { thresholdPercentage: 5 }, silent: off }\n')
}

/**
 * A device whose clock is ten years off, in either direction: the whole process sees that time (libfaketime), OpenSSL inside it too,
 * so TLS refuses the server's certificate. The agent learns the signed time and renews all the same.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { freePorts } from '../helpers/checkout.ts'
import {
  cleanEnvironment,
  mainFile,
  perennial,
  startPerennial,
  temporaryFolder,
  type Outcome,
} from '../helpers/perennial.ts'
import { faketimeLibrary, missing } from '../helpers/require.ts'

suite('a clock that is ten years off', { skip: missing('faketime') }, () => {
  const folder = temporaryFolder()
  let env: Record<string, string>
  let serving: ChildProcess
  let server = ''

  const ok = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await perennial(args, { cwd: folder, env })
    assert.equal(exitCode, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }

  /** @param offset as libfaketime has it: `-3650d` */
  async function at(offset: string, ...args: string[]): Promise<Outcome> {
    const fake = { LD_PRELOAD: faketimeLibrary, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' }
    const child = spawn(process.execPath, [mainFile, ...args], {
      cwd: folder,
      env: { ...cleanEnvironment(env), ...fake },
      timeout: 60_000,
    })
    const [stdout, stderr, [exitCode]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number | null]>,
    ])
    return { exitCode, stdout, stderr }
  }

  async function enrol(id: string): Promise<void> {
    await ok('device', 'add', id, '--profile', 'quick')
    writeFileSync(join(folder, `${id}.secret`), await ok('device', 'secret', id), { mode: 0o600 })
    const secret = ['--secret-file', `${id}.secret`, '--root', 'root.pem']
    await ok('agent', 'enrol', id, '--server', server, '--state', id, ...secret)
    // the window of the profile opens a second after the certificate was issued
    await systemClock.sleep(1_000)
  }

  const serial = async (id: string): Promise<string> =>
    JSON.parse(await ok('agent', 'status', '--state', id, '--json')).active.serialNumber

  before(async () => {
    const [est, status, admin, mqtt] = await freePorts(4)
    env = {
      PERENNIAL_DATA: join(folder, 'data'),
      PERENNIAL_EST__PORT: String(est),
      PERENNIAL_STATUS__PORT: String(status),
      PERENNIAL_STATUS__URL: `http://127.0.0.1:${status}`,
      PERENNIAL_ADMIN__PORT: String(admin),
      PERENNIAL_MQTT__PORT: String(mqtt),
    }
    server = `https://localhost:${est}`
    await ok('init')
    const file = join(folder, 'data', 'perennial.yaml')
    const profile =
      '{ extends: short-lived, validity: 604800s, jitter: 0, renewBefore: 604799s, retireAfter: 0 }'
    const config = readFileSync(file, 'utf8')
    writeFileSync(file, config.replace(/^profiles:$/m, `profiles:\n  quick: ${profile}`))
    serving = startPerennial(['serve', '--json'], { cwd: folder, env })
    assert.ok(serving.stdout)
    for await (const line of createInterface(serving.stdout)) if (line === '}') break
    await ok('ca', 'export', 'root', '--out', 'root.pem')
  })
  after(() => void serving?.kill('SIGKILL'))

  for (const offset of ['-3650d', '+3650d']) {
    test(`${offset}: learns the time and renews`, async () => {
      const id = `clock${offset.replace('+', 'p')}`
      await enrol(id)
      const old = await serial(id)
      const renewed = await at(offset, 'agent', 'renew', '--state', id)
      assert.equal(renewed.exitCode, 0, renewed.stderr)
      assert.match(renewed.stderr, /the signed time of the server is 20\d\d-/)
      assert.notEqual(await serial(id), old)
    })
  }

  test('without the signed time it keeps what it has, and says why', async () => {
    await enrol('alone')
    const old = await serial('alone')
    serving.kill('SIGKILL')
    const { exitCode, stderr } = await at('-3650d', 'agent', 'renew', '--state', 'alone')
    assert.notEqual(exitCode, 0)
    assert.match(stderr, /no answer/)
    assert.equal(await serial('alone'), old)
  })
})

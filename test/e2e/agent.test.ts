/** The agent as a process against a platform that runs: enrolment, renewal, kill -9 at every effect, a retired certificate. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { agentUnit } from '../../src/cli/agent-unit.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createCa } from '../helpers/ca.ts'
import { freePorts } from '../helpers/checkout.ts'
import {
  cleanEnvironment,
  perennial,
  startPerennial,
  temporaryFolder,
  type Outcome,
} from '../helpers/perennial.ts'
import { run } from '../helpers/run.ts'
import { missing } from '../helpers/require.ts'

const victimFile = fileURLToPath(new URL('../helpers/agent-victim.ts', import.meta.url))

interface Status {
  readonly deviceId: string
  readonly active: { readonly slot: string; readonly serialNumber: string; readonly state: string } | null
  readonly certificateFile: string
  readonly keyFile: string
  readonly renewalAt: string
  readonly next: { readonly step: string; readonly at: string; readonly why: string }
  readonly slots: Record<'a' | 'b', { readonly state: string; readonly serialNumber?: string }>
  readonly attempts: readonly { readonly outcome: string }[]
}

suite('the agent', () => {
  const folder = temporaryFolder()
  let env: Record<string, string>
  let serving: ChildProcess
  let server = ''
  let fingerprint = ''

  const type = async (...args: string[]): Promise<Outcome> => await perennial(args, { cwd: folder, env })
  const ok = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await type(...args)
    assert.equal(exitCode, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }

  /** A device in the inventory, its secret in a file of that name. */
  async function addDevice(id: string): Promise<void> {
    await ok('device', 'add', id, '--profile', 'quick')
    writeFileSync(join(folder, `${id}.secret`), await ok('device', 'secret', id), { mode: 0o600 })
  }

  const enrolLine = (id: string): string[] => [
    'agent',
    'enrol',
    id,
    '--server',
    server,
    '--state',
    id,
    '--secret-file',
    `${id}.secret`,
  ]

  async function enrol(id: string): Promise<Status> {
    await addDevice(id)
    return JSON.parse(await ok(...enrolLine(id), '--root', 'root.pem', '--json'))
  }

  const status = async (id: string): Promise<Status> =>
    JSON.parse(await ok('agent', 'status', '--state', id, '--json'))

  async function inventory(id: string): Promise<{ serialNumber: string; status: string }[]> {
    return JSON.parse(await ok('cert', 'list', '--device', id, '--json'))
  }

  /** The window of the profile opens a second after the certificate was issued. */
  const untilRenewable = async (): Promise<void> => await systemClock.sleep(1_000)

  /** Sightings are written every two seconds. */
  async function untilSuperseded(id: string, serialNumber: string): Promise<void> {
    for (let tries = 0; tries < 40; tries++) {
      const found = (await inventory(id)).find((each) => each.serialNumber === serialNumber)
      if (found?.status === 'superseded') return
      await systemClock.sleep(250)
    }
    assert.fail(`${serialNumber} was not retired`)
  }

  before(async () => {
    const [est, statusPort, admin, mqtt] = await freePorts(4)
    env = {
      PERENNIAL_DATA: join(folder, 'data'),
      PERENNIAL_EST__PORT: String(est),
      PERENNIAL_STATUS__PORT: String(statusPort),
      PERENNIAL_ADMIN__PORT: String(admin),
      PERENNIAL_MQTT__PORT: String(mqtt),
    }
    server = `https://localhost:${est}`
    fingerprint = JSON.parse(await ok('init', '--json')).rootFingerprint
    const file = join(folder, 'data', 'perennial.yaml')
    const profile =
      '{ extends: short-lived, validity: 604800s, jitter: 0, renewBefore: 604799s, retireAfter: 0 }'
    const text = readFileSync(file, 'utf8')
    writeFileSync(file, text.replace(/^profiles:$/m, `profiles:\n  quick: ${profile}`))
    serving = startPerennial(['serve', '--json'], { cwd: folder, env })
    assert.ok(serving.stdout)
    let said = ''
    for await (const line of createInterface(serving.stdout)) {
      said += line
      if (line === '}') break
    }
    assert.match(said, /endpoints/, 'the platform is up')
    await ok('ca', 'export', 'root', '--out', 'root.pem')
  })
  after(() => void serving?.kill('SIGKILL'))

  test('enrols with a secret and a root file; key and directory are private; OpenSSL reads what it wrote', async () => {
    const first = await enrol('press-1')
    assert.equal(first.deviceId, 'press-1')
    assert.deepEqual([first.active?.slot, first.active?.state, first.slots.b.state], ['a', 'stored', 'empty'])
    assert.equal(statSync(join(folder, 'press-1')).mode & 0o777, 0o700)
    assert.equal(statSync(first.keyFile).mode & 0o777, 0o600)
    const { certificateFile: chain, keyFile } = first
    const verify = await run('openssl', [
      'verify',
      '-CAfile',
      join(folder, 'root.pem'),
      '-untrusted',
      chain,
      chain,
    ])
    assert.equal(verify.exitCode, 0, verify.stderr)
    const publicOf = async (...args: string[]) => (await run('openssl', args)).stdout.toString()
    assert.equal(
      await publicOf('x509', '-in', chain, '-noout', '-pubkey'),
      await publicOf('pkey', '-in', keyFile, '-pubout'),
    )
    assert.equal(first.next.step, 'wait')
    assert.ok(first.next.at <= first.renewalAt, 'it asks for a hint before')
    assert.match(first.next.why, /^the renewal is due on /)
    const second = await type(...enrolLine('press-1'))
    assert.equal(second.exitCode, 3)
    assert.match(second.stderr, /already-exists/)
  })

  test('refuses a wrong secret, a wrong fingerprint and a server without a root; then goes on', async () => {
    await addDevice('press-2')
    const wrong = { ...env, PERENNIAL_AGENT_SECRET: 'wrong' }
    const line = ['agent', 'enrol', 'press-2', '--server', server, '--state', 'press-2']
    const trusting = [...line, '--root-fingerprint', fingerprint]
    const refused = await perennial(trusting, { cwd: folder, env: wrong })
    assert.equal(refused.exitCode, 4)
    assert.match(refused.stderr, /401/)
    const key = readFileSync(join(folder, 'press-2', 'a.key'), 'utf8')

    const other = await type(...enrolLine('press-2'), '--root-fingerprint', 'ab'.repeat(32))
    assert.deepEqual([other.exitCode, /certificate-untrusted/.test(other.stderr)], [4, true])
    await addDevice('press-3')
    const blind = await type(...enrolLine('press-3'))
    assert.deepEqual([blind.exitCode, /say whom to trust/.test(blind.stderr)], [3, true])
    assert.equal(existsSync(join(folder, 'press-3', 'a.key')), false)

    await ok(...enrolLine('press-2'), '--root-fingerprint', fingerprint.replaceAll(/(..)(?=.)/g, '$1:'))
    assert.equal(readFileSync(join(folder, 'press-2', 'a.key'), 'utf8'), key)
  })

  test('enrols with a factory identity, which is not kept', async () => {
    const factory = createCa('CN=Factory', systemClock.now())
    const { pem, keyPem } = factory.issue({ subject: 'CN=Press,serialNumber=press-8' })
    const files = { 'factory.pem': factory.pem, 'idevid.pem': pem, 'idevid.key': keyPem }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 })
    await ok('trust', 'add', 'factory.pem', '--name', 'factory')
    await ok('device', 'add', 'press-8', '--profile', 'quick')
    const line = ['agent', 'enrol', 'press-8', '--server', server, '--state', 'press-8', '--root', 'root.pem']
    const lone = await type(...line, '--factory-certificate', 'idevid.pem')
    assert.deepEqual([lone.exitCode, /belong together/.test(lone.stderr)], [3, true])
    await ok(...line, '--factory-certificate', 'idevid.pem', '--factory-key', 'idevid.key')
    const { active } = await status('press-8')
    assert.equal((await inventory('press-8'))[0]?.serialNumber, active?.serialNumber)
    for (const name of readdirSync(join(folder, 'press-8'))) {
      assert.ok(!readFileSync(join(folder, 'press-8', name), 'utf8').includes(keyPem.slice(40, 80)), name)
    }
  })

  test('renews into the other slot, and the old certificate is retired only then', async () => {
    const first = await enrol('press-4')
    await untilRenewable()
    await ok('agent', 'renew', '--state', 'press-4')
    const second = await status('press-4')
    assert.deepEqual([second.active?.slot, second.slots.a.state], ['b', 'retired'])
    assert.notEqual(second.active?.serialNumber, first.active?.serialNumber)
    await untilSuperseded('press-4', first.active?.serialNumber ?? '')
    assert.match(await ok('agent', 'renew', '--if-due', '--state', 'press-4', '--json'), /"slot": "b"/)
  })

  test('a retired certificate is refused, and the other slot is used where it holds the newer one', async () => {
    const first = await enrol('press-5')
    const restored = join(folder, 'press-5-restored')
    cpSync(join(folder, 'press-5'), restored, { recursive: true })
    chmodSync(restored, 0o700)
    await untilRenewable()
    await ok('agent', 'renew', '--state', 'press-5')
    await untilSuperseded('press-5', first.active?.serialNumber ?? '')
    const { exitCode, stderr } = await type('agent', 'renew', '--state', restored)
    assert.equal(exitCode, 4)
    assert.match(stderr, /was replaced by a newer one/)

    writeFileSync(join(folder, 'press-5', 'active.json'), '{"active":"a","retired":null}')
    await ok('agent', 'renew', '--if-due', '--state', 'press-5')
    const { active, slots } = await status('press-5')
    assert.deepEqual([active?.slot, slots.a.state], ['b', 'retired'])
  })

  test('kill -9 at every effect of a renewal: the next start finishes it, and no certificate is issued twice', async () => {
    await enrol('press-6')
    const agent = async (at: number, wish: string) =>
      await run(process.execPath, [victimFile, join(folder, 'press-6'), String(at), wish], {
        env: cleanEnvironment(env),
      })
    let renewals = 0
    let last = (await status('press-6')).active?.serialNumber
    let isThrough = false
    for (let at = 0; !isThrough; at++) {
      await untilRenewable()
      const killed = await agent(at, 'renew')
      isThrough = killed.exitCode === 0
      if (!isThrough) assert.equal(killed.exitCode, null, killed.stderr)
      const finished = await agent(-1, 'keep')
      assert.equal(finished.exitCode, 0, finished.stderr)
      const { serialNumber, isSettled } = JSON.parse(finished.stdout.toString())
      assert.equal(isSettled, true, 'nothing is under way any more')
      if (serialNumber !== last) renewals++
      last = serialNumber
      assert.ok(at < 30)
    }
    assert.ok(renewals >= 8, `${renewals} renewals were finished`)
    const held = await inventory('press-6')
    assert.equal(held.length, 1 + renewals)
    const live = held.find(({ serialNumber }) => serialNumber === last)
    assert.ok(live?.status === 'issued' || live?.status === 'confirmed')
  })

  test('run says what it waits for, keeps a second agent out, and ends at SIGTERM', async () => {
    await enrol('press-7')
    const child = startPerennial(['agent', 'run', '--state', 'press-7'], { cwd: folder, env })
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    assert.ok(child.stderr)
    const lines: { event: string; msg: string }[] = []
    for await (const line of createInterface(child.stderr)) {
      lines.push(JSON.parse(line))
      if (lines.at(-1)?.event === 'wait') break
    }
    assert.deepEqual(
      lines.map(({ event }) => event),
      ['start', 'wait'],
    )
    assert.match(lines[1]?.msg ?? '', /^the renewal is due on /)
    const second = await type('agent', 'renew', '--state', 'press-7')
    assert.equal(second.exitCode, 6)
    assert.match(second.stderr, /another agent works/)
    child.kill('SIGTERM')
    assert.equal(await ended, 0)
  })

  test('takes signed bundles: a trigger, and trust only when the server proves itself with it', async () => {
    writeFileSync(join(folder, 'ota-key.pem'), await ok('trigger', 'key'))
    await addDevice('press-9')
    await ok(...enrolLine('press-9'), '--root', 'root.pem', '--bundle-key', 'ota-key.pem')
    const anchors = (): string => readFileSync(join(folder, 'press-9', 'trust.pem'), 'utf8')
    const pinned = anchors()

    const { pem } = createCa('CN=Next Root', systemClock.now())
    writeFileSync(join(folder, 'next.pem'), pem)
    await ok('trigger', 'bundle', 'press-*', '--trust', 'next.pem', '--out', 'alone.json')
    const alone = await type('agent', 'take', 'alone.json', '--state', 'press-9')
    assert.deepEqual([alone.exitCode, /the server is not reached/.test(alone.stderr)], [6, true])
    assert.equal(anchors(), pinned)

    writeFileSync(join(folder, 'both.pem'), pinned + pem)
    await ok('trigger', 'bundle', '*', '--trust', 'both.pem', '--out', 'both.json')
    await ok('agent', 'take', 'both.json', '--state', 'press-9')
    assert.equal(anchors().match(/BEGIN CERTIFICATE/g)?.length, 2)
    const older = await type('agent', 'take', 'alone.json', '--state', 'press-9')
    assert.deepEqual([older.exitCode, /bundle-refused/.test(older.stderr)], [4, true])
    const forged = readFileSync(join(folder, 'both.json'), 'utf8').replace('"device":"*"', '"device":"p*"')
    writeFileSync(join(folder, 'forged.json'), forged)
    const other = await type('agent', 'take', 'forged.json', '--state', 'press-9')
    assert.deepEqual([other.exitCode, /bad-signature/.test(other.stderr)], [3, true])

    const { active } = await status('press-9')
    await untilRenewable()
    await ok('trigger', 'bundle', 'press-9', '--out', 'renew.json')
    await ok('agent', 'take', 'renew.json', '--state', 'press-9')
    const asked = await status('press-9')
    const isRenewed = asked.active?.serialNumber !== active?.serialNumber
    assert.ok(isRenewed || /as the server has asked/.test(asked.next.why), asked.next.why)
  })

  test('the systemd unit is one that systemd takes', { skip: missing('systemd-analyze') }, async () => {
    await ok(
      'agent',
      'install',
      '--state',
      '/var/lib/perennial-agent',
      '--user',
      'daemon',
      '--out',
      'perennial-agent.service',
    )
    const unit = readFileSync(join(folder, 'perennial-agent.service'), 'utf8')
    assert.match(unit, /^ExecStart=\/.* agent run --state \/var\/lib\/perennial-agent$/m)
    for (const keystore of ['file', 'tpm2', 'pkcs11'] as const) {
      const state = '/var/lib/perennial-agent'
      const text = agentUnit({ command: [process.execPath], state, user: 'daemon', keystore })
      writeFileSync(join(folder, `perennial-${keystore}.service`), text)
    }
    for (const name of ['agent', 'file', 'tpm2', 'pkcs11']) {
      const verify = await run('systemd-analyze', ['verify', join(folder, `perennial-${name}.service`)])
      assert.doesNotMatch(verify.stderr, /perennial-[a-z0-9]+\.service/)
    }
  })
})

/** The agent with keys that never leave their hardware: SoftHSM2 over PKCS #11, swtpm as a TPM 2.0. Real EST, real TLS. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { agentDefaults, checkAgentConfig } from '../../src/agent/agent-config.ts'
import { activeCredential } from '../../src/agent/agent-state.ts'
import { parseAnchors } from '../../src/agent/agent-trust.ts'
import type { Agent } from '../../src/agent/agent.ts'
import type { KeystoreConfig } from '../../src/agent/keystore-config.ts'
import { openAgent, readSetup, setUpAgent, type AgentSetup } from '../../src/agent/open-agent.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { type EstRig, startEstRig } from '../helpers/est-rig.ts'
import { makeSoftToken, type SoftToken, type SoftTpm, startSoftTpm } from '../helpers/hardware.ts'
import { missing, programPath, softhsmModule } from '../helpers/require.ts'
import { runOk } from '../helpers/run.ts'

interface Device {
  readonly directory: string
  boot(): Promise<Agent>
  serial(): Promise<string>
}

const folders: string[] = []
let rig: EstRig
before(async () => {
  rig = await startEstRig()
})
after(async () => {
  await rig.close()
  for (const folder of folders) rmSync(folder, { recursive: true })
})

async function makeDevice(
  id: string,
  keystore: KeystoreConfig,
  { server = rig.url, rootPem = rig.rootPem, keyAlgorithm = 'ec-p256' } = {},
): Promise<Device> {
  const { username, password } = await rig.addDevice({ id })
  const directory = mkdtempSync(join(tmpdir(), 'perennial-agent-'))
  folders.push(directory)
  const config = checkAgentConfig({ ...agentDefaults, deviceId: id, server, keystore, keyAlgorithm })
  await setUpAgent({ directory }, { config, anchors: parseAnchors(rootPem) })
  const boot = async () =>
    await openAgent({
      directory,
      clock: systemClock,
      random: systemRandom,
      bootstrap: { kind: 'secret', username, password },
    })
  const serial = async () => {
    const active = activeCredential(await (await boot()).state())
    assert.ok(active, 'there is an active credential')
    return active.certificate.serialNumber
  }
  return { directory, boot, serial }
}

async function currentSetup({ directory }: Device): Promise<AgentSetup> {
  const setup = await readSetup(directory)
  assert.ok(setup)
  return setup
}

async function enrolAndRenew({ boot, serial }: Device): Promise<void> {
  const first = await (await boot()).settle('enrol')
  assert.equal(first.isActivated, true, first.detail)
  const serials = [await serial()]
  for (let renewals = 0; renewals < 3; renewals++) {
    const { isActivated, detail } = await (await boot()).settle('renew')
    assert.equal(isActivated, true, detail)
    serials.push(await serial())
  }
  assert.equal(new Set(serials).size, 4, 'a new certificate each time')
}

function assertNoPrivateKey({ directory }: Device): void {
  for (const name of readdirSync(directory)) {
    assert.doesNotMatch(readFileSync(join(directory, name), 'latin1'), /BEGIN (?:EC |RSA )?PRIVATE KEY/, name)
  }
}

const needsToken = missing('openssl', 'softhsm', 'pkcs11-tool', 'openssl-pkcs11')
suite('keys in a PKCS #11 token', { skip: needsToken }, () => {
  const pin = 'pin-7461'
  let token: SoftToken
  before(async () => {
    token = await makeSoftToken('dev token', pin)
    Object.assign(process.env, token.env)
  })
  after(() => token.remove())

  const keystore = (): KeystoreConfig => ({
    kind: 'pkcs11',
    module: softhsmModule,
    token: token.label,
    pinFile: token.pinFile,
  })

  async function objects(): Promise<string> {
    const words = ['--module', softhsmModule, '--token-label', token.label, '--login', '--pin', pin]
    return (await runOk('pkcs11-tool', [...words, '--list-objects'])).toString()
  }

  test('enrols and renews three times; two keys stay in the token, none on the disk, and no file has the PIN', async () => {
    const device = await makeDevice('token-1', keystore())
    await enrolAndRenew(device)
    const held = (await objects()).split(/^(?=\S)/m).filter((block) => block.includes('perennial token-1'))
    assert.equal(held.filter((block) => block.startsWith('Private Key Object; EC')).length, 2)
    assert.equal(held.filter((block) => block.startsWith('Public Key Object; EC')).length, 2)
    for (const block of held.filter((each) => each.startsWith('Private'))) {
      assert.match(block, /sensitive, .*never extractable/)
    }
    assertNoPrivateKey(device)
    for (const name of readdirSync(device.directory)) {
      assert.ok(!readFileSync(join(device.directory, name), 'latin1').includes(pin), name)
    }
  })

  test('a key that a power cut has left in the token is gone after the next renewal; those of other devices stay', async () => {
    const device = await makeDevice('token-2', keystore())
    await (await device.boot()).settle('enrol')
    const words = ['--module', softhsmModule, '--token-label', token.label, '--login', '--pin', pin]
    const pair = [...words, '--keypairgen', '--key-type', 'EC:prime256v1', '--id']
    await runOk('pkcs11-tool', [...pair, 'aa01', '--label', 'perennial token-2'])
    await runOk('pkcs11-tool', [...pair, 'aa02', '--label', 'perennial token-20'])
    assert.match(await objects(), /ID: +aa01\b/)
    const { isActivated, detail } = await (await device.boot()).settle('renew')
    assert.equal(isActivated, true, detail)
    const left = await objects()
    assert.doesNotMatch(left, /ID: +aa01\b/)
    assert.equal(left.match(/ID: +aa02\b/g)?.length, 2)
  })

  test('no program gets the PIN as an argument', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'perennial-path-'))
    folders.push(folder)
    const log = join(folder, 'arguments')
    const { PATH = '' } = process.env
    for (const name of ['openssl', 'pkcs11-tool'] as const) {
      const lines = ['#!/bin/sh', `echo ${name} "$@" >> ${log}`, `exec ${programPath(name)} "$@"`, '']
      writeFileSync(join(folder, name), lines.join('\n'), { mode: 0o755 })
    }
    process.env['PATH'] = `${folder}:${PATH}`
    try {
      const device = await makeDevice('token-7', keystore())
      await enrolAndRenew(device)
    } finally {
      process.env['PATH'] = PATH
    }
    const seen = readFileSync(log, 'utf8')
    for (const each of ['s_client', 'dgst', '--keypairgen', '--delete-object'])
      assert.ok(seen.includes(each), each)
    assert.ok(!seen.includes(pin))
  })

  test('RSA keys work as well', async () => {
    await enrolAndRenew(await makeDevice('token-3', keystore(), { keyAlgorithm: 'rsa-2048' }))
  })

  test('a device whose key is a file moves into the token with its next renewal', async () => {
    const device = await makeDevice('token-4', { kind: 'file' })
    await (await device.boot()).settle('enrol')
    const serial = await device.serial()
    const { config, anchors } = await currentSetup(device)
    await setUpAgent(device, { config: { ...config, keystore: keystore() }, anchors })
    assert.equal(await device.serial(), serial)
    const { isActivated, detail } = await (await device.boot()).settle('renew')
    assert.equal(isActivated, true, detail)
    const state = await (await device.boot()).state()
    assert.equal(state.active, 'b')
    assert.match(readFileSync(join(device.directory, 'b.key'), 'utf8'), /^pkcs11:/)
  })

  test('a wrong PIN is a failure that is tried again later, and says what the token said', async () => {
    const device = await makeDevice('token-5', { ...keystore(), pinFile: null } as KeystoreConfig)
    const result = await (await device.boot()).settle('enrol')
    assert.deepEqual([result.step.kind, result.outcome], ['create-key', 'failed'])
    assert.match(result.detail, /PIN of the token is missing/)
    assert.ok(result.retryAt !== null)
  })

  test('a server that is not the pinned one sees nothing of the device', async () => {
    const stranger = makeCertificate({ subject: 'CN=stranger' })
    const { certificate } = stranger
    const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(certificate.der).toString('base64')}\n-----END CERTIFICATE-----\n`
    const device = await makeDevice('token-6', keystore())
    await (await device.boot()).settle('enrol')
    const { config, anchors } = await currentSetup(device)
    await setUpAgent(device, { config, anchors: parseAnchors(pem) })
    const blind = await (await device.boot()).settle('renew')
    assert.equal(blind.outcome, 'failed')
    assert.match(blind.detail, /certificate/)
    await setUpAgent(device, { config, anchors })
    assert.equal((await (await device.boot()).step('renew')).outcome, 'done')
  })
})

const needsTpm = missing('openssl', 'swtpm', 'openssl-tpm2', 'tpm2-abrmd', 'dbus')
suite('keys in a TPM 2.0', { skip: needsTpm }, () => {
  let tpm: SoftTpm
  before(async () => {
    tpm = await startSoftTpm()
    Object.assign(process.env, tpm.env)
  })
  after(async () => await tpm?.stop())

  test('enrols and renews three times; what is on the disk is of no use without the TPM', async () => {
    const device = await makeDevice('tpm-1', { kind: 'tpm2', tcti: tpm.tcti })
    await enrolAndRenew(device)
    assertNoPrivateKey(device)
    assert.match(readFileSync(join(device.directory, 'a.key'), 'utf8'), /^-----BEGIN TSS2 PRIVATE KEY-----/)
  })

  test('a TPM that cannot be reached is a failure that is tried again later', async () => {
    const device = await makeDevice('tpm-2', { kind: 'tpm2', tcti: 'swtpm:host=127.0.0.1,port=1' })
    const result = await (await device.boot()).settle('enrol')
    assert.deepEqual([result.step.kind, result.outcome], ['create-key', 'failed'])
    assert.ok(result.retryAt !== null)
  })
})

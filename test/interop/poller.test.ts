/**
 * A device that has strongSwan's `pki`, curl, openssl and a line for cron, and nothing of ours: it polls the renewal hint and
 * takes part in a campaign. What runs is the script of docs/renewal-hints.md, taken from the page.
 */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import type { DeviceId } from '../../src/base/id.ts'
import { flushSightings } from '../../src/engine/renewals/sighting.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { decodePem } from '../../src/pki/pem.ts'
import { updateCampaign } from '../../src/store/campaigns.ts'
import type { CertificateRecord } from '../../src/store/certificate-record.ts'
import { findByIssuerAndSerial } from '../../src/store/inventory.ts'
import { findOpenRenewal, updateRenewal } from '../../src/store/renewals.ts'
import { issuingId } from '../helpers/app.ts'
import { type EstRig, startEstRig } from '../helpers/est-rig.ts'
import { putCampaign, putRenewal } from '../helpers/renewals.ts'
import { missing, programPath } from '../helpers/require.ts'
import { run, runOk } from '../helpers/run.ts'
import { opensslRequest } from './openssl-device.ts'

const skip = missing('strongswan', 'openssl', 'curl')
const id = 'cron-1' as DeviceId

let rig: EstRig
let directory: string
before(async () => {
  if (skip) return
  rig = await startEstRig({ limits: { headersTimeoutMs: 20_000, requestTimeoutMs: 20_000 } })
  directory = join(rig.directory, 'device')
  mkdirSync(join(directory, 'pair.first'), { recursive: true })
  symlinkSync('pair.first', join(directory, 'current'))
  writeFileSync(join(directory, 'root.pem'), rig.rootPem)
  writeFileSync(join(directory, 'issuing.pem'), rig.issuingPem)
  writeFileSync(join(directory, 'renew-by-hint'), script())
})
after(() => rig?.close())

/** The first shell script of the page. */
function script(): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/renewal-hints.md'), 'utf8')
  const text = /```sh\n([\s\S]*?)```/.exec(page)?.[1]
  assert.ok(text !== undefined && text.startsWith('#!/bin/sh\n'))
  return text
}

/** What cron does. */
async function cron(url = rig.url): Promise<{ exitCode: number | null; said: string }> {
  const PATH = [dirname(programPath('strongswan')), process.env['PATH'] ?? ''].join(delimiter)
  const env = { URL: url.replace('127.0.0.1', 'localhost'), DIR: directory, PATH }
  const { exitCode, stderr, stdout } = await run('sh', [join(directory, 'renew-by-hint')], { env })
  return { exitCode, said: `${stdout.toString()}${stderr}` }
}

function certificate(): string {
  return readFileSync(join(directory, 'current', 'cert.pem'), 'utf8')
}

async function recordOf(pem: string): Promise<CertificateRecord> {
  const [{ der } = { der: new Uint8Array(0) }] = decodePem(pem)
  const { serialNumber } = parseCertificate(der)
  const record = await findByIssuerAndSerial(rig.engine.store.db, issuingId, serialNumber)
  assert.ok(record)
  return record
}

const open = () => findOpenRenewal(rig.engine.store.db, id, 'default')

test(
  'a device with strongSwan and a cron line renews when its campaign lets it in, and uses what it got',
  { skip },
  async () => {
    const { engine } = rig
    // enrolled by hand, with the secret
    const { username, password } = await rig.addDevice({ id })
    const { key, csr } = await opensslRequest(rig.directory, { name: 'first', id, kind: 'ec' })
    const trust = ['--cacert', join(directory, 'root.pem'), '--cacert', join(directory, 'issuing.pem')]
    const pem = await runOk(programPath('strongswan'), [
      '--est',
      '--url',
      rig.url,
      ...trust,
      '--in',
      csr,
      '--userpass',
      `${username}:${password}`,
      '--outform',
      'pem',
    ])
    writeFileSync(join(directory, 'current', 'cert.pem'), pem)
    writeFileSync(join(directory, 'current', 'key.pem'), readFileSync(key))
    const first = certificate()
    const old = await recordOf(first)

    // nothing asks for it, and its own window is days away; its poll is its first use
    assert.deepEqual(await cron(), { exitCode: 0, said: '' })
    await flushSightings(engine, engine.clock.now())
    assert.equal(certificate(), first)
    assert.equal((await recordOf(first)).status, 'confirmed')

    // a campaign has it as a target: paused, it waits
    await putCampaign(engine, { id: 'spring', status: 'paused' })
    const target = await putRenewal(engine, { record: old }, { campaignId: 'spring', connectivity: 'daily' })
    assert.deepEqual(await cron(), { exitCode: 0, said: '' })
    assert.equal(certificate(), first)

    // it runs, and lets the device in; no message is sent to it
    const at = engine.clock.now() - 2_000
    await engine.store.transaction(async (tx) => {
      await updateCampaign(tx, 'spring', { status: 'running' })
      await updateRenewal(tx, target, { status: 'triggered', triggeredAt: at, nextAt: at + 86_400_000 })
    })
    // pki says a lot while it renews
    const renewed = await cron()
    assert.equal(renewed.exitCode, 0, renewed.said)
    const second = certificate()
    assert.notEqual(second, first)
    const fresh = await recordOf(second)
    assert.deepEqual([fresh.predecessorId, fresh.protocol], [old.id, 'est'])

    // the script has used the new certificate: it is confirmed, and the renewal with it
    assert.equal((await recordOf(second)).status, 'confirmed')
    const renewal = await open()
    assert.deepEqual([renewal?.status, renewal?.newCertificateId], ['confirmed', fresh.id])

    // one pair is left, and the next poll has nothing to do
    assert.deepEqual(
      readdirSync(directory).filter((name) => name.startsWith('pair.')),
      [readlinkSync(join(directory, 'current'))],
    )
    assert.deepEqual(await cron(), { exitCode: 0, said: '' })
    assert.equal(certificate(), second)
  },
)

test('a server that is away costs nothing but the poll', { skip }, async () => {
  const held = certificate()
  const { exitCode, said } = await cron('https://127.0.0.1:9')
  assert.notEqual(exitCode, 0)
  assert.match(said, /curl/)
  assert.equal(certificate(), held)
  assert.equal(existsSync(join(directory, 'next')), false)
})

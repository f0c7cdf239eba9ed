/** The whole platform with MQTT, and devices made of openssl and mosquitto_pub: keys, CSRs and signatures are not ours. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { Config } from '../../src/config.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { defaultIssuerId } from '../../src/engine/issuing/default-profiles.ts'
import { addDevice } from '../../src/engine/inventory/device.ts'
import { enroll } from '../../src/engine/issuing/enroll.ts'
import { issuerChain } from '../../src/engine/issuing/issuer.ts'
import { newSecret } from '../../src/engine/issuing/secret.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { requestToSign } from '../../src/pki/mqtt-proof.ts'
import { serve, type Serving } from '../../src/serve.ts'
import { ensureServerCertificate } from '../../src/server-certificate.ts'
import type { CertificateRecord } from '../../src/store/certificate-record.ts'
import { putAttempts, putRenewal } from '../helpers/renewals.ts'
import { requestOf, withSecret } from '../helpers/requests.ts'
import { createInstallation, testPassphrase, type TestInstallation } from '../helpers/installation.ts'
import { publish, startMosquitto, subscribe } from '../helpers/mosquitto.ts'
import { topicOf } from '../helpers/mqtt-rig.ts'
import { missing } from '../helpers/require.ts'
import { runOk } from '../helpers/run.ts'

const skip = missing('mosquitto', 'mosquitto_pub', 'mosquitto_sub', 'openssl')

interface OpensslDevice {
  readonly id: string
  readonly keyFile: string
  readonly certificate: Uint8Array
  readonly record: CertificateRecord
}

suite('MQTT of a whole installation', { skip }, () => {
  test('embedded: a device of openssl renews; its trigger is there again after a restart', async () => {
    const installation = await createInstallation({ adjust: allOpen })
    const { app } = installation
    let serving = await start(installation)
    try {
      const device = await enrolWithOpenssl(installation, 'opened')
      assert.match(serving.endpoints.mqtt ?? '', /^mqtts:\/\/127\.0\.0\.1:\d+$/)
      const answer = await renewOver(installation, portOf(serving), device)
      const fresh = parseCertificate(Buffer.from(answer.certificate, 'base64'))
      const key = await runOk('openssl', [
        'pkey',
        '-in',
        `${device.keyFile}.new`,
        '-pubout',
        '-outform',
        'DER',
      ])
      assert.deepEqual(Buffer.from(fresh.spki), key)

      const asked = await enrolWithOpenssl(installation, 'asked')
      const renewal = await putRenewal(app.engine, asked, { status: 'triggered', connectivity: 'daily' })
      await putAttempts(app.engine, renewal, [
        { rung: 0, attempt: 1, channel: 'mqtt', at: systemClock.now() },
      ])
      await serving.stop()
      serving = await start(installation)
      const found = await subscribe(
        connection(installation, portOf(serving), asked),
        [topicOf('asked', 'renew')],
        { count: 1 },
      )
      assert.match(found[0] ?? 'nothing', new RegExp(`"renewal":${renewal.id},`))
    } finally {
      await serving.stop()
      await installation.close()
    }
  })

  test('external: over Mosquitto with mutual TLS, a request that openssl signed', async () => {
    const maker = await createInstallation({ adjust: allOpen })
    const directory = join(maker.path, '..')
    const platform = await enrolWithOpenssl(maker, 'platform')
    const rig = { directory, rootPem: maker.rootPem, issuingPem: await issuingPem(maker) }
    const broker = await startMosquitto(rig, await ensureServerCertificate(maker.app))
    const external = {
      ...maker,
      app: {
        ...maker.app,
        config: {
          ...maker.app.config,
          mqtt: {
            ...maker.app.config.mqtt,
            broker: 'external' as const,
            url: `mqtts://localhost:${broker.port}`,
            caFile: join(directory, 'root.pem'),
            certificateFile: `${platform.keyFile}.pem`,
            keyFile: platform.keyFile,
          },
        },
      },
    }
    connection(maker, 0, platform)
    const serving = await start(external)
    try {
      assert.equal(serving.endpoints.mqtt, null)
      await ready(serving)
      const device = await enrolWithOpenssl(maker, 'signed')
      const answer = await renewOver(maker, broker.port, device, true)
      assert.ok(parseCertificate(Buffer.from(answer.certificate, 'base64')).serialNumber)
    } finally {
      await serving.stop()
      await broker.close()
      await maker.close()
    }
  })
})

/** Each certificate may be renewed at once. */
function allOpen(config: Config): Config {
  const profiles = [...config.profiles].map(
    ([name, profile]) => [name, { ...profile, renewBeforeMs: profile.validityMs, jitterMs: 0 }] as const,
  )
  return { ...config, profiles: new Map(profiles) }
}

function start(installation: Pick<TestInstallation, 'app'>): Promise<Serving> {
  return serve(installation.app, {
    roles: ['est', 'mqtt', 'jobs', 'api'],
    workers: 1,
    version: 'test',
    passphrase: async () => testPassphrase,
    env: {},
  })
}

/** The health of the link, as an operator sees it. */
async function ready({ endpoints }: Serving): Promise<void> {
  for (let left = 400; left > 0; left--) {
    const text = await (await fetch(`${endpoints.admin}/readyz?verbose`)).text()
    if (text.includes('[+] mqtt ok')) return
    await systemClock.sleep(25)
  }
  throw new Error('the link to Mosquitto is not ready')
}

function portOf({ endpoints }: Serving): number {
  return Number(new URL(endpoints.mqtt ?? 'mqtts://x:0').port)
}

async function issuingPem({ app }: TestInstallation): Promise<string> {
  const [issuing] = await issuerChain(app.engine, defaultIssuerId)
  return encodePem('CERTIFICATE', issuing as Uint8Array)
}

/** Key and request by openssl, certificate by a one-time secret. */
async function enrolWithOpenssl(installation: TestInstallation, id: string): Promise<OpensslDevice> {
  const { engine } = installation.app
  const keyFile = join(installation.path, '..', `${id}.key`)
  await addDevice(engine, { id, profile: 'gateway' }, 'cli:test')
  const { secret } = await newSecret(engine, { deviceId: id as DeviceId, actor: 'cli:test' })
  const csr = await opensslCsr(keyFile, `/CN=${id}`)
  const outcome = await enroll(engine, requestOf(withSecret(id, secret), csr))
  assert.equal(outcome.kind, 'issued')
  if (outcome.kind !== 'issued') throw new Error('not issued')
  const { certificate, record } = outcome
  writeFileSync(`${keyFile}.pem`, encodePem('CERTIFICATE', certificate) + (await issuingPem(installation)))
  return { id, keyFile, certificate, record }
}

async function opensslCsr(keyFile: string, subject: string, ...more: string[]): Promise<Buffer> {
  await runOk('openssl', [
    'genpkey',
    '-algorithm',
    'EC',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-out',
    keyFile,
  ])
  return await runOk('openssl', [
    'req',
    '-new',
    '-key',
    keyFile,
    '-subj',
    subject,
    '-outform',
    'DER',
    ...more,
  ])
}

/** How mosquitto_pub and mosquitto_sub connect as this device. */
function connection({ path, rootPem }: TestInstallation, port: number, { keyFile }: OpensslDevice): string[] {
  const root = join(path, '..', 'root.pem')
  writeFileSync(root, rootPem)
  return [
    '-h',
    'localhost',
    '-p',
    String(port),
    '--cafile',
    root,
    '--cert',
    `${keyFile}.pem`,
    '--key',
    keyFile,
    '-q',
    '1',
  ]
}

/** Asks for a renewal with a new key. @param signed with the key of the current certificate, by openssl */
async function renewOver(
  installation: TestInstallation,
  port: number,
  device: OpensslDevice,
  signed = false,
): Promise<{ readonly certificate: string }> {
  const connected = connection(installation, port, device)
  const subject = await runOk('openssl', [
    'x509',
    '-in',
    `${device.keyFile}.pem`,
    '-noout',
    '-subject',
    '-nameopt',
    'compat',
  ])
  const csr = await opensslCsr(
    `${device.keyFile}.new`,
    subject.toString().replace('subject=', '').trim(),
    '-addext',
    `subjectAltName=URI:urn:perennial:device:${device.id}`,
  )
  const clientToken = 'openssl-1'
  const proof = signed
    ? {
        certificate: Buffer.from(device.certificate).toString('base64'),
        signature: await opensslSignature(
          device,
          requestToSign({ deviceId: device.id as DeviceId, clientToken, csr }),
        ),
      }
    : {}
  const request = { v: 1, clientToken, operation: 'reenroll', csr: csr.toString('base64'), ...proof }
  const topics = [topicOf(device.id, 'csr/accepted'), topicOf(device.id, 'csr/rejected')]
  // the request is repeated until its answer comes, as devices do: the first may be sent before somebody listens
  const answers = subscribe(connected, topics, { count: 1, seconds: 20 })
  const answered = new AbortController()
  void answers.then(() => answered.abort())
  for (let left = 40; left > 0 && !answered.signal.aborted; left--) {
    await publish(connected, topicOf(device.id, 'csr'), JSON.stringify(request))
    await systemClock.sleep(250)
  }
  const [answer = 'no answer'] = await answers
  assert.match(answer, /csr\/accepted /)
  return JSON.parse(answer.slice(answer.indexOf('{'))) as { certificate: string }
}

async function opensslSignature({ keyFile }: OpensslDevice, data: Uint8Array): Promise<string> {
  writeFileSync(`${keyFile}.tbs`, data)
  return (await runOk('openssl', ['dgst', '-sha256', '-sign', keyFile, `${keyFile}.tbs`])).toString('base64')
}

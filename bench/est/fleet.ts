/** An installation with devices that hold a certificate and are about to renew it. */
import { appendFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openApp, type App } from '../../src/app.ts'
import { silentLog } from '../../src/base/log.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { defaultRootId } from '../../src/engine/issuing/default-profiles.ts'
import { importDevices } from '../../src/engine/inventory/device.ts'
import { enroll } from '../../src/engine/issuing/enroll.ts'
import { issuerChain } from '../../src/engine/issuing/issuer.ts'
import { flushSightings } from '../../src/engine/renewals/sighting.ts'
import { newSecret } from '../../src/engine/issuing/secret.ts'
import { initialise } from '../../src/initialise.ts'
import { buildCsr } from '../../src/pki/csr.ts'
import { makeExtension } from '../../src/pki/extensions.ts'
import { encodeGeneralNames } from '../../src/pki/general-name.ts'
import { generateKeyPair, type KeyPair } from '../../src/pki/key.ts'
import { parseNameText } from '../../src/pki/name-text.ts'
import { oids } from '../../src/pki/oid.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { signData } from '../../src/pki/signature.ts'
import { ensureServerCertificate } from '../../src/server-certificate.ts'
import type { LoadDevice } from './load.ts'

export const passphrase = 'a passphrase for one benchmark'
const actor = 'cli:bench'

export interface Fleet {
  readonly path: string
  readonly rootPem: string
  readonly issuingPem: string
  readonly server: { readonly chainPem: string; readonly keyPem: string }
  readonly devices: readonly LoadDevice[]
  /** Base64 of one answer. */
  readonly answer: string
}

const settings = { 'audit.sealInterval': '2s' }

/** Goes at the end of perennial.yaml, which is its profiles. Renewable a second after issue: a benchmark cannot wait. */
const benchProfile = `
  bench:
    extends: industrial
    validity: 31536000s
    renewBefore: 31535999s
    jitter: 0
    connectivity: always-on
`

export async function createFleet(count: number): Promise<Fleet> {
  const path = join(mkdtempSync(join(tmpdir(), 'perennial-bench-est-')), 'data')
  const { directory } = await initialise({ path, env: {}, passphrase, settings, actor })
  appendFileSync(directory.configFile, benchProfile)
  const app = await openApp({
    dataDirectory: directory,
    env: {},
    passphrase: async () => passphrase,
    log: silentLog,
  })
  try {
    const server = await ensureServerCertificate(app)
    const [issuingPem = '', rootPem = ''] = (await issuerChain(app.engine, await signerOf(app))).map((der) =>
      encodePem('CERTIFICATE', der),
    )
    const devices = await enrolAll(app, count, issuingPem)
    const answer = 'A'.repeat(880)
    return { path, rootPem, issuingPem, server, devices, answer }
  } finally {
    await app.close()
  }
}

async function signerOf({ config }: App) {
  return config.profiles.get('bench')?.issuer ?? defaultRootId
}

async function enrolAll(app: App, count: number, issuingPem: string): Promise<LoadDevice[]> {
  const ids = Array.from({ length: count }, (_, index) => `bench-${String(index).padStart(7, '0')}`)
  for (let start = 0; start < count; start += 500) {
    const lines = ids.slice(start, start + 500).map((id, line) => ({ line, item: { id, profile: 'bench' } }))
    await importDevices(app.engine, lines, { actor })
  }
  const devices: LoadDevice[] = []
  for (let start = 0; start < count; start += 64) {
    const some = ids.slice(start, start + 64).map((id) => enrolOne(app, id as DeviceId, issuingPem))
    devices.push(...(await Promise.all(some)))
  }
  await flushSightings(app.engine, app.engine.clock.now())
  return devices
}

async function enrolOne({ engine }: App, id: DeviceId, issuingPem: string): Promise<LoadDevice> {
  const { secret: password } = await newSecret(engine, { deviceId: id, actor })
  const current = generateKeyPair('ec-p256')
  const outcome = await enroll(engine, {
    operation: 'enroll',
    csr: requestFor(id, current, engine.settings.organization),
    profile: null,
    protocol: 'est',
    peer: { address: '127.0.0.1', certificate: null, chain: [], basic: { username: id, password } },
    tlsUnique: null,
  })
  if (outcome.kind !== 'issued') throw new Error('the benchmark profile needs no approval')
  // in the field a certificate has been in use for long when it is renewed
  engine.sightings.noteCertificate(outcome.record, engine.clock.now())
  const next = requestFor(id, generateKeyPair('ec-p256'), engine.settings.organization)
  return {
    chainPem: encodePem('CERTIFICATE', outcome.certificate) + issuingPem,
    keyPem: current.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    csr: Buffer.from(next).toString('base64'),
  }
}

function requestFor(id: string, { privateKey, spki }: KeyPair, organization: string): Uint8Array {
  const name = encodeGeneralNames([{ kind: 'uri', value: `urn:perennial:device:${id}` }])
  const extensions = [makeExtension(oids.subjectAltName, name)]
  return buildCsr({ subject: parseNameText(`CN=${id},O=${organization}`), spki, extensions }, (info) => ({
    algorithm: 'ecdsa-sha256',
    signature: signData(privateKey, 'ecdsa-sha256', info),
  }))
}

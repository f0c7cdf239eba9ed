/** The demo fleet: simulated devices that enrol over the real EST endpoint, as a person would see it with real ones. */
import { X509Certificate } from 'node:crypto'
import { relative, resolve } from 'node:path'
import { EstClient } from './agent/est-client.ts'
import type { App } from './app.ts'
import { commandName } from './base/command-name.ts'
import { Refusal } from './base/errors.ts'
import type { DeviceId } from './base/id.ts'
import { shellQuoted } from './data-directory.ts'
import { actors } from './engine/audit/audit.ts'
import { defaultIssuerId, defaultRootId } from './engine/issuing/default-profiles.ts'
import { addDevice, type NewDevice } from './engine/inventory/device.ts'
import { devicePage } from './engine/inventory/inventory.ts'
import { issuerChain } from './engine/issuing/issuer.ts'
import { defaultSlot } from './engine/issuing/profile.ts'
import { newSecret } from './engine/issuing/secret.ts'
import { buildCsr } from './pki/csr.ts'
import { generateKeyPair } from './pki/key.ts'
import { parseNameText } from './pki/name-text.ts'
import { encodePem } from './pki/pem.ts'
import { signData } from './pki/signature.ts'
import type { Serving } from './serve.ts'
import { findDevice } from './store/devices.ts'
import { findCurrent } from './store/inventory.ts'
import { startDemoCampaign, type DemoCampaign } from './serve/demo-campaign.ts'

export interface DemoFleet {
  readonly enrolled: number
  /** Had a certificate from an earlier run. */
  readonly alreadyThere: number
}

export interface DemoOptions {
  readonly print: (line: string) => void
  /** Also into an inventory that has devices which are not of the demo. */
  readonly force?: boolean
}

const actor = actors.job('demo')

/** The device that the printed line enrols. */
const yours = { id: 'demo-yours', profile: 'gateway', cohort: 'demo', site: 'desk' }

const fleet: readonly NewDevice[] = [
  ...devices('meter', 4, { batch: '2026-W40', site: 'graz', connectivity: 'deep-sleep-72h' }),
  ...devices('industrial', 3, { batch: '2026-W31', site: 'gothenburg' }),
  ...devices('consumer', 2, { batch: '2026-W44', site: 'rotterdam' }),
  ...devices('gateway', 2, { batch: '2026-W12', site: 'gothenburg' }),
  ...devices('short-lived', 1, { batch: '2026-W46', site: 'lab' }),
]

function devices(profile: string, count: number, rest: Partial<NewDevice>): NewDevice[] {
  return Array.from({ length: count }, (_, index) => {
    const number = String(index + 1).padStart(3, '0')
    return { id: `demo-${profile}-${number}`, profile, cohort: 'demo', tags: { demo: 'true' }, ...rest }
  })
}

/**
 * Enrols each device of the fleet that has no certificate yet: one-time secret, enrolment, then a first connection with
 * the new certificate, which confirms it. An inventory in real use is left alone unless `force`.
 * @throws Refusal `configuration-invalid` when this process has no est role
 */
export async function enrolDemoFleet(
  app: App,
  serving: Serving,
  { print, force }: DemoOptions,
): Promise<DemoFleet> {
  const url = serving.endpoints.est
  if (url === null) throw new Refusal('configuration-invalid', 'the demo needs the est role in this process')
  if (!force && (await isInUse(app))) {
    print('The inventory has devices of its own: no demo fleet is added.')
    return { enrolled: 0, alreadyThere: 0 }
  }
  const [root] = (await issuerChain(app.engine, defaultRootId)).map((der) => encodePem('CERTIFICATE', der))
  let enrolled = 0
  const wanted = fleet.filter((device) => isConfigured(app, device))
  for (const device of wanted) {
    if (!(await addUnlessCertified(app, device))) continue
    await enrolDevice(app, device.id as DeviceId, { url, trustPem: root as string })
    enrolled++
    print(`  ${device.id} enrolled (${device.profile})`)
  }
  return { enrolled, alreadyThere: wanted.length - enrolled }
}

/** True when there is a device that is not of the demo. */
async function isInUse({ engine }: App): Promise<boolean> {
  const { rows } = await devicePage(engine, { limit: fleet.length + 2 })
  return rows.some(({ id }) => !id.startsWith('demo-'))
}

/** A user may have removed default profiles or connectivities. */
function isConfigured({ config }: App, { profile }: NewDevice): boolean {
  return config.profiles.has(profile)
}

/** @returns false when the device has a certificate already */
async function addUnlessCertified({ engine }: App, device: NewDevice): Promise<boolean> {
  const id = device.id as DeviceId
  const { db } = engine.store
  if (await findDevice(db, id)) return (await findCurrent(db, id, defaultSlot)) === null
  await addDevice(engine, device, actor)
  return true
}

interface Endpoint {
  readonly url: string
  readonly trustPem: string
}

async function enrolDevice({ engine }: App, id: DeviceId, endpoint: Endpoint): Promise<void> {
  const { clock } = engine
  const { secret: password } = await newSecret(engine, { deviceId: id, actor })
  const { privateKey, spki } = generateKeyPair('ec-p256')
  const csr = buildCsr({ subject: parseNameText(`CN=${id}`), spki }, (info) => ({
    algorithm: 'ecdsa-sha256',
    signature: signData(privateKey, 'ecdsa-sha256', info),
  }))
  const credentials = { username: id, password }
  const certificate = await new EstClient({ ...endpoint, clock, credentials }).enroll(csr)
  const issuers = await issuerChain(engine, defaultIssuerId)
  const chainPem = [certificate, ...issuers].map((der) => encodePem('CERTIFICATE', der)).join('')
  await new EstClient({ ...endpoint, clock, identity: { chainPem, key: privateKey } }).cacerts()
}

/** A campaign to watch; null where this installation cannot have one: without MQTT, or not made by the demo. */
export async function openDemoCampaign(
  app: App,
  { endpoints: { est, mqtt } }: Serving,
  { print }: Pick<DemoOptions, 'print'>,
): Promise<DemoCampaign | null> {
  if (est === null || mqtt === null) return null
  const [root] = await issuerChain(app.engine, defaultRootId)
  const trustPem = encodePem('CERTIFICATE', root as Uint8Array)
  return await startDemoCampaign(app, { endpoints: { est, mqtt, trustPem }, print })
}

/** Where everything is, the root's fingerprint, and lines to copy. Makes a one-time secret for the second. */
export async function demoLines(
  app: App,
  { endpoints }: Serving,
  campaign: DemoCampaign | null,
): Promise<string[]> {
  const { est, status, mqtt, admin } = endpoints
  const [root] = await issuerChain(app.engine, defaultRootId)
  const lines = [
    ...(est === null ? [] : [`Devices (EST)     ${est}/.well-known/est/`]),
    ...(mqtt === null ? [] : [`Devices (MQTT)    ${mqtt}`]),
    ...(status === null ? [] : [`CA certificates   ${status}/ca/${defaultRootId}.cer`]),
    ...(admin === null ? [] : [`Health, metrics   ${admin}/readyz?verbose  ${admin}/metrics`]),
    `Root fingerprint  ${new X509Certificate(root as Uint8Array).fingerprint256} (SHA-256)`,
  ]
  if (est !== null && status !== null) {
    lines.push('', 'Trust the root (compare the fingerprint):', trustLine(status))
    lines.push('', `Enrol a device (${yours.id}, a one-time secret of its own):`, await enrolLine(app, est))
  }
  if (campaign) {
    lines.push('', 'A campaign renews 30 valves while you look, whose certificates lapse within the hour:')
    lines.push(...campaign.commands.map((command) => ofThisInstallation(app, command)))
  }
  return [...lines, '', 'See what expires next:', ofThisInstallation(app, 'cert list --expires-within 365d')]
}

function trustLine(status: string): string {
  return `  curl -sSo root.cer ${status}/ca/${defaultRootId}.cer && openssl x509 -inform DER -in root.cer -out root.pem && openssl x509 -in root.pem -noout -fingerprint -sha256`
}

async function enrolLine(app: App, est: string): Promise<string> {
  await addUnlessCertified(app, yours)
  const { secret } = await newSecret(app.engine, { deviceId: yours.id as DeviceId, actor })
  const request = `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout device.key -subj /CN=${yours.id} -outform DER`
  const send = `curl -sS --fail-with-body --cacert root.pem --user ${yours.id}:${secret} -H 'Content-Type: application/pkcs10' --data-binary @- ${est}/.well-known/est/simpleenroll`
  const read = 'openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs -out device.pem'
  return `  ${request} 2>openssl.log | openssl base64 -A | ${send} | ${read} && openssl x509 -in device.pem -noout -subject -enddate`
}

function ofThisInstallation({ dataDirectory }: App, command: string): string {
  const isDefault = dataDirectory.path === resolve('perennial-data')
  const fromHere = relative('', dataDirectory.path)
  const path = fromHere.startsWith('..') ? dataDirectory.path : fromHere
  const where = isDefault ? '' : ` --data ${shellQuoted(path)}`
  return `  ${commandName()} ${command}${where}`
}

/**
 * The process that is killed: it enrols and renews devices over a SQLite file until it reaches a step for the n-th time,
 * and kills itself there with SIGKILL. Started again, it does what a server does first (recovery) and what devices do
 * whose answer was lost (the same requests again), then goes on.
 *
 *     node victim.ts DIRECTORY STEP N RUN
 *
 * Each answer that a client received goes to standard output before anything else happens: `REQUEST DER`, in hex.
 */
import { appendFileSync, existsSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { toHex, fromHex } from '../../src/base/bytes.ts'
import { hourMs, systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { createSoftwareAuthority } from '../../src/authorities/software.ts'
import { fileCheckpoint } from '../../src/engine/audit/checkpoint.ts'
import { shippedLadders } from '../../src/engine/renewals/ladder.ts'
import { createEngine, type Engine } from '../../src/engine/context.ts'
import { defaultIssuerId, defaultRootId } from '../../src/engine/issuing/default-profiles.ts'
import { addDevice } from '../../src/engine/inventory/device.ts'
import { enroll } from '../../src/engine/issuing/enroll.ts'
import { createIssuer } from '../../src/engine/issuing/issuer.ts'
import type { FaultInjector, FaultPoint } from '../../src/engine/ports.ts'
import { defineProfile } from '../../src/engine/issuing/profile.ts'
import { abandonReservations } from '../../src/engine/issuing/recover.ts'
import { defaultRenewalSettings } from '../../src/engine/renewals/renewal-settings.ts'
import { newSecret } from '../../src/engine/issuing/secret.ts'
import { openNoteSigner } from '../../src/engine/audit/signed-note.ts'
import { openStore } from '../../src/store/open.ts'
import { renewalCsr, withCertificate, withSecret } from '../helpers/requests.ts'
import { keyOf, newPrivateKey } from './key.ts'

/** What a device keeps about a request until it has the answer. */
interface Pending {
  readonly run: string
  readonly deviceId: string
  /** 0 = first enrolment, 1 = first renewal, … */
  readonly generation: number
  /** PKCS #8, base64. */
  readonly privateKey: string
  /** Renewal: the current certificate, hex. First enrolment: the secret. */
  readonly certificate: string | null
  readonly secret: string | null
}

const profile = defineProfile({
  name: 'daily',
  issuer: defaultIssuerId,
  validityMs: 24 * hourMs,
  renewBeforeMs: 12 * hourMs,
})

const generations = 3
const generationMs = 13 * hourMs

/** The same server when the certificate of that generation is due: 0 for a first enrolment. */
function atGeneration(engine: Engine, generation: number): Engine {
  const { now, sleep } = systemClock
  return createEngine({ ...engine, clock: { now: () => now() + generation * generationMs, sleep } })
}

export async function openVictim(directory: string, faults?: FaultInjector): Promise<Engine> {
  const store = await openStore({ url: `sqlite:${join(directory, 'perennial.db')}` })
  await store.migrate()
  const authority = createSoftwareAuthority({
    directory: join(directory, 'keys'),
    passphrase: async () => 'a passphrase for tests',
    random: systemRandom,
    cost: { memoryKiB: 64, passes: 1, parallelism: 1 },
  })
  return createEngine({
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    store,
    authorities: new Map([['software', authority]]),
    settings: {
      organization: 'Crash',
      profiles: new Map([[profile.name, profile]]),
      connectivity: new Map([['always-on', { checkInMs: hourMs, ladder: shippedLadders['always-on'] }]]),
      statusUrl: 'http://ca.example',
      secretLifetimeMs: hourMs,
      pendingRetryAfterMs: 1_000,
      abandonAfterMs: hourMs,
      repeatWaitMs: 5_000,
      renewal: defaultRenewalSettings,
    },
    audit: {
      signer: await openNoteSigner(authority, 'audit', 'crash.example/audit'),
      checkpointFile: fileCheckpoint(join(directory, 'audit-checkpoint')),
    },
    ...(faults ? { faults } : {}),
  })
}

export async function createVictimIssuers(engine: Engine): Promise<void> {
  const actor = 'cli:test'
  await createIssuer(engine, { id: defaultRootId, kind: 'root', parentId: null, actor })
  await createIssuer(engine, { id: defaultIssuerId, kind: 'intermediate', parentId: defaultRootId, actor })
}

/** What the server does when it is the only process: whatever is reserved was lost with the one before. */
export async function recover(engine: Engine): Promise<void> {
  const now = engine.clock.now()
  await abandonReservations(engine, { now, olderThan: now + generations * generationMs })
}

const journalName = 'journal'
const devicesPerRun = 6

function killAt(step: string, hits: number): FaultInjector {
  let seen = 0
  return {
    async at(point: FaultPoint) {
      if (point === step && ++seen === hits) process.kill(process.pid, 'SIGKILL')
    },
  }
}

/** The last request of each device of the run before: whether it was answered, the device may not know. */
function lastRequests(directory: string): Pending[] {
  const path = join(directory, journalName)
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(-devicesPerRun * generations)
  const pending = lines.map((line) => JSON.parse(line) as Pending)
  const last = new Map(pending.map((one) => [one.deviceId, one]))
  const run = pending.at(-1)?.run
  return [...last.values()].filter((one) => one.run === run)
}

async function ask(engine: Engine, pending: Pending): Promise<Uint8Array> {
  const key = keyOf(pending.privateKey)
  const certificate = pending.certificate === null ? null : (fromHex(pending.certificate) as Uint8Array)
  const outcome = await enroll(atGeneration(engine, pending.generation), {
    operation: certificate ? 'reenroll' : 'enroll',
    csr: certificate ? renewalCsr(key, certificate) : key.csr(),
    profile: null,
    protocol: 'est',
    peer: certificate ? withCertificate(certificate) : withSecret(pending.deviceId, pending.secret ?? ''),
    tlsUnique: null,
  })
  if (outcome.kind !== 'issued') throw new Error(`the request is ${outcome.kind}`)
  writeSync(1, `${pending.deviceId}/${pending.generation} ${toHex(outcome.certificate)}\n`)
  return outcome.certificate
}

interface Life {
  readonly directory: string
  readonly run: string
  readonly deviceId: string
}

/** First enrolment and two renewals, each with a key of its own. */
async function lifeOf(engine: Engine, { directory, run, deviceId }: Life): Promise<void> {
  await addDevice(engine, { id: deviceId, profile: profile.name }, 'cli:test')
  const { secret } = await newSecret(engine, { deviceId: deviceId as DeviceId, actor: 'cli:test' })
  let certificate: Uint8Array | null = null
  for (let generation = 0; generation < generations; generation++) {
    const pending: Pending = {
      run,
      deviceId,
      generation,
      privateKey: newPrivateKey(),
      certificate: certificate && toHex(certificate),
      secret,
    }
    appendFileSync(join(directory, journalName), `${JSON.stringify(pending)}\n`)
    certificate = await ask(engine, pending)
  }
}

async function main([directory = '', step = '', hits = '', run = '']: readonly string[]): Promise<void> {
  // no fault during the start: each run must reach its own step
  let faults: FaultInjector | null = null
  const engine = await openVictim(directory, { at: async (point) => faults?.at(point) })
  await createVictimIssuers(engine)
  await recover(engine)
  for (const pending of lastRequests(directory)) await ask(engine, pending)
  faults = killAt(step, Number(hits))
  const devices = Array.from({ length: devicesPerRun }, (_, n) => `D-${run}-${n}`)
  await Promise.all(devices.map((deviceId) => lifeOf(engine, { directory, run, deviceId })))
  await engine.store.close()
}

if (import.meta.main) await main(process.argv.slice(2))

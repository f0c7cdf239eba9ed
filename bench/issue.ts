/**
 * `node bench/issue.ts [certificates] [in flight]`: certificates per second through steps 5 to 10 (shape, lint, reserve,
 * sign, check, commit) in one process, on SQLite with synchronous=full, P-256, next to bare signing in the same run.
 */
import { sign, verify } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stopwatch, systemClock } from '../src/base/clock.ts'
import { parseDeviceId } from '../src/base/id.ts'
import { silentLog } from '../src/base/log.ts'
import { systemRandom } from '../src/base/random.ts'
import { createSoftwareAuthority } from '../src/authorities/software.ts'
import { memoryCheckpoint } from '../src/engine/audit/checkpoint.ts'
import { createEngine, type Engine } from '../src/engine/context.ts'
import {
  defaultConnectivity,
  defaultIssuerId,
  defaultProfiles,
  defaultRootId,
} from '../src/engine/issuing/default-profiles.ts'
import { importDevices } from '../src/engine/inventory/device.ts'
import { shape } from '../src/engine/issuing/enroll.ts'
import { issueCertificate } from '../src/engine/issuing/issue.ts'
import { createIssuer } from '../src/engine/issuing/issuer.ts'
import type { PolicyInput } from '../src/engine/issuing/policy-input.ts'
import { defineProfile } from '../src/engine/issuing/profile.ts'
import { defaultRenewalSettings } from '../src/engine/renewals/renewal-settings.ts'
import { openNoteSigner } from '../src/engine/audit/signed-note.ts'
import { buildCsr, parseCsr } from '../src/pki/csr.ts'
import { generateKeyPair, parsePublicKey } from '../src/pki/key.ts'
import { signData } from '../src/pki/signature.ts'
import { findDevice } from '../src/store/devices.ts'
import { openStore } from '../src/store/open.ts'

const warmUp = 3_000
/** The limits. */
const aims = { perSecond: 6_000, cpuMicros: 150 }

export async function run(args: readonly string[]): Promise<void> {
  const [count = 30_000, inFlight = 64] = args.map(Number)
  if (!(count >= 1 && inFlight >= 1)) throw new Error('node bench/issue.ts [certificates] [in flight]')
  const directory = mkdtempSync(join(tmpdir(), 'perennial-bench-issue-'))
  try {
    const engine = await openEngine(directory)
    const inputs = await prepare(engine, count + warmUp)
    await issueAll(engine, inputs.slice(0, warmUp), inFlight)
    const durable = await measure(count, () => issueAll(engine, inputs.slice(warmUp), inFlight))
    const bare = await bareCrypto(count)
    await engine.store.close()
    print(count, inFlight, { durable, ...bare })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function openEngine(directory: string): Promise<Engine> {
  const store = await openStore({ url: `sqlite:${join(directory, 'perennial.db')}` })
  await store.migrate()
  const authority = createSoftwareAuthority({
    directory: join(directory, 'keys'),
    passphrase: async () => 'a passphrase for one minute',
    random: systemRandom,
    cost: { memoryKiB: 64, passes: 1, parallelism: 1 },
  })
  const engine = createEngine({
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    store,
    authorities: new Map([['software', authority]]),
    settings: {
      organization: 'Bench',
      profiles: new Map(defaultProfiles.map((profile) => [profile.name, defineProfile(profile)])),
      connectivity: defaultConnectivity,
      statusUrl: 'http://status.example:8080',
      secretLifetimeMs: 1,
      pendingRetryAfterMs: 1,
      abandonAfterMs: 300_000,
      repeatWaitMs: 5_000,
      renewal: defaultRenewalSettings,
    },
    audit: {
      signer: await openNoteSigner(authority, 'audit', 'bench/audit'),
      checkpointFile: memoryCheckpoint(),
    },
  })
  const actor = 'cli:bench'
  await createIssuer(engine, { id: defaultRootId, kind: 'root', parentId: null, actor })
  await createIssuer(engine, { id: defaultIssuerId, kind: 'intermediate', parentId: defaultRootId, actor })
  return engine
}

/** Devices in the inventory, each with a key of its own and a request that policy has let through. */
async function prepare(engine: Engine, count: number): Promise<PolicyInput[]> {
  const inputs: PolicyInput[] = []
  const profile = engine.settings.profiles.get('industrial')
  const issuer = await engine.issuers.find(defaultIssuerId)
  if (!profile || !issuer) throw new Error('the engine has its defaults')
  const requester = generateKeyPair('ec-p256')
  const csr = parseCsr(
    buildCsr({ subject: [], spki: requester.spki }, (info) => ({
      signature: signData(requester.privateKey, 'ecdsa-sha256', info),
      algorithm: 'ecdsa-sha256',
    })),
  )
  for (let from = 0; from < count; from += 1_000) {
    const ids = Array.from({ length: Math.min(1_000, count - from) }, (_, n) => `SN-${from + n}`)
    const lines = ids.map((id, line) => ({ line, item: { id, profile: profile.name, cohort: 'bench' } }))
    await importDevices(engine, lines, { actor: 'cli:bench' })
    for (const id of ids) {
      const device = await findDevice(
        engine.store.db,
        parseDeviceId(id) as NonNullable<ReturnType<typeof parseDeviceId>>,
      )
      if (!device) throw new Error(id)
      inputs.push({
        renewalSpread: 0.5,
        request: { operation: 'enroll', profile: null, tlsUnique: null },
        csr,
        key: parsePublicKey(generateKeyPair('ec-p256').spki),
        // a factory identity: neither secret nor predecessor, as in a renewal
        applicant: {
          kind: 'idevid',
          // as after its first certificate
          device: { ...device, state: 'active' },
          trustAnchor: {
            id: '',
            name: '',
            certificate: issuer.certificate.der,
            subject: '',
            deviceIdRule: '',
            profile: null,
            createdAt: 0,
          },
          presented: issuer.certificate,
        },
        device: { ...device, state: 'active' },
        profile,
        predecessor: null,
        keyHolders: [],
        blockedKey: null,
        blockedCredential: null,
        isIssuerKey: false,
        approval: null,
        now: 0,
      })
    }
  }
  return inputs
}

async function issueAll(engine: Engine, inputs: readonly PolicyInput[], inFlight: number): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let input = inputs[next++]; input; input = inputs[next++]) {
        const now = engine.clock.now()
        const issuance = await shape(engine, { ...input, now }, 'est')
        await issueCertificate(engine, issuance, now)
      }
    }),
  )
}

interface Figure {
  readonly perSecond: number
  /** User and system, all threads, for one certificate. */
  readonly cpuMicros: number
}

async function measure(count: number, work: () => Promise<void> | void): Promise<Figure> {
  const before = process.cpuUsage()
  const elapsed = stopwatch()
  await work()
  const ms = elapsed()
  const { user, system } = process.cpuUsage(before)
  return { perSecond: (count * 1_000) / ms, cpuMicros: (user + system) / count }
}

/** What the processor could do if a certificate were nothing but its signature. */
async function bareCrypto(count: number): Promise<{ signing: Figure; both: Figure }> {
  const { privateKey, spki } = generateKeyPair('ec-p256')
  const publicKey = parsePublicKey(spki).keyObject()
  const data = systemRandom.bytes(420)
  const signing = await measure(count, () => {
    for (let n = 0; n < count; n++) sign('sha256', data, privateKey)
  })
  const both = await measure(count, () => {
    for (let n = 0; n < count; n++) verify('sha256', data, publicKey, sign('sha256', data, privateKey))
  })
  return { signing, both }
}

function print(
  count: number,
  inFlight: number,
  figures: Record<'durable' | 'signing' | 'both', Figure>,
): void {
  const { durable, signing, both } = figures
  const line = (what: string, { perSecond, cpuMicros }: Figure, aim: string) =>
    `${what.padEnd(48)}${Math.round(perSecond).toLocaleString('en-US').padStart(9)}/s ${cpuMicros.toFixed(1).padStart(8)} µs   ${aim}`
  const aim = `aim: at least ${aims.perSecond.toLocaleString('en-US')}/s, under ${aims.cpuMicros} µs`
  console.log(`${'P-256, one process'.padEnd(48)}${'rate'.padStart(11)} ${'CPU each'.padStart(11)}   limit`)
  console.log(line(`issue, steps 5 to 10, durable, ${inFlight} in flight`, durable, aim))
  console.log(line('bare node:crypto sign', signing, 'one certificate takes one'))
  console.log(line('bare node:crypto sign and verify', both, 'and one check of it'))
  console.log(`${count.toLocaleString('en-US')} certificates, all in the inventory and in the audit log`)
}

if (import.meta.main) await run(process.argv.slice(2))

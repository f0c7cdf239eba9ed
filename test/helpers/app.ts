/** The whole engine with a store in memory, a clock moved by hand and real keys; and devices that enrol with it. */
import { VirtualClock, dayMs, type Clock, type Instant } from '../../src/base/clock.ts'
import { Refusal, type RefusalCode } from '../../src/base/errors.ts'
import type { DeviceId, IssuerId } from '../../src/base/id.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom, type Random } from '../../src/base/random.ts'
import { memoryCheckpoint } from '../../src/engine/audit/checkpoint.ts'
import {
  createEngine,
  type Connectivity,
  type Engine,
  type EngineParts,
  type EngineSettings,
} from '../../src/engine/context.ts'
import { defaultConnectivity, defaultProfiles } from '../../src/engine/issuing/default-profiles.ts'
import { addDevice, type NewDevice } from '../../src/engine/inventory/device.ts'
import { enroll, type EnrollOutcome, type Peer } from '../../src/engine/issuing/enroll.ts'
import { createIssuer } from '../../src/engine/issuing/issuer.ts'
import type { FaultInjector } from '../../src/engine/ports.ts'
import { defineProfile, type ProfileInput } from '../../src/engine/issuing/profile.ts'
import { defaultRenewalSettings } from '../../src/engine/renewals/renewal-settings.ts'
import { newSecret } from '../../src/engine/issuing/secret.ts'
import { openNoteSigner } from '../../src/engine/audit/signed-note.ts'
import type { CertificateRecord } from '../../src/store/certificate-record.ts'
import type { DeviceRecord } from '../../src/store/devices.ts'
import { openStore, type Store } from '../../src/store/open.ts'
import { createKey, type TestKey } from './ca.ts'
import { memoryAuthority, type MemoryAuthority } from './memory-authority.ts'
import { renewalCsr, requestOf, withCertificate, withSecret } from './requests.ts'
import { forEachStore } from './stores.ts'

export {
  renewalCsr,
  requestOf,
  stranger,
  withCertificate,
  withSecret,
  type RequestOptions,
} from './requests.ts'

/** 2026-11-20T12:00:00Z. */
export const testStart: Instant = Date.UTC(2026, 10, 20, 12)
export const testActor = 'cli:test'
export const rootId = 'root' as IssuerId
export const issuingId = 'issuing' as IssuerId

export interface TestEngineOptions {
  /** Migrated and empty; default: SQLite in memory, closed with the engine. */
  readonly store?: Store
  readonly clock?: Clock
  readonly random?: Random
  /** Beside the default profiles, or in place of those of the same name. */
  readonly profiles?: readonly ProfileInput[]
  readonly connectivity?: ReadonlyMap<string, Connectivity>
  readonly settings?: Partial<EngineSettings>
  readonly faults?: FaultInjector
  /** Default: none. */
  readonly triggers?: EngineParts['triggers']
  /** False: without `root` and `issuing`. */
  readonly withIssuers?: boolean
}

export interface TestEngine {
  readonly engine: Engine
  /** The engine's clock, when the test has not brought its own. */
  readonly clock: VirtualClock
  readonly authority: MemoryAuthority
  /** What an observer saw, in order. */
  readonly seen: (
    | { readonly kind: 'issued'; readonly record: CertificateRecord; readonly repeated: boolean }
    | { readonly kind: 'refused'; readonly code: RefusalCode }
    | { readonly kind: 'pending'; readonly profile: string }
  )[]
  /** A second process on the same store and keys. */
  another(options?: Pick<TestEngineOptions, 'clock' | 'faults' | 'settings'>): Engine
  close(): Promise<void>
}

export async function testEngine(options: TestEngineOptions = {}): Promise<TestEngine> {
  const store = options.store ?? (await openStore({ url: 'sqlite::memory:', synchronous: 'off' }))
  if (!options.store) await store.migrate()
  const clock = new VirtualClock(testStart)
  const authority = memoryAuthority()
  const seen: TestEngine['seen'] = []
  const parts = {
    clock: options.clock ?? clock,
    random: options.random ?? systemRandom,
    log: silentLog,
    store,
    authorities: new Map([['software', authority]]),
    settings: testSettings(options),
    audit: {
      signer: await openNoteSigner(authority, 'audit', 'test.example/audit'),
      checkpointFile: memoryCheckpoint(),
    },
    observer: {
      issued: (record: CertificateRecord, { repeated }: { repeated: boolean }) =>
        void seen.push({ kind: 'issued', record, repeated }),
      refused: (_operation: string, code: RefusalCode) => void seen.push({ kind: 'refused', code }),
      pending: (profile: string) => void seen.push({ kind: 'pending', profile }),
    },
  }
  const engine = createEngine({
    ...parts,
    ...(options.faults ? { faults: options.faults } : {}),
    ...(options.triggers ? { triggers: options.triggers } : {}),
  })
  if (options.withIssuers !== false) await createTestIssuers(engine)
  return {
    engine,
    clock,
    authority,
    seen,
    another: (other = {}) =>
      createEngine({ ...parts, ...other, settings: { ...parts.settings, ...other.settings } }),
    close: async () => {
      if (!options.store) await store.close()
    },
  }
}

export async function createTestIssuers(engine: Engine): Promise<void> {
  await createIssuer(engine, { id: rootId, kind: 'root', parentId: null, actor: testActor })
  await createIssuer(engine, { id: issuingId, kind: 'intermediate', parentId: rootId, actor: testActor })
}

export function testSettings({
  profiles = [],
  connectivity,
  settings,
}: TestEngineOptions = {}): EngineSettings {
  return {
    organization: 'Example',
    profiles: new Map(
      [...defaultProfiles, ...profiles].map((profile) => [profile.name, defineProfile(profile)]),
    ),
    connectivity: connectivity ?? defaultConnectivity,
    statusUrl: 'http://ca.example',
    secretLifetimeMs: 7 * dayMs,
    pendingRetryAfterMs: 600_000,
    abandonAfterMs: 300_000,
    repeatWaitMs: 5_000,
    renewal: defaultRenewalSettings,
    ...settings,
  }
}

export async function registerDevice(
  engine: Engine,
  id: string,
  device: Partial<Omit<NewDevice, 'id'>> = {},
): Promise<DeviceRecord> {
  return await addDevice(engine, { profile: 'industrial', ...device, id }, testActor)
}

/** HTTP Basic with a fresh one-time secret. */
export async function freshSecret(engine: Engine, id: string): Promise<Peer> {
  const { secret } = await newSecret(engine, { deviceId: id as DeviceId, actor: testActor })
  return withSecret(id, secret)
}

export interface Enrolled {
  readonly key: TestKey
  readonly certificate: Uint8Array
  readonly record: CertificateRecord
  /** The TLS peer that holds the certificate. */
  readonly peer: Peer
}

/** Registers a device and enrols it with a one-time secret. */
export async function enrolDevice(
  engine: Engine,
  id: string,
  device: Partial<Omit<NewDevice, 'id'>> & { readonly key?: TestKey } = {},
): Promise<Enrolled> {
  const { key = createKey(), ...rest } = device
  await registerDevice(engine, id, rest)
  const outcome = await enroll(engine, requestOf(await freshSecret(engine, id), key.csr()))
  return enrolled(outcome, key)
}

/** Renews with a new key, as a device does. */
export async function renew(
  engine: Engine,
  { certificate, peer }: Enrolled,
  key = createKey(),
): Promise<Enrolled> {
  const request = requestOf(peer, renewalCsr(key, certificate), { operation: 'reenroll' })
  return enrolled(await enroll(engine, request), key)
}

export function enrolled(outcome: EnrollOutcome, key: TestKey): Enrolled {
  if (outcome.kind !== 'issued') throw new Error(`expected a certificate, the request is ${outcome.kind}`)
  const { certificate, record } = outcome
  return { key, certificate, record, peer: withCertificate(certificate) }
}

/** When the renewal window of the certificate opens. */
export function windowOpensAt(engine: Engine, { record }: Enrolled): Instant {
  const renewBeforeMs = engine.settings.profiles.get(record.profile ?? '')?.renewBeforeMs ?? null
  if (renewBeforeMs === null) throw new Error('this certificate is for life')
  return record.notAfter - renewBeforeMs
}

/**
 * Runs a suite on every store: `start` gives a whole engine on a fresh, empty one.
 * @param suite declares tests with `test(…)`
 */
export function forEachEngine(
  suite: (start: (options?: Omit<TestEngineOptions, 'store'>) => Promise<TestEngine>) => void,
): void {
  forEachStore((_name, open) => {
    suite(async (options = {}) => await testEngine({ ...options, store: await open() }))
  })
}

/** The Refusal that `work` ends with; fails the test when it ends in another way. */
export async function refusal(work: Promise<unknown>): Promise<Refusal> {
  try {
    await work
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('expected a refusal, but the request was granted')
}

/** A whole EST server in this process: real engine, SQLite file, root and issuing CA, TLS on a free port of 127.0.0.1. */
import type { KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EstClient, type EstClientOptions } from '../../src/agent/est-client.ts'
import { type Clock, dayMs, type Instant, minuteMs, systemClock } from '../../src/base/clock.ts'
import type { Engine } from '../../src/engine/context.ts'
import { addDevice, type NewDevice } from '../../src/engine/inventory/device.ts'
import { issuerChain } from '../../src/engine/issuing/issuer.ts'
import type { FaultInjector } from '../../src/engine/ports.ts'
import type { ProfileInput } from '../../src/engine/issuing/profile.ts'
import { newSecret } from '../../src/engine/issuing/secret.ts'
import { issueServerCertificate } from '../../src/engine/issuing/server-certificate.ts'
import { generateKeyPair } from '../../src/pki/key.ts'
import { encodePem } from '../../src/pki/pem.ts'
import type { HttpLimits } from '../../src/protocols/http-server.ts'
import { createEstServer, type EstServer, type ServerIdentity } from '../../src/protocols/tls-server.ts'
import { listen } from '../../src/serve/listener.ts'
import { openStore } from '../../src/store/open.ts'
import { issuingId, testActor, testEngine } from './app.ts'

export const rigLimits: HttpLimits = {
  maxBodyBytes: 65_536,
  maxHeaderBytes: 8_192,
  headersTimeoutMs: 1_500,
  requestTimeoutMs: 3_000,
  keepAliveTimeoutMs: 2_000,
  maxConnections: 200,
  maxRequestsPerConnection: 100,
}

export interface EstRigOptions {
  /** Beside the default ones. */
  readonly profiles?: readonly ProfileInput[]
  readonly limits?: Partial<HttpLimits>
  readonly proxyPins?: ReadonlySet<string>
  readonly maxConcurrent?: number
  readonly pendingRetryAfterMs?: number
  readonly faults?: FaultInjector
}

/** Profiles that tests need: each certificate may be renewed at once. */
export const rigProfiles: readonly ProfileInput[] = [
  profile({ name: 'open' }),
  profile({ name: 'manual', approval: 'manual', renewBeforeMs: 10 * dayMs }),
  profile({ name: 'linked', popLinking: 'require' }),
  profile({ name: 'made', serverKeygen: true }),
  profile({ name: 'grace', validityMs: dayMs, renewBeforeMs: dayMs, renewExpiredForMs: 2 * dayMs }),
]

function profile(input: Partial<ProfileInput> & { name: string }): ProfileInput {
  return { issuer: issuingId, validityMs: 30 * dayMs, renewBeforeMs: 30 * dayMs, ...input }
}

/** System time, moved by hand. */
export class ShiftedClock implements Clock {
  #shiftMs = 0

  now(): Instant {
    return systemClock.now() + this.#shiftMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }

  shift(ms: number): void {
    this.#shiftMs += ms
  }
}

export interface EstRig {
  readonly engine: Engine
  readonly clock: ShiftedClock
  readonly est: EstServer
  readonly port: number
  /** `https://127.0.0.1:port` */
  readonly url: string
  /** Trust anchor of the server. */
  readonly rootPem: string
  readonly issuingPem: string
  /** Of its own. */
  readonly directory: string
  newIdentity(): Promise<ServerIdentity>
  /** A device in the inventory, and a one-time secret for it. */
  addDevice(device: Partial<NewDevice> & { id: string }): Promise<{ username: string; password: string }>
  client(options?: Partial<EstClientOptions>): EstClient
  close(): Promise<void>
}

export async function startEstRig(options: EstRigOptions = {}): Promise<EstRig> {
  const directory = mkdtempSync(join(tmpdir(), 'perennial-est-'))
  const clock = new ShiftedClock()
  const store = await openStore({ url: `sqlite:${join(directory, 'perennial.db')}` })
  await store.migrate()
  const { engine } = await testEngine({
    store,
    clock,
    profiles: [...rigProfiles, ...(options.profiles ?? [])],
    settings: { pendingRetryAfterMs: options.pendingRetryAfterMs ?? 2_000 },
    ...(options.faults ? { faults: options.faults } : {}),
  })
  const [issuing, root] = (await issuerChain(engine, issuingId)).map((der) => encodePem('CERTIFICATE', der))
  const newIdentity = () => serverIdentity(engine, issuing as string)
  const est = createEstServer({
    engine,
    identity: await newIdentity(),
    limits: { ...rigLimits, ...options.limits },
    minVersion: 'TLSv1.2',
    maxConcurrent: options.maxConcurrent ?? 100,
    overloadRetryAfterMs: 2 * minuteMs,
    proxyPins: options.proxyPins ?? new Set(),
  })
  const where = { host: '127.0.0.1', port: 0, reusePort: false }
  const listener = await listen(est.server, where, systemClock)
  const url = `https://127.0.0.1:${listener.port}`
  return {
    engine,
    clock,
    est,
    url,
    directory,
    newIdentity,
    port: listener.port,
    rootPem: root as string,
    issuingPem: issuing as string,
    async addDevice(device) {
      const { id } = await addDevice(engine, { profile: 'open', ...device }, testActor)
      const { secret } = await newSecret(engine, { deviceId: id, actor: testActor })
      return { username: id, password: secret }
    },
    client: (wanted = {}) =>
      new EstClient({ url, trustPem: root as string, clock: systemClock, timeoutMs: 20_000, ...wanted }),
    async close() {
      await listener.stop(5_000)
      await engine.store.close()
      rmSync(directory, { recursive: true })
    },
  }
}

async function serverIdentity(engine: Engine, issuingPem: string): Promise<ServerIdentity> {
  const { privateKey, spki } = generateKeyPair('ec-p256')
  const hostnames = ['localhost', '127.0.0.1', '::1']
  const { der } = await issueServerCertificate(engine, { issuerId: issuingId, hostnames, spki })
  return { chainPem: encodePem('CERTIFICATE', der) + issuingPem, keyPem: pemOfKey(privateKey) }
}

export function pemOfKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}

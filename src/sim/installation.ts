/**
 * One installation of Perennial in this process: the engine that is shipped, put together as app.ts does it, on a real
 * store and with real keys; only the clock and the channels are those of the simulation. It can be restarted: what its
 * process held in memory is then new.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { minuteMs, secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { IssuerId } from '../base/id.ts'
import { silentLog, type Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { memoryCheckpoint } from '../engine/audit/checkpoint.ts'
import { sealJob } from '../engine/audit/seal.ts'
import { openNoteSigner } from '../engine/audit/signed-note.ts'
import {
  createEngine,
  type Engine,
  type EngineObserver,
  type EngineParts,
  type EngineSettings,
} from '../engine/context.ts'
import { forgetRetired } from '../engine/inventory/forget.ts'
import { createIssuer } from '../engine/issuing/issuer.ts'
import { recoverReservations } from '../engine/issuing/recover.ts'
import type { Job } from '../engine/jobs.ts'
import type { Authority, FaultInjector } from '../engine/ports.ts'
import { openDueRenewals } from '../engine/renewals/due-renewals.ts'
import { renewalsJob } from '../engine/renewals/renewals.ts'
import { retractionHandler } from '../engine/renewals/retraction.ts'
import { retireCertificates } from '../engine/renewals/retire.ts'
import { writeSightings } from '../engine/renewals/sighting.ts'
import { crlJob } from '../engine/revocation/crl-publish.ts'
import { revocationJob } from '../engine/revocation/revoke-batch.ts'
import { taskJob } from '../engine/tasks.ts'
import { triggerJobs } from '../engine/triggers/trigger-tasks.ts'
import { signData } from '../pki/signature.ts'
import type { Store } from '../store/open.ts'

export const simActor = 'cli:sim'
export const rootId = 'root' as IssuerId
export const issuingId = 'issuing' as IssuerId

/** Holds CA keys in memory and signs with them at once: what is signed when does not depend on threads. */
export interface SimAuthority extends Authority {
  /** PKCS #8, DER: for the factory. */
  exportKey(reference: string): Uint8Array
}

export function createSimAuthority(): SimAuthority {
  const keys = new Map<string, { readonly privateKey: KeyObject; readonly spki: Uint8Array }>()
  const keyOf = (reference: string) => {
    const key = keys.get(reference)
    if (!key) throw new Refusal('not-found', `there is no key ${reference}`)
    return key
  }
  return {
    kind: 'software',
    async createKey(reference, algorithm) {
      if (keys.has(reference)) throw new Refusal('already-exists', `there is a key ${reference}`)
      const isEd25519 = algorithm === 'ed25519'
      const { privateKey, publicKey } = isEd25519
        ? generateKeyPairSync('ed25519', {})
        : generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const spki = publicKey.export({ type: 'spki', format: 'der' })
      keys.set(reference, { privateKey, spki })
      return { spki }
    },
    publicKey: async (reference) => keyOf(reference).spki,
    hasKey: async (reference) => keys.has(reference),
    sign: async (reference, algorithm, tbs) => signData(keyOf(reference).privateKey, algorithm, tbs),
    exportKey: (reference) => keyOf(reference).privateKey.export({ type: 'pkcs8', format: 'der' }),
  }
}

export interface InstallationOptions {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly settings: EngineSettings
  readonly triggers: NonNullable<EngineParts['triggers']>
  readonly authority: SimAuthority
  readonly observer?: EngineObserver
  readonly log?: Log
}

export interface Installation {
  readonly authority: SimAuthority
  /** A process: nothing is in its memory yet. */
  boot(process?: {
    readonly store?: Store
    readonly faults?: FaultInjector
    readonly settings?: EngineSettings
    readonly triggers?: EngineParts['triggers']
  }): Engine
}

/** Migrates the store, which is empty, and makes root and issuing CA. */
export async function install(options: InstallationOptions): Promise<Installation> {
  const { store, authority, log = silentLog, observer = {}, ...rest } = options
  await store.migrate()
  const signer = await openNoteSigner(authority, 'audit', 'sim.example/audit')
  const checkpointFile = memoryCheckpoint()
  const parts: EngineParts = {
    ...rest,
    log,
    store,
    observer,
    authorities: new Map([['software', authority]]),
    audit: { signer, checkpointFile },
  }
  const engine = createEngine(parts)
  await createIssuer(engine, { id: rootId, kind: 'root', parentId: null, actor: simActor })
  await createIssuer(engine, { id: issuingId, kind: 'intermediate', parentId: rootId, actor: simActor })
  return {
    authority,
    boot: ({ store: other = store, ...process } = {}) =>
      createEngine({
        ...parts,
        ...process,
        triggers: process.triggers ?? parts.triggers ?? new Map(),
        store: other,
      }),
  }
}

/**
 * The jobs of an installation, as `serve` runs them. Those that only clean up come by less often here: a simulation makes
 * thousands of passes.
 */
export function simulatedJobs({ renewal }: EngineSettings): Job[] {
  return [
    writeSightings,
    recoverReservations,
    openDueRenewals(renewal.sweepIntervalMs),
    renewalsJob(renewal.tickIntervalMs),
    ...triggerJobs(secondMs),
    taskJob([retractionHandler], 10 * secondMs),
    retireCertificates,
    forgetRetired(),
    revocationJob,
    crlJob,
    sealJob(minuteMs),
  ]
}

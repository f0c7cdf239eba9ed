/** Which jobs run where. */
import type { App } from '../app.ts'
import { hourMs } from '../base/clock.ts'
import { crlJob } from '../engine/crl-publish.ts'
import { indexFingerprintsJob } from '../engine/fingerprints.ts'
import type { Job } from '../engine/jobs.ts'
import { recoverReservations } from '../engine/recover.ts'
import { revocationJob } from '../engine/revoke-batch.ts'
import { sealJob } from '../engine/seal.ts'
import { writeSightings } from '../engine/sighting.ts'
import type { ServerIdentity } from '../protocols/tls-server.ts'
import { ensureServerCertificate } from '../server-certificate.ts'

/** One node of an installation runs each of these at a time: the jobs role. */
export function platformJobs({ config }: App): Job[] {
  return [
    sealJob(config.audit.sealIntervalMs),
    recoverReservations,
    revocationJob,
    crlJob,
    ...(config.sightings.token === null ? [] : [indexFingerprintsJob]),
  ]
}

/** Every process that answers devices writes down whom it saw. */
export const workerJobs: readonly Job[] = [writeSightings]

/** Renews the server certificate of this node before it ends, and hands a new one to whoever serves with it. */
export function serverCertificateJob(
  app: App,
  current: ServerIdentity,
  reload: (identity: ServerIdentity) => void,
): Job {
  let inUse = current
  return {
    name: 'server-certificate',
    intervalMs: hourMs,
    isShared: true,
    async run() {
      const identity = await ensureServerCertificate(app)
      if (identity.chainPem === inUse.chainPem) return { worked: 0 }
      reload(identity)
      inUse = identity
      return { worked: 1 }
    },
  }
}

/** Which jobs run where. */
import type { App } from '../app.ts'
import { hourMs, secondMs } from '../base/clock.ts'
import { alertsJob } from '../engine/alerts/alert-job.ts'
import { notifyHandler } from '../engine/alerts/notify.ts'
import { createConnectors } from '../connector-list.ts'
import { crlJob } from '../engine/revocation/crl-publish.ts'
import { openDueRenewals } from '../engine/renewals/due-renewals.ts'
import { indexFingerprintsJob } from '../engine/inventory/fingerprints.ts'
import { forgetRetired } from '../engine/inventory/forget.ts'
import type { Job } from '../engine/jobs.ts'
import { recoverReservations } from '../engine/issuing/recover.ts'
import { renewalsJob } from '../engine/renewals/renewals.ts'
import { retractionHandler } from '../engine/renewals/retraction.ts'
import { retireCertificates } from '../engine/renewals/retire.ts'
import { proposalKinds } from '../engine/proposals/proposal-kinds.ts'
import { forgetRequestsJob } from '../engine/operators/idempotent-request.ts'
import { forgetWorkJob } from '../engine/operators/long-work.ts'
import { endSessionsJob } from '../engine/operators/session.ts'
import { expireProposalsJob, proposalHandler } from '../engine/proposals/proposal.ts'
import { reissueJob } from '../engine/revocation/reissue.ts'
import { revocationJob } from '../engine/revocation/revoke-batch.ts'
import { cutExpiredJob, cutUnderIssuerJob, disconnectJob } from '../engine/sessions/cut-jobs.ts'
import { sealJob } from '../engine/audit/seal.ts'
import { writeSightings } from '../engine/renewals/sighting.ts'
import { taskJob } from '../engine/tasks.ts'
import { triggerJobs } from '../engine/triggers/trigger-tasks.ts'
import type { ServerIdentity } from '../protocols/tls-server.ts'
import { ensureServerCertificate, ownCertificates } from '../server-certificate.ts'

/** One node of an installation runs each of these at a time: the jobs role. */
export function platformJobs(app: App): Job[] {
  const { config } = app
  return [
    sealJob(config.audit.sealIntervalMs),
    recoverReservations,
    openDueRenewals(config.renewal.sweepIntervalMs),
    renewalsJob(config.renewal.tickIntervalMs),
    ...triggerJobs(secondMs),
    taskJob([retractionHandler, proposalHandler(proposalKinds), notifyHandler], 2 * secondMs),
    expireProposalsJob,
    endSessionsJob,
    forgetRequestsJob,
    forgetWorkJob,
    retireCertificates,
    forgetRetired(),
    revocationJob,
    reissueJob,
    cutExpiredJob,
    cutUnderIssuerJob,
    crlJob,
    alertsJob({
      intervalMs: config.alerts.intervalMs,
      ownCertificates: async () => await ownCertificates(app),
    }),
    ...(config.sightings.token === null ? [] : [indexFingerprintsJob]),
  ]
}

/** Brokers and services that are told whose sessions to end; the one over MQTT is where the link is. */
export async function connectorJobs({ config, engine }: App): Promise<Job[]> {
  return (await createConnectors(config, engine)).map(disconnectJob)
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

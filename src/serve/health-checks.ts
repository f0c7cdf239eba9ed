/** What /readyz asks. */
import type { HealthCheck } from '../api/health.ts'
import type { App } from '../app.ts'
import { iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { checkClock } from '../engine/renewals/clock-guard.ts'
import { crlProblem } from '../engine/revocation/crl-watch.ts'
import { ocspSignerStates } from '../engine/revocation/ocsp-signer.ts'
import type { Jobs } from '../engine/jobs.ts'

export interface HealthParts {
  readonly isStopping: () => boolean
  readonly workers: { readonly wanted: number; readonly alive: () => number } | null
  /** What is wrong with the broker or the link to it; null when there is none. */
  readonly mqtt: (() => string | null) | null
  readonly jobs: Jobs
}

/** A job that failed this often in a row is not having a bad moment. */
const failuresBeforeUnready = 5

export function healthChecks(app: App, { isStopping, workers, mqtt, jobs }: HealthParts): HealthCheck[] {
  const checks: HealthCheck[] = [
    { name: 'running', run: async () => ensure(!isStopping(), 'overloaded', 'the process is stopping') },
    { name: 'store', run: async () => void (await app.engine.store.schemaVersion()) },
    { name: 'issuers', run: () => checkIssuers(app) },
    { name: 'clock', run: () => checkJump(app) },
    { name: 'crl', isWarning: true, run: () => checkCrls(app) },
    { name: 'ocsp', isWarning: true, run: async () => checkOcspSigners(app) },
  ]
  if (workers) checks.push({ name: 'workers', run: async () => checkWorkers(workers) })
  if (mqtt) {
    checks.push({
      name: 'mqtt',
      run: async () => {
        const problem = mqtt()
        ensure(problem === null, 'trigger-failed', problem ?? '')
      },
    })
  }
  checks.push({ name: 'jobs', run: async () => checkJobs(jobs) })
  return checks
}

/** Every issuer that a profile signs with is there, valid now, and its key is where it should be. */
async function checkIssuers({ engine, config }: App): Promise<void> {
  const wanted = new Set([...config.profiles.values()].map((profile) => profile.issuer))
  const now = engine.clock.now()
  for (const issuer of await engine.issuers.list()) {
    if (!wanted.has(issuer.id) || issuer.status !== 'active' || issuer.certificate === null) continue
    ensure(
      now <= issuer.notAfter,
      'issuer-unavailable',
      `issuer ${issuer.id} expired at ${iso(issuer.notAfter)}`,
    )
    const authority = engine.authorities.get(issuer.authority)
    const hasKey = (await authority?.hasKey(issuer.keyReference)) ?? false
    ensure(hasKey, 'issuer-unavailable', `the key of issuer ${issuer.id} cannot be found`)
  }
}

/** A clock that jumped holds up renewals and retirements; devices are answered. */
async function checkJump({ engine }: App): Promise<void> {
  const { problem } = await checkClock(engine, engine.clock.now())
  ensure(problem === null, 'clock-implausible', problem ?? '')
}

/** Verifiers have until nextUpdate. Not a reason to stop answering them: what is published is all that they can have. */
async function checkCrls({ engine }: App): Promise<void> {
  const problem = await crlProblem(engine, engine.clock.now())
  ensure(problem === null, 'issuer-unavailable', problem ?? '')
}

function checkOcspSigners({ engine }: App): void {
  const failing = ocspSignerStates(engine).find(({ isFailing }) => isFailing)
  const until =
    failing && (failing.notAfter === null ? 'there is none' : `the last ends at ${iso(failing.notAfter)}`)
  ensure(!failing, 'issuer-unavailable', `no new OCSP signer of ${failing?.issuer} could be made; ${until}`)
}

function checkWorkers({ wanted, alive }: { wanted: number; alive: () => number }): void {
  const count = alive()
  ensure(count > 0, 'overloaded', `none of the ${wanted} TLS workers is running`)
}

function checkJobs(jobs: Jobs): void {
  const failing = jobs.status().find((job) => job.failuresInARow >= failuresBeforeUnready)
  ensure(!failing, 'store-busy', `the job ${failing?.name} failed ${failing?.failuresInARow} times in a row`)
}

function ensure(
  condition: boolean,
  code: 'overloaded' | 'issuer-unavailable' | 'store-busy' | 'trigger-failed' | 'clock-implausible',
  problem: string,
): void {
  if (!condition) throw new Refusal(code, problem)
}

/** Runs the roles of an installation in this process, and its TLS workers beside it. */
import { createServer } from 'node:http'
import { Metrics, type MetricsSnapshot } from './api/metrics.ts'
import type { OidcSettings } from './api/oidc.ts'
import { adminUrl, type App } from './app.ts'
import type { Environment, Role } from './config.ts'
import { createJobs, type Job, type Jobs } from './engine/jobs.ts'
import { checkSealedTree } from './engine/audit/seal.ts'
import { platformFigures } from './engine/inventory/platform-figures.ts'
import { storeAnswers } from './engine/revocation/ocsp-answers.ts'
import { flushSightings } from './engine/renewals/sighting.ts'
import type { ServerIdentity } from './protocols/tls-server.ts'
import { statusHandler, statusLimits } from './protocols/status.ts'
import { serveHttp, serverOptions } from './protocols/http-server.ts'
import { ensureServerCertificate } from './server-certificate.ts'
import { openEstEndpoint } from './serve/est-endpoint.ts'
import { healthChecks } from './serve/health-checks.ts'
import { connectorJobs, platformJobs, serverCertificateJob, workerJobs } from './serve/jobs.ts'
import { listen, type Listener } from './serve/listener.ts'
import { startMqtt, type MqttRole } from './serve/mqtt-role.ts'
import { WorkerPool } from './serve/worker-pool.ts'

export interface ServeOptions {
  readonly roles: readonly Role[]
  /** TLS worker processes of the est role. 1: in this process. */
  readonly workers: number
  readonly version: string
  /** Whose observer the app was opened with; default: new ones, without what an observer tells. */
  readonly metrics?: Metrics
  /** Asked once, and only for workers, which open the CA keys by themselves. */
  readonly passphrase: () => Promise<string>
  /** For the workers. */
  readonly env: Environment
}

export interface Serving {
  /** Base URLs with the ports really bound; null for roles that do not run here. */
  readonly endpoints: Endpoints
  /** Of the TLS workers that run now; empty when there are none. */
  workerProcessIds(): readonly number[]
  /** Finishes what was begun, for at most `serve.stopTimeout`. Idempotent. Closing the app is the caller's. */
  stop(): Promise<void>
}

export interface Endpoints {
  readonly est: string | null
  readonly status: string | null
  /** Of the embedded broker. */
  readonly mqtt: string | null
  readonly admin: string | null
}

/** What the est role offers to the rest of this process, wherever it runs. */
interface EstRole {
  readonly port: number
  readonly alive: () => number
  readonly workerProcessIds: () => readonly number[]
  /** True when this process answers devices; false when its workers do. */
  readonly isHere: boolean
  /** Of its worker processes. */
  readonly snapshots: () => Promise<MetricsSnapshot[]>
  reload(identity: ServerIdentity): void
  stop(): Promise<unknown>
}

/**
 * Resolves when every endpoint of the roles listens.
 * @throws Refusal `configuration-invalid` when an address is taken; what had been started is stopped again
 */
export async function serve(app: App, options: ServeOptions): Promise<Serving> {
  const started: (() => Promise<unknown>)[] = []
  const stopping = new AbortController()
  const { metrics = new Metrics(options) } = options
  const { clock } = app.engine
  metrics.watchPlatform(async () => await platformFigures(app.engine, clock.now()), clock)
  const stop = async () => {
    stopping.abort()
    // The est endpoint first: it has the requests. The admin endpoint last: it says that we are stopping.
    for (const end of started.splice(0)) await end()
  }
  try {
    // A process that signs nothing asks for no passphrase.
    const signs = (['est', 'mqtt', 'jobs'] as const).some((role) => options.roles.includes(role))
    if (signs) await unlockKeys(app)
    const identity = once(() => ensureServerCertificate(app))
    const est = options.roles.includes('est') ? await startEst(app, options, await identity(), metrics) : null
    if (est) started.push(() => est.stop())
    const status = options.roles.includes('status') ? await startStatus(app, metrics) : null
    if (status) started.push(() => status.stop(app.config.serve.stopTimeoutMs))
    const isJobNode = options.roles.includes('jobs')
    // A database that was rolled back behind its last checkpoint must not grow a second history.
    if (isJobNode) await checkSealedTree(app.engine)
    const listens = options.roles.includes('mqtt')
    const mqtt = listens || isJobNode ? await startMqtt(app, { listens, identity, metrics }) : null
    const jobs = createJobs(app.engine, [
      ...(est?.isHere || (mqtt && listens) ? workerJobs : []),
      ...(est || (mqtt?.port ?? null) !== null ? [identityJob(app, await identity(), { est, mqtt })] : []),
      ...(status ? [storeAnswers] : []),
      ...(mqtt?.jobs ?? []),
      ...(isJobNode ? [...platformJobs(app), ...(await connectorJobs(app))] : []),
    ])
    const running = jobs.run(stopping.signal)
    started.push(() => running)
    // after the jobs, whose triggers go over it
    if (mqtt) started.push(() => stopMqtt(app, mqtt))
    const admin = options.roles.includes('api')
      ? await startAdmin(app, options, { est, mqtt, jobs, metrics, stopping })
      : null
    if (admin) started.push(() => admin.close())
    return {
      endpoints: endpointsOf(app, { est, status, mqtt, admin: admin?.port ?? null }),
      workerProcessIds: () => est?.workerProcessIds() ?? [],
      stop: once(stop),
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A wrong passphrase is found now and not by the first device. @throws Refusal `passphrase-wrong` */
async function unlockKeys({ engine }: App): Promise<void> {
  for (const authority of engine.authorities.values()) await authority.unlock?.()
}

/** One certificate for every TLS endpoint of this node. */
function identityJob(
  app: App,
  identity: ServerIdentity,
  { est, mqtt }: { readonly est: EstRole | null; readonly mqtt: MqttRole | null },
): Job {
  return serverCertificateJob(app, identity, (next) => {
    est?.reload(next)
    mqtt?.reload(next)
  })
}

async function stopMqtt({ engine, config }: App, mqtt: MqttRole): Promise<void> {
  await mqtt.stop(config.serve.stopTimeoutMs)
  await flushSightings(engine, engine.clock.now())
}

async function startEst(
  app: App,
  options: ServeOptions,
  identity: ServerIdentity,
  metrics: Metrics,
): Promise<EstRole> {
  const { engine, config, dataDirectory } = app
  const { clock, random, log } = engine
  const { host, port } = config.est
  const { version } = options
  if (options.workers === 1) {
    const listenOn = { host, port, reusePort: false }
    const endpoint = await openEstEndpoint({ engine, config, identity, metrics, listen: listenOn })
    return {
      port: endpoint.port,
      alive: () => 1,
      workerProcessIds: () => [],
      isHere: true,
      reload: (next) => endpoint.reload(next),
      snapshots: async () => [],
      stop: async () => {
        await endpoint.stop(config.serve.stopTimeoutMs)
        await flushSightings(engine, clock.now())
      },
    }
  }
  const passphrase = await options.passphrase()
  const pool = await WorkerPool.open({
    count: options.workers,
    start: { dataPath: dataDirectory.path, passphrase, identity, host, port, version },
    clock,
    random,
    log,
    stopTimeoutMs: config.serve.stopTimeoutMs,
    env: options.env,
  })
  return {
    port: pool.port,
    alive: () => pool.alive,
    workerProcessIds: () => pool.processIds,
    isHere: false,
    reload: (next) => pool.reload(next),
    snapshots: () => pool.snapshots(),
    stop: () => pool.stop(),
  }
}

async function startStatus({ engine, config }: App, metrics: Metrics): Promise<Listener> {
  const answers = new Map<string, number>()
  metrics.watchOcsp(() => answers)
  const ocspAnswered = (result: string) => void answers.set(result, (answers.get(result) ?? 0) + 1)
  const server = createServer(serverOptions(statusLimits))
  serveHttp(server, statusHandler(engine, { ocspAnswered }), statusLimits, engine.clock)
  return await listen(
    server,
    { host: config.status.host, port: config.status.port, reusePort: false },
    engine.clock,
  )
}

interface AdminParts {
  readonly est: EstRole | null
  readonly mqtt: MqttRole | null
  readonly jobs: Jobs
  readonly metrics: Metrics
  readonly stopping: AbortController
}

async function startAdmin(
  app: App,
  { version, workers }: ServeOptions,
  { est, mqtt, jobs, metrics, stopping }: AdminParts,
): Promise<{ port: number; close: () => Promise<void> }> {
  const { engine, config } = app
  // Loaded here: the schemas of the API take longer to load than a process without it to start.
  const { createAdminServer } = await import('./api/server.ts')
  const server = await createAdminServer({
    version,
    healthChecks: healthChecks(app, {
      isStopping: () => stopping.signal.aborted,
      workers: est ? { wanted: workers, alive: est.alive } : null,
      mqtt: mqtt && (() => mqtt.problem()),
      jobs,
    }),
    snapshots: async () => [await metrics.snapshot(), ...((await est?.snapshots()) ?? [])],
    rest: { engine, url: config.admin.url, oidc: oidcSettings(config) },
  })
  const { host, port } = config.admin
  await server.ready()
  const listener = await listen(server.server, { host, port, reusePort: false }, engine.clock)
  return {
    port: listener.port,
    close: async () => {
      await listener.stop(1_000)
      await server.close()
    },
  }
}

function oidcSettings(config: App['config']): OidcSettings | null {
  const { oidcIssuer: issuer, oidcClientId: clientId, oidcClientSecret: clientSecret } = config.operators
  return issuer === null ? null : { issuer, clientId, clientSecret, url: adminUrl(config) }
}

interface Started {
  readonly est: EstRole | null
  readonly status: Listener | null
  readonly mqtt: MqttRole | null
  /** Its port. */
  readonly admin: number | null
}

function endpointsOf({ config }: App, { est, status, mqtt, admin }: Started): Endpoints {
  const mqttPort = mqtt?.port ?? null
  return {
    est: est && url('https', config.est.host, est.port),
    status: status && url('http', config.status.host, status.port),
    mqtt: mqttPort === null ? null : url('mqtts', config.mqtt.host, mqttPort),
    admin: admin === null ? null : url('http', config.admin.host, admin),
  }
}

/** "All addresses" is nothing to connect to: for a person on this machine it is localhost. */
function url(scheme: string, host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

function once<Result>(run: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | null = null
  return () => (result ??= run())
}

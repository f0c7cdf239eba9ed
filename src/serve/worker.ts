/** Entry of a TLS worker process: one EST endpoint on a port that it shares with its siblings. Started by worker-pool.ts. */
import { Metrics } from '../api/metrics.ts'
import { openApp, type App } from '../app.ts'
import { openDataDirectory } from '../data-directory.ts'
import { createJobs } from '../engine/jobs.ts'
import { flushSightings } from '../engine/renewals/sighting.ts'
import { type EstEndpoint, openEstEndpoint } from './est-endpoint.ts'
import { workerJobs } from './jobs.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

interface Running {
  readonly app: App
  readonly endpoint: EstEndpoint
  readonly metrics: Metrics
  readonly jobs: Promise<void>
}

let running: Running | null = null
const stopping = new AbortController()
let ending: Promise<void> | null = null

process.on('message', (message: ToWorker) => void handle(message))
// Ctrl-C reaches the whole process group; the main process decides when a worker ends.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => void end())
// The main process is gone: nobody would restart or stop us.
process.on('disconnect', () => void end())
report({ kind: 'ready' })

async function handle(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'start':
      await start(message)
      return
    case 'reload':
      running?.endpoint.reload(message.identity)
      return
    case 'snapshot':
      if (running) report({ kind: 'snapshot', id: message.id, metrics: await running.metrics.snapshot() })
      return
    case 'stop':
      await end()
  }
}

async function start(message: ToWorker & { kind: 'start' }): Promise<void> {
  const { passphrase, identity, host, port, version } = message
  try {
    const metrics = new Metrics({ version })
    const app = await openApp({
      observer: metrics.observer,
      dataDirectory: await openDataDirectory(message.dataPath),
      env: process.env,
      passphrase: async () => passphrase,
    })
    const listenOn = { host, port, reusePort: true }
    const { engine, config } = app
    for (const authority of engine.authorities.values()) await authority.unlock?.()
    const endpoint = await openEstEndpoint({ engine, config, identity, metrics, listen: listenOn })
    running = { app, endpoint, metrics, jobs: createJobs(engine, workerJobs).run(stopping.signal) }
    report({ kind: 'listening', port: endpoint.port })
  } catch (error) {
    report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    process.exitCode = 1
    process.disconnect?.()
  }
}

function end(): Promise<void> {
  ending ??= (async () => {
    stopping.abort()
    if (running) {
      const { app, endpoint, jobs } = running
      await endpoint.stop(app.config.serve.stopTimeoutMs)
      await jobs
      await flushSightings(app.engine, app.engine.clock.now())
      await app.close()
    }
    process.exit()
  })()
  return ending
}

function report(message: FromWorker): void {
  process.send?.(message)
}

/** The admin endpoint on loopback: health, metrics, version. Later the REST API and the dashboard. */
import { fastify, type FastifyInstance } from 'fastify'
import { checkHealth, formatHealth, type HealthCheck } from './health.ts'
import { type MetricsSnapshot, renderMetrics } from './metrics.ts'

export interface AdminServerOptions {
  readonly version: string
  readonly healthChecks: readonly HealthCheck[]
  /** Metrics of every process of this installation on this machine. */
  readonly snapshots: () => Promise<readonly MetricsSnapshot[]>
}

const plainText = 'text/plain; charset=utf-8'

/** Not listening yet. */
export function createAdminServer(options: AdminServerOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: 1_048_576,
    requestTimeout: 30_000,
    forceCloseConnections: 'idle',
  })
  app.get('/livez', async (_request, reply) => reply.type(plainText).send('ok\n'))
  app.get<{ Querystring: { verbose?: string } }>('/readyz', async (request, reply) => {
    const report = await checkHealth(options.healthChecks)
    const isVerbose = request.query.verbose !== undefined
    const short = report.isReady ? 'ok\n' : 'not ready: add ?verbose for the reason\n'
    return reply
      .code(report.isReady ? 200 : 503)
      .type(plainText)
      .send(isVerbose ? formatHealth(report) : short)
  })
  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await renderMetrics(await options.snapshots())
    return reply.type(contentType).send(text)
  })
  app.get('/version', async () => ({
    version: options.version,
    node: process.versions.node,
    openssl: process.versions.openssl,
  }))
  return app
}

/** The admin endpoint on loopback: health, metrics, version, the REST API, and the dashboard. */
import { fastify, type FastifyInstance, type FastifyReply } from 'fastify'
import type { Engine } from '../engine/context.ts'
import { dashboardDirectory, registerDashboard } from './dashboard.ts'
import { mountDocuments } from './documents.ts'
import { checkHealth, formatHealth, type HealthCheck, type HealthReport } from './health.ts'
import { bodyLimit } from './json-body.ts'
import { type MetricsSnapshot, renderMetrics } from './metrics.ts'
import { mountRest, type RestOptions } from './rest.ts'
import { routes as allRoutes } from './routes.ts'
import { mountOidc, type OidcSettings } from './oidc.ts'
import type { Route } from './route.ts'

export interface AdminServerOptions {
  readonly version: string
  readonly healthChecks: readonly HealthCheck[]
  /** Metrics of every process of this installation on this machine. */
  readonly snapshots: () => Promise<readonly MetricsSnapshot[]>
  readonly rest: RestParts | null
}

/** What the REST API needs; null where only health and metrics are served. */
export interface RestParts {
  readonly engine: Engine
  readonly url: string | null
  /** Absent: those of rate-limit.ts. */
  readonly oidc?: OidcSettings | null
  readonly limits?: NonNullable<RestOptions['limits']>
  /** Default: all of routes.ts. */
  readonly routes?: readonly Route[]
}

const plainText = 'text/plain; charset=utf-8'

/** Not listening yet. */
export async function createAdminServer(options: AdminServerOptions): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    bodyLimit,
    requestTimeout: 30_000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 512 },
  })
  mountHealth(app, options)
  if (options.rest) {
    const { routes = allRoutes } = options.rest
    await mountDocuments(app, { routes, version: options.version })
    await mountRest(app, { ...options.rest, routes })
    registerDashboard(app, dashboardDirectory)
    if (options.rest.oidc) mountOidc(app, options.rest.engine, options.rest.oidc)
  }
  return app
}

function mountHealth(app: FastifyInstance, options: AdminServerOptions): void {
  app.get('/livez', async (_request, reply) => reply.type(plainText).send('ok\n'))
  // What was good once has started: a database that is away for a minute is no reason to begin anew.
  let hasStarted = false
  const answer = (reply: FastifyReply, report: HealthReport, isVerbose: boolean) => {
    const short = report.isReady ? 'ok\n' : 'not ready: add ?verbose for the reason\n'
    return reply
      .code(report.isReady ? 200 : 503)
      .type(plainText)
      .send(isVerbose ? formatHealth(report) : short)
  }
  app.get<{ Querystring: { verbose?: string } }>('/readyz', async (request, reply) => {
    const report = await checkHealth(options.healthChecks)
    hasStarted ||= report.isReady
    return answer(reply, report, request.query.verbose !== undefined)
  })
  app.get<{ Querystring: { verbose?: string } }>('/startupz', async (request, reply) => {
    if (hasStarted) return reply.type(plainText).send('ok\n')
    const report = await checkHealth(options.healthChecks)
    hasStarted = report.isReady
    return answer(reply, report, request.query.verbose !== undefined)
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
}

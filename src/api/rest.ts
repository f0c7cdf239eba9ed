/** Puts the routes on a fastify: who asks, whether he may, whether it is well formed; then the handler, then the answer. */
import { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Refusal } from '../base/errors.ts'
import { tracedRequest } from '../base/trace.ts'
import { safeJson } from '../base/safe-json.ts'
import { actors } from '../engine/audit/audit.ts'
import type { Engine } from '../engine/context.ts'
import { dryRunOf } from '../engine/dry-run.ts'
import { accessOf, type Permission } from '../engine/operators/permissions.ts'
import { callerOf, requireSameSite, type Caller, type Credentials } from './caller.ts'
import { sessionCookieOf } from './cookies.ts'
import { isUnchanged, requireMatch } from './etag.ts'
import { bodyLimit, parseJsonBody } from './json-body.ts'
import { problemOf, problemType } from './problem.ts'
import { callerLimit, RateLimited, RateLimiter, strangerLimit, type RateLimit } from './rate-limit.ts'
import type { Call, Route } from './route.ts'
import { onceForKey } from './repeats.ts'
import { answerOf, type Finished } from './finished.ts'
import { fieldsOf } from './sparse.ts'
import { checkOf, textCheckOf, type Check } from './validate.ts'

export interface RestOptions {
  readonly engine: Engine
  readonly routes: readonly Route[]
  /** Absent: those of rate-limit.ts. */
  readonly limits?: { readonly caller: RateLimit; readonly stranger: RateLimit }
  /** Base URL under which people reach us, when it is not that of the request (`admin.url`). */
  readonly url: string | null
}

export const restPrefix = '/api/v1'

declare module 'fastify' {
  interface FastifyContextConfig {
    route?: Route
  }
}

/** Below `/api/v1`, in a context of its own: its parsers and its errors are not those of the rest of the port. */
export async function mountRest(app: FastifyInstance, options: RestOptions): Promise<void> {
  await app.register(
    async (scope) => {
      const limiters = limitersOf(options)
      scope.decorateRequest('access', null)
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', { bodyLimit }, parseBody)
      scope.setErrorHandler((error, _request, reply) => sendProblem(reply, error, options.engine))
      scope.setNotFoundHandler((_request, reply) =>
        sendProblem(reply, new Refusal('not-found', 'there is no such path: see /api/docs'), options.engine),
      )
      for (const route of options.routes) mount(scope, route, { ...options, limiters })
      for (const [path, methods] of methodsOf(options.routes)) refuseOthers(scope, path, methods)
    },
    { prefix: restPrefix },
  )
}

export function sendProblem(reply: FastifyReply, error: unknown, engine: Engine): FastifyReply {
  const problem = problemOf(error, engine)
  if (error instanceof RateLimited) void reply.headers(error.headers)
  if (error instanceof Refusal && error.retryAfterMs !== null) {
    void reply.header('retry-after', String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))))
  }
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer realm="perennial"')
  return reply
    .code(problem.status)
    .header('cache-control', 'no-store')
    .type(problemType)
    .send(safeJson(problem))
}

/** JSON, or for a route that reads streams the stream itself. */
async function parseBody(request: FastifyRequest, payload: AsyncIterable<Buffer>): Promise<unknown> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  const { route } = request.routeOptions.config
  if (route?.streams?.includes(type)) return payload
  if (type !== 'application/json' || route?.streams !== undefined) {
    const wanted = route?.streams?.join(' or ') ?? 'application/json'
    throw new Refusal('unsupported-media-type', `the body must be ${wanted}`)
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of payload) {
    size += chunk.byteLength
    if (size > bodyLimit) throw new Refusal('too-large', `the body is larger than ${bodyLimit} bytes`)
    chunks.push(chunk)
  }
  return parseJsonBody(Buffer.concat(chunks))
}

interface Checks {
  readonly params: Check
  readonly query: Check
  readonly body: Check | null
}

interface Limiters {
  readonly caller: RateLimiter
  readonly stranger: RateLimiter
}

function limitersOf({ limits }: RestOptions): Limiters {
  return {
    caller: new RateLimiter(limits?.caller ?? callerLimit),
    stranger: new RateLimiter(limits?.stranger ?? strangerLimit),
  }
}

function mount(
  scope: FastifyInstance,
  route: Route,
  options: RestOptions & { readonly limiters: Limiters },
): void {
  const checks: Checks = {
    params: textCheckOf(route.params, 'path'),
    query: textCheckOf(route.query, 'query'),
    body: route.body && checkOf(route.body, 'body'),
  }
  scope.route({
    method: route.method,
    url: route.path.replace(/\{(\w+)\}/g, ':$1'),
    config: { route },
    // Who asks is found out before a byte of the body is read.
    onRequest: async (request, reply) => {
      const credentials = credentialsOf(request)
      requireSameSite(credentials, options.url)
      const access = await allowed(route, credentials, options.engine)
      request.setDecorator('access', access)
      const { caller, stranger } = options.limiters
      const now = options.engine.clock.now()
      const headers =
        access.caller.id === '' ? stranger.take(request.ip, now) : caller.take(access.caller.id, now)
      void reply.headers(headers)
    },
    handler: async (request, reply) => {
      const call = callOf(request, reply, { ...options, route, checks })
      const fields = fieldsOf((call.query as { fields?: string }).fields, route.response)
      const work = async () => {
        const result = await tracedRequest(`api ${route.operationId}`, {}, () =>
          route.handler(call as Call<never, never, never>),
        )
        return answerOf(route, result, fields)
      }
      return await send(
        request,
        reply,
        await onceForKey(request, { route, call, engine: options.engine, work }),
      )
    },
  })
}

type Allowed = Pick<Call, 'caller' | 'scope'>

/** @throws Refusal `unauthenticated`, `permission-missing`, `step-up-required` */
async function allowed(route: Route, credentials: Credentials, engine: Engine): Promise<Allowed> {
  if (route.permission === 'anyone') return { caller: nobody, scope: noDevice }
  const caller = await callerOf(engine, credentials)
  const access = accessOf(caller.grants, route.permission)
  if (!access.isAllowed || (route.scope === 'fleet' && access.scope !== null)) {
    throw new Refusal('permission-missing', deniedDetail(route, access.isAllowed))
  }
  if (route.stepUp === true && !caller.isProved) {
    throw new Refusal('step-up-required', stepUpDetail[caller.kind])
  }
  return { caller, scope: access.scope }
}

/** Who logs in is not yet anybody. */
const nobody: Caller = { kind: 'session', operator: '', grants: [], id: '', expiresAt: null, isProved: false }
const noDevice = { cohorts: [], sites: [] }

const stepUpDetail: Readonly<Record<Caller['kind'], string>> = {
  session: 'give password and code again (POST /api/v1/session/proof): this is a dangerous act',
  token: 'this API token was not made for dangerous acts (`perennial token create --dangerous`)',
  certificate:
    'a client certificate is not enough for a dangerous act: use an API token made with --dangerous',
}

function credentialsOf({ method, headers, socket }: FastifyRequest): Credentials {
  const certificate =
    'getPeerX509Certificate' in socket ? (socket as TLSSocket).getPeerX509Certificate() : undefined
  return { method, headers, certificate: certificate?.raw ?? null }
}

function deniedDetail({ permission }: Route, isScoped: boolean): string {
  return isScoped
    ? `this needs ${permission} for the whole fleet, and your roles give it for a part`
    : `this needs ${permission}, which none of your roles gives`
}

function callOf(
  request: FastifyRequest,
  reply: FastifyReply,
  { route, checks, engine, url }: { route: Route; checks: Checks } & RestOptions,
): Call {
  const { caller, scope } = request.getDecorator<Allowed>('access')
  const query = checks.query(request.query)
  const isDryRun = route.dryRun === true && (query as { dryRun?: boolean }).dryRun === true
  const ifMatch = request.headers['if-match']
  if (route.ifMatch === true && ifMatch === undefined) {
    throw new Refusal('precondition-required', 'an edit needs If-Match with the ETag of what you read')
  }
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return {
    engine: isDryRun ? dryRunOf(engine) : engine,
    caller,
    actor: actors.operator(caller.operator),
    recheck: async () => void (await allowed(route, credentialsOf(request), engine)),
    connection: {
      lastEventId: text(request.headers['last-event-id']),
      sessionId: sessionCookieOf(request.headers.cookie),
      isSecure: request.protocol === 'https' || (url?.startsWith('https:') ?? false),
    },
    scope,
    may: (permission) => isAllowedEverywhere(caller, permission),
    now: engine.clock.now(),
    params: checks.params(request.params),
    query,
    body: bodyOf(request, route, checks),
    isDryRun,
    requireMatch: (current) => requireMatch(ifMatch, current),
    signal: gone.signal,
  }
}

function text(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined
}

function isAllowedEverywhere({ grants }: Caller, permission: Permission): boolean {
  const access = accessOf(grants, permission)
  return access.isAllowed && access.scope === null
}

function bodyOf(request: FastifyRequest, { streams }: Route, checks: Checks): unknown {
  if (streams !== undefined) return request.body
  if (checks.body !== null) return checks.body(request.body)
  if (request.body === undefined || request.body === null) return null
  throw new Refusal('malformed', 'this request takes no body')
}

async function send(request: FastifyRequest, reply: FastifyReply, answer: Finished): Promise<FastifyReply> {
  void reply.header('cache-control', 'no-store').headers(answer.headers).code(answer.status)
  if ('chunks' in answer) return await reply.type(answer.contentType).send(Readable.from(answer.chunks))
  if (answer.body === null) return await reply.send()
  if (answer.etag !== null) {
    void reply.header('etag', answer.etag)
    if (isUnchanged(request.headers['if-none-match'], answer.etag)) return await reply.code(304).send()
  }
  return await reply.type('application/json; charset=utf-8').send(answer.body)
}

function methodsOf(routes: readonly Route[]): Map<string, Set<string>> {
  const methods = new Map<string, Set<string>>()
  for (const { path, method } of routes) {
    const known = methods.get(path) ?? new Set()
    known.add(method)
    if (method === 'GET') known.add('HEAD')
    methods.set(path, known)
  }
  return methods
}

function refuseOthers(scope: FastifyInstance, path: string, methods: ReadonlySet<string>): void {
  const all = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
  const others = all.filter((method) => !methods.has(method))
  if (others.length === 0) return
  const allow = [...methods].join(', ')
  scope.route({
    method: others,
    url: path.replace(/\{(\w+)\}/g, ':$1'),
    exposeHeadRoute: false,
    onRequest: async (_request, reply) => {
      void reply.header('allow', allow)
      throw new Refusal('method-not-allowed', `this path takes ${allow}`)
    },
    handler: async () => null,
  })
}

/** The REST API on a whole engine, asked without a socket, by accounts with real tokens. */
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { LightMyRequestResponse } from 'fastify'
import type { Route } from '../../src/api/route.ts'
import { createAdminServer } from '../../src/api/server.ts'
import { dayMs } from '../../src/base/clock.ts'
import type { Engine } from '../../src/engine/context.ts'
import { createToken } from '../../src/engine/operators/api-token.ts'
import { addOperator } from '../../src/engine/operators/operator.ts'
import type { Grant, Role } from '../../src/engine/operators/permissions.ts'
import { testActor } from './app.ts'

export interface ApiRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  /** Below `/api/v1`, with its query. */
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface ApiRig {
  /** Asks as an account that has these grants, with a token made for dangerous acts; `null`: as nobody. */
  ask(grants: readonly Grant[] | Role | null, request: ApiRequest | string): Promise<LightMyRequestResponse>
  /** The body of an answer that goes on; destroying it ends it. */
  stream(
    grants: readonly Grant[] | Role,
    path: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Readable>
}

export async function apiRig(engine: Engine, routes?: readonly Route[]): Promise<ApiRig> {
  const unlimited = { perSecond: 1e6, burst: 1e6 }
  const limits = { caller: unlimited, stranger: unlimited }
  const rest = { engine, url: null, limits, ...(routes ? { routes } : {}) }
  const server = await createAdminServer({
    version: '1.2.3',
    healthChecks: [],
    snapshots: async () => [],
    rest,
  })
  const tokens = new Map<string, Promise<string>>()
  const tokenOf = (grants: readonly Grant[]): Promise<string> => {
    const key = JSON.stringify(grants)
    const token = tokens.get(key) ?? apiToken(engine, grants)
    tokens.set(key, token)
    return token
  }
  return {
    async stream(who, path, headers = {}) {
      const authorization = `Bearer ${await tokenOf(typeof who === 'string' ? [grant(who)] : who)}`
      const answer = await server.inject({
        url: `/api/v1${path}`,
        headers: { authorization, ...headers },
        payloadAsStream: true,
      })
      return answer.stream()
    },
    async ask(who, request) {
      const {
        method = 'GET',
        path,
        body,
        headers = {},
      } = typeof request === 'string' ? { path: request } : request
      const grants = typeof who === 'string' ? [grant(who)] : who
      const authorization = grants === null ? {} : { authorization: `Bearer ${await tokenOf(grants)}` }
      return await server.inject({
        method,
        url: `/api/v1${path}`,
        headers: { ...headers, ...authorization },
        ...(body === undefined ? {} : { payload: body as string | object }),
      })
    },
  }
}

/** The token of a new account that has these grants; for dangerous acts too. */
export async function apiToken(engine: Engine, grants: readonly Grant[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(grants)).digest('hex')
  const name = `test-${hash.slice(0, 12)}`
  // A machine's account is in use at once. Its certificate is of nobody.
  await addOperator(engine, { name, grants, actor: testActor, certificateHash: hash })
  const lifetimeMs = 30 * dayMs
  const made = await createToken(engine, {
    operator: name,
    name: 'test',
    grants,
    lifetimeMs,
    allowsDangerous: true,
    actor: testActor,
  })
  return made.token
}

export function grant(role: Role, part: Partial<Omit<Grant, 'role'>> = {}): Grant {
  return { role, cohort: null, site: null, ...part }
}

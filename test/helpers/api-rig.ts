/** The REST API on a whole engine, asked without a socket. */
import type { LightMyRequestResponse } from 'fastify'
import type { Caller } from '../../src/api/caller.ts'
import type { Route } from '../../src/api/route.ts'
import { createAdminServer } from '../../src/api/server.ts'
import { Refusal } from '../../src/base/errors.ts'
import type { Engine } from '../../src/engine/context.ts'
import type { Grant, Role } from '../../src/engine/operators/permissions.ts'

export interface ApiRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  /** Below `/api/v1`, with its query. */
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface ApiRig {
  /** Asks as somebody who has these grants; `null`: as nobody. */
  ask(grants: readonly Grant[] | Role | null, request: ApiRequest | string): Promise<LightMyRequestResponse>
}

export async function apiRig(engine: Engine, routes?: readonly Route[]): Promise<ApiRig> {
  let asking: readonly Grant[] | null = null
  const authenticate = async (): Promise<Caller> => {
    if (asking === null) throw new Refusal('unauthenticated', 'nobody asks')
    return { kind: 'token', name: 'test', grants: asking }
  }
  const rest = { engine, authenticate, ...(routes ? { routes } : {}) }
  const server = await createAdminServer({
    version: '1.2.3',
    healthChecks: [],
    snapshots: async () => [],
    rest,
  })
  return {
    async ask(who, request) {
      const {
        method = 'GET',
        path,
        body,
        headers = {},
      } = typeof request === 'string' ? { path: request } : request
      asking = typeof who === 'string' ? [grant(who)] : who
      return await server.inject({
        method,
        url: `/api/v1${path}`,
        headers,
        ...(body === undefined ? {} : { payload: body as string | object }),
      })
    },
  }
}

export function grant(role: Role, part: Partial<Omit<Grant, 'role'>> = {}): Grant {
  return { role, cohort: null, site: null, ...part }
}

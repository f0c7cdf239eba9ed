/** API tokens: everybody's own, and for administrators those of others. */
import { Type, type Static } from 'typebox'
import { dayMs, iso, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { createToken, revokeToken, tokenPage, type ApiToken } from '../../engine/operators/api-token.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { Answer, object, route, type Route } from '../route.ts'
import { instant, nullable, pageOf, paging, sparse } from '../schemas.ts'
import { grantSchema, grantView } from './session.ts'

const tokenProperties = {
  id: Type.String(),
  operator: Type.String({
    description: 'The account that it belongs to; it carries no more than that has now.',
  }),
  name: Type.String(),
  grants: Type.Array(grantSchema),
  allowsDangerous: Type.Boolean(),
  createdAt: instant,
  createdBy: Type.String(),
  expiresAt: instant,
  usedAt: nullable(instant),
  revokedAt: nullable(instant),
}

const token = object(tokenProperties, { $id: 'Token' })
const newToken = object(
  { ...tokenProperties, token: Type.String({ description: 'Shown once: only its hash is kept.' }) },
  { $id: 'NewToken' },
)
const id = Type.String({ pattern: '^[0-9a-f]{12}$' })

export const tokenRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/tokens',
    operationId: 'listTokens',
    summary: 'API tokens of the caller, or with operators:read of everybody',
    permission: 'self',
    scope: 'shared',
    query: { ...paging, ...sparse, operator: Type.Optional(Type.String({ maxLength: 64 })) },
    response: pageOf(token),
    examples: [{ summary: 'All that one may see' }],
    async handler({ engine, query, caller, may }) {
      const seesAll = may('operators:read')
      const operator = seesAll ? query.operator : caller.operator
      if (!seesAll && query.operator !== undefined && query.operator !== caller.operator) {
        throw new Refusal(
          'permission-missing',
          'the tokens of others need operators:read for the whole fleet',
        )
      }
      const request = { ...pageRequest(query), ...(operator === undefined ? {} : { operator }) }
      return pageAnswer(await tokenPage(engine, request), tokenView)
    },
  }),
  route({
    method: 'POST',
    path: '/tokens',
    operationId: 'createToken',
    summary: 'An API token of the caller',
    description: 'From the session of a browser only: a token does not make tokens.',
    permission: 'self',
    scope: 'shared',
    stepUp: true,
    status: 201,
    hasSecretAnswer: true,
    body: object({
      name: Type.String({ minLength: 1, maxLength: 128 }),
      grants: Type.Array(grantSchema, { minItems: 1, maxItems: 32 }),
      days: Type.Integer({ minimum: 1, maximum: 366 }),
      allowsDangerous: Type.Optional(Type.Boolean({ default: false })),
    }),
    response: newToken,
    examples: [
      {
        summary: 'Asked with a token, which is refused',
        body: { name: 'Grafana', grants: [{ role: 'viewer', cohort: null, site: null }], days: 90 },
        status: 403,
      },
    ],
    async handler({ engine, caller, actor, body }) {
      if (caller.kind !== 'session') {
        throw new Refusal('permission-missing', 'a token does not make tokens: log in with a browser')
      }
      const { days, ...rest } = body
      const made = await createToken(engine, {
        ...rest,
        operator: caller.operator,
        lifetimeMs: days * dayMs,
        actor,
      })
      return new Answer(
        { ...tokenView(made.record), token: made.token },
        { location: `/api/v1/tokens/${made.record.id}` },
      )
    },
  }),
  route({
    method: 'DELETE',
    path: '/tokens/{id}',
    operationId: 'revokeToken',
    summary: 'Revokes a token: one of the caller, or with operators:write anybody’s',
    permission: 'self',
    scope: 'shared',
    params: { id },
    examples: [{ summary: 'One that is not there', params: { id: '0123456789ab' }, status: 404 }],
    async handler({ engine, caller, actor, params, may }) {
      const owner = may('operators:write') ? {} : { operator: caller.operator }
      await revokeToken(engine, { id: params.id, actor, ...owner })
      return null
    },
  }),
]

function tokenView({ createdAt, expiresAt, usedAt, revokedAt, ...rest }: ApiToken): Static<typeof token> {
  return {
    ...rest,
    grants: rest.grants.map(grantView),
    createdAt: iso(createdAt),
    expiresAt: iso(expiresAt),
    usedAt: isoOrNull(usedAt),
    revokedAt: isoOrNull(revokedAt),
  }
}

function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}

/** Accounts: only administrators change them, and nobody his own. */
import { Type, type Static } from 'typebox'
import { iso, type Instant } from '../../base/clock.ts'
import {
  addOperator,
  operatorNamePattern,
  operatorPage,
  requireOperator,
  resetOperator,
  setDisabled,
  setGrants,
  type Operator,
  type SetupLink,
} from '../../engine/operators/operator.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { object, route, type Route } from '../route.ts'
import { instant, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'
import { grantSchema, grantView } from './session.ts'

const name = Type.String({ pattern: operatorNamePattern, description: 'Of the account.' })
const grants = Type.Array(grantSchema, { minItems: 1, maxItems: 32 })

const operator = object(
  {
    name,
    status: oneOf(['invited', 'active', 'disabled']),
    grants: Type.Array(grantSchema),
    hasPassword: Type.Boolean(),
    hasTotp: Type.Boolean(),
    oidcSubject: nullable(Type.String({ description: '`issuer|sub` of the OpenID provider.' })),
    certificateHash: nullable(Type.String({ description: 'SHA-256 of the client certificate.' })),
    lockedUntil: nullable(instant),
    lastLoginAt: nullable(instant),
    createdAt: instant,
    createdBy: Type.String(),
  },
  { $id: 'Operator' },
)

const setupLink = object(
  {
    operator: Type.String(),
    token: nullable(
      Type.String({ description: 'For /setup#TOKEN, shown once; null when the account needs none.' }),
    ),
    expiresAt: nullable(instant),
  },
  { $id: 'SetupLink' },
)

const change = { permission: 'operators:write', scope: 'fleet', stepUp: true } as const

export const operatorRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/operators',
    operationId: 'listOperators',
    summary: 'Accounts in the order of their names',
    permission: 'operators:read',
    scope: 'fleet',
    query: { ...paging, ...sparse },
    response: pageOf(operator),
    examples: [{ summary: 'Names and roles', query: { fields: 'name,grants' } }],
    handler: async ({ engine, query }) =>
      pageAnswer(await operatorPage(engine, pageRequest(query)), operatorView),
  }),
  route({
    method: 'GET',
    path: '/operators/{name}',
    operationId: 'getOperator',
    summary: 'An account',
    permission: 'operators:read',
    scope: 'fleet',
    params: { name },
    query: sparse,
    response: operator,
    examples: [{ summary: 'One account', params: { name: 'berta' } }],
    handler: async ({ engine, params }) => operatorView(await requireOperator(engine, params.name)),
  }),
  route({
    ...change,
    method: 'POST',
    path: '/operators',
    operationId: 'addOperator',
    summary: 'An account, and the link on which the person sets a password',
    status: 201,
    hasSecretAnswer: true,
    body: object({
      name,
      grants,
      oidcSubject: Type.Optional(Type.String({ minLength: 3, maxLength: 512 })),
      certificateHash: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
    }),
    response: setupLink,
    examples: [
      {
        summary: 'A viewer of one site',
        body: { name: 'clara', grants: [{ role: 'viewer', cohort: null, site: 'kl' }] },
      },
    ],
    async handler({ engine, body, actor }) {
      const link = await addOperator(engine, { ...body, actor })
      return linkView(body.name, link)
    },
  }),
  route({
    ...change,
    method: 'PUT',
    path: '/operators/{name}/grants',
    operationId: 'setGrants',
    summary: 'Its roles, all of them; ETag is that of the account',
    ifMatch: true,
    params: { name },
    body: object({ grants }),
    response: operator,
    examples: [
      {
        summary: 'An operator',
        params: { name: 'berta' },
        body: { grants: [{ role: 'operator', cohort: null, site: null }] },
      },
    ],
    async handler({ engine, params, body, actor, requireMatch }) {
      requireMatch(operatorView(await requireOperator(engine, params.name)))
      return operatorView(await setGrants(engine, { name: params.name, grants: body.grants, actor }))
    },
  }),
  route({
    ...change,
    method: 'POST',
    path: '/operators/{name}/disable',
    operationId: 'disableOperator',
    summary: 'Ends its sessions and tokens; it cannot be used',
    params: { name },
    response: operator,
    examples: [{ summary: 'One account', params: { name: 'berta' } }],
    handler: async ({ engine, params, actor }) =>
      operatorView(await setDisabled(engine, { name: params.name, isDisabled: true, actor })),
  }),
  route({
    ...change,
    method: 'POST',
    path: '/operators/{name}/enable',
    operationId: 'enableOperator',
    summary: 'It may be used again',
    params: { name },
    response: operator,
    examples: [{ summary: 'One account', params: { name: 'berta' } }],
    handler: async ({ engine, params, actor }) =>
      operatorView(await setDisabled(engine, { name: params.name, isDisabled: false, actor })),
  }),
  route({
    ...change,
    method: 'POST',
    path: '/operators/{name}/reset',
    operationId: 'resetOperator',
    summary: 'Forgets password and authenticator app, and makes a new link',
    hasSecretAnswer: true,
    params: { name },
    response: setupLink,
    examples: [{ summary: 'One account', params: { name: 'berta' } }],
    handler: async ({ engine, params, actor }) =>
      linkView(params.name, await resetOperator(engine, { name: params.name, actor })),
  }),
]

function operatorView({ lockedUntil, lastLoginAt, createdAt, ...rest }: Operator): Static<typeof operator> {
  return {
    ...rest,
    grants: rest.grants.map(grantView),
    lockedUntil: isoOrNull(lockedUntil),
    lastLoginAt: isoOrNull(lastLoginAt),
    createdAt: iso(createdAt),
  }
}

function linkView(account: string, link: SetupLink | null): Static<typeof setupLink> {
  return { operator: account, token: link?.token ?? null, expiresAt: isoOrNull(link?.expiresAt ?? null) }
}

function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}

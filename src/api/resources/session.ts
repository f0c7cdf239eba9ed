/** Logging in and out, setting a password on a one-time link, and proving again who one is. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { Engine } from '../../engine/context.ts'
import { permissions, permissionsOf, roles, type Grant } from '../../engine/operators/permissions.ts'
import {
  csrfToken,
  logIn,
  logOut,
  proveAgain,
  sessionIdentity,
  type Identity,
  type OpenedSession,
} from '../../engine/operators/session.ts'
import { finishSetup, openSetup } from '../../engine/operators/setup.ts'
import { base32, totpUri } from '../../engine/operators/totp.ts'
import { endedCookie, sessionCookie } from '../cookies.ts'
import { Answer, object, route, type Call, type Route } from '../route.ts'
import { instant, nullable, oneOf } from '../schemas.ts'

export const grantSchema = object(
  {
    role: oneOf(roles),
    cohort: nullable(Type.String({ maxLength: 128 })),
    site: nullable(Type.String({ maxLength: 128 })),
  },
  {
    $id: 'Grant',
    description: 'A role; for one cohort or one site, or for the whole fleet when both are null.',
  },
)

const name = Type.String({ minLength: 1, maxLength: 64 })
const password = Type.String({ minLength: 1, maxLength: 256 })
const code = Type.Optional(
  Type.String({
    pattern: '^[0-9]{6}$',
    description: 'Of the authenticator app; needed when the account has one.',
  }),
)
const linkToken = Type.String({
  minLength: 1,
  maxLength: 128,
  description: 'What comes after # in the link.',
})

const session = object(
  {
    operator: Type.String(),
    kind: oneOf(['session', 'token', 'certificate']),
    grants: Type.Array(grantSchema),
    permissions: Type.Array(oneOf(permissions)),
    expiresAt: nullable(instant),
    isProved: Type.Boolean({ description: 'Dangerous acts need no further proof now.' }),
    csrfToken: nullable(Type.String({ description: 'For X-CSRF-Token of each write; null for a program.' })),
  },
  { $id: 'Session' },
)

const setupOffer = object(
  {
    operator: nullable(Type.String({ description: 'Null: the first account, which needs a name.' })),
    totpSecret: Type.String({ description: 'For an authenticator app, base 32.' }),
    totpUri: Type.String({ description: 'The same as a link, for a QR code.' }),
    requireTotp: Type.Boolean(),
  },
  { $id: 'SetupOffer' },
)

export const sessionRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/session',
    operationId: 'getSession',
    summary: 'Who is asking, and what he may do',
    permission: 'self',
    scope: 'shared',
    response: session,
    examples: [{ summary: 'Of a token' }],
    handler: async ({ caller, connection }) => sessionView(caller, connection.sessionId),
  }),
  route({
    method: 'POST',
    path: '/session',
    operationId: 'logIn',
    summary: 'Opens a session: the answer sets its cookie',
    permission: 'anyone',
    scope: 'shared',
    body: object({ name, password, code }),
    response: session,
    hasSecretAnswer: true,
    examples: [
      { summary: 'With a code', body: { name: 'anna', password: 'correct horse battery' }, status: 401 },
    ],
    async handler(call) {
      const { sessionId } = call.connection
      const opened = await logIn(call.engine, call.body)
      // An id that the browser brought along ends here: nobody can have planted the one that is in use from now on.
      if (sessionId !== null) await logOut(call.engine, sessionId)
      return await sessionAnswer(call, opened)
    },
  }),
  route({
    method: 'DELETE',
    path: '/session',
    operationId: 'logOut',
    summary: 'Ends the session',
    permission: 'self',
    scope: 'shared',
    examples: [{ summary: 'Of a browser' }],
    async handler({ engine, connection: { sessionId, isSecure } }) {
      if (sessionId !== null) await logOut(engine, sessionId)
      return new Answer(null, { 'set-cookie': endedCookie(isSecure) })
    },
  }),
  route({
    method: 'POST',
    path: '/session/proof',
    operationId: 'proveAgain',
    summary: 'Password and code again, before a dangerous act; the cookie changes',
    permission: 'self',
    scope: 'shared',
    body: object({ password, code }),
    response: session,
    hasSecretAnswer: true,
    examples: [{ summary: 'Of a browser', body: { password: 'correct horse battery' }, status: 400 }],
    async handler(call) {
      const { engine, body, connection } = call
      if (connection.sessionId === null) {
        throw new Refusal('invalid-input', 'only the session of a browser is proved again')
      }
      return await sessionAnswer(call, await proveAgain(engine, { ...body, id: connection.sessionId }))
    },
  }),
  route({
    method: 'POST',
    path: '/setup/offer',
    operationId: 'openSetup',
    summary: 'What a one-time link is for; it stays usable',
    permission: 'anyone',
    scope: 'shared',
    body: object({ token: linkToken }),
    response: setupOffer,
    hasSecretAnswer: true,
    examples: [{ summary: 'A link that has lapsed', body: { token: 'x' }, status: 401 }],
    async handler({ engine, body }) {
      const { operator, totpKey, requireTotp } = await openSetup(engine, body.token)
      const account = operator ?? engine.settings.organization
      return {
        operator,
        totpSecret: base32(totpKey),
        totpUri: totpUri(totpKey, account, 'Perennial'),
        requireTotp,
      }
    },
  }),
  route({
    method: 'POST',
    path: '/setup',
    operationId: 'finishSetup',
    summary: 'Sets password and authenticator app on a one-time link, and uses it up',
    permission: 'anyone',
    scope: 'shared',
    body: object({ token: linkToken, name: Type.Optional(name), password, code }),
    response: object({ operator: Type.String() }),
    hasSecretAnswer: true,
    examples: [
      {
        summary: 'A link that has lapsed',
        body: { token: 'x', password: 'correct horse battery' },
        status: 401,
      },
    ],
    async handler({ engine, body }) {
      const { name: operator } = await finishSetup(engine, body)
      return { operator }
    },
  }),
]

async function sessionAnswer(
  { engine, connection, now }: Pick<Call, 'engine' | 'connection' | 'now'>,
  { id, expiresAt }: OpenedSession,
): Promise<Answer<Static<typeof session>>> {
  const identity = await requireIdentity(engine, id)
  const cookie = sessionCookie(id, { isSecure: connection.isSecure, expiresAt, now })
  return new Answer(sessionView(identity, id), { 'set-cookie': cookie })
}

async function requireIdentity(engine: Engine, id: string): Promise<Identity> {
  const identity = await sessionIdentity(engine, id)
  if (identity) return identity
  throw new Refusal('unauthenticated', 'the account was disabled meanwhile')
}

function sessionView(caller: Identity, sessionId: string | null): Static<typeof session> {
  const { operator, kind, grants, expiresAt, isProved } = caller
  return {
    operator,
    kind,
    grants: grants.map(grantView),
    permissions: permissions.filter((each) => grants.some(({ role }) => permissionsOf[role].has(each))),
    expiresAt: expiresAt === null ? null : iso(expiresAt),
    isProved,
    csrfToken: kind === 'session' && sessionId !== null ? csrfToken(sessionId) : null,
  }
}

export function grantView({ role, cohort, site }: Grant): Static<typeof grantSchema> {
  return { role, cohort, site }
}

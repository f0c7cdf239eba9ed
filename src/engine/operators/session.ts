/** Sessions of people in browsers. They live in the database: ending one ends it everywhere, at once. */
import { createHmac } from 'node:crypto'
import { equalSecrets, sha256Hex } from '../../base/bytes.ts'
import { minuteMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { token } from '../../base/random.ts'
import {
  findOperator,
  findOperatorByCertificate,
  findOperatorBySubject,
  lockOperator,
  updateOperator,
} from '../../store/operators.ts'
import {
  deleteEndedSessions,
  deleteSession,
  findSession,
  insertSession,
  touchSession,
} from '../../store/operator-sessions.ts'
import { actors, type FactAction } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'
import { readGrants } from './grants.ts'
import { checkLogin, type LoginRequest } from './login.ts'
import { operatorSettings, recordStep } from './operator.ts'
import type { Grant } from './permissions.ts'

/** Who acts, and how he showed it. */
export interface Identity {
  readonly kind: 'session' | 'token' | 'certificate'
  readonly operator: string
  readonly grants: readonly Grant[]
  /** Unique to the session, token or certificate, and no secret. */
  readonly id: string
  readonly expiresAt: Instant | null
  /** Dangerous acts are allowed without proving it again: the password was given just now, or the token was made for them. */
  readonly isProved: boolean
}

export interface OpenedSession {
  /** Shown to the browser once, in a cookie. */
  readonly id: string
  readonly operator: string
  readonly expiresAt: Instant
}

/** A new session each time: an id that somebody brought along is never taken over. @throws Refusal `login-failed` */
export async function logIn(engine: Engine, request: LoginRequest): Promise<OpenedSession> {
  const { name } = await checkLogin(engine, request)
  return await openSession(engine, name, 'password')
}

/** For whom an OpenID provider vouches. @param subject `issuer|sub` @throws Refusal `login-failed` when nobody has it */
export async function logInBySubject(engine: Engine, subject: string): Promise<OpenedSession> {
  const record = await findOperatorBySubject(engine.store.db, subject)
  if (record?.status !== 'active') {
    throw new Refusal(
      'login-failed',
      'no account here belongs to this login: an administrator adds one with --oidc',
    )
  }
  return await openSession(engine, record.name, 'oidc')
}

async function openSession(
  engine: Engine,
  operator: string,
  method: 'password' | 'oidc',
): Promise<OpenedSession> {
  const now = engine.clock.now()
  const id = token(engine.random, 32)
  const expiresAt = now + operatorSettings(engine.settings).sessionLifetimeMs
  await engine.store.transaction(async (tx) => {
    await insertSession(tx, {
      hash: sha256Hex(id),
      operator,
      createdAt: now,
      usedAt: now,
      expiresAt,
      provedAt: now,
    })
    if (method === 'oidc') {
      const record = await lockOperator(tx, operator)
      if (record) await updateOperator(tx, { ...record, lastLoginAt: now })
    }
    const details = { method }
    await recordStep(tx, {
      action: 'operator.logged-in',
      name: operator,
      actor: actors.operator(operator),
      now,
      details,
    })
  })
  return { id, operator, expiresAt }
}

/** Written so often at most. */
const touchMs = minuteMs

/** @returns null for a session that is not there, was ended, or was not used for too long */
export async function sessionIdentity(engine: Engine, id: string): Promise<Identity | null> {
  const now = engine.clock.now()
  const { sessionIdleMs, stepUpMs } = operatorSettings(engine.settings)
  const hash = sha256Hex(id)
  const session = await findSession(engine.store.db, hash)
  if (!session || now >= session.expiresAt || now >= session.usedAt + sessionIdleMs) return null
  const record = await findOperator(engine.store.db, session.operator)
  if (record?.status !== 'active') return null
  if (now >= session.usedAt + touchMs) {
    await engine.store.transaction(async (tx) => await touchSession(tx, hash, now))
  }
  return {
    kind: 'session',
    operator: record.name,
    grants: readGrants(record.grants),
    id: hash.slice(0, 16),
    expiresAt: session.expiresAt,
    isProved: now < session.provedAt + stepUpMs,
  }
}

/** A machine with a client certificate, which is looked up by its bytes. @param hash SHA-256 of the certificate, hex */
export async function certificateIdentity(engine: Engine, hash: string): Promise<Identity | null> {
  const record = await findOperatorByCertificate(engine.store.db, hash)
  if (record?.status !== 'active') return null
  return {
    kind: 'certificate',
    operator: record.name,
    grants: readGrants(record.grants),
    id: hash.slice(0, 16),
    expiresAt: null,
    isProved: false,
  }
}

/** Idempotent. */
export async function logOut(engine: Engine, id: string): Promise<void> {
  const session = await findSession(engine.store.db, sha256Hex(id))
  if (session) await endWith(engine, session.operator, sha256Hex(id), 'operator.logged-out')
}

/**
 * Password and code again. The session goes on under a new id, so that one that was seen before is worth nothing.
 * @throws Refusal `login-failed`
 */
export async function proveAgain(
  engine: Engine,
  { id, password, code }: { readonly id: string } & Pick<LoginRequest, 'password' | 'code'>,
): Promise<OpenedSession> {
  const before = await findSession(engine.store.db, sha256Hex(id))
  if (!before) throw new Refusal('unauthenticated', 'the session has ended: log in')
  const { operator, expiresAt, createdAt } = before
  await checkLogin(engine, { name: operator, password, ...(code === undefined ? {} : { code }) })
  const next = token(engine.random, 32)
  const now = engine.clock.now()
  await engine.store.transaction(async (tx) => {
    await deleteSession(tx, before.hash)
    await insertSession(tx, {
      hash: sha256Hex(next),
      operator,
      createdAt,
      usedAt: now,
      expiresAt,
      provedAt: now,
    })
    await recordStep(tx, { action: 'operator.proved', name: operator, actor: actors.operator(operator), now })
  })
  return { id: next, operator, expiresAt }
}

/** What a page of ours sends along with each write, and a page of another site cannot know. */
export function csrfToken(sessionId: string): string {
  return createHmac('sha256', sessionId).update('perennial csrf').digest('base64url')
}

export function isCsrfToken(sessionId: string, given: string): boolean {
  return equalSecrets(Buffer.from(csrfToken(sessionId)), Buffer.from(given))
}

async function endWith(engine: Engine, name: string, hash: string, action: FactAction): Promise<void> {
  const now = engine.clock.now()
  await engine.store.transaction(async (tx) => {
    if (!(await deleteSession(tx, hash))) return
    await recordStep(tx, { action, name, actor: actors.operator(name), now })
  })
}

/** Rows of sessions that have ended by themselves. */
export const endSessionsJob: Job = {
  name: 'end-sessions',
  intervalMs: 10 * minuteMs,
  async run(engine, now, _signal, fence) {
    const worked = await engine.store.transaction(async (tx) => {
      await fence(tx)
      return await deleteEndedSessions(tx, now)
    })
    return { worked, isBehind: false }
  },
}

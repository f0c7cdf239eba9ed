/** API tokens: what a program shows. Each belongs to an account and carries, at most, what that account may do now. */
import { sha256Hex } from '../../base/bytes.ts'
import { dayMs, iso, minuteMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { token as randomToken } from '../../base/random.ts'
import { isUnsafeText } from '../../base/text.ts'
import { findOperator } from '../../store/operators.ts'
import {
  findToken,
  findTokenById,
  insertToken,
  listTokens,
  markTokenRevoked,
  touchToken,
  type TokenRecord,
} from '../../store/operator-sessions.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { checkGrants, coveredGrants, formatGrant, readGrants } from './grants.ts'
import type { Grant } from './permissions.ts'
import type { Identity } from './session.ts'

/** By which leak scanners find one in a log or a repository. */
export const tokenPrefix = 'prn_'
export const longestTokenLifeMs = 366 * dayMs

export interface ApiToken {
  readonly id: string
  readonly operator: string
  readonly name: string
  readonly grants: readonly Grant[]
  readonly allowsDangerous: boolean
  readonly createdAt: Instant
  readonly createdBy: string
  readonly expiresAt: Instant
  readonly usedAt: Instant | null
  readonly revokedAt: Instant | null
}

export interface NewToken {
  readonly operator: string
  /** What it is for, in words. */
  readonly name: string
  /** Of those of the account. */
  readonly grants: readonly Grant[]
  readonly lifetimeMs: number
  /** It may do what a person would have to prove himself for. */
  readonly allowsDangerous?: boolean
  readonly actor: string
}

/** @throws Refusal `not-found`; `permission-missing` for more than the account has; `invalid-input` */
export async function createToken(
  engine: Engine,
  request: NewToken,
): Promise<{ readonly token: string; readonly record: ApiToken }> {
  const { operator, name, lifetimeMs, allowsDangerous = false, actor } = request
  const grants = checkGrants(request.grants)
  if (name.length === 0 || name.length > 128 || isUnsafeText(name)) {
    throw new Refusal('invalid-input', 'the name of a token has 1 to 128 printable characters')
  }
  if (lifetimeMs < minuteMs || lifetimeMs > longestTokenLifeMs) {
    throw new Refusal('invalid-input', 'a token lives a minute to 366 days')
  }
  const owner = await findOperator(engine.store.db, operator)
  if (owner?.status !== 'active') throw new Refusal('not-found', `there is no account ${operator} in use`)
  if (coveredGrants(grants, readGrants(owner.grants)).length < grants.length) {
    const has = readGrants(owner.grants).map(formatGrant).join(', ')
    throw new Refusal('permission-missing', `a token carries no more than its account, which is ${has}`)
  }
  const now = engine.clock.now()
  const token = `${tokenPrefix}${randomToken(engine.random, 32)}`
  const record: TokenRecord = {
    id: Buffer.from(engine.random.bytes(6)).toString('hex'),
    hash: sha256Hex(token),
    operator,
    name,
    grants: JSON.stringify(grants),
    allowsDangerous,
    createdAt: now,
    createdBy: actor,
    expiresAt: now + lifetimeMs,
    usedAt: null,
    revokedAt: null,
  }
  await engine.store.transaction(async (tx) => {
    await insertToken(tx, record)
    const details = {
      operator,
      name,
      grants: grants.map(formatGrant),
      allowsDangerous,
      expiresAt: iso(record.expiresAt),
    }
    await recordFacts(
      tx,
      fact(now, { actor, action: 'token.created', subject: subjects.token(record.id), details }),
    )
  })
  return { token, record: toToken(record) }
}

/** Used at once by requests that are under way; no later one. @throws Refusal `not-found` */
export async function revokeToken(
  engine: Engine,
  { id, actor, operator }: { readonly id: string; readonly actor: string; readonly operator?: string },
): Promise<void> {
  const now = engine.clock.now()
  await engine.store.transaction(async (tx) => {
    const record = await findTokenById(tx, id)
    if (!record || (operator !== undefined && record.operator !== operator)) {
      throw new Refusal('not-found', `there is no token ${id}: see \`perennial token list\``)
    }
    if (!(await markTokenRevoked(tx, id, now))) return
    await recordFacts(tx, fact(now, { actor, action: 'token.revoked', subject: subjects.token(id) }))
  })
}

/** In the order of ids. */
export async function tokenPage(
  { store }: Engine,
  request: PageRequest & { readonly operator?: string },
): Promise<Page<ApiToken>> {
  const { rows, next } = await listTokens(store.db, request)
  return { rows: rows.map(toToken), next }
}

/** Written so often at most. */
const touchMs = minuteMs

/** @returns null for a token that is not there, was revoked or has expired, or whose account is disabled */
export async function tokenIdentity(engine: Engine, token: string): Promise<Identity | null> {
  if (!token.startsWith(tokenPrefix) || token.length > 128) return null
  const now = engine.clock.now()
  const record = await findToken(engine.store.db, sha256Hex(token))
  if (!record || record.revokedAt !== null || now >= record.expiresAt) return null
  const owner = await findOperator(engine.store.db, record.operator)
  if (owner?.status !== 'active') return null
  if (record.usedAt === null || now >= record.usedAt + touchMs) {
    await engine.store.transaction(async (tx) => await touchToken(tx, record.id, now))
  }
  return {
    kind: 'token',
    operator: owner.name,
    grants: coveredGrants(readGrants(record.grants), readGrants(owner.grants)),
    id: record.id,
    expiresAt: record.expiresAt,
    isProved: record.allowsDangerous,
  }
}

function toToken({ hash: _hash, grants, ...record }: TokenRecord): ApiToken {
  return { ...record, grants: readGrants(grants) }
}

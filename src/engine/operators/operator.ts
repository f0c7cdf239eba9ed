/** Accounts: made by an administrator, set up by the person on a one-time link, disabled and reset by an administrator. */
import { sha256Hex } from '../../base/bytes.ts'
import { dayMs, hourMs, iso, minuteMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { token, type Random } from '../../base/random.ts'
import {
  findOperator,
  findOperatorByCertificate,
  findOperatorBySubject,
  insertOperator,
  listOperators,
  lockOperator,
  replaceOperatorLink,
  deleteOperatorLinks,
  updateOperator,
  type OperatorRecord,
  type OperatorStatus,
} from '../../store/operators.ts'
import { deleteSessionsOf, revokeTokensOf } from '../../store/operator-sessions.ts'
import type { Page, PageRequest } from '../../store/page.ts'
import type { Tx } from '../../store/schema.ts'
import { actors, fact, recordFacts, subjects, type FactAction, type FactDetails } from '../audit/audit.ts'
import type { Engine, EngineSettings } from '../context.ts'
import { checkGrants, formatGrant, readGrants } from './grants.ts'
import type { Grant } from './permissions.ts'

export interface OperatorSettings {
  /** A session that is not used for so long has ended. */
  readonly sessionIdleMs: number
  /** A session ends after this, however much it is used. */
  readonly sessionLifetimeMs: number
  /** How long after password and code a dangerous act needs no second look. */
  readonly stepUpMs: number
  /** How long a link for setting a password may be used. */
  readonly linkLifetimeMs: number
  /** Local accounts need an authenticator app. */
  readonly requireTotp: boolean
}

export const defaultOperatorSettings: OperatorSettings = {
  sessionIdleMs: 30 * minuteMs,
  sessionLifetimeMs: 12 * hourMs,
  stepUpMs: 10 * minuteMs,
  linkLifetimeMs: dayMs,
  requireTotp: true,
}

export function operatorSettings({ operators }: Pick<EngineSettings, 'operators'>): OperatorSettings {
  return operators ?? defaultOperatorSettings
}

/** What others may see of an account. */
export interface Operator {
  readonly name: string
  readonly status: OperatorStatus
  readonly grants: readonly Grant[]
  readonly hasPassword: boolean
  readonly hasTotp: boolean
  readonly oidcSubject: string | null
  readonly certificateHash: string | null
  readonly lockedUntil: Instant | null
  readonly lastLoginAt: Instant | null
  readonly createdAt: Instant
  readonly createdBy: string
}

/** 1 to 64 of `a-z 0-9 . _ @ -`, first one alphanumeric: an address fits, a personal name need not be in it. */
export const operatorNamePattern = '^[a-z0-9][a-z0-9._@-]{0,63}$'

/** @throws Refusal `invalid-input` */
export function parseOperatorName(text: string): string {
  if (new RegExp(operatorNamePattern).test(text)) return text
  throw new Refusal(
    'invalid-input',
    'the name of an account has 1 to 64 of a-z 0-9 . _ @ -, a letter or digit first',
  )
}

export interface NewOperator {
  readonly name: string
  readonly grants: readonly Grant[]
  readonly actor: string
  /** `issuer|sub`: logs in with the OpenID provider, and needs no link. */
  readonly oidcSubject?: string
  /** SHA-256 of the client certificate of a machine, hex: needs no link either. */
  readonly certificateHash?: string
}

/** A one-time link, shown once. */
export interface SetupLink {
  /** '' for the first account. */
  readonly operator: string
  readonly token: string
  readonly expiresAt: Instant
}

/**
 * @returns the link on which the person sets a password; null for an account that logs in otherwise
 * @throws Refusal `already-exists`, `invalid-input`
 */
export async function addOperator(engine: Engine, request: NewOperator): Promise<SetupLink | null> {
  const { actor, oidcSubject = null, certificateHash = null } = request
  const name = parseOperatorName(request.name)
  const grants = checkGrants(request.grants)
  const now = engine.clock.now()
  const needsLink = oidcSubject === null && certificateHash === null
  const link = newLink(engine.random, name, now + operatorSettings(engine.settings).linkLifetimeMs)
  await engine.store.transaction(async (tx) => {
    await refuseShared(tx, { oidcSubject, certificateHash })
    const status = needsLink ? 'invited' : 'active'
    const record = {
      ...emptyOperator({ name, grants, now, actor }),
      status,
      oidcSubject,
      certificateHash,
    } as const
    if (!(await insertOperator(tx, record))) {
      throw new Refusal('already-exists', `there is an account ${name} already`)
    }
    if (needsLink) await storeLink(tx, link, now)
    const details = { grants: grants.map(formatGrant), ...given({ oidcSubject, certificateHash }) }
    await recordStep(tx, { action: 'operator.added', name, actor, now, details })
  })
  return needsLink ? link : null
}

/** One login, one account: facts must say who it was. */
async function refuseShared(
  tx: Tx,
  { oidcSubject, certificateHash }: Pick<OperatorRecord, 'oidcSubject' | 'certificateHash'>,
): Promise<void> {
  const other =
    (oidcSubject === null ? null : await findOperatorBySubject(tx, oidcSubject)) ??
    (certificateHash === null ? null : await findOperatorByCertificate(tx, certificateHash))
  if (other) throw new Refusal('already-exists', `the account ${other.name} logs in with it already`)
}

/** @throws Refusal `not-found`, `own-account`, `invalid-input` */
export async function setGrants(
  engine: Engine,
  {
    name,
    grants,
    actor,
  }: { readonly name: string; readonly grants: readonly Grant[]; readonly actor: string },
): Promise<Operator> {
  checkGrants(grants)
  const details = (before: OperatorRecord) => ({
    before: readGrants(before.grants).map(formatGrant),
    grants: grants.map(formatGrant),
  })
  return await change(engine, { name, actor, action: 'operator.changed', details }, async (_tx, record) => ({
    ...record,
    grants: JSON.stringify(grants),
  }))
}

/** Sessions end and API tokens are revoked with it; an enabled account gets new ones. @throws Refusal `not-found`, `own-account` */
export async function setDisabled(
  engine: Engine,
  {
    name,
    isDisabled,
    actor,
  }: { readonly name: string; readonly isDisabled: boolean; readonly actor: string },
): Promise<Operator> {
  const action = isDisabled ? 'operator.disabled' : 'operator.enabled'
  return await change(engine, { name, actor, action }, async (tx, record, now) => {
    if (isDisabled) await endAll(tx, name, now)
    const canLogIn =
      record.password !== null || record.oidcSubject !== null || record.certificateHash !== null
    return {
      ...record,
      status: isDisabled ? 'disabled' : canLogIn ? 'active' : 'invited',
      failures: 0,
      lockedUntil: null,
    }
  })
}

/** Password and second factor are forgotten; a new link lets the person set them. @throws Refusal `not-found`, `own-account` */
export async function resetOperator(
  engine: Engine,
  { name, actor }: { readonly name: string; readonly actor: string },
): Promise<SetupLink> {
  const now = engine.clock.now()
  const link = newLink(engine.random, name, now + operatorSettings(engine.settings).linkLifetimeMs)
  await change(engine, { name, actor, action: 'operator.reset' }, async (tx, record) => {
    await endAll(tx, name, now)
    await storeLink(tx, link, now)
    return { ...record, status: 'invited', password: null, totpKey: null, failures: 0, lockedUntil: null }
  })
  return link
}

/** @throws Refusal `not-found` */
export async function requireOperator({ store }: Engine, name: string): Promise<Operator> {
  const record = await findOperator(store.db, name)
  if (!record) throw notFound(name)
  return toOperator(record)
}

/** In the order of names. */
export async function operatorPage({ store }: Engine, request: PageRequest): Promise<Page<Operator>> {
  const { rows, next } = await listOperators(store.db, request)
  return { rows: rows.map(toOperator), next }
}

export function toOperator(record: OperatorRecord): Operator {
  const { name, status, oidcSubject, certificateHash, lockedUntil, lastLoginAt, createdAt, createdBy } =
    record
  return {
    name,
    status,
    grants: readGrants(record.grants),
    hasPassword: record.password !== null,
    hasTotp: record.totpKey !== null,
    oidcSubject,
    certificateHash,
    lockedUntil,
    lastLoginAt,
    createdAt,
    createdBy,
  }
}

export function emptyOperator({
  name,
  grants,
  now,
  actor,
}: {
  readonly name: string
  readonly grants: readonly Grant[]
  readonly now: Instant
  readonly actor: string
}): OperatorRecord {
  return {
    name,
    status: 'invited',
    grants: JSON.stringify(grants),
    password: null,
    totpKey: null,
    totpStep: 0,
    oidcSubject: null,
    certificateHash: null,
    failures: 0,
    lockedUntil: null,
    lastLoginAt: null,
    createdAt: now,
    createdBy: actor,
  }
}

/** 256 bits: a fast hash is enough. */
export function newLink(random: Random, operator: string, expiresAt: Instant): SetupLink {
  return { operator, token: token(random, 32), expiresAt }
}

export async function storeLink(tx: Tx, link: SetupLink, now: Instant): Promise<void> {
  const { operator, expiresAt } = link
  await replaceOperatorLink(tx, { hash: sha256Hex(link.token), operator, createdAt: now, expiresAt })
}

async function endAll(tx: Tx, name: string, now: Instant): Promise<void> {
  await deleteSessionsOf(tx, name)
  await deleteOperatorLinks(tx, name)
  await revokeTokensOf(tx, name, now)
}

interface Change {
  readonly name: string
  readonly actor: string
  readonly action: FactAction
  readonly details?: (before: OperatorRecord) => FactDetails
}

async function change(
  engine: Engine,
  { name, actor, action, details }: Change,
  changed: (tx: Tx, record: OperatorRecord, now: Instant) => Promise<OperatorRecord>,
): Promise<Operator> {
  if (actor === actors.operator(name)) {
    throw new Refusal('own-account', `nobody changes his own account: ask another administrator`)
  }
  const now = engine.clock.now()
  return await engine.store.transaction(async (tx) => {
    const before = await lockOperator(tx, name)
    if (!before) throw notFound(name)
    const after = await changed(tx, before, now)
    await updateOperator(tx, after)
    await recordStep(tx, { action, name, actor, now, ...(details ? { details: details(before) } : {}) })
    return toOperator(after)
  })
}

interface Recorded {
  readonly action: FactAction
  readonly name: string
  readonly actor: string
  readonly now: Instant
  readonly details?: FactDetails
}

/** A fact about an account. */
export async function recordStep(tx: Tx, { action, name, actor, now, details }: Recorded): Promise<void> {
  const subject = subjects.operator(name)
  await recordFacts(tx, fact(now, { actor, action, subject, ...(details === undefined ? {} : { details }) }))
}

function given(values: Readonly<Record<string, string | null>>): FactDetails {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))
}

function notFound(name: string): Refusal {
  return new Refusal('not-found', `there is no account ${name}: see \`perennial operator list\``)
}

/** For the details of a fact: until when. */
export function until(at: Instant): { readonly expiresAt: string } {
  return { expiresAt: iso(at) }
}

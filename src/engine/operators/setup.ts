/** One-time links: the person who opens one sets a password and an authenticator app. The first makes the first account. */
import { createHmac } from 'node:crypto'
import { sha256Hex } from '../../base/bytes.ts'
import { minuteMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import {
  deleteOperatorLink,
  findOperatorLink,
  insertOperator,
  listOperators,
  lockOperator,
  updateOperator,
  type OperatorLink,
  type OperatorRecord,
} from '../../store/operators.ts'
import type { Tx } from '../../store/schema.ts'
import { actors, fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import {
  emptyOperator,
  newLink,
  operatorSettings,
  parseOperatorName,
  storeLink,
  toOperator,
  until,
  type Operator,
  type SetupLink,
} from './operator.ts'
import { checkPassword, hashPassword } from './password.ts'
import type { Grant } from './permissions.ts'
import { totpKeyLength, totpStepOf } from './totp.ts'

/** Whoever stands at the terminal at the first start. */
const firstLinkLifetimeMs = 30 * minuteMs

/** Runs platform and PKI until there are others: two-person acts wait for a second account all the same. */
const firstGrants: readonly Grant[] = [
  { role: 'administrator', cohort: null, site: null },
  { role: 'officer', cohort: null, site: null },
]

/** @returns null when there is an account; else a link that replaces those of earlier starts */
export async function firstStartLink(engine: Engine): Promise<SetupLink | null> {
  const now = engine.clock.now()
  const link = newLink(engine.random, '', now + firstLinkLifetimeMs)
  return await engine.store.transaction(async (tx) => {
    if (await hasOperators(tx)) return null
    await storeLink(tx, link, now)
    const details = until(link.expiresAt)
    await recordFacts(
      tx,
      fact(now, {
        actor: actors.system,
        action: 'operator.link-created',
        subject: subjects.instance,
        details,
      }),
    )
    return link
  })
}

export interface SetupOffer {
  /** Null: the person chooses a name for the first account. */
  readonly operator: string | null
  /** For an authenticator app. The same for as long as the link is, and kept only when it is used. */
  readonly totpKey: Uint8Array
  readonly requireTotp: boolean
}

/** What the link is for; it stays usable. @throws Refusal `link-invalid` */
export async function openSetup(engine: Engine, token: string): Promise<SetupOffer> {
  const { operator } = await requireLink(engine, token)
  const { requireTotp } = operatorSettings(engine.settings)
  return { operator: operator === '' ? null : operator, totpKey: totpKeyOf(token), requireTotp }
}

export interface SetupRequest {
  readonly token: string
  /** Of the first account; refused for any other. */
  readonly name?: string
  readonly password: string
  /** Of the authenticator app; left out where none is required: the account then has no second factor. */
  readonly code?: string
}

/** @throws Refusal `link-invalid`; `invalid-input` for a password or a code that does not do: the link stays usable */
export async function finishSetup(engine: Engine, request: SetupRequest): Promise<Operator> {
  const { token, password, code } = request
  const link = await requireLink(engine, token)
  const isFirst = link.operator === ''
  if (isFirst === (request.name === undefined)) {
    throw new Refusal(
      'invalid-input',
      isFirst ? 'the first account needs a name' : 'this account has its name',
    )
  }
  const name = isFirst ? parseOperatorName(request.name ?? '') : link.operator
  checkPassword(password, name)
  const now = engine.clock.now()
  const totp = secondFactor(engine, { token, code, now })
  const hash = await hashPassword(password, engine.random)
  return await engine.store.transaction(async (tx) => {
    if (!(await deleteOperatorLink(tx, link.hash))) throw linkInvalid()
    const before = isFirst ? await firstAccount(tx, name, now) : await lockOperator(tx, name)
    if (!before || before.status === 'disabled') throw linkInvalid()
    const after = {
      ...before,
      ...totp,
      status: 'active',
      password: hash,
      failures: 0,
      lockedUntil: null,
    } as const
    await updateOperator(tx, after)
    const subject = subjects.operator(name)
    const details = { first: isFirst, totp: totp.totpKey !== null }
    await recordFacts(
      tx,
      fact(now, { actor: actors.operator(name), action: 'operator.set-up', subject, details }),
    )
    return toOperator(after)
  })
}

async function firstAccount(tx: Tx, name: string, now: Instant): Promise<OperatorRecord | null> {
  if (await hasOperators(tx)) return null
  const record = emptyOperator({ name, grants: firstGrants, now, actor: actors.system })
  await insertOperator(tx, record)
  return record
}

async function hasOperators(tx: Tx): Promise<boolean> {
  return (await listOperators(tx, { limit: 1 })).rows.length > 0
}

function secondFactor(
  engine: Engine,
  { token, code, now }: { readonly token: string; readonly code: string | undefined; readonly now: Instant },
): Pick<OperatorRecord, 'totpKey' | 'totpStep'> {
  if (code === undefined) {
    if (operatorSettings(engine.settings).requireTotp) {
      throw new Refusal('invalid-input', 'a code of the authenticator app is needed')
    }
    return { totpKey: null, totpStep: 0 }
  }
  const totpKey = totpKeyOf(token)
  const totpStep = totpStepOf(totpKey, code, { now, lastStep: 0 })
  if (totpStep === null) {
    throw new Refusal('invalid-input', 'the code of the authenticator app is wrong: are the clocks right?')
  }
  return { totpKey, totpStep }
}

/** Made from the token, so that an opened link leaves nothing in the database. */
function totpKeyOf(token: string): Uint8Array {
  return createHmac('sha256', token).update('perennial totp').digest().subarray(0, totpKeyLength)
}

async function requireLink({ store, clock }: Engine, token: string): Promise<OperatorLink> {
  const link = await findOperatorLink(store.db, sha256Hex(token))
  if (!link || clock.now() >= link.expiresAt) throw linkInvalid()
  return link
}

function linkInvalid(): Refusal {
  return new Refusal(
    'link-invalid',
    'this link was used, replaced or has lapsed: an administrator makes a new one (`perennial operator reset`)',
  )
}

/** A new issuer, by one person or by two: what operators do after `init`. */
import { Refusal } from '../../base/errors.ts'
import { parseIssuerId } from '../../base/id.ts'
import { keyAlgorithms, type KeyAlgorithm } from '../../pki/key.ts'
import type { IssuerRecord } from '../../store/issuers.ts'
import type { Engine } from '../context.ts'
import { requireApproval, type ApprovedProposal } from '../proposals/approval-rule.ts'
import { proposalKind } from '../proposals/proposal.ts'
import { createIssuer } from './issuer.ts'
import { issuerKinds, planIssuer, requireParent, type IssuerKind, type NewIssuer } from './issuer-plan.ts'

/** @throws Refusal `proposal-needed`, and those of `createIssuer` */
export async function addIssuer(
  engine: Engine,
  input: NewIssuer,
  approved?: ApprovedProposal,
): Promise<IssuerRecord> {
  requireApproval(engine, 'issuer-create', { approved })
  return await createIssuer(engine, input)
}

export type IssuerPayload = Omit<NewIssuer, 'actor'>

export const issuerCreation = proposalKind<IssuerPayload>({
  kind: 'issuer-create',
  parse: parseIssuer,
  async summary(engine, payload) {
    const input = { ...payload, actor: 'proposal' }
    const now = engine.clock.now()
    if (
      (await engine.issuers.list()).some(({ id, certificate }) => id === payload.id && certificate !== null)
    )
      throw new Refusal('already-exists', `there is an issuer ${payload.id} already`)
    const { keyAlgorithm } = planIssuer(engine, input, await requireParent(engine, input, now), now)
    const under = payload.parentId === null ? '' : ` under ${payload.parentId}`
    return `create the ${payload.kind} ${payload.id}${under} with a new ${keyAlgorithm} key`
  },
  async run(engine, payload, approved) {
    const { id } = await addIssuer(engine, { ...payload, actor: approved.requestedBy }, approved)
    return `issuer ${id}`
  },
})

function parseIssuer(payload: unknown): IssuerPayload {
  if (typeof payload !== 'object' || payload === null) throw wrong('an issuer is an object')
  const { id, kind, parentId, subject, keyAlgorithm, validityMs, crlShards } = payload as Partial<
    Record<keyof NewIssuer, unknown>
  >
  const name = typeof id === 'string' ? parseIssuerId(id) : null
  if (name === null) throw wrong('id is 1 to 64 of a-z, 0-9 and -')
  if (typeof kind !== 'string' || !Object.hasOwn(issuerKinds, kind))
    throw wrong('kind is root, intermediate, …')
  const parent = typeof parentId === 'string' ? parseIssuerId(parentId) : null
  if (parent === null && parentId !== null) throw wrong('parentId is the name of an issuer, or null')
  if (subject !== undefined && typeof subject !== 'string') throw wrong('subject is a text')
  if (keyAlgorithm !== undefined && !keyAlgorithms.some((known) => known === keyAlgorithm))
    throw wrong(`keyAlgorithm is one of ${keyAlgorithms.join(', ')}`)
  for (const number of [validityMs, crlShards]) {
    if (number !== undefined && number !== null && !Number.isSafeInteger(number))
      throw wrong('validityMs and crlShards are whole numbers')
  }
  return {
    id: name,
    kind: kind as IssuerKind,
    parentId: parent,
    ...(subject === undefined ? {} : { subject }),
    ...(keyAlgorithm === undefined ? {} : { keyAlgorithm: keyAlgorithm as KeyAlgorithm }),
    ...(validityMs === undefined ? {} : { validityMs: validityMs as number | null }),
    ...(typeof crlShards === 'number' ? { crlShards } : {}),
  }
}

function wrong(what: string): Refusal {
  return new Refusal('invalid-input', `issuer-create: ${what}`)
}

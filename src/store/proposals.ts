/** Proposals: acts that somebody asked for and that somebody else must allow. Never deleted. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import { assertLimit, pageOf, rowCursor, type Page, type PageRequest } from './page.ts'
import { locked } from './prepared.ts'
import type { ProposalTable, Queries, Tx } from './schema.ts'

/** `approved`: being carried out. The last four are ends. */
export type ProposalState = 'open' | 'approved' | 'rejected' | 'expired' | 'done' | 'failed'

export interface ProposalRecord {
  readonly id: number
  readonly kind: string
  /** Canonical JSON. */
  readonly payload: string
  readonly summary: string
  readonly why: string | null
  readonly state: ProposalState
  readonly requestedBy: string
  readonly requestedAt: Instant
  readonly expiresAt: Instant
  readonly decidedBy: string | null
  readonly decidedAt: Instant | null
  readonly note: string | null
  readonly outcome: string | null
  readonly endedAt: Instant | null
}

const columns = [
  'id',
  'kind',
  'payload',
  'summary',
  'why',
  'state',
  'requested_by',
  'requested_at',
  'expires_at',
  'decided_by',
  'decided_at',
  'note',
  'outcome',
  'ended_at',
] as const

function toRecord(row: Omit<ProposalTable, 'id'> & { id: number }): ProposalRecord {
  return {
    id: row.id,
    kind: row.kind,
    payload: row.payload,
    summary: row.summary,
    why: row.why,
    state: row.state as ProposalState,
    requestedBy: row.requested_by,
    requestedAt: row.requested_at,
    expiresAt: row.expires_at,
    decidedBy: row.decided_by,
    decidedAt: row.decided_at,
    note: row.note,
    outcome: row.outcome,
    endedAt: row.ended_at,
  }
}

export type NewProposal = Pick<
  ProposalRecord,
  'kind' | 'payload' | 'summary' | 'why' | 'requestedBy' | 'requestedAt' | 'expiresAt'
>

export async function insertProposal(tx: Tx, proposal: NewProposal): Promise<ProposalRecord> {
  const row = await tx
    .insertInto('proposals')
    .values({
      kind: proposal.kind,
      payload: proposal.payload,
      summary: proposal.summary,
      why: proposal.why,
      state: 'open',
      requested_by: proposal.requestedBy,
      requested_at: proposal.requestedAt,
      expires_at: proposal.expiresAt,
      decided_by: null,
      decided_at: null,
      note: null,
      outcome: null,
      ended_at: null,
    })
    .returning(columns)
    .executeTakeFirstOrThrow()
  return toRecord(row)
}

export async function findProposal(q: Queries, id: number): Promise<ProposalRecord | null> {
  const row = await q.selectFrom('proposals').select(columns).where('id', '=', id).executeTakeFirst()
  return row ? toRecord(row) : null
}

/** As it is now, and nobody else can change it before this transaction ends. */
export async function lockProposal(tx: Tx, id: number): Promise<ProposalRecord | null> {
  const query = tx.selectFrom('proposals').select(columns).where('id', '=', id)
  const row = await locked(tx, query).executeTakeFirst()
  return row ? toRecord(row) : null
}

/** Newest first; read from the primary key: an installation has hundreds in its life. */
export async function listProposals(
  q: Queries,
  { state, after, limit }: PageRequest & { readonly state?: ProposalState },
): Promise<Page<ProposalRecord>> {
  assertLimit(limit)
  let query = q.selectFrom('proposals').select(columns)
  if (after !== null && after !== undefined) query = query.where('id', '<', rowCursor(after))
  if (state !== undefined) query = query.where('state', '=', state)
  const rows = await query
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  return pageOf(rows.map(toRecord), limit, ({ id }) => String(id))
}

/** Open ones whose time is over, the oldest first. Index: proposals_open. */
export async function lapsedProposals(q: Queries, now: Instant, limit: number): Promise<ProposalRecord[]> {
  const rows = await q
    .selectFrom('proposals')
    .select(columns)
    .where('state', '=', sql.lit('open'))
    .where('expires_at', '<=', now)
    .orderBy('expires_at')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(toRecord)
}

export type ProposalChange = Pick<ProposalRecord, 'state'> &
  Partial<Pick<ProposalRecord, 'decidedBy' | 'decidedAt' | 'note' | 'outcome' | 'endedAt'>>

export async function updateProposal(tx: Tx, id: number, change: ProposalChange): Promise<void> {
  const { state, decidedBy, decidedAt, note, outcome, endedAt } = change
  await tx
    .updateTable('proposals')
    .set({
      state,
      ...(decidedBy === undefined ? {} : { decided_by: decidedBy }),
      ...(decidedAt === undefined ? {} : { decided_at: decidedAt }),
      ...(note === undefined ? {} : { note }),
      ...(outcome === undefined ? {} : { outcome }),
      ...(endedAt === undefined ? {} : { ended_at: endedAt }),
    })
    .where('id', '=', id)
    .execute()
}

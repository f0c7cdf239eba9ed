/** A proposal as the API shows it. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import type { ProposalRecord } from '../../engine/proposals/proposal.ts'
import { object } from '../route.ts'
import { instant, nullable, oneOf } from '../schemas.ts'
import { isoOrNull, text } from './values.ts'

export const proposalStates = ['open', 'approved', 'rejected', 'expired', 'done', 'failed'] as const

export const proposal = object(
  {
    id: Type.Integer(),
    kind: text,
    summary: Type.String({ description: 'What it would do, in a line.' }),
    payload: Type.Unknown({ description: 'What was asked for, as it is carried out.' }),
    why: nullable(text),
    state: oneOf(proposalStates),
    requestedBy: text,
    requestedAt: instant,
    expiresAt: instant,
    decidedBy: nullable(text),
    decidedAt: nullable(instant),
    note: nullable(text),
    outcome: nullable(text),
    endedAt: nullable(instant),
  },
  { $id: 'Proposal' },
)

export function proposalView(row: ProposalRecord): Static<typeof proposal> {
  return {
    id: row.id,
    kind: row.kind,
    summary: row.summary,
    payload: JSON.parse(row.payload) as unknown,
    why: row.why,
    state: row.state,
    requestedBy: row.requestedBy,
    requestedAt: iso(row.requestedAt),
    expiresAt: iso(row.expiresAt),
    decidedBy: row.decidedBy,
    decidedAt: isoOrNull(row.decidedAt),
    note: row.note,
    outcome: row.outcome,
    endedAt: isoOrNull(row.endedAt),
  }
}

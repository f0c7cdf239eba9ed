/** Acts that one person asks for and another allows. */
import { Type } from 'typebox'
import { decideProposal, propose, proposals, requireProposal } from '../../engine/proposals/proposal.ts'
import { proposalKindOf } from '../../engine/proposals/proposal-kinds.ts'
import type { CanonicalValue } from '../../base/canonical-json.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { Answer, object, route, type Route } from '../route.ts'
import { oneOf, pageOf, paging, sparse } from '../schemas.ts'
import { proposal, proposalStates, proposalView } from '../views/proposal.ts'

const params = { id: Type.Integer({ minimum: 1 }) }

export const proposalRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/proposals',
    operationId: 'makeProposal',
    summary: 'Asks for an act; nothing happens until somebody else allows it',
    permission: 'proposals:write',
    scope: 'fleet',
    status: 201,
    body: object(
      {
        kind: Type.String({ maxLength: 64, description: 'revoke-batch, issuer-create …' }),
        payload: Type.Record(Type.String(), Type.Unknown()),
        why: Type.Optional(Type.String({ minLength: 1, maxLength: 1_000 })),
      },
      { $id: 'NewProposal' },
    ),
    response: proposal,
    examples: [
      {
        summary: 'A manufacturing run',
        body: {
          kind: 'revoke-batch',
          payload: { selection: { batch: '2026-w40' }, reason: 'keyCompromise' },
        },
      },
    ],
    async handler({ engine, body, actor }) {
      const { why = null } = body
      const payload = body.payload as CanonicalValue
      const made = await propose(engine, { kind: proposalKindOf(body.kind), payload, why, actor })
      return new Answer(proposalView(made), { location: `/api/v1/proposals/${made.id}` })
    },
  }),
  route({
    method: 'GET',
    path: '/proposals',
    operationId: 'listProposals',
    summary: 'Proposals, the newest first',
    permission: 'proposals:read',
    scope: 'fleet',
    query: { ...paging, ...sparse, state: Type.Optional(oneOf(proposalStates)) },
    response: pageOf(proposal),
    examples: [{ summary: 'What waits for a second person', query: { state: 'open' } }],
    async handler({ engine, query }) {
      const { state } = query
      const request = pageRequest(query)
      return pageAnswer(
        await proposals(engine, state === undefined ? request : { ...request, state }),
        proposalView,
      )
    },
  }),
  route({
    method: 'GET',
    path: '/proposals/{id}',
    operationId: 'getProposal',
    summary: 'A proposal',
    permission: 'proposals:read',
    scope: 'fleet',
    params,
    query: sparse,
    response: proposal,
    examples: [{ summary: 'One of them', params: { id: '1' } }],
    async handler({ engine, params: { id } }) {
      return proposalView(await requireProposal(engine, id))
    },
  }),
  route({
    method: 'POST',
    path: '/proposals/{id}/decide',
    operationId: 'decideProposal',
    summary: 'Allows it, or not; nobody decides what he has asked for himself',
    permission: 'proposals:approve',
    scope: 'fleet',
    params,
    body: object(
      {
        decision: oneOf(['approved', 'rejected']),
        note: Type.Optional(Type.String({ minLength: 1, maxLength: 1_000 })),
      },
      { $id: 'ProposalDecision' },
    ),
    response: proposal,
    examples: [{ summary: 'No', params: { id: '1' }, body: { decision: 'rejected', note: 'not that run' } }],
    async handler({ engine, params: { id }, body, actor }) {
      return proposalView(await decideProposal(engine, { id, actor, ...body }))
    },
  }),
]

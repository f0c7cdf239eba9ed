/** The audit log: facts by filter, proofs that stand without us, signed checkpoints. */
import { Type } from 'typebox'
import { iso } from '../../base/clock.ts'
import { toHex } from '../../base/bytes.ts'
import { proveEntry } from '../../engine/audit/audit-prove.ts'
import { checkpointPage } from '../../engine/audit/checkpoint-list.ts'
import { factList, factSorts } from '../../engine/inventory/listing.ts'
import { factResource } from '../../filter/resources.ts'
import { filtering, listRequest } from '../listing.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { object, route, StreamedAnswer, type Route } from '../route.ts'
import { once } from '../once.ts'
import { instant, nullable, pageOf, paging, sparse } from '../schemas.ts'
import { factSchema, factView } from '../views/fact.ts'

const proofType = 'text/plain'

export const auditRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/facts',
    operationId: 'listFacts',
    summary: 'Facts of the audit log, the newest first',
    permission: 'audit:read',
    scope: 'fleet',
    query: { ...paging, ...sparse, ...filtering(factResource, factSorts) },
    response: pageOf(factSchema),
    examples: [
      { summary: 'What people did to devices', query: { filter: 'action=device.*', limit: 10 } },
      { summary: 'Of one day and one actor', query: { filter: 'actor=cli:test at<7d' } },
    ],
    async handler({ engine, query }) {
      return pageAnswer(await factList(engine, listRequest(query, null)), factView, query.sort)
    },
  }),
  route({
    method: 'GET',
    path: '/checkpoints',
    operationId: 'listCheckpoints',
    summary: 'Checkpoints of the log, the newest first',
    description:
      'Each is signed by the audit key of the installation; two of them are enough to see whether the log only grew.',
    permission: 'audit:read',
    scope: 'shared',
    query: paging,
    response: pageOf(
      object(
        {
          size: Type.Integer({ minimum: 0, description: 'Facts under it.' }),
          rootHash: Type.String({ description: 'SHA-256, hex.' }),
          note: nullable(Type.String({ description: 'The signed note, as C2SP tlog-checkpoint has it.' })),
          at: instant,
        },
        { $id: 'Checkpoint' },
      ),
    ),
    examples: [{ summary: 'The newest', query: { limit: 1 } }],
    async handler({ engine, query }) {
      return pageAnswer(await checkpointPage(engine, pageRequest(query)), (each) => ({
        size: each.size,
        rootHash: toHex(each.rootHash),
        note: each.note,
        at: iso(each.at),
      }))
    },
  }),
  route({
    method: 'GET',
    path: '/facts/{index}/proof',
    operationId: 'getFactProof',
    summary: 'Proof that a fact is in the log, for a verifier that has neither our database nor our code',
    description:
      'C2SP tlog-proof, with the entry and the signed checkpoint. `perennial audit verify-proof` checks it.',
    permission: 'audit:read',
    scope: 'fleet',
    params: { index: Type.Integer({ minimum: 0, description: '`logIndex` of the fact.' }) },
    answersStream: [proofType],
    examples: [{ summary: 'The first one', params: { index: '0' } }],
    async handler({ engine, params }) {
      const proof = await proveEntry(engine, params.index)
      return new StreamedAnswer(proofType, once(proof), {
        'content-disposition': `attachment; filename="fact-${params.index}.tlog-proof"`,
      })
    },
  }),
]

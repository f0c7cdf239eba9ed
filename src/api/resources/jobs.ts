/** Long work that a request has begun: imports, exports, checks. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { Engine } from '../../engine/context.ts'
import { beginWork, requireWork, workPage, type LongWork } from '../../engine/operators/long-work.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { Answer, object, route, type Route } from '../route.ts'
import { instant, nullable, oneOf, pageOf, paging } from '../schemas.ts'

type WorkRecord = Awaited<ReturnType<typeof requireWork>>

export const jobSchema = object(
  {
    id: Type.String(),
    kind: Type.String(),
    status: oneOf(['running', 'done', 'failed']),
    done: Type.Integer({ description: 'How far it is.' }),
    total: nullable(Type.Integer()),
    result: Type.Unknown({ description: 'What came of it; null before.' }),
    problem: nullable(object({ code: Type.String(), detail: Type.String() })),
    createdBy: Type.String(),
    createdAt: instant,
    updatedAt: instant,
    endedAt: nullable(instant),
  },
  { $id: 'Job' },
)

/**
 * For a route with `status: 202` and `response: jobSchema`: begins the work and answers where to look.
 * @param caller account whose work it is
 */
export async function begun(engine: Engine, work: LongWork): Promise<Answer<Static<typeof jobSchema>>> {
  const record = await beginWork(engine, work)
  return new Answer(jobView(record), { location: `/api/v1/jobs/${record.id}` })
}

export const jobRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/jobs',
    operationId: 'listJobs',
    summary: 'Long work, oldest first, for seven days: of the caller, or with operators:read of everybody',
    permission: 'jobs:read',
    scope: 'shared',
    query: paging,
    response: pageOf(jobSchema),
    examples: [{ summary: 'All that one may see' }],
    async handler({ engine, query, caller, may }) {
      const page = await workPage(engine, pageRequest(query))
      const rows = page.rows.filter((row) => may('operators:read') || row.caller === caller.operator)
      return pageAnswer({ rows, next: page.next }, jobView)
    },
  }),
  route({
    method: 'GET',
    path: '/jobs/{id}',
    operationId: 'getJob',
    summary: 'How far it is, and what came of it',
    permission: 'jobs:read',
    scope: 'shared',
    params: { id: Type.String({ maxLength: 64 }) },
    response: jobSchema,
    examples: [{ summary: 'One that is not there', params: { id: 'x' }, status: 404 }],
    async handler({ engine, params, caller, may }) {
      const record = await requireWork(engine, params.id)
      if (record.caller === caller.operator || may('operators:read')) return jobView(record)
      throw new Refusal('not-found', `there is no job ${params.id}, or it was forgotten after seven days`)
    },
  }),
]

function jobView(record: WorkRecord): Static<typeof jobSchema> {
  const { caller, result, problem, createdAt, updatedAt, endedAt, ...rest } = record
  return {
    ...rest,
    result: result === null ? null : (JSON.parse(result) as unknown),
    problem: problem === null ? null : (JSON.parse(problem) as { code: string; detail: string }),
    createdBy: caller,
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
    endedAt: endedAt === null ? null : iso(endedAt),
  }
}

/** Work for the outside world that is on record: what waits, what failed for good. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { retryTask, taskPage, taskStatuses, type TaskRecord } from '../../engine/tasks.ts'
import { pageAnswer, pageRequest } from '../paging.ts'
import { object, route, type Route } from '../route.ts'
import { instant, nullable, oneOf, pageOf, paging, sparse } from '../schemas.ts'
import { count, text } from '../views/values.ts'

const task = object(
  {
    id: Type.Integer(),
    kind: text,
    key: nullable(text),
    status: oneOf(taskStatuses),
    attempts: count,
    runAt: instant,
    lastError: nullable(text),
    createdAt: instant,
  },
  { $id: 'Task' },
)

export const taskRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/tasks',
    operationId: 'listTasks',
    summary: 'Tasks in the order in which they were made',
    description: 'What a task carries is not shown: it may name addresses and messages.',
    permission: 'jobs:read',
    scope: 'fleet',
    query: { ...paging, ...sparse, status: Type.Optional(oneOf(taskStatuses)) },
    response: pageOf(task),
    examples: [{ summary: 'All' }, { summary: 'Those that failed for good', query: { status: 'dead' } }],
    async handler({ engine, query }) {
      const { status } = query
      const request = pageRequest(query)
      return pageAnswer(
        await taskPage(engine, status === undefined ? request : { ...request, status }),
        taskView,
      )
    },
  }),
  route({
    method: 'POST',
    path: '/tasks/{id}/retry',
    operationId: 'retryTask',
    summary: 'Sends a task again that failed for good',
    permission: 'alerts:write',
    scope: 'fleet',
    params: { id: Type.Integer({ minimum: 1 }) },
    examples: [{ summary: 'One of them', params: { id: '1' } }],
    async handler({ engine, params, now, actor }) {
      await retryTask(engine, now, { id: params.id, actor })
    },
  }),
]

function taskView({
  id,
  kind,
  key,
  status,
  attempts,
  runAt,
  lastError,
  createdAt,
}: TaskRecord): Static<typeof task> {
  return { id, kind, key, status, attempts, runAt: iso(runAt), lastError, createdAt: iso(createdAt) }
}

/** What happens, as it is sealed into the audit log: server-sent events (WHATWG HTML, chapter 9.2). */
import { Type } from 'typebox'
import { secondMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { safeJson } from '../../base/safe-json.ts'
import { factFeed, mostListeners, placeAfter, type FeedFact } from '../../engine/audit/fact-feed.ts'
import { factsInScope } from '../../engine/audit/fact-scope.ts'
import { route, StreamedAnswer, type Call, type Route } from '../route.ts'

/** A sign of life when nothing happens: proxies close what is silent; the caller's right is looked at again. */
const quietMs = 15 * secondMs

export const eventRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/events',
    operationId: 'streamEvents',
    summary: 'Facts as they are sealed, as server-sent events',
    description: `An event has the place in the log as its id, the action as its type, and actor, subject and instant as JSON. Last-Event-ID (or ?from=) goes on after what was told last. At most ${mostListeners} listeners. A scoped caller is told what is about his devices and their certificates.`,
    permission: 'events:read',
    scope: 'device',
    query: {
      from: Type.Optional(
        Type.Integer({
          minimum: 0,
          description: 'First place in the log; without it what comes from now on.',
        }),
      ),
      action: Type.Optional(
        Type.String({ pattern: '^[a-z.-]{1,64}$', description: 'Only actions that begin so: `campaign.`' }),
      ),
    },
    answersStream: ['text/event-stream'],
    isEndless: true,
    examples: [{ summary: 'What campaigns do', query: { action: 'campaign.' } }],
    async handler(call) {
      const from = placeAfter(call.connection.lastEventId) ?? call.query.from ?? null
      const feed = factFeed(call.engine)
      if (feed.listeners >= mostListeners) {
        throw new Refusal('overloaded', `${mostListeners} listeners is the most`, {
          retryAfterMs: 30 * secondMs,
        })
      }
      const { signal } = call
      const facts = feed.listen({ from, quietMs, signal })
      return new StreamedAnswer('text/event-stream', events(call, facts, call.query.action ?? ''))
    },
  }),
]

async function* events(
  call: Pick<Call, 'engine' | 'scope' | 'may' | 'recheck'>,
  batches: AsyncIterable<readonly FeedFact[]>,
  action: string,
): AsyncGenerator<string> {
  // The headers leave with the first bytes.
  yield 'retry: 3000\n\n'
  for await (const batch of batches) {
    // A session that was ended, or a role that was taken away, ends the stream.
    await call.recheck()
    const wanted = batch.filter((fact) => fact.action.startsWith(action) && isForAll(call, fact))
    const told = await factsInScope(call.engine, wanted, call.scope)
    const last = batch.at(-1)
    const end = last === undefined || told.at(-1) === last ? '' : `id: ${last.index}\n\n`
    yield told.length === 0 ? `: quiet\n${end === '' ? '\n' : end}` : told.map(eventText).join('') + end
  }
}

/** Who logs in when is for those who may read the audit log. */
function isForAll({ may }: Pick<Call, 'may'>, { subject }: FeedFact): boolean {
  return !/^(operator|token):/.test(subject) || may('audit:read')
}

function eventText({ index, at, actor, action, subject }: FeedFact): string {
  return `id: ${index}\nevent: ${action}\ndata: ${safeJson({ at, actor, action, subject })}\n\n`
}

/**
 * The embedded broker forgets what stood for devices when its process ends. The database does not: what was sent for
 * renewals that are not answered yet is sent again, by the same channels, when the broker is there again.
 */
import { askedRenewals } from '../../store/standing-triggers.ts'
import { attemptsOf, type AttemptRecord } from '../../store/renewal-attempts.ts'
import { triggerSubjects } from '../../store/trigger-queue.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'
import type { TriggerKind } from '../ports.ts'
import { triggerOf } from './trigger-tasks.ts'

/** Renewals in one pass; a message is about 0.1 ms. */
const atOnce = 500
const intervalMs = 60_000

/** One run through all of them, in bounded passes; after that it has nothing to do. One for each start of a broker. */
export function standingTriggersJob(kinds: readonly TriggerKind[]): Job {
  let after: string | null = ''
  return {
    name: 'mqtt-standing',
    intervalMs,
    isShared: true,
    async run(engine, _now, signal) {
      if (after === null) return { worked: 0 }
      const asked = await askedRenewals(engine.store.db, { after, limit: atOnce })
      const subjects = await triggerSubjects(
        engine.store.db,
        asked.map(({ id }) => id),
      )
      for (const { id } of asked) {
        const subject = subjects.get(id)
        if (signal.aborted) return { worked: 0 }
        if (!subject) continue
        for (const { channel, rung, attempt } of await lastSent(engine, id, kinds)) {
          const trigger = triggerOf(engine, subject, { renewal: id, rung, attempt })
          await engine.triggers.get(channel as TriggerKind)?.send(trigger, signal)
        }
      }
      after = asked.length === atOnce ? (asked.at(-1)?.deviceId ?? null) : null
      return { worked: asked.length, isBehind: after !== null }
    },
  }
}

/** The last message of each channel that got through. */
async function lastSent(
  { store }: Engine,
  renewalId: number,
  kinds: readonly TriggerKind[],
): Promise<AttemptRecord[]> {
  const last = new Map<string, AttemptRecord>()
  for (const attempt of await attemptsOf(store.db, renewalId)) {
    const got = attempt.status === 'sent' || attempt.status === 'delivered'
    const known = last.get(attempt.channel)
    const isNewer = known === undefined || attempt.id > known.id
    if (got && isNewer && kinds.includes(attempt.channel as TriggerKind)) last.set(attempt.channel, attempt)
  }
  return [...last.values()]
}

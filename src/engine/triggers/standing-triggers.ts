/**
 * The embedded broker forgets what stood for devices when its process ends. The database does not: what was sent for
 * renewals that are not answered yet is sent again, by the same channels, when the broker is there again.
 */
import { campaignStatus } from '../../store/campaigns.ts'
import { noCampaign } from '../../store/renewal-record.ts'
import { askedRenewals, type AskedRenewal } from '../../store/standing-triggers.ts'
import { attemptsOf, type AttemptRecord } from '../../store/renewal-attempts.ts'
import { triggerSubjects } from '../../store/trigger-queue.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'
import type { TriggerKind } from '../ports.ts'
import { triggerOf } from './trigger-tasks.ts'

/** Renewals in one pass; a message is about 0.1 ms. */
const atOnce = 500
const intervalMs = 60_000

/**
 * One run through all of them, in bounded passes; after that it has nothing to do. One for each start of a broker. Those of a
 * campaign that is paused wait until it goes on.
 */
export function standingTriggersJob(kinds: readonly TriggerKind[]): Job {
  let run: Run | null = { after: '', only: null, held: new Set() }
  return {
    name: 'mqtt-standing',
    intervalMs,
    isShared: true,
    async run(engine, _now, signal) {
      if (run === null) return { worked: 0 }
      if (run.after === null) {
        const { running, paused } = await standOf(engine, run.held)
        if (running.size === 0) {
          run = paused.size === 0 ? null : { ...run, held: paused }
          return { worked: 0 }
        }
        run = { after: '', only: running, held: paused }
      }
      const asked = await askedRenewals(engine.store.db, { after: run.after ?? '', limit: atOnce })
      const { only } = run
      const wanted = asked.filter(({ campaignId }) => only === null || only.has(campaignId))
      const { running, paused } = await standOf(engine, new Set(wanted.map(({ campaignId }) => campaignId)))
      const going = wanted.filter(({ campaignId }) => running.has(campaignId))
      if (!(await sendAgain(engine, going, { kinds, signal }))) return { worked: 0 }
      const after = asked.length === atOnce ? (asked.at(-1)?.deviceId ?? null) : null
      const held = new Set([...run.held, ...paused])
      run = after === null && held.size === 0 ? null : { ...run, after, held }
      return { worked: going.length, isBehind: after !== null }
    },
  }
}

interface Run {
  /** The last device that is done; null at the end. */
  readonly after: string | null
  /** Campaigns that went on after an earlier run; null = all that there is. */
  readonly only: ReadonlySet<string> | null
  /** Campaigns that are paused. */
  readonly held: ReadonlySet<string>
}

/** Which of the campaigns may ask now, and which may later. Of one that has ended nothing stands. */
async function standOf(
  { store }: Engine,
  ids: ReadonlySet<string>,
): Promise<{ readonly running: Set<string>; readonly paused: Set<string> }> {
  const running = new Set<string>()
  const paused = new Set<string>()
  for (const id of ids) {
    const status = id === noCampaign ? 'running' : await campaignStatus(store.db, id)
    if (status === 'running') running.add(id)
    if (status === 'paused') paused.add(id)
  }
  return { running, paused }
}

/** @returns false when it was cut off */
async function sendAgain(
  engine: Engine,
  asked: readonly AskedRenewal[],
  { kinds, signal }: { readonly kinds: readonly TriggerKind[]; readonly signal: AbortSignal },
): Promise<boolean> {
  const subjects = await triggerSubjects(
    engine.store.db,
    asked.map(({ id }) => id),
  )
  for (const { id } of asked) {
    const subject = subjects.get(id)
    if (signal.aborted) return false
    if (!subject) continue
    for (const { channel, climb, rung, attempt } of await lastSent(engine, id, kinds)) {
      const trigger = triggerOf(engine, subject, { renewal: id, climb, rung, attempt })
      await engine.triggers.get(channel as TriggerKind)?.send(trigger, signal)
    }
  }
  return true
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

/**
 * Against clocks that jump. A server that wakes up ten years later would ask, escalate and retire a whole fleet in one pass;
 * so the passes that act on many devices look here first, and hold until the clock is plausible again or a person says
 * that it is right. Requests of devices are answered meanwhile.
 */
import { dayMs, iso, minuteMs, type Instant } from '../../base/clock.ts'
import { formatDuration } from '../../base/duration.ts'
import { readMeta, writeMeta } from '../../store/meta.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'

const seenKey = 'clock.seen'
/** A clock that went back by more than this is not believed either: due work would wait, and times would be wrong. */
const maxBackMs = dayMs
/** How often the instant is written down while all is well. */
const writeEveryMs = minuteMs

type GuardedEngine = Pick<Engine, 'store' | 'settings'>

export interface ClockVerdict {
  readonly isTrusted: boolean
  /** The last instant that was believed; null before the first pass of an installation. */
  readonly seenAt: Instant | null
  /** For people; null when all is well. */
  readonly problem: string | null
}

/** Whether `now` can follow from the last instant that was believed. Changes nothing. */
export async function checkClock({ store, settings }: GuardedEngine, now: Instant): Promise<ClockVerdict> {
  const text = await readMeta(store.db, seenKey)
  if (text === null) return { isTrusted: true, seenAt: null, problem: null }
  const seenAt = Number(text)
  const { maxClockJumpMs } = settings.renewal
  const jumpMs = now - seenAt
  if (jumpMs <= maxClockJumpMs && jumpMs >= -maxBackMs) return { isTrusted: true, seenAt, problem: null }
  const direction = jumpMs > 0 ? 'ahead of' : 'behind'
  const problem =
    `the clock says ${iso(now)}, ${formatDuration(roughly(jumpMs))} ${direction} the last pass (${iso(seenAt)}): ` +
    'no device is asked to renew and no certificate retired until it is plausible, or `perennial doctor --accept-clock` says that it is right'
  return { isTrusted: false, seenAt, problem }
}

/** For a pass: false means that it must not act on this instant. Remembers an instant that is believed. */
export async function isClockTrusted(engine: GuardedEngine, now: Instant): Promise<boolean> {
  const { isTrusted, seenAt } = await checkClock(engine, now)
  if (isTrusted && (seenAt === null || Math.abs(now - seenAt) >= writeEveryMs)) {
    await engine.store.transaction(async (tx) => await writeMeta(tx, seenKey, String(now)))
  }
  return isTrusted
}

/** A person has looked at the clock: passes go on from this instant. */
export async function acceptClock(engine: GuardedEngine, now: Instant, actor: string): Promise<void> {
  const { seenAt } = await checkClock(engine, now)
  await engine.store.transaction(async (tx) => {
    await writeMeta(tx, seenKey, String(now))
    const before = seenAt === null ? undefined : iso(seenAt)
    await recordFacts(
      tx,
      fact(now, { actor, action: 'clock.accepted', subject: subjects.instance, details: { before } }),
    )
  })
}

function roughly(ms: number): number {
  const size = Math.abs(ms)
  return size >= dayMs ? Math.floor(size / dayMs) * dayMs : Math.floor(size / minuteMs) * minuteMs
}

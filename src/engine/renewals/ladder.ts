/**
 * Ladders: by which ways a device is asked to renew, how long each may take, and when people take over. One per
 * connectivity profile, because a device that sleeps for three days is not silent after one.
 */
import { dayMs, hourMs } from '../../base/clock.ts'
import { formatDuration, parseDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import { triggerKinds, type TriggerKind } from '../ports.ts'

/** One way of asking, and how long it is tried. */
export interface Rung {
  readonly channel: TriggerKind
  /** How long an answer may take until the next attempt, ms. */
  readonly waitMs: number
  /** Attempts on this rung, at least 1. When they are used up, the next rung is climbed, at its instant if it has one. */
  readonly repeats: number
  /** Climbed this long before the certificate ends, never earlier, and then at once; null: as soon as the rung below is used up. */
  readonly beforeMs: number | null
}

export type Ladder = readonly Rung[]

function rung(channel: TriggerKind, waitMs: number, repeats: number, beforeMs: number | null = null): Rung {
  return { channel, waitMs, repeats, beforeMs }
}

/** By the names of the connectivity profiles. The last rung is always the field list. */
export const shippedLadders = {
  'always-on': [
    rung('mqtt', hourMs, 3),
    rung('mqtt', dayMs, 7),
    rung('sms', 2 * dayMs, 2),
    rung('field', 0, 1, 7 * dayMs),
  ],
  daily: [rung('mqtt', dayMs, 7), rung('sms', 3 * dayMs, 2), rung('field', 0, 1, 14 * dayMs)],
  weekly: [rung('mqtt', 7 * dayMs, 3), rung('sms', 7 * dayMs, 2), rung('field', 0, 1, 21 * dayMs)],
  'deep-sleep-72h': [rung('mqtt', 4 * dayMs, 5), rung('sms', 4 * dayMs, 3), rung('field', 0, 1, 60 * dayMs)],
  'air-gapped': [rung('field', 0, 1, 180 * dayMs)],
} as const satisfies Readonly<Record<string, Ladder>>

/**
 * Reads a rung as the configuration writes it: `mqtt wait=72h repeats=5`, `field before=60d`.
 * @throws Refusal `invalid-input` with what is wrong
 */
export function parseRung(text: string): Rung {
  const [channel, ...words] = text.trim().split(/\s+/)
  if (!triggerKinds.includes(channel as TriggerKind)) {
    throw new Refusal(
      'invalid-input',
      `a rung begins with one of ${triggerKinds.join(', ')}, not with ${channel || 'nothing'}`,
    )
  }
  const given = new Map<string, string>()
  for (const word of words) {
    const [key = '', value = ''] = word.split('=')
    if (!['wait', 'repeats', 'before'].includes(key) || value === '' || given.has(key)) {
      throw new Refusal(
        'invalid-input',
        `${word} is none of wait=72h, repeats=5, before=60d, each at most once`,
      )
    }
    given.set(key, value)
  }
  const isField = channel === 'field'
  const waitMs = given.has('wait') ? duration('wait', given.get('wait') as string) : isField ? 0 : null
  if (waitMs === null)
    throw new Refusal('invalid-input', `a rung of ${channel} needs wait=, such as wait=72h`)
  const repeats = Number(given.get('repeats') ?? '1')
  if (!Number.isInteger(repeats) || repeats < 1 || repeats > 1_000) {
    throw new Refusal('invalid-input', 'repeats= is a whole number from 1 to 1000')
  }
  const before = given.get('before')
  return {
    channel: channel as TriggerKind,
    waitMs,
    repeats,
    beforeMs: before === undefined ? null : duration('before', before),
  }
}

/** As `parseRung` reads it. */
export function formatRung({ channel, waitMs, repeats, beforeMs }: Rung): string {
  const words: string[] = [channel]
  if (waitMs > 0) words.push(`wait=${formatDuration(waitMs)}`)
  if (repeats > 1) words.push(`repeats=${repeats}`)
  if (beforeMs !== null) words.push(`before=${formatDuration(beforeMs)}`)
  return words.join(' ')
}

/** @returns what makes the ladder unusable, or null */
export function ladderProblem(ladder: Ladder): string | null {
  if (ladder.at(-1)?.channel !== 'field')
    return 'the last rung must be field: nobody would hear of a device that stays silent'
  if (ladder.slice(0, -1).some(({ channel }) => channel === 'field'))
    return 'field is the last rung and stands once'
  const befores = ladder.flatMap(({ beforeMs }) => (beforeMs === null ? [] : [beforeMs]))
  if (befores.some((ms, at) => at > 0 && ms >= (befores[at - 1] as number))) {
    return 'before= must become shorter from rung to rung'
  }
  return null
}

function duration(key: string, text: string): number {
  const ms = parseDuration(text)
  if (ms === null || ms <= 0)
    throw new Refusal('invalid-input', `${key}=${text} is no duration such as 72h or 60d`)
  return ms
}

/** Which attempt of which renewal a task stands for. */
import { assert } from '../../base/errors.ts'
import type { TriggerKind } from '../ports.ts'

export interface TriggerPayload {
  readonly renewal: number
  /** How often the renewal had been sent up its ladder again. */
  readonly climb: number
  readonly rung: number
  readonly attempt: number
}

/** The kind of the tasks of a channel. */
export function triggerTaskKind(channel: TriggerKind): string {
  return `trigger.${channel}`
}

/** The same for every repeat of one attempt, and for no other. */
export function triggerKey({ renewal, climb, rung, attempt }: TriggerPayload): string {
  return `${renewal}.${rung}.${attempt}${climb === 0 ? '' : `.${climb}`}`
}

/** By hand: tens of thousands are written in a second. */
export function writePayload({ renewal, climb, rung, attempt }: TriggerPayload): string {
  return `{"attempt":${attempt},"climb":${climb},"renewal":${renewal},"rung":${rung}}`
}

export function readPayload(text: string): TriggerPayload {
  // those that were queued by an older version have no climb
  const {
    renewal,
    climb = 0,
    rung,
    attempt,
  } = JSON.parse(text) as Partial<Record<keyof TriggerPayload, unknown>>
  assert(
    typeof renewal === 'number' &&
      typeof climb === 'number' &&
      typeof rung === 'number' &&
      typeof attempt === 'number',
    'the payload of a trigger names an attempt of a renewal',
  )
  return { renewal, climb, rung, attempt }
}

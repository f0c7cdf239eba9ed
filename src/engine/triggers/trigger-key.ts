/** Which attempt of which renewal a task stands for. */
import { assert } from '../../base/errors.ts'
import type { TriggerKind } from '../ports.ts'

export interface TriggerPayload {
  readonly renewal: number
  readonly rung: number
  readonly attempt: number
}

/** The kind of the tasks of a channel. */
export function triggerTaskKind(channel: TriggerKind): string {
  return `trigger.${channel}`
}

/** The same for every repeat of one attempt, and for no other. */
export function triggerKey({ renewal, rung, attempt }: TriggerPayload): string {
  return `${renewal}.${rung}.${attempt}`
}

/** By hand: tens of thousands are written in a second. */
export function writePayload({ renewal, rung, attempt }: TriggerPayload): string {
  return `{"attempt":${attempt},"renewal":${renewal},"rung":${rung}}`
}

export function readPayload(text: string): TriggerPayload {
  const { renewal, rung, attempt } = JSON.parse(text) as Partial<Record<keyof TriggerPayload, unknown>>
  assert(
    typeof renewal === 'number' && typeof rung === 'number' && typeof attempt === 'number',
    'the payload of a trigger names an attempt of a renewal',
  )
  return { renewal, rung, attempt }
}

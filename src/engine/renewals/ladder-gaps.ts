/** Rungs of ladders whose channel is not set up: they are passed over, and a device is asked fewer times than it seems. */
import type { Connectivity } from '../context.ts'
import type { TriggerKind } from '../ports.ts'

export interface LadderGap {
  /** Name of the connectivity profile. */
  readonly connectivity: string
  /** Place on the ladder, from 1 as people count. */
  readonly rung: number
  readonly channel: TriggerKind
  /** True when nothing is left that asks: its devices go straight to the field list. */
  readonly isLast: boolean
}

export function ladderGaps(
  connectivity: ReadonlyMap<string, Connectivity>,
  kinds: Pick<ReadonlySet<TriggerKind>, 'has'>,
): LadderGap[] {
  return [...connectivity].flatMap(([name, { ladder }]) => {
    const isLast = !ladder.some(({ channel }) => channel !== 'field' && kinds.has(channel))
    return ladder.flatMap(({ channel }, at) =>
      channel === 'field' || kinds.has(channel)
        ? []
        : [{ connectivity: name, rung: at + 1, channel, isLast }],
    )
  })
}

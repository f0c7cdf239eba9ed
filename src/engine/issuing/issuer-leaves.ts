/** How many live certificates stand under each issuer, and when the first and the last of them end: from sums by day. */
import { dayMs, type Instant } from '../../base/clock.ts'
import { liveByIssuer } from '../../store/counters.ts'
import type { Engine } from '../context.ts'

export interface IssuerLeaves {
  readonly count: number
  /** UTC midnights of the days on which the first and the last end. */
  readonly firstEnds: Instant
  readonly lastEnds: Instant
}

/** Issuers without any are missing from the answer. */
export async function issuerLeaves({ store }: Engine): Promise<ReadonlyMap<string, IssuerLeaves>> {
  const sums = await liveByIssuer(store.db)
  return new Map(
    sums.map(({ issuerId, count, firstDay, lastDay }) => [
      issuerId,
      { count, firstEnds: firstDay * dayMs, lastEnds: lastDay * dayMs },
    ]),
  )
}

/** Work that arrives one by one is done together where that is cheaper, without making anybody wait for company that is not coming. */
import { nextTurn, stopwatch } from './clock.ts'

/** A turn of the event loop that took less had nothing to do: the least part of a handshake takes longer. */
const idleTurnMs = 0.05

export interface Gathering {
  /** How many have come so far. */
  readonly count: () => number
  /** Enough. */
  readonly most: number
  /** No longer than this, however busy the process is, ms. */
  readonly longestMs: number
}

/**
 * Resolves when turns of the event loop bring no more and do no other work: until then it is time that passes anyway. An
 * idle turn ends it.
 */
export async function gather({ count, most, longestMs }: Gathering): Promise<void> {
  const elapsed = stopwatch()
  let seen = 0
  let turnMs = 0
  while ((count() > seen || turnMs >= idleTurnMs) && count() < most && elapsed() < longestMs) {
    seen = count()
    const turn = stopwatch()
    await nextTurn()
    turnMs = turn()
  }
}

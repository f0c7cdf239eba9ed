/** One line on standard error that shows how far long work has come; nothing at all when that is not a terminal. */
import type { Clock, Instant } from '../base/clock.ts'

export interface Progress {
  /**
   * Moves to `done` of the total. Cheap: repaints at most ten times a second.
   * @param more.items what to count for a person when `done` is bytes
   */
  update(done: number, more?: { readonly label?: string; readonly items?: number }): void
  /** Removes the line. */
  end(): void
}

export const silentProgress: Progress = { update: () => undefined, end: () => undefined }

interface ProgressOptions {
  readonly label: string
  /** Null when it is not known: then only the count is shown. */
  readonly total: number | null
  readonly width: number
  readonly clock: Clock
  write(text: string): void
}

const repaintMs = 100
const barWidth = 24
const clearLine = '\r\u001b[2K'

export function createProgress({ label, total, width, clock, write }: ProgressOptions): Progress {
  const startedAt = clock.now()
  let paintedAt: Instant | null = null
  let current = label
  return {
    update(done, more = {}) {
      if (more.label !== undefined) current = more.label
      const { items } = more
      const now = clock.now()
      if (paintedAt !== null && now - paintedAt < repaintMs && done !== total) return
      paintedAt = now
      write(
        clearLine +
          progressLine({
            label: current,
            total,
            done,
            elapsedMs: now - startedAt,
            ...(items === undefined ? {} : { items }),
          }).slice(0, width - 1),
      )
    },
    end() {
      if (paintedAt !== null) write(clearLine)
      paintedAt = null
    },
  }
}

/** `Importing devices  ━━━━━━╌╌╌╌  54 %  12,345 of 22,900  8,120/s` */
export function progressLine(state: {
  label: string
  total: number | null
  done: number
  elapsedMs: number
  items?: number
}): string {
  const { label, total, done, elapsedMs, items } = state
  const counted = items ?? done
  const rate = elapsedMs >= 1_000 ? `  ${count(Math.round((counted * 1_000) / elapsedMs))}/s` : ''
  if (total === null) return `${label}  ${count(counted)}${rate}`
  const share = total === 0 ? 1 : Math.min(1, done / total)
  const filled = Math.round(share * barWidth)
  const bar = '━'.repeat(filled) + '╌'.repeat(barWidth - filled)
  const amount = items === undefined ? `${count(done)} of ${count(total)}` : count(items)
  return `${label}  ${bar}  ${Math.floor(share * 100)} %  ${amount}${rate}`
}

function count(n: number): string {
  return n.toLocaleString('en-US')
}

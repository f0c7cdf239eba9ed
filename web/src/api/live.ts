/**
 * Live updates. The server sends what has happened; the page asks again for what it shows, at most every few seconds, and only
 * while somebody looks at it.
 */
import type { QueryClient } from '@tanstack/react-query'
import { later } from '../base/clock.ts'

export type LiveState = 'live' | 'connecting' | 'away'

let state: LiveState = 'connecting'
const listeners = new Set<() => void>()

export function liveState(): LiveState {
  return state
}

export function subscribeLive(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function become(next: LiveState): void {
  if (next === state) return
  state = next
  for (const listener of listeners) listener()
}

const quietMs = 3_000

/** @returns ends it */
export function startLive(queries: QueryClient): () => void {
  let source: EventSource | null = null
  let isDirty = false
  let cancel: (() => void) | null = null
  let wasAway = false

  const refresh = (): void => {
    if (document.hidden) {
      isDirty = true
      return
    }
    if (cancel) {
      isDirty = true
      return
    }
    isDirty = false
    void queries.invalidateQueries({ predicate: ({ meta }) => meta?.['isLive'] !== false })
    cancel = later(quietMs, () => {
      cancel = null
      if (isDirty) refresh()
    })
  }
  const seen = (): void => {
    if (!document.hidden && isDirty) refresh()
  }
  const open = (): void => {
    source = new EventSource('/api/v1/events')
    source.addEventListener('open', () => {
      become('live')
      // what was missed while the server was away
      if (wasAway) refresh()
      wasAway = false
    })
    source.addEventListener('error', () => {
      wasAway = true
      become('away')
      // the browser tries again by itself, unless the answer was no event stream
      if (source?.readyState === EventSource.CLOSED) cancelReopen = later(5_000, open)
    })
    for (const name of ['message', 'fact', 'facts', 'change']) source.addEventListener(name, refresh)
  }
  let cancelReopen: (() => void) | null = null
  open()
  document.addEventListener('visibilitychange', seen)
  return () => {
    document.removeEventListener('visibilitychange', seen)
    cancelReopen?.()
    cancel?.()
    source?.close()
    become('connecting')
  }
}

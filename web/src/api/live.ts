/**
 * Live updates. The server tells facts as they are sealed (server-sent events, read as a stream because each action is an event
 * type of its own); the page asks again for what it shows, at most every few seconds, and only while somebody looks at it.
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

/** Between two times that the page asks again. */
const quietMs = 3_000
const awayMs = 2_000
/** Where there is no stream, the page asks by itself. */
const pollMs = 15_000

/** @returns ends it */
export function startLive(queries: QueryClient): () => void {
  const stop = new AbortController()
  const refresh = refresher(queries, stop.signal)
  void listen(refresh, stop.signal)
  return () => {
    stop.abort()
    become('connecting')
  }
}

function refresher(queries: QueryClient, signal: AbortSignal): () => void {
  let isDirty = false
  let isQuiet = false
  const refresh = (): void => {
    if (signal.aborted) return
    if (document.hidden || isQuiet) {
      isDirty = true
      return
    }
    isDirty = false
    isQuiet = true
    void queries.invalidateQueries({ predicate: ({ meta }) => meta?.['isLive'] !== false })
    later(quietMs, () => {
      isQuiet = false
      if (isDirty) refresh()
    })
  }
  const seen = (): void => {
    if (!document.hidden && isDirty) refresh()
  }
  document.addEventListener('visibilitychange', seen, { signal })
  return refresh
}

async function listen(refresh: () => void, signal: AbortSignal): Promise<void> {
  let lastId: string | null = null
  while (!signal.aborted) {
    const answer: Response | null = await fetch('/api/v1/events', {
      signal,
      cache: 'no-store',
      headers: { accept: 'text/event-stream', ...(lastId === null ? {} : { 'last-event-id': lastId }) },
    }).catch(() => null)
    if (signal.aborted) return
    if (answer === null) {
      become('away')
      await wait(awayMs)
      continue
    }
    const wasAway = state === 'away'
    if (!answer.ok || answer.body === null) {
      become('connecting')
      refresh()
      await wait(pollMs)
      continue
    }
    become('live')
    // what was missed meanwhile
    if (wasAway) refresh()
    lastId = await read(answer.body, { lastId, refresh }).catch(() => lastId)
    if (!signal.aborted) await wait(awayMs / 4)
  }
}

interface Reading {
  readonly lastId: string | null
  readonly refresh: () => void
}

/** @returns the id of the last event, when the stream has ended */
async function read(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  { lastId, refresh }: Reading,
): Promise<string | null> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let id = lastId
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return id
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('id: ')) id = line.slice(4)
      else if (line.startsWith('data: ')) refresh()
    }
  }
}

async function wait(ms: number): Promise<void> {
  await new Promise<void>((resolve) => later(ms, resolve))
}

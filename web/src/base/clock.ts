/** The only place of the dashboard that reads a clock or sets a timer. */
import { useEffect, useState } from 'react'

export function now(): number {
  return Date.now()
}

/** @returns takes it back */
export function later(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, ms)
  return () => clearTimeout(timer)
}

/** The instant, read again every so often, so that "in 3 minutes" stays true. */
export function useNow(everyMs = 30_000): number {
  const [at, setAt] = useState(now)
  useEffect(() => {
    const timer = setInterval(() => setAt(now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return at
}

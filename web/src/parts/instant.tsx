/** An instant: how far away, with the exact time in the zone that was chosen. */
import type { ReactNode } from 'react'
import { useNow } from '../base/clock.ts'
import { instantOf, instantText, relativeText, useZone } from '../base/time.ts'

interface InstantProps {
  readonly at: string | number | null | undefined
  /** Both, or only one of them. */
  readonly show?: 'both' | 'relative' | 'exact' | 'day'
}

export function Instant({ at, show = 'relative' }: InstantProps): ReactNode {
  const now = useNow()
  const timeZone = useZone()
  const value = typeof at === 'number' ? at : instantOf(at)
  if (value === null) return <span className="muted">–</span>
  const exact = instantText(value, show === 'day' ? 'day' : 'minute', timeZone)
  const relative = relativeText(value, now)
  return (
    <time
      dateTime={new Date(value).toISOString()}
      title={show === 'relative' ? exact : relative}
      className="no-wrap"
    >
      {show === 'relative' ? relative : exact}
      {show === 'both' && <span className="muted"> · {relative}</span>}
    </time>
  )
}

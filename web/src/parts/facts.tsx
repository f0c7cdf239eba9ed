/** Facts of the audit log as a line of time. */
import type { ReactNode } from 'react'
import { Foreign } from './foreign.tsx'
import { Empty } from './quiet.tsx'
import { Timeline } from './timeline.tsx'
import type { Tone } from './state.tsx'

export interface Fact {
  readonly id: number
  readonly at: string
  readonly action: string
  readonly subject: string
  readonly actor: string | null
  readonly reason: string | null
  /** Its place in the sealed log; null until it is sealed. */
  readonly logIndex: number | null
  readonly details?: Readonly<Record<string, unknown>> | null
}

export function toneOfAction(action: string): Tone {
  if (/revoked|quarantined|refused|failed|escalated|denied/.test(action)) return 'act'
  if (/paused|aborted|abandoned|silenced/.test(action)) return 'watch'
  if (/confirmed|retired|released|resolved|approved/.test(action)) return 'well'
  if (/issued|triggered|started|created/.test(action)) return 'wait'
  return 'idle'
}

export function FactTimeline({ facts }: { readonly facts: readonly Fact[] }): ReactNode {
  if (facts.length === 0) return <Empty title="Nothing is on record" />
  return (
    <Timeline
      happenings={facts.map(({ id, at, action, actor, reason }) => ({
        key: String(id),
        at,
        tone: toneOfAction(action),
        text: (
          <>
            <code>{action}</code> <span className="muted">by</span> <Foreign text={actor} />
            {reason !== null && (
              <>
                {' '}
                <span className="muted">–</span> <Foreign text={reason} />
              </>
            )}
          </>
        ),
      }))}
    />
  )
}

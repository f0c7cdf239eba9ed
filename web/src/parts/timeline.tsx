/** What happened, in order. */
import type { ReactNode } from 'react'
import { Instant } from './instant.tsx'
import { Glyph, type Tone } from './state.tsx'

export interface Happening {
  readonly key: string
  readonly at: string | number | null
  readonly tone?: Tone
  readonly text: ReactNode
}

export function Timeline({ happenings }: { readonly happenings: readonly Happening[] }): ReactNode {
  return (
    <ol className="timeline">
      {happenings.map(({ key, at, tone = 'idle', text }) => (
        <li key={key}>
          <Instant at={at} show="exact" />
          <span className="dot">
            <Glyph tone={tone} />
          </span>
          <div>{text}</div>
        </li>
      ))}
    </ol>
  )
}

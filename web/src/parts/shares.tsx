/** One bar for a whole that is in several states, with a legend that carries the numbers. */
import type { ReactNode } from 'react'
import { count, percent } from '../base/text.ts'
import { Glyph, wordOf, type Tone } from './state.tsx'

export interface Share {
  readonly state: string
  readonly label?: string
  readonly tone?: Tone
  readonly value: number
  readonly link?: ReactNode
}

export function Shares({
  shares,
  label,
}: {
  readonly shares: readonly Share[]
  readonly label: string
}): ReactNode {
  const whole = shares.reduce((sum, { value }) => sum + value, 0)
  const parts = shares.filter(({ value }) => value > 0)
  let from = 0
  return (
    <div>
      <div
        className="shares"
        role="img"
        aria-label={`${label}: ${parts.map((each) => `${nameOf(each)} ${each.value}`).join(', ')}`}
      >
        <svg viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true">
          {parts.map((each) => {
            const width = (1000 * each.value) / whole
            const x = from
            from += width
            return (
              <rect
                key={each.state}
                x={x}
                width={Math.max(2, width - 2)}
                height="14"
                className={`tone-${toneOf(each)}`}
              />
            )
          })}
        </svg>
      </div>
      <div className="legend">
        {parts.map((each) => (
          <span key={each.state} className="state">
            <Glyph tone={toneOf(each)} />
            {each.link ?? nameOf(each)} <strong>{count(each.value)}</strong>{' '}
            <span>{percent(each.value, whole)}</span>
          </span>
        ))}
      </div>
    </div>
  )
}

function nameOf({ label, state }: Share): string {
  return label ?? wordOf(state).label
}

function toneOf({ tone, state }: Share): Tone {
  return tone ?? wordOf(state).tone
}

/** Bars under each other, the first the longest. */
import type { ReactNode } from 'react'
import { count, percent, shown } from '../base/text.ts'

interface FunnelProps {
  readonly steps: readonly (readonly [name: string, value: number])[]
  /** Shares are of the sum and not of the first. */
  readonly isCount?: boolean
}

const lane = 30
const width = 640
const left = 190

export function Funnel({ steps, isCount }: FunnelProps): ReactNode {
  const most = Math.max(1, ...steps.map(([, value]) => value))
  const whole = isCount ? steps.reduce((sum, [, value]) => sum + value, 0) : (steps[0]?.[1] ?? 0)
  return (
    <svg
      className="ribbon picture"
      viewBox={`0 0 ${width} ${steps.length * lane + 4}`}
      role="img"
      aria-label={steps.map(([name, value]) => `${name}: ${value}`).join('; ')}
    >
      {steps.map(([name, value], at) => {
        const y = at * lane + 3
        const length = (value / most) * (width - left - 110)
        return (
          <g key={name}>
            <text x={left - 10} y={y + 15} textAnchor="end">
              {shorten(shown(name))}
              <title>{shown(name)}</title>
            </text>
            <rect
              x={left}
              y={y}
              width={Math.max(value > 0 ? 2 : 0, length)}
              height="21"
              rx="3"
              className={isCount ? 'tone-act' : 'tone-accent'}
              opacity={isCount ? 0.8 : 1 - at * 0.13}
            />
            <text x={left + length + 8} y={y + 15}>
              {count(value)} · {percent(value, whole)}
            </text>
          </g>
        )
      })}
    </svg>
  )
}

function shorten(text: string): string {
  return text.length > 30 ? `${text.slice(0, 29)}…` : text
}

/** The life of a device as ribbons: each certificate from notBefore to notAfter, its renewal window, and now. */
import type { ReactNode } from 'react'
import { useNow } from '../base/clock.ts'
import { dayMs, instantOf, instantText, useZone } from '../base/time.ts'
import { wordOf } from './state.tsx'

export interface RibbonCertificate {
  readonly serialNumber: string
  readonly status: string
  readonly notBefore: string
  readonly notAfter: string
  readonly confirmedAt?: string | null
  readonly revokedAt?: string | null
}

const width = 960
const left = 96
const lane = 26
const maxLanes = 8

export function Ribbon({
  certificates,
  renewsFrom,
}: {
  readonly certificates: readonly RibbonCertificate[]
  /** When the window of the current one opens. */
  readonly renewsFrom?: string | null
}): ReactNode {
  const now = useNow()
  const zone = useZone()
  const shown = certificates.slice(0, maxLanes)
  if (shown.length === 0) return null
  const from = Math.min(...shown.map(({ notBefore }) => Date.parse(notBefore)), now)
  const to = Math.max(...shown.map(({ notAfter }) => Date.parse(notAfter)), now)
  const pad = Math.max((to - from) * 0.02, dayMs / 24)
  const x = (at: number): number => left + ((at - from + pad) / (to - from + 2 * pad)) * (width - left - 8)
  const height = shown.length * lane + 34
  const opens = instantOf(renewsFrom)
  return (
    <svg className="ribbon" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={labelOf(shown)}>
      {shown.map((each, at) => (
        <Lane
          key={each.serialNumber}
          certificate={each}
          y={at * lane + 6}
          x={x}
          now={now}
          opens={at === 0 ? opens : null}
        />
      ))}
      <line
        className="now"
        x1={x(now)}
        x2={x(now)}
        y1="0"
        y2={height - 24}
        stroke="currentColor"
        strokeWidth="1.5"
        strokeDasharray="3 3"
      />
      <text x={x(now)} y={height - 10} textAnchor={x(now) > width - 60 ? 'end' : 'middle'}>
        now
      </text>
      <text x={left} y={height - 10}>
        {x(now) - left > 130 ? instantText(from, 'day', zone) : ''}
      </text>
      <text x={width - 8} y={height - 10} textAnchor="end">
        {width - x(now) > 130 ? instantText(to, 'day', zone) : ''}
      </text>
    </svg>
  )
}

interface LaneProps {
  readonly certificate: RibbonCertificate
  readonly y: number
  readonly x: (at: number) => number
  readonly now: number
  readonly opens: number | null
}

function Lane({ certificate, y, x, now, opens }: LaneProps): ReactNode {
  const { serialNumber, status, notBefore, notAfter, confirmedAt, revokedAt } = certificate
  const start = x(Date.parse(notBefore))
  const end = x(Date.parse(notAfter))
  const isOver = Date.parse(notAfter) < now
  const tone = isOver && status !== 'revoked' ? 'idle' : wordOf(status).tone
  const used = instantOf(confirmedAt)
  const revoked = instantOf(revokedAt)
  return (
    <g>
      <title>{`${serialNumber}: ${status}, ${notBefore} to ${notAfter}`}</title>
      <text x="0" y={y + 11} className="mono">
        …{serialNumber.slice(-8)}
      </text>
      <rect
        x={start}
        y={y}
        width={Math.max(3, end - start)}
        height="14"
        rx="3"
        className={`tone-${tone}`}
        opacity={isOver ? 0.45 : 0.9}
      />
      {opens !== null && opens < Date.parse(notAfter) && (
        <rect
          x={x(opens)}
          y={y + 3}
          width={Math.max(2, end - x(opens))}
          height="8"
          fill="var(--sheet)"
          opacity="0.55"
        >
          <title>renewal window</title>
        </rect>
      )}
      {used !== null && (
        <circle cx={x(used)} cy={y + 7} r="3.5" fill="var(--sheet)" stroke="currentColor" strokeWidth="1.5" />
      )}
      {revoked !== null && (
        <path
          d={`M${x(revoked) - 5} ${y + 2}l10 10m0 -10l-10 10`}
          stroke="var(--act-state)"
          strokeWidth="2.5"
          fill="none"
        />
      )}
    </g>
  )
}

function labelOf(certificates: readonly RibbonCertificate[]): string {
  return certificates
    .map(({ status, notBefore, notAfter }) => `${status} from ${notBefore} to ${notAfter}`)
    .join('; ')
}

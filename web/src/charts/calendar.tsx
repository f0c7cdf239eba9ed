/** A year of days: how many certificates end on each. One tab stop; the arrows move. */
import { useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { instantText } from '../base/time.ts'
import { count, plural } from '../base/text.ts'

export interface CalendarDay {
  /** UTC midnight. */
  readonly at: number
  readonly count: number
}

const cell = 15
const top = 20
const left = 34
const weekdays = ['Mon', '', 'Wed', '', 'Fri', '', '']

interface CalendarProps {
  readonly days: readonly CalendarDay[]
  /** More than this on one day is more than can be renewed. */
  readonly capacity: number | null
  readonly onPick: (day: CalendarDay) => void
}

export function Calendar({ days, capacity, onPick }: CalendarProps): ReactNode {
  const [at, setAt] = useState(0)
  const picture = useRef<SVGSVGElement>(null)
  const first = days[0]
  if (!first) return null
  const offset = weekday(first.at)
  const most = Math.max(1, ...days.map((day) => day.count))
  const weeks = Math.ceil((days.length + offset) / 7)
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 7, ArrowLeft: -7, ArrowDown: 1, ArrowUp: -1 }[event.key]
    const day = days[at]
    if (event.key === 'Enter' && day) onPick(day)
    if (step === undefined) return
    event.preventDefault()
    const next = Math.max(0, Math.min(days.length - 1, at + step))
    setAt(next)
    picture.current?.querySelector<SVGRectElement>(`[data-day="${next}"]`)?.focus()
  }
  return (
    <>
      <div className="table-scroll">
        <svg
          ref={picture}
          className="calendar picture"
          viewBox={`0 0 ${left + weeks * cell + 4} ${top + 7 * cell + 4}`}
          role="group"
          aria-label="Certificates that end, by day. Arrow keys move, Enter shows the devices."
          onKeyDown={move}
        >
          {weekdays.map((name, row) => (
            <text key={row} x="0" y={top + row * cell + 11}>
              {name}
            </text>
          ))}
          {monthMarks(days, offset).map(({ column, name }) => (
            <text key={`${column} ${name}`} x={left + column * cell} y="12">
              {name}
            </text>
          ))}
          {days.map((day, index) => (
            <rect
              key={day.at}
              data-day={index}
              x={left + Math.floor((index + offset) / 7) * cell}
              y={top + ((index + offset) % 7) * cell}
              width={cell - 1}
              height={cell - 1}
              rx="2"
              role="button"
              tabIndex={index === at ? 0 : -1}
              className={`day ${levelOf(day, most, capacity)}`}
              aria-label={`${instantText(day.at, 'day', 'utc')}: ${plural(day.count, 'certificate')}`}
              onFocus={() => setAt(index)}
              onClick={() => onPick(day)}
            >
              <title>{`${instantText(day.at, 'day', 'utc')}: ${plural(day.count, 'certificate')}`}</title>
            </rect>
          ))}
        </svg>
      </div>
      <div className="legend">
        <span>
          none
          <LegendSquare level="level-0" /> <LegendSquare level="level-1" /> <LegendSquare level="level-2" />{' '}
          <LegendSquare level="level-3" /> <LegendSquare level="level-4" /> {count(most)} on one day
        </span>
        {capacity !== null && (
          <span>
            <LegendSquare level="over-capacity" /> more than the {count(capacity)} that can be renewed in a
            day
          </span>
        )}
      </div>
    </>
  )
}

function LegendSquare({ level }: { readonly level: string }): ReactNode {
  return (
    <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
      <rect width="12" height="12" rx="2" className={level} />
    </svg>
  )
}

/** From Monday, 0. */
function weekday(at: number): number {
  return (new Date(at).getUTCDay() + 6) % 7
}

function levelOf(day: CalendarDay, most: number, capacity: number | null): string {
  if (capacity !== null && day.count > capacity) return 'over-capacity'
  if (day.count === 0) return 'level-0'
  return `level-${Math.max(1, Math.ceil((4 * Math.log1p(day.count)) / Math.log1p(most)))}`
}

function monthMarks(days: readonly CalendarDay[], offset: number): { column: number; name: string }[] {
  return days.flatMap(({ at }, index) => {
    const date = new Date(at)
    if (date.getUTCDate() !== 1) return []
    const name = date.toLocaleString('en-GB', { month: 'short', timeZone: 'UTC' })
    return [
      {
        column: Math.floor((index + offset) / 7),
        name: date.getUTCMonth() === 0 ? `${name} ${date.getUTCFullYear()}` : name,
      },
    ]
  })
}

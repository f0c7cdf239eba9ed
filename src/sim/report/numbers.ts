/** Numbers as a report shows them. */

export type Unit = 'count' | 'share'

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

export function formatCount(value: number): string {
  return whole.format(value)
}

/** A fraction as per cent, with as many places as small ones need. */
export function formatShare(fraction: number): string {
  const percent = fraction * 100
  const size = Math.abs(percent)
  const places = size === 0 || size === 100 ? 0 : size >= 99 || size < 1 ? 3 : size < 10 ? 2 : 1
  return `${percent.toFixed(places)} %`
}

export function formatValue(value: number, unit: Unit): string {
  return unit === 'share' ? formatShare(value) : formatCount(value)
}

/** On an axis there is room for little: `1.2 M`, `40 k`, `99.5 %`. */
export function formatTick(value: number, unit: Unit): string {
  if (unit === 'share') return `${trimmed(value * 100)} %`
  if (Math.abs(value) >= 1e6) return `${trimmed(value / 1e6)} M`
  if (Math.abs(value) >= 1e4) return `${trimmed(value / 1e3)} k`
  return formatCount(value)
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(5)))
}

/**
 * Round numbers from at most `from` to at least `to`, four to seven of them.
 * @param step the smallest distance that has a meaning: 1 for counts
 */
export function niceTicks(from: number, to: number, step = 0): number[] {
  const span = to - from
  if (!(span > 0)) return [from, from + (step || 1)]
  const raw = Math.max(span / 5, step)
  const power = 10 ** Math.floor(Math.log10(raw))
  const distance = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw * 0.999) ?? 10) * power
  const first = Math.floor(from / distance + 1e-9)
  const last = Math.ceil(to / distance - 1e-9)
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * distance)
}

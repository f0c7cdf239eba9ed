/** Bars made of block characters: a number as a length. */

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const

/** In eighths of a column; a share above 0 is always seen. @param share 0 to 1 */
export function bar(share: number, width: number): string {
  const units = share <= 0 ? 0 : Math.max(1, Math.round(Math.min(1, share) * width * 8))
  return '█'.repeat(Math.floor(units / 8)) + (eighths[units % 8] ?? '')
}

export interface Part {
  readonly count: number
  readonly paint: (text: string) => string
  /** Tells the parts apart where there is no colour. */
  readonly character: string
}

/** Parts of a whole, side by side, together `width` columns long; a part above 0 has at least one, where there is room. */
export function stackedBar(parts: readonly Part[], width: number): string {
  const total = parts.reduce((sum, { count }) => sum + count, 0)
  if (total === 0) return '╌'.repeat(width)
  const exact = parts.map(({ count }) => (count * width) / total)
  const columns = exact.map((each) => (each > 0 ? Math.max(1, Math.floor(each)) : 0))
  let left = width - columns.reduce((sum, each) => sum + each, 0)
  const order = [...exact.keys()].sort(
    (a, b) => (exact[b] ?? 0) - (columns[b] ?? 0) - ((exact[a] ?? 0) - (columns[a] ?? 0)),
  )
  for (const at of order) {
    if (left <= 0) break
    if ((exact[at] ?? 0) === 0) continue
    columns[at] = (columns[at] ?? 0) + 1
    left--
  }
  while (left < 0) {
    const widest = columns.indexOf(Math.max(...columns))
    columns[widest] = (columns[widest] ?? 0) - 1
    left++
  }
  return parts
    .map(({ paint, character }, at) => {
      const length = columns[at] ?? 0
      return length === 0 ? '' : paint(character.repeat(length))
    })
    .join('')
}

/** `12,345`. */
export function grouped(value: number): string {
  return value.toLocaleString('en-US')
}

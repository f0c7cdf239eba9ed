/** Suggestions for names that people mistype. */

/**
 * The candidate nearest to the word, or null when none is near: at most one edit per three characters, where an edit
 * is an insertion, deletion, substitution or swap of neighbours.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const wanted = normalize(word)
  let best: string | null = null
  let bestDistance = Infinity
  for (const candidate of candidates) {
    const name = normalize(candidate)
    const distance = editDistance(wanted, name)
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, name.length) / 3))
    if (distance <= allowed && distance < bestDistance && distance < name.length) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** `; did you mean port?` or an empty text, to end an error with. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const suggestion = nearest(word, candidates)
  return suggestion === null ? '' : `; did you mean ${suggestion}?`
}

/** Case, hyphens and underscores are how people differ, not what they mean: `short_lived` is `short-lived`. */
export function normalize(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, '')
}

/** Optimal string alignment distance; words are cut at 64 characters so that hostile ones cost nothing. */
function editDistance(first: string, second: string): number {
  const a = first.slice(0, 64)
  const b = second.slice(0, 64)
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let distance = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, at(beforeLast, j - 2) + 1)
      }
      row.push(distance)
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] as number
}

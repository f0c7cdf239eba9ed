/** Instants and durations as numbers. Nothing of Node: what runs in a browser reads them here, everything else from clock.ts. */

/** Epoch milliseconds, UTC. */
export type Instant = number

export const secondMs = 1_000
export const minuteMs = 60 * secondMs
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

/** ISO 8601 in UTC with whole seconds: `2026-11-20T12:00:00Z`. */
export function iso(at: Instant): string {
  const text = new Date(at).toISOString()
  // years beyond 9999 have more digits
  return text.length === 24 ? `${text.slice(0, 19)}Z` : text.replace(/\.\d{3}Z$/, 'Z')
}

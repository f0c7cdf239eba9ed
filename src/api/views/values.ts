/** Values that many answers show. */
import { Type } from 'typebox'
import { iso, type Instant } from '../../base/clock.ts'

export const text = Type.String()
export const count = Type.Integer({ minimum: 0 })

export function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}

/** Versions of what is shown: an edit names the one that was read, so that two people do not undo each other. */
import { hash } from 'node:crypto'
import { Refusal } from '../base/errors.ts'

/** RFC 9110 §8.8.3, strong: the same bytes, the same tag. */
export function etagOf(value: unknown): string {
  return `"${hash('sha256', JSON.stringify(value), 'base64url').slice(0, 22)}"`
}

/**
 * @param header If-Match as it came
 * @param current what a GET would answer now
 * @throws Refusal `precondition-failed`
 */
export function requireMatch(header: string | undefined, current: unknown): void {
  const tags = new Set((header ?? '').split(',').map((tag) => tag.trim()))
  if (tags.has('*') || tags.has(etagOf(current))) return
  throw new Refusal(
    'precondition-failed',
    'the record is not the one that was read: read it again, look at what changed, and repeat with its ETag',
  )
}

/** RFC 9110 §13.1.2: weak comparison. */
export function isUnchanged(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag)
}

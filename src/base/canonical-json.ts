/**
 * One value, one sequence of bytes: JSON with sorted keys and no white space, for whatever is hashed or signed.
 * It is the part of RFC 8785 that has no room for doubt: numbers are safe integers, text is well-formed Unicode.
 */
import { assert } from './errors.ts'

export type CanonicalValue =
  | string
  | number
  | boolean
  | null
  | readonly CanonicalValue[]
  | { readonly [key: string]: CanonicalValue | undefined }

/**
 * @param value members that are undefined are left out, as if they had not been written
 * @throws InvariantError for a fraction, an unsafe integer, text with a lone surrogate, or nesting over 16 levels
 */
export function canonicalJson(value: CanonicalValue): string {
  return encode(value, 0)
}

function encode(value: CanonicalValue, depth: number): string {
  assert(depth <= 16, 'canonical JSON is nested at most 16 deep')
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return encodeText(value)
  if (typeof value === 'number') {
    assert(Number.isSafeInteger(value), 'a number in canonical JSON is a safe integer')
    return String(value === 0 ? 0 : value)
  }
  if (isList(value)) return `[${value.map((item) => encode(item, depth + 1)).join(',')}]`
  let members = ''
  // RFC 8785 §3.2.3: keys in the order of their UTF-16 code units, which is what sort() does without a comparer
  for (const key of Object.keys(value).sort()) {
    const member = value[key]
    if (member === undefined) continue
    members += `${members === '' ? '' : ','}${encodeText(key)}:${encode(member, depth + 1)}`
  }
  return `{${members}}`
}

function isList(value: CanonicalValue): value is readonly CanonicalValue[] {
  return Array.isArray(value)
}

// Printable ASCII without quote and backslash is written as it is; that is nearly all there is, and twice as fast.
const plain = /^[ !#-[\]-~]*$/

function encodeText(text: string): string {
  if (plain.test(text)) return `"${text}"`
  assert(text.isWellFormed(), 'text in canonical JSON has no lone surrogate')
  return JSON.stringify(text)
}

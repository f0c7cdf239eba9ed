/** IP addresses between text and the octets that certificates hold. */
import { isIPv4, isIPv6 } from 'node:net'

/** 4 or 16 octets of a dotted-decimal or IPv6 text, else null. Zones (`%eth0`) are refused. */
export function ipBytes(text: string): Uint8Array | null {
  if (isIPv4(text)) return Uint8Array.from(text.split('.').map(Number))
  if (!isIPv6(text) || text.includes('%')) return null
  const [head = '', tail] = text.split('::')
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const zeros = Array.from({ length: 16 - before.length - after.length }, () => 0)
  return Uint8Array.from([...before, ...zeros, ...after])
}

/** Dotted decimal or RFC 5952 text of 4 or 16 octets, else null. */
export function formatIp(bytes: Uint8Array): string | null {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) return null
  const numbers = Array.from(
    { length: 8 },
    (_, index) => ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0),
  )
  const { start, length } = longestZeroRun(numbers)
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(':')
  // RFC 5952 §4.2.2: a single zero group is not shortened.
  if (length < 2) return text(numbers)
  return `${text(numbers.slice(0, start))}::${text(numbers.slice(start + length))}`
}

/** Octets of `a:b:1.2.3.4`, the colon-separated part of an IPv6 text on one side of `::`. */
function groups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

function longestZeroRun(numbers: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let length = 0
  for (const [index, number] of numbers.entries()) {
    length = number === 0 ? length + 1 : 0
    if (length > best.length) best = { start: index - length + 1, length }
  }
  return best
}

/** Times in certificates. */
import type { Instant } from '../base/clock.ts'

/**
 * UTCTime `YYMMDDhhmmssZ` (1950 to 2049) or GeneralizedTime `YYYYMMDDhhmmssZ`, the only forms of RFC 5280 §4.1.2.5: with
 * seconds, without fractions, in UTC, no leap second. DER alone (X.690 §11.7) would allow fractions.
 * @param start first content octet in `source`; `end` is the first octet after it
 * @returns null for any other form and for days and times that do not exist
 */
export function decodeTime(
  kind: 'utcTime' | 'generalizedTime',
  source: Uint8Array,
  start: number,
  end: number,
): Instant | null {
  const yearDigits = kind === 'utcTime' ? 2 : 4
  if (end - start !== yearDigits + 11 || source[end - 1] !== letterZ) return null
  for (let offset = start; offset < end - 1; offset++) if (!isDigit(source[offset] as number)) return null
  const pair = (offset: number): number =>
    ((source[offset] as number) - digit0) * 10 + (source[offset + 1] as number) - digit0
  const twoDigits = pair(start)
  const year =
    kind === 'utcTime' ? twoDigits + (twoDigits < 50 ? 2000 : 1900) : twoDigits * 100 + pair(start + 2)
  const rest = start + yearDigits
  const [month, day, hour] = [pair(rest), pair(rest + 2), pair(rest + 4)]
  const [minute, second] = [pair(rest + 6), pair(rest + 8)]
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null
  if (hour > 23 || minute > 59 || second > 59) return null
  return ((daysSinceEpoch(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000
}

const digit0 = 0x30
const letterZ = 0x5a

function isDigit(octet: number): boolean {
  return octet >= digit0 && octet <= 0x39
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar; Date.UTC would read the years 0 to 99 as 1900 to 1999. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

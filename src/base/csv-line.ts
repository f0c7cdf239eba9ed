/** CSV (RFC 4180) as it is written. src/cli/csv.ts reads it. */

/**
 * One line of CSV that a spreadsheet cannot take for a formula: OWASP's rule, a quote before `= + - @`, tab and CR.
 * @returns with its line end, CRLF as RFC 4180 says
 */
export function formatCsv(fields: readonly (string | number | null)[]): string {
  let line = ''
  for (const [at, field] of fields.entries()) line += at === 0 ? formatField(field) : `,${formatField(field)}`
  return `${line}\r\n`
}

const plain = /^[A-Za-z0-9][A-Za-z0-9._:/ -]*[A-Za-z0-9]$/

function formatField(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  // most of them, and most of the time of an export
  if (plain.test(value)) return value
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe
}

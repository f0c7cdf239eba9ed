/** Text that others wrote, and numbers, made fit to show. */

/** Control, format (zero-width, direction), line and paragraph separators, surrogates without a partner. */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** Control, zero-width and direction characters become visible: a name can neither hide nor turn its neighbours round. */
export function shown(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0
    if (code < 0x20) return String.fromCharCode(0x2400 + code)
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, '0')}\u27e9`
  })
}

const plain = new Intl.NumberFormat('en-GB')
const short = new Intl.NumberFormat('en-GB', { notation: 'compact', maximumFractionDigits: 1 })

export function count(value: number): string {
  return plain.format(value)
}

export function shortCount(value: number): string {
  return value < 10_000 ? plain.format(value) : short.format(value)
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return '0 %'
  const share = (100 * part) / whole
  return `${share > 0 && share < 10 ? share.toFixed(1) : Math.round(share)} %`
}

export type Cell = string | number | null | undefined

/** RFC 4180; what a spreadsheet would run as a formula is marked as text. */
export function csvOf(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [head, ...rows].map((row) => row.map(csvCell).join(',')).join('\r\n')
}

function csvCell(value: Cell): string {
  if (value === null || value === undefined) return ''
  const text = String(value)
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** For a shell, in the lines that a person copies. */
export function quoted(text: string): string {
  return /^[A-Za-z0-9_./:=@%+,<>-]+$/.test(text) && !/[<>]/.test(text)
    ? text
    : `'${text.replaceAll("'", "'\\''")}'`
}

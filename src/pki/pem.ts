/** PEM text (RFC 7468). */
import { fromBase64, toBase64 } from '../base/bytes.ts'
import { malformed } from './der.ts'

export interface PemBlock {
  /** `CERTIFICATE`, `CERTIFICATE REQUEST`, `PRIVATE KEY`, … */
  readonly label: string
  readonly der: Uint8Array
}

/** One block in the strict form of RFC 7468 §3: lines of 64 characters, LF at each end of line. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/**
 * All blocks of a text, in order. Text between blocks is skipped (§5.2: explanatory text); inside a block only base64 and
 * white space may stand, so encapsulated headers of old encrypted keys are refused.
 * @throws Refusal `malformed` for an unfinished block, unlike labels, and what is not canonical base64
 */
export function decodePem(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = []
  let open: { label: string; lines: string[] } | null = null
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
    const boundary = boundaryPattern.exec(line.trimEnd())
    if (boundary === null) {
      if (line.startsWith('-----')) malformed(`PEM: line ${index + 1} is not a proper BEGIN or END line`)
      open?.lines.push(line)
      continue
    }
    const [, kind, label = ''] = boundary
    if (kind === 'BEGIN') {
      if (open) malformed(`PEM: line ${index + 1} begins a block inside another`)
      open = { label, lines: [] }
    } else {
      if (open?.label !== label) malformed(`PEM: line ${index + 1} ends a block that was not begun`)
      blocks.push({ label, der: decodeBody(open.lines, index + 1) })
      open = null
    }
  }
  if (open) malformed(`PEM: block ${open.label} has no end`)
  return blocks
}

/** §3: the label is upper-case words; no space at its ends. */
const boundaryPattern = /^-----(BEGIN|END) ([A-Z0-9](?:[A-Z0-9 -]{0,62}[A-Z0-9])?)-----$/

function decodeBody(lines: readonly string[], endLine: number): Uint8Array {
  const der = fromBase64(lines.join('\n'))
  if (der === null || der.length === 0) malformed(`PEM: the block before line ${endLine} is not base64`)
  return new Uint8Array(der)
}

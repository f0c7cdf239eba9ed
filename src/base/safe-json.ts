/** JSON that can be shown anywhere: what came from devices and certificates cannot act on a terminal or a page. */
import { isUnsafeText } from './text.ts'

/** `JSON.stringify` in which every control, bidi and format character is a `\\uXXXX` escape. It reads back as the same value. */
export function safeJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(/[^\n\x20-\x7e]/gu, (character) =>
    isUnsafeText(character)
      ? Array.from({ length: character.length }, (_, i) => unitEscape(character.charCodeAt(i))).join('')
      : character,
  )
}

function unitEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}

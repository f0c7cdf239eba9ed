/** Text from devices and certificates is hostile: it reaches terminals, logs and pages only through here. */

// C0 and C1 controls, line and paragraph separators, and every format character (bidi overrides, zero width, BOM, tags).
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/u

/** True when the text has a control, bidi, format, private-use, surrogate or unassigned character. */
export function isUnsafeText(text: string): boolean {
  return unsafe.test(text)
}

/** The text with each unsafe character written as `\u{…}`, fit for a terminal or a log line. */
export function printable(text: string): string {
  return text.replace(
    new RegExp(unsafe.source, 'gu'),
    (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`,
  )
}

/** CSV as a spreadsheet reads it (RFC 4180), whole text at once. */
export function linesOf(text: string): string[][] {
  const rows: string[][] = []
  const row: string[] = []
  let field = ''
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    if (isQuoted) {
      if (character !== '"') field += character
      else if (text[at + 1] === '"') field += text[at++]
      else isQuoted = false
    } else if (character === '"' && field === '') isQuoted = true
    else if (character === ',' || character === '\n') {
      row.push(character === '\n' ? field.replace(/\r$/, '') : field)
      field = ''
      if (character === '\n') rows.push(row.splice(0))
    } else field += character
  }
  return rows
}

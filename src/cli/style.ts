/** Colour says nothing that the words do not say; without colour nothing is lost. */
export interface Style {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
  yellow(text: string): string
}

const escape = (open: number, close: number) => (text: string) => `\u001b[${open}m${text}\u001b[${close}m`

export const colored: Style = {
  bold: escape(1, 22),
  dim: escape(2, 22),
  red: escape(31, 39),
  green: escape(32, 39),
  yellow: escape(33, 39),
}

const same = (text: string): string => text

export const plain: Style = { bold: same, dim: same, red: same, green: same, yellow: same }

/** https://no-color.org: any non-empty NO_COLOR turns colour off; a dumb terminal has none. */
export function chooseStyle(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Style {
  return isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb' ? colored : plain
}

/** Tables in the documentation that must say the same as the code. */
import type { Finding } from './rules.ts'

/** First cells in backquotes, with the rest of their row. */
function rowsOf(markdown: string): { name: string; cells: string[]; line: number }[] {
  return markdown.split('\n').flatMap((text, index) => {
    const match = /^\|\s*`([^`]+)`\s*\|(.*)\|\s*$/.exec(text)
    if (!match) return []
    return [
      {
        name: match[1] as string,
        cells: (match[2] as string).split('|').map((cell) => cell.trim()),
        line: index + 1,
      },
    ]
  })
}

export function dependencyFindings(markdown: string, declared: readonly string[]): Finding[] {
  const path = 'docs/dependencies.md'
  const rows = rowsOf(markdown)
  return [
    ...declared
      .filter((name) => !rows.some((row) => row.name === name))
      .map((name) => ({ path, line: 1, message: `has no line for ${name}` })),
    ...rows
      .filter((row) => !declared.includes(row.name))
      .map(({ name, line }) => ({ path, line, message: `${name} is not in package.json` })),
  ]
}

export function refusalFindings(
  markdown: string,
  codes: Readonly<Record<string, { readonly http: number; readonly exit: number }>>,
): Finding[] {
  const path = 'docs/refusals.md'
  const rows = rowsOf(markdown)
  const missing = Object.keys(codes).filter((code) => !rows.some((row) => row.name === code))
  return [
    ...missing.map((code) => ({ path, line: 1, message: `has no line for ${code}` })),
    ...rows.flatMap(({ name, cells, line }) => {
      const code = codes[name]
      if (!code) return [{ path, line, message: `${name} is not a refusal code` }]
      if (cells[0] === String(code.http) && cells[1] === String(code.exit)) return []
      return [
        {
          path,
          line,
          message: `${name} says ${cells[0]} and ${cells[1]}; the code says ${code.http} and ${code.exit}`,
        },
      ]
    }),
  ]
}

/** `path › name` in backquotes names a test: the file must have one of that name. @param read null when there is no such file */
export function citationFindings(
  documents: readonly { readonly path: string; readonly text: string }[],
  read: (path: string) => string | null,
): Finding[] {
  return documents.flatMap(({ path, text }) =>
    [...text.matchAll(/`((?:src|test)\/[\w./-]+\.test\.ts) › ([^`]+)`/g)].flatMap((match) => {
      const [file = '', name = ''] = match.slice(1)
      const line = text.slice(0, match.index).split('\n').length
      const source = read(file)
      if (source === null) return [{ path, line, message: `cites ${file}, which does not exist` }]
      if (source.replaceAll("\\'", "'").includes(name)) return []
      return [{ path, line, message: `cites a test that ${file} does not have: ${name}` }]
    }),
  )
}

export interface Lockfile {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly license?: string
        readonly hasInstallScript?: boolean
        readonly link?: boolean
        readonly dev?: boolean
        readonly integrity?: string
      }
    >
  >
}

const permissive = new Set([
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'MIT-0',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
])

/** Binds changes to its own files only: fit for tools that are not shipped. */
const permissiveForTools = new Set([...permissive, 'MPL-2.0'])

/** No package that we install runs a script of its own, has another than a permissive licence, or comes without a hash. */
export function lockfileFindings({ packages }: Lockfile): Finding[] {
  return Object.entries(packages).flatMap(([name, entry]) => {
    const { license, hasInstallScript, link, integrity, dev } = entry
    const messages: string[] = []
    if (link || !name.startsWith('node_modules/')) return []
    if (hasInstallScript) messages.push('has an install script')
    if (!(dev ? permissiveForTools : permissive).has(license ?? ''))
      messages.push(`has the licence ${license ?? 'none'}`)
    if (integrity === undefined) messages.push('has no integrity hash')
    return messages.map((message) => ({ path: 'package-lock.json', line: 1, message: `${name} ${message}` }))
  })
}

/** Every dependency is imported: one of the product by the product, one of development by a test or a script. */
export function unusedFindings(
  imported: { readonly product: ReadonlySet<string>; readonly elsewhere: ReadonlySet<string> },
  declared: { readonly dependencies: readonly string[]; readonly devDependencies: readonly string[] },
): Finding[] {
  const tools = new Set(['typescript', 'oxlint', 'oxfmt'])
  const unused = [
    ...declared.dependencies
      .filter((name) => !imported.product.has(name))
      .map((name) => `${name} is a dependency, and nothing of the product imports it`),
    ...declared.devDependencies
      .filter((name) => !name.startsWith('@types/') && !tools.has(name) && !imported.elsewhere.has(name))
      .map((name) => `${name} is a dependency of development, and nothing imports it`),
  ]
  return unused.map((message) => ({ path: 'package.json', line: 1, message }))
}

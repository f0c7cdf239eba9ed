/** House rules over single files. Each takes sources and returns what breaks it; `test/tidy.test.ts` proves each can fail. */
import { functionsOf } from './functions.ts'
import { lineOf, type Source } from './source.ts'

export interface Finding {
  readonly path: string
  readonly line: number
  readonly message: string
}

/** A file that may break a rule, with the reason. */
export type Exceptions = Readonly<Record<string, string>>

type Pattern = readonly [pattern: RegExp, message: string]

const timeInputs: readonly Pattern[] = [
  [/\bDate\.now\b/g, 'reads a clock: take an instant, or a Clock'],
  [/\bnew\s+Date\s*\(\s*\)/g, 'reads a clock: take an instant, or a Clock'],
  [/\bnew\s+Date\b(?!\s*\()/g, 'reads a clock: take an instant, or a Clock'],
  [/(?<!new\s+)(?<![.\w])Date\s*\(/g, 'reads a clock: take an instant, or a Clock'],
  [/\bperformance\.(?:now|timeOrigin)\b/g, 'reads a clock: use stopwatch() of base/clock.ts'],
  [/\bprocess\.(?:hrtime|uptime)\b/g, 'reads a clock: use stopwatch() of base/clock.ts'],
  [/(?<![\w.])set(?:Timeout|Interval)\s*\(/g, 'sets a timer: use clock.sleep'],
  [/\b(?:globalThis|timers)\.set(?:Timeout|Interval|Immediate)\b/g, 'sets a timer: use clock.sleep'],
  [/\bAbortSignal\.timeout\b/g, 'sets a timer: use clock.sleep'],
  [/\bMath\.random\b/g, 'draws a random number: use Random'],
]

/** A test may yield, and may use random bytes that do not matter. */
const productInputs: readonly Pattern[] = [
  [/(?<![\w.])setImmediate\s*\(/g, 'sets a timer: use clock.sleep'],
  [
    /\b(?:randomBytes|randomUUID|randomInt|randomFill|randomFillSync|getRandomValues)\b/g,
    'draws a random number: use Random',
  ],
]

/** Time, timers and randomness come from `src/base`; everything else is given an instant, a Clock or a Random. */
export function hiddenInputFindings(sources: readonly Source[], exceptions: Exceptions): Finding[] {
  return sources
    .filter(({ path }) => !/^(?:web\/)?src\/base\//.test(path) && !(path in exceptions))
    .flatMap((source) =>
      [
        matchesOfAll(source, timeInputs),
        isProduct(source.path) ? matchesOfAll(source, productInputs) : [],
        literalMatches(source, /^(?:node:)?timers(?:\/promises)?$/, 'imports timers: use clock.sleep'),
      ].flat(),
    )
}

const softLimit = 400
const hardLimit = 600

/** Up to 400 lines; up to 600 when the first comment says why the file is that long. */
export function fileSizeFindings(sources: readonly Source[]): Finding[] {
  return sources.flatMap(({ path, text, comments }) => {
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
    const reason = /\b(?:lines|long|longer|length|one file)\b/i.test(comments[0] ?? '')
    if (lines <= softLimit || (lines <= hardLimit && reason)) return []
    const message =
      lines > hardLimit
        ? `has ${lines} lines; ${hardLimit} is the limit`
        : `has ${lines} lines; over ${softLimit} the first comment must say why it is that long`
    return [{ path, line: 1, message }]
  })
}

const functionLimit = 80

/** A function is at most 80 lines long, those of functions inside it not counted. Suites of tests are lists, not functions. */
export function functionSizeFindings(sources: readonly Source[], exceptions: Exceptions): Finding[] {
  return sources
    .filter(({ path }) => !path.endsWith('.test.ts') && !(path in exceptions))
    .flatMap((source) =>
      functionsOf(source)
        .filter(({ ownLines }) => ownLines > functionLimit)
        .map(({ name, line, ownLines }) => ({
          path: source.path,
          line,
          message: `${name} has ${ownLines} lines; ${functionLimit} is the limit`,
        })),
    )
}

const vagueFolders = /(?:^|\/)(?:utils?|common|services?|types|helpers|misc|shared|lib)\//
const indexFolders = /^src\/(?:pki|authorities|connectors|triggers|notifiers|protocols)\/index\.ts$/

/** Names of files and folders. */
export function nameFindings(paths: readonly string[]): Finding[] {
  return paths.flatMap((path) => {
    const messages: string[] = []
    const file = path.split('/').at(-1) as string
    if (vagueFolders.test(path) && !path.startsWith('test/helpers/'))
      messages.push('stands in a folder that says nothing')
    if (/^(?:utils?|helpers?|common|misc|types)\.ts$/.test(file))
      messages.push('has a name that says nothing')
    if (file === 'index.ts' && !indexFolders.test(path))
      messages.push('is a barrel: import the file that you mean')
    if (/\.tsx?$/.test(path) && !/^[0-9a-z][0-9a-z-]*(?:\.test|\.d|\.config)?\.tsx?$/.test(file)) {
      messages.push('is not named in lower-case words with dashes')
    }
    return messages.map((message) => ({ path, line: 1, message }))
  })
}

const unfinished: readonly Pattern[] = [
  [/\b(?:test|it|describe|suite|t)\.only\b/g, 'runs alone (.only)'],
  [/\b(?:test|it|describe|suite|t)\.todo\b/g, 'is not written (.todo)'],
  [/[{,]\s*only\s*:/g, 'runs alone (only:)'],
  [/[{,]\s*todo\s*:\s*(?:true|['"`])/g, 'is not written (todo:)'],
]

/** Nothing that narrows a run or stands for a test to be written. */
export function unfinishedTestFindings(sources: readonly Source[]): Finding[] {
  return sources
    .filter(({ path }) => path.endsWith('.test.ts') || path.startsWith('test/'))
    .flatMap((source) => matchesOfAll(source, unfinished))
}

const sqlStatement =
  /^\s*(?:select\s[\s\S]*\bfrom\b|insert\s+(?:or\s+\w+\s+)?into\s|update\s+\w+\s+set\s|delete\s+from\s|create\s+(?:unique\s+)?(?:table|index)\s|alter\s+table\s|drop\s+(?:table|index)\s|pragma\s|begin\s+immediate)/i

const sqlBuilders: readonly Pattern[] = [
  [/\bsql\s*(?:<[^`]*>)?\s*`/g, 'has SQL outside src/store'],
  [
    /\.(?:selectFrom|insertInto|updateTable|deleteFrom|mergeInto|replaceInto|createTable|createIndex)\s*\(/g,
    'builds SQL outside src/store',
  ],
]

/** SQL is written in `src/store` only; tests may look into the database, and tamper with it. */
export function sqlFindings(sources: readonly Source[], exceptions: Exceptions): Finding[] {
  return sources
    .filter(({ path }) => isProduct(path) && !path.startsWith('src/store/') && !(path in exceptions))
    .flatMap((source) =>
      [
        matchesOfAll(source, sqlBuilders),
        literalMatches(source, sqlStatement, 'has SQL outside src/store'),
      ].flat(),
    )
}

/** `export default` is for extensions, which are loaded by their folder's list. */
export function defaultExportFindings(sources: readonly Source[], exceptions: Exceptions): Finding[] {
  return sources
    .filter(
      ({ path }) =>
        !/^src\/(?:authorities|connectors|triggers|notifiers|protocols)\//.test(path) &&
        !(path in exceptions),
    )
    .flatMap((source) => matchesOfAll(source, [[/\bexport\s+default\b/g, 'has a default export']]))
}

const machinePaths = /(?<![\w.:/-])\/(?:home|Users|root|work|workspace)\/[\w.]/g
// In pieces, so that this file does not break its own rule.
const registryHosts = new RegExp(
  [
    ['registry', '(?:npmjs|yarnpkg)'],
    ['npm', 'mirror'],
    ['deb', 'debian'],
    ['ftp', '[a-z.]*debian'],
    ['proxy', 'golang'],
    ['pypi', 'org'],
    ['files', 'pythonhosted'],
    ['arti', 'factory'],
    ['jf', 'rog'],
  ]
    .map(([first, second]) => `${first}\\.?${second}`)
    .join('|'),
  'gi',
)

/** No path of one machine and no package mirror in any file of the repository. */
export function placeFindings(files: readonly { path: string; text: string }[]): Finding[] {
  const patterns: readonly Pattern[] = [
    [machinePaths, 'names a path of one machine'],
    [registryHosts, 'names a package registry or mirror'],
    [/"resolved": "https?:/g, 'pins where a package was downloaded'],
  ]
  return files.flatMap(({ path, text }) => matchesOfAll({ path, text, code: text }, patterns))
}

function isProduct(path: string): boolean {
  return path.startsWith('src/') && !path.endsWith('.test.ts')
}

function matchesOfAll(
  source: Pick<Source, 'path' | 'text' | 'code'>,
  patterns: readonly Pattern[],
): Finding[] {
  return patterns.flatMap(([pattern, message]) =>
    [...source.code.matchAll(pattern)].map(({ index }) => ({
      path: source.path,
      line: lineOf(source, index),
      message,
    })),
  )
}

function literalMatches(source: Source, pattern: RegExp, message: string): Finding[] {
  return source.literals
    .filter(({ text }) => pattern.test(text))
    .map(({ start }) => ({ path: source.path, line: lineOf(source, start), message }))
}

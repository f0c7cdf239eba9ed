import { globSync } from 'node:fs'

export interface TestFile {
  /** Relative to the checkout, with `/`. */
  readonly path: string
  readonly ring: string
}

/** Rings that wait for other programs go first: they take longest, and the unit tests fill the gaps. */
const longRingsFirst = ['browser', 'e2e', 'crash', 'interop', 'wire', 'fuzz']

/** All test files of the checkout (the working directory), the slow rings first. */
export function findTestFiles(): TestFile[] {
  return globSync(['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts', 'web/src/**/*.test.ts'])
    .map((path) => path.replaceAll('\\', '/'))
    .map((path) => ({ path, ring: ringOf(path) }))
    .sort((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1))
}

/** A ring is a folder of `test/`, a single file there (`tidy`), or `unit`: everything beside its source. */
export function ringOf(path: string): string {
  const match = /^test\/([^/]+?)(?:\.test\.ts|\/.*)$/.exec(path)
  return match?.[1] ?? 'unit'
}

function rank(file: TestFile): number {
  const index = longRingsFirst.indexOf(file.ring)
  return index === -1 ? longRingsFirst.length : index
}

/** The files of the checkout as the house rules see them, and how a rule is held against them. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Declared } from './layers.ts'
import type { Finding } from './rules.ts'
import { scanSource, type Source } from './source.ts'

export const root = resolve(import.meta.dirname, '../..')

/** Everything that git knows or would add. */
export const paths = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 2 ** 26,
})
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(root, path)))
export const files = paths.flatMap((path) => {
  const bytes = readFileSync(join(root, path))
  return bytes.includes(0) ? [] : [{ path, text: bytes.toString('utf8') }]
})
export const sources = files
  .filter(({ path }) => /\.tsx?$/.test(path))
  .map(({ path, text }) => scanSource(path, text))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
  string,
  Record<string, string>
>
export const declared: Declared = {
  dependencies: Object.keys(manifest['dependencies'] ?? {}),
  devDependencies: Object.keys(manifest['devDependencies'] ?? {}),
}

export function assertNone(findings: readonly Finding[]): void {
  const list = findings.map(({ path, line, message }) => `${path}:${line} ${message}`)
  assert.equal(findings.length, 0, `${list.length} found:\n${list.join('\n')}`)
}

export function plant(path: string, text: string): Source[] {
  return [scanSource(path, text)]
}

export function assertCatches(findings: readonly Finding[], pattern: RegExp): void {
  assert.equal(findings.length, 1, JSON.stringify(findings))
  assert.match((findings[0] as Finding).message, pattern)
}

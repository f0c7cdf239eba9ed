/** Commands and options that the documentation names must exist. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import type { Command } from 'commander'
import { createCliContext } from '../../src/cli/create-context.ts'
import { buildProgram } from '../../src/cli/program.ts'

const root = resolve(import.meta.dirname, '../..')
const program = await buildProgram(null, createCliContext({ version: '0.0.0' }))

/** What is wrong with the command lines in a document, in words. */
function wrongCommands(text: string): string[] {
  const lines = [...text.matchAll(/(?:^|[`(]|\.\/|&& |\$ )perennial ([a-z][^`\n|#&)]*?)(?=  |[`\n|#&)]|$)/gm)]
  return lines.flatMap(([, words = '']) => {
    const problem = problemOf(words.trim().split(/\s+/))
    return problem === null ? [] : [`perennial ${words.trim()}: ${problem}`]
  })
}

function problemOf(words: readonly string[]): string | null {
  let command: Command = program
  const rest = [...words]
  while (command.commands.length > 0 && /^[a-z][a-z-]*$/.test(rest[0] ?? '')) {
    const next = command.commands.find((each) => each.name() === rest[0])
    if (!next) return `there is no ${rest[0]}`
    command = next
    rest.shift()
  }
  const known = new Set([...command.options, ...program.options].map(({ long }) => long))
  known.add('--help')
  const unknown = rest.find((word) => word.startsWith('--') && !known.has(word))
  return unknown === undefined ? null : `has no option ${unknown}`
}

test('every command line in the documentation can be typed', () => {
  const documents = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((path) => path !== '' && existsSync(join(root, path)))
  const problems = documents.flatMap((path) =>
    wrongCommands(readFileSync(join(root, path), 'utf8')).map((problem) => `${path}: ${problem}`),
  )
  assert.deepEqual(problems, [])
  assert.ok(documents.length > 10)
})

test('finds a noun, a verb and an option that do not exist', () => {
  const text = [
    'see `perennial device secret ID`, `perennial serve --roles est`, and `perennial` itself',
    '`perennial devise list`',
    './perennial device lst --json',
    '`perennial audit verify --exports DIR`',
    'Perennial device makers are not commands, nor is perennial joy',
  ].join('\n')
  assert.deepEqual(
    wrongCommands(text).map((problem) => problem.replace(/^.*: /, '')),
    ['there is no devise', 'there is no lst', 'has no option --exports'],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommanderError } from 'commander'
import { Refusal } from '../base/errors.ts'
import { describeFailure, exitCodeHelp, formatFailure, FoundProblems } from './failure.ts'

test('a refusal has the exit code of its rule, and different kinds of trouble have different ones', () => {
  const exits = (
    ['malformed', 'too-early', 'not-found', 'store-busy', 'passphrase-wrong', 'audit-invalid'] as const
  ).map((code) => describeFailure(new Refusal(code, 'x')).exit)
  assert.deepEqual(exits, [3, 4, 5, 6, 7, 8])
  assert.equal(describeFailure(new FoundProblems()).exit, 1)
  assert.equal(describeFailure(new CommanderError(1, 'commander.unknownOption', 'error: x')).exit, 2)
  assert.equal(describeFailure(new Error('x')).exit, 70)
})

test('every exit code is in the help', () => {
  for (const exit of [0, 1, 2, 3, 4, 5, 6, 7, 8, 70])
    assert.match(exitCodeHelp(), new RegExp(`^ +${exit} +\\w`, 'm'))
})

test('hostile text in a message cannot act on the terminal', () => {
  const failure = describeFailure(new Refusal('hostile-name', 'subject a\u001b[2Jb'))
  assert.equal(formatFailure(failure), 'perennial: subject a\\u{1b}[2Jb (hostile-name)')
})

test('asking for help or the version is no failure', () => {
  assert.equal(describeFailure(new CommanderError(0, 'commander.helpDisplayed', '(outputHelp)')).exit, 0)
})

test('the suggestion of a mistyped command stays on the one line', () => {
  const error = new CommanderError(
    1,
    'commander.unknownCommand',
    "error: unknown command 'devcie'\n(Did you mean device?)",
  )
  assert.equal(describeFailure(error).message, "unknown command 'devcie'; did you mean device?")
})

test('a full disk and a forbidden file are told as such', () => {
  const failed = (code: string) => describeFailure(Object.assign(new Error(`${code}: write`), { code }))
  assert.deepEqual([failed('ENOSPC').code, failed('ENOSPC').exit], ['disk-full', 6])
  assert.deepEqual([failed('EACCES').code, failed('EACCES').exit], ['data-directory-invalid', 7])
})

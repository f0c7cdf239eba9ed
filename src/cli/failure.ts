/** How a failed command ends: one line on standard error (an object under --json) and an exit code. */
import { CommanderError } from 'commander'
import { Refusal, refusalRules, type RefusalCode } from '../base/errors.ts'
import { printable } from '../base/text.ts'

export interface Failure {
  readonly exit: number
  /** Stable: a refusal code, `usage` or `internal`. Null: nothing to print (help was shown, or it is already said). */
  readonly code: RefusalCode | 'usage' | 'internal' | 'interrupted' | null
  readonly message: string
  readonly retryAfterMs: number | null
}

/** A command that did its work and found something wrong (a failed check, bad lines) ends with this code. */
export const foundProblemsExit = 1
export const usageExit = 2
export const internalExit = 70

/** Thrown by a command that has already printed its findings. */
export class FoundProblems extends Error {
  readonly exit: number
  constructor(exit: number = foundProblemsExit) {
    super('problems were found')
    this.exit = exit
  }
}

/** Ctrl-C at a prompt. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted')
  }
}

const meanings: Readonly<Record<number, string>> = {
  3: 'the input is refused: malformed, already there, not allowed by a rule of form',
  4: 'not authorised, or refused by policy',
  5: 'not found',
  6: 'unavailable now: busy, locked or full; try again',
  7: 'the installation: configuration, data directory, passphrase',
  8: 'the audit log does not verify',
}

export function exitCodeHelp(): string {
  const used = [...new Set(Object.values(refusalRules).map((rule) => rule.exit))].sort((a, b) => a - b)
  const lines: [number, string][] = [
    [0, 'done'],
    [foundProblemsExit, 'done, and problems were found (a check failed, a line was bad)'],
    [usageExit, 'the command line is wrong'],
    ...used.map((exit): [number, string] => [exit, meanings[exit] ?? 'refused']),
    [internalExit, 'a bug in Perennial'],
  ]
  return ['Exit codes:', ...lines.map(([exit, meaning]) => `  ${String(exit).padEnd(4)}${meaning}`)].join(
    '\n',
  )
}

export function describeFailure(error: unknown): Failure {
  if (error instanceof FoundProblems) return { exit: error.exit, code: null, message: '', retryAfterMs: null }
  if (error instanceof Interrupted)
    return { exit: 130, code: 'interrupted', message: error.message, retryAfterMs: null }
  if (error instanceof CommanderError) return describeUsage(error)
  if (error instanceof Refusal) {
    const { code, message, retryAfterMs } = error
    return { exit: refusalRules[code].exit, code, message, retryAfterMs }
  }
  const known = systemRefusal(error)
  if (known) return known
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return {
    exit: internalExit,
    code: 'internal',
    message: `a bug in Perennial, please report it: ${what}`,
    retryAfterMs: null,
  }
}

/** `perennial: message (code)`, safe for a terminal. Stack traces of bugs keep their lines. */
export function formatFailure(failure: Failure): string {
  const lines = failure.message.split('\n').map(printable)
  return `perennial: ${lines.join('\n')} (${failure.code})`
}

function describeUsage(error: CommanderError): Failure {
  // Commander "fails" for --help and --version too, with exit code 0.
  if (error.exitCode === 0) return { exit: 0, code: null, message: '', retryAfterMs: null }
  if (error.code === 'commander.help') return { exit: usageExit, code: null, message: '', retryAfterMs: null }
  const message = error.message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)$/, '; did you mean $1?')
  return { exit: usageExit, code: 'usage', message, retryAfterMs: null }
}

/** Failures of the file system that a person can cure are refusals, whoever forgot to translate them. */
function systemRefusal(error: unknown): Failure | null {
  if (!(error instanceof Error) || !('code' in error)) return null
  const codes: Readonly<Record<string, RefusalCode>> = {
    ENOENT: 'not-found',
    EACCES: 'data-directory-invalid',
    EPERM: 'data-directory-invalid',
    EISDIR: 'invalid-input',
    ENOTDIR: 'invalid-input',
    ENOSPC: 'disk-full',
    EDQUOT: 'disk-full',
    EROFS: 'disk-full',
  }
  const code = codes[String(error.code)]
  return code ? { exit: refusalRules[code].exit, code, message: error.message, retryAfterMs: null } : null
}

/** Reporter of one test file: an outcome per line as JSON, for `test/run.ts` to add up. */
import { inspect } from 'node:util'
import type { TestEvent } from 'node:test/reporters'

export type Outcome =
  | { kind: 'passed'; name: string }
  | { kind: 'skipped'; name: string; reason: string; isSuite: boolean }
  | { kind: 'todo'; name: string; reason: string }
  | { kind: 'failed'; name: string; reason: string; line: number | null }
  | {
      kind: 'counts'
      tests: number
      suites: number
      passed: number
      failed: number
      cancelled: number
      skipped: number
      todo: number
    }

export default async function* outcomes(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = []
  for await (const event of events) {
    const outcome = outcomeOf(event, path)
    if (outcome) yield `${JSON.stringify(outcome)}\n`
  }
}

/** `path` holds the names of the tests around the current one; a parent is started before and reported after its children. */
function outcomeOf(event: TestEvent, path: string[]): Outcome | null {
  if (event.type === 'test:summary') {
    const { counts } = event.data
    const { tests, suites, passed, cancelled, skipped, todo } = counts
    const failed = tests - passed - cancelled - skipped - todo
    return { kind: 'counts', tests, suites, passed, failed, cancelled, skipped, todo }
  }
  if (event.type === 'test:start') {
    path.length = event.data.nesting
    path.push(event.data.name)
    return null
  }
  if (event.type !== 'test:pass' && event.type !== 'test:fail') return null

  const { nesting, skip, todo } = event.data
  const name = [...path.slice(0, nesting), event.data.name].join(' › ')
  if (event.type === 'test:fail') {
    const { error } = event.data.details
    // A parent that fails only because of its children has nothing of its own to say.
    if ('failureType' in error && error.failureType === 'subtestsFailed') return null
    return { kind: 'failed', name, reason: inspect(error.cause ?? error), line: event.data.line ?? null }
  }
  const isSuite = event.data.details.type === 'suite'
  if (skip !== undefined && skip !== false) {
    return { kind: 'skipped', name, reason: skip === true ? '' : skip, isSuite }
  }
  if (todo !== undefined && todo !== false) return { kind: 'todo', name, reason: todo === true ? '' : todo }
  if (isSuite) return null
  return { kind: 'passed', name }
}

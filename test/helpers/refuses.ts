import assert from 'node:assert/strict'
import { Refusal, type RefusalCode } from '../../src/base/errors.ts'

/** Asserts that `work` throws a Refusal with that code, and with a message that matches. */
export function refuses(code: RefusalCode, work: () => unknown, message = /./): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof Refusal, `expected a Refusal, got ${String(error)}`)
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    return true
  })
}

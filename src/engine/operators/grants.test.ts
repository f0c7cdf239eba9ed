import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatGrant, parseGrant } from './grants.ts'

test('grants are read as they are written, and nonsense is refused', () => {
  for (const text of ['viewer', 'officer@site:kl', 'operator@cohort:2026-w40']) {
    assert.equal(formatGrant(parseGrant(text)), text)
  }
  for (const text of ['', 'root', 'viewer@', 'viewer@batch:x', 'viewer@site:', 'viewer@site:a b']) {
    assert.throws(() => parseGrant(text), { code: 'invalid-input' }, text)
  }
  assert.throws(() => parseGrant('oficer'), /did you mean officer/)
})

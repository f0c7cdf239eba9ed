import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { commandName } from './command-name.ts'

const checkout = mkdtempSync(join(tmpdir(), 'perennial-checkout-'))
mkdirSync(join(checkout, 'src'))
writeFileSync(join(checkout, 'perennial'), '')
const script = join(checkout, 'src', 'main.ts')

test('is the launcher of the checkout, from wherever the person stands', () => {
  assert.equal(commandName(script, checkout), './perennial')
  assert.equal(commandName(script, join(checkout, 'src')), join(checkout, 'perennial'))
  assert.equal(commandName(script, tmpdir()).endsWith('perennial'), true)
})

test('is perennial where it is installed, or when it is not known how it was started', () => {
  assert.equal(commandName('/usr/lib/node_modules/perennial/src/main.ts', '/'), 'perennial')
  assert.equal(commandName('/usr/bin/perennial', '/'), 'perennial')
  assert.equal(commandName('/nowhere/src/main.ts', '/'), 'perennial')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { didYouMean, nearest } from './did-you-mean.ts'

test('finds a name with swapped, missing, added or wrong letters', () => {
  const names = ['port', 'host', 'names', 'maxConnections']
  assert.equal(nearest('prot', names), 'port')
  assert.equal(nearest('hst', names), 'host')
  assert.equal(nearest('namess', names), 'names')
  assert.equal(nearest('maxConections', names), 'maxConnections')
})

test('takes no offence at case, hyphens and underscores', () => {
  assert.equal(nearest('SHORT_LIVED', ['short-lived']), 'short-lived')
  assert.equal(nearest('maxconnections', ['maxConnections']), 'maxConnections')
})

test('suggests nothing that is further than one edit in three characters', () => {
  assert.equal(nearest('abcdef', ['abcdxy']), 'abcdxy')
  assert.equal(nearest('abcdef', ['abcxyz']), null)
  assert.equal(nearest('x', ['y']), null)
})

test('takes the nearest of several', () => {
  assert.equal(nearest('consumr', ['customer', 'consumer']), 'consumer')
})

test('answers at once for very long words', () => {
  assert.equal(didYouMean('x'.repeat(1_000_000), ['port']), '')
})
